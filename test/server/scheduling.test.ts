import { expect, test } from "vitest";
import type { BackfillOptions, RunOptions } from "../../src/app/api.ts";
import type { CheckedPipeline } from "../../src/config/index.ts";
import { HeadraceError, type RunReceipt } from "../../src/core/index.ts";
import { ClockByHand } from "../support/clock-by-hand.ts";
import { openWorld, until, type World, type WorldOptions } from "./world.ts";

const MINUTE = 60_000;
const DAILY = 'from: ./data\nto: duckdb:x.duckdb\nschedule: "0 2 * * *"\ntables: { shop.orders: {} }\n';
const interval = (more: string) =>
	`from: ./data\nto: duckdb:x.duckdb\nschedule: "0 2 * * *"\n${more}tables: { shop.visits: { mode: interval, cursor: at } }\n`;

/** An app whose runs end when the test says so, and are kept as runs are. */
function appByHand() {
	const calls: string[] = [];
	const waiting: { name: string; end: (how?: "failed" | HeadraceError) => void }[] = [];
	let world: World | null = null;
	let count = 0;
	const day = (at: string) => at.slice(5, 10);
	const receiptOf = (pipeline: CheckedPipeline, of: RunReceipt["interval"], state: RunReceipt["state"]): RunReceipt => {
		const at = new Date(world!.service.clock.nowMs()).toISOString();
		const table = {
			...{ table: "shop.visits", into: "x", mode: "interval", write: "merge", state, attempts: 1 },
			...{ rows_read: 1, rows_staged: 1, rows_loaded: 1, rows_rejected: 0, rows_inserted: 1, rows_updated: 0 },
			...{ rows_deleted: 0, bytes: 1, seconds: 1, position: null, values_changed: {}, error: null },
		};
		const [run_id, tables] = [`run-${String(++count).padStart(4, "0")}`, of === null ? [] : [table]];
		return { run_id, pipeline: pipeline.name, interval: of, state, started_at: at, finished_at: at, tables };
	};
	const work = (name: string, options: RunOptions, receipts: (state: RunReceipt["state"]) => RunReceipt[]) =>
		new Promise<RunReceipt[]>((resolve, reject) => {
			calls.push(name);
			const keep = async (state: RunReceipt["state"]) => {
				const kept = receipts(state);
				for (const run of kept) {
					options.onEvent?.({ type: "run-started", run });
					await world!.service.state.saveRun(run);
					options.onEvent?.({ type: "run-finished", run });
				}
				resolve(kept);
			};
			options.signal?.addEventListener("abort", () => {
				calls.push(`${name} stopped`);
				void keep("stopped");
			});
			const end = (how?: "failed" | HeadraceError) =>
				how instanceof HeadraceError ? reject(how) : void keep(how ?? "succeeded");
			waiting.push({ name, end });
		});
	const app = {
		run: (pipeline: CheckedPipeline, options: RunOptions) => {
			const of = options.interval ?? null;
			const name = `${options.follow === true ? "follow" : "run"} ${pipeline.name}${of === null ? "" : ` ${day(of.start)}`}`;
			return work(name, options, (state) => [receiptOf(pipeline, of, state)]);
		},
		backfill: (pipeline: CheckedPipeline, options: BackfillOptions) => {
			const list = options.intervals ?? [];
			const name = `backfill ${pipeline.name} ${list.map(({ start }) => day(start)).join(" ")}`;
			return work(name, options, (state) => list.map((of) => receiptOf(pipeline, of, state)));
		},
	};
	return {
		app,
		calls,
		set: (of: World) => {
			world = of;
		},
		/** Ends the run that began first. */
		end: async (how?: "failed" | HeadraceError) => {
			const first = await until(() => waiting.shift());
			first.end(how);
			for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
		},
	};
}

async function start(now: string, options: WorldOptions & { readonly clock?: ClockByHand }) {
	const hand = appByHand();
	const clock = options.clock ?? new ClockByHand(now);
	const world = await openWorld({ ...options, clock, app: hand.app });
	hand.set(world);
	await world.service.start();
	return { ...hand, clock, world, pass: (ms: number) => clock.pass(ms) };
}

test("a schedule runs at its time, once, and a time during a run comes after it", async () => {
	const { world, calls, clock, pass, end } = await start("2026-01-01T01:59:00Z", { pipelines: { shop: DAILY } });
	await using _world = world;
	await pass(2 * MINUTE);
	expect(calls).toEqual(["run shop"]);
	const [job] = world.service.jobs.open();
	expect(job).toMatchObject({ state: "running", request: { trigger: "schedule", by: null } });
	expect(world.service.nextTimes("shop", 2).map((at) => new Date(at).toISOString())).toEqual([
		"2026-01-02T02:00:00.000Z",
		"2026-01-03T02:00:00.000Z",
	]);
	for (const day of ["02", "03"]) {
		clock.set(`2026-01-${day}T02:00:00Z`);
		await pass(MINUTE);
	}
	expect(calls, "two times wait as one").toEqual(["run shop"]);
	expect(world.service.waitsFor(world.service.jobs.open()[1]!.id)).toContain("another job of the pipeline");
	await end();
	await pass(MINUTE);
	expect(calls).toEqual(["run shop", "run shop"]);
	await end("failed");
	await pass(MINUTE);
	expect(calls, "what failed is not run again before its time").toHaveLength(2);
	expect((await world.service.jobs.ended()).map(({ state }) => state)).toEqual(["failed", "succeeded"]);
});

test("while the server runs no interval is left out, though runs take longer than the schedule", async () => {
	const { world, calls, clock, pass, end } = await start("2026-01-05T01:59:00Z", { pipelines: { v: interval("") } });
	await using _world = world;
	await pass(2 * MINUTE);
	expect(calls).toEqual(["run v 01-04"]);
	for (const day of ["06", "07", "08"]) {
		clock.set(`2026-01-${day}T02:00:00Z`);
		await pass(MINUTE);
	}
	await end();
	await pass(MINUTE);
	expect(calls.slice(1)).toEqual(["backfill v 01-05 01-06"]);
	await end();
	await pass(MINUTE);
	expect(calls.slice(2)).toEqual(["run v 01-07"]);
});

test("after a time without a server: catchup runs what was missed and not loaded, without it only the last", async () => {
	const pipelines = { v: interval("start: 2026-01-01\ncatchup: true\n"), w: interval("start: 2026-01-01\n") };
	const first = await start("2026-01-04T12:00:00Z", { pipelines });
	first.world.keep.directory = true;
	await first.pass(MINUTE);
	expect(first.calls, "from its start on; the other waits for its time").toEqual(["backfill v 01-01 01-02"]);
	await first.end();
	await first.pass(MINUTE);
	await first.end();
	expect(first.calls.at(-1)).toBe("run v 01-03");
	await first.world[Symbol.asyncDispose]();
	const { directory } = first.world;
	const second = await start("2026-01-08T12:00:00Z", { pipelines, directory });
	await second.pass(MINUTE);
	expect(second.calls.toSorted()).toEqual(["backfill v 01-04 01-05 01-06", "run w 01-07"]);
	second.world.keep.directory = false;
	await second.world[Symbol.asyncDispose]();
});

test("what a server's stop cut off comes again with the next one; what was asked for is not forgotten", async () => {
	const pipelines = { shop: DAILY, v: interval("") };
	const first = await start("2026-01-05T01:59:30Z", { pipelines });
	first.world.keep.directory = true;
	await first.pass(MINUTE);
	expect(first.calls.toSorted()).toEqual(["run shop", "run v 01-04"]);
	const of = (day: string, next: string) => ({ start: `2026-01-${day}T00:00:00Z`, end: `2026-01-${next}T00:00:00Z` });
	const intervals = [of("01", "02"), of("02", "03")];
	await first.world.service.add({ pipeline: "v", trigger: "backfill", by: "anna", intervals });
	const drained = first.world.service.drain(20_000);
	await first.pass(19_000);
	expect(first.calls).toHaveLength(2);
	await first.pass(2_000);
	await drained;
	expect(first.calls.slice(2).toSorted()).toEqual(["run shop stopped", "run v 01-04 stopped"]);
	await expect(first.world.service.add({ pipeline: "v", trigger: "manual", by: "anna" })).rejects.toThrow(
		"about to stop",
	);
	await first.world[Symbol.asyncDispose]();
	const second = await start("2026-01-05T02:05:00Z", { pipelines, directory: first.world.directory });
	await second.pass(MINUTE);
	expect(second.calls.toSorted()).toEqual(["backfill v 01-01 01-02", "run shop"]);
	await second.end();
	await second.end();
	await second.pass(MINUTE);
	expect(second.calls.at(-1)).toBe("run v 01-04");
	second.world.keep.directory = false;
	await second.world[Symbol.asyncDispose]();
});

test("a pipeline that another process holds waits for it, and holds up no other", async () => {
	const pipelines = { shop: DAILY, other: DAILY };
	const { world, calls, pass, end } = await start("2026-01-01T12:00:00Z", { pipelines, jobsMax: 1 });
	await using _world = world;
	const job = await world.service.add({ pipeline: "shop", trigger: "manual", by: "anna" });
	await world.service.add({ pipeline: "other", trigger: "manual", by: "anna" });
	await pass(0);
	await end(new HeadraceError("E_BUSY", "another run holds the pipeline shop (host pid 4711)"));
	expect((await world.service.jobs.find(job.id))?.state).toBe("queued");
	expect(world.service.waitsFor(job.id)).toContain("pid 4711");
	await pass(1_000);
	expect(calls).toEqual(["run shop", "run other"]);
	await end();
	await pass(10_000);
	expect(calls).toEqual(["run shop", "run other", "run shop"]);
	expect(await world.service.cancel(job.id, "anna")).toBe(true);
	await until(() => (world.service.jobs.open().length === 0 ? true : undefined));
	expect(calls.at(-1)).toBe("run shop stopped");
	expect((await world.service.jobs.find(job.id))?.state).toBe("stopped");
});

test("a held schedule runs nothing but what is asked for; when it goes on its last time comes", async () => {
	const { world, calls, clock, pass, end } = await start("2026-01-01T12:00:00Z", { pipelines: { shop: DAILY } });
	await using _world = world;
	await world.service.pause("shop", "anna", null);
	clock.set("2026-01-03T04:00:00Z");
	await pass(MINUTE);
	expect(calls).toEqual([]);
	await world.service.add({ pipeline: "shop", trigger: "manual", by: "anna" });
	await pass(0);
	await end();
	await world.service.unpause("shop");
	await pass(1_000);
	expect(calls).toEqual(["run shop", "run shop"]);
});

test("a change stream is followed, begun again when it ends, and stopped by a pause and by a changed file", async () => {
	const stream = "from: ./data\nto: duckdb:x.duckdb\nschedule: continuous\ntables: { shop.orders: { mode: cdc } }\n";
	const { world, calls, pass, clock } = await start("2026-01-01T12:00:00Z", { pipelines: { live: stream } });
	await using _world = world;
	await pass(0);
	expect(calls).toEqual(["follow live"]);
	await expect(world.service.add({ pipeline: "live", trigger: "manual", by: "anna" })).rejects.toThrow(
		"follows its change stream",
	);
	await world.service.pause("live", "anna", null);
	await until(() => (calls.length === 2 ? true : undefined));
	expect(calls.at(-1)).toBe("follow live stopped");
	await clock.pass(10 * MINUTE);
	expect(calls).toHaveLength(2);
	await world.service.unpause("live");
	await pass(0);
	expect(calls.at(-1)).toBe("follow live");
	world.write("live", `${stream}retries: 5\n`);
	await world.service.refresh();
	await until(() => (calls.length === 5 ? true : undefined));
	expect(calls.slice(3)).toEqual(["follow live stopped", "follow live"]);
});

test("a second server of the same project is refused", async () => {
	const { world } = await start("2026-01-01T12:00:00Z", { pipelines: { shop: DAILY } });
	await using _world = world;
	await using other = await openWorld({ pipelines: {}, directory: world.directory });
	await expect(other.service.start()).rejects.toMatchObject({
		code: "E_BUSY",
		message: /another server has this project/,
	});
});
