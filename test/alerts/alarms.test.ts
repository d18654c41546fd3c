import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { App } from "../../src/app/api.ts";
import { openApp } from "../../src/app/app.ts";
import { definePipeline, type PipelineInput } from "../../src/config/define-pipeline.ts";
import { MemoryDatabase, memorySource } from "../../src/connectors/memory/index.ts";
import {
	type AlertEntry,
	type ErrorCode,
	HeadraceError,
	type Lease,
	type RunEvent,
	type Source,
} from "../../src/core/index.ts";
import { deliveryId } from "../../src/observe/alerts/index.ts";
import { openStateStore, type ProjectState } from "../../src/state/index.ts";
import { temporaryFolder } from "../support/processes.ts";
import { startWebhookServer, type WebhookServer } from "../support/webhook-server.ts";

const HOUR_MS = 3_600_000;

let server: WebhookServer;
let directory: string;

beforeEach(async () => {
	const folder = temporaryFolder("alarms");
	directory = folder.path;
	server = await startWebhookServer();
	const started = server;
	onTestFinished(async () => {
		await started[Symbol.asyncDispose]();
		folder.remove();
	});
});

/** A source of two tables, each of which can be told to fail; its clock and that of the alarms can be set ahead. */
class World {
	readonly failing = new Map<string, ErrorCode>();
	connects: ErrorCode | null = null;
	aheadMs = 0;
	readonly notices: string[] = [];
	readonly #database = new MemoryDatabase();

	constructor() {
		for (const name of ["orders", "people"]) {
			const table = { schema: "shop", name };
			this.#database.createTable(table, [{ name: "id", type: { kind: "int64" }, nullable: false }], ["id"]);
			this.#database.insert(table, { id: "1" });
		}
	}

	get source(): Source {
		const source = memorySource(this.#database, { defaultSchema: "shop" });
		return {
			...source,
			listTables: async () => {
				if (this.connects !== null) throw new HeadraceError(this.connects, "no way to db.internal");
				return source.listTables();
			},
			snapshot: async (options) => {
				const snapshot = await source.snapshot(options);
				const read: typeof snapshot.read = (request) => {
					const code = this.failing.get(request.table.name.name);
					if (code === undefined) return snapshot.read(request);
					throw new HeadraceError(code, `${request.table.name.name} did not answer with hunter2`, { hint: "look" });
				};
				return { ...snapshot, read };
			},
		};
	}

	app(): Promise<App> {
		return openApp({
			directory,
			source: this.source,
			nowMs: () => Date.now() + this.aheadMs,
			redact: (text) => text.replaceAll("hunter2", "***"),
		});
	}

	async run(pipeline: ReturnType<typeof shop>): Promise<string> {
		await using app = await this.app();
		const onEvent = (event: RunEvent) => {
			if (event.type === "notice") this.notices.push(event.message);
		};
		const [receipt] = await app.run(pipeline, { onEvent });
		return receipt!.run_id;
	}
}

type Alerts = NonNullable<PipelineInput["alerts"]>;

function shop(channel: Partial<Alerts[number]> = {}, rest: Partial<PipelineInput> = {}) {
	return definePipeline(
		{
			pipeline: "shop",
			from: "./unused",
			to: "duckdb:w.duckdb",
			retries: 0,
			tables: { "shop.*": {} },
			alerts: [{ type: "webhook", name: "ops", url: server.url, allow_private: true, ...channel }],
			...rest,
		},
		{ directory, env: {} },
	);
}

/** `failed shop.orders E_TIMEOUT` of everything that came since the last look. */
function told(): string[] {
	return server.take().map(({ event, items }) => {
		const list = (items as { table: string | null; code: string | null; times: number }[])
			.map(({ table, code, times }) =>
				[table ?? "-", code, times > 1 ? `x${times}` : null].filter((part) => part !== null).join(" "),
			)
			.sort();
		return `${event}: ${list.join(", ")}`;
	});
}

describe("a run", () => {
	test("that fails is told with table, code, cause, cure and commands; never with a secret", async () => {
		const world = new World();
		world.failing.set("orders", "E_SOURCE");
		const id = await world.run(shop());
		const [body] = server.take();
		expect(body).toMatchObject({
			event: "failed",
			pipeline: "shop",
			run_id: id,
			title: "shop failed: shop.orders (E_SOURCE)",
			items: [
				{
					table: "shop.orders",
					code: "E_SOURCE",
					message: "orders did not answer with ***",
					hint: "look",
					attempts: 1,
					times: 1,
				},
			],
			commands: {
				show: `headrace -C ${directory} runs show ${id}`,
				repeat: `headrace -C ${directory} run shop --failed ${id}`,
			},
		});
		await using store = await openStateStore(join(directory, ".headrace/state.db"));
		expect((await store.log(id)).map(({ message }) => message)).toContain(
			"alarm sent to ops: shop failed: shop.orders (E_SOURCE)",
		);
	});

	test("several tables that fail are one message", async () => {
		const world = new World();
		world.failing.set("orders", "E_SOURCE").set("people", "E_VALUE");
		await world.run(shop());
		expect(told()).toEqual(["failed: shop.orders E_SOURCE, shop.people E_VALUE"]);
	});

	test("that can't begin is told, and its recovery; the first run that works says so", async () => {
		const world = new World();
		world.connects = "E_CONNECT";
		await expect(world.run(shop())).rejects.toMatchObject({ code: "E_CONNECT" });
		expect(told()).toEqual(["failed: - E_CONNECT"]);
		world.connects = null;
		await world.run(shop());
		expect(told()).toEqual(["recovered: -"]);
		await world.run(shop());
		expect(told()).toEqual([]);
	});

	test("is told after its last attempt only", async () => {
		const world = new World();
		world.failing.set("orders", "E_TIMEOUT");
		await world.run(shop({}, { retries: 2, retry_delay: "10ms" }));
		const [body, ...more] = server.take();
		expect(more).toEqual([]);
		expect(body).toMatchObject({ items: [{ attempts: 3 }] });
	});

	test("that somebody stopped, or that found another one at work, alarms nobody", async () => {
		const world = new World();
		world.failing.set("orders", "E_FENCED").set("people", "E_BUSY");
		await world.run(shop());
		const stop = new AbortController();
		stop.abort(new HeadraceError("E_STOPPED", "stopped by SIGTERM"));
		await using app = await world.app();
		await expect(app.run(shop(), { signal: stop.signal })).rejects.toMatchObject({ code: "E_STOPPED" });
		expect(told()).toEqual([]);
	});

	test("whose process was killed is told by the next one", async () => {
		const world = new World();
		{
			await using store = await openStateStore(join(directory, ".headrace/state.db"));
			await store.saveRun({
				run_id: "20260101T000000-aaaaaa",
				pipeline: "shop",
				interval: null,
				state: "stopped",
				started_at: "2026-01-01T00:00:00.000Z",
				finished_at: null,
				tables: [],
			});
		}
		await world.run(shop());
		expect(told()).toEqual(["failed: - E_STOPPED", "recovered: -"]);
	});
});

test("a failure that repeats is told once in its cool-down, over several processes' runs", async () => {
	const world = new World();
	world.failing.set("orders", "E_SOURCE");
	await world.run(shop());
	await world.run(shop());
	await world.run(shop());
	expect(told()).toEqual(["failed: shop.orders E_SOURCE"]);
	world.aheadMs = 2 * HOUR_MS;
	await world.run(shop());
	expect(told()).toEqual(["failed: shop.orders E_SOURCE x3"]);
	world.failing.clear();
	await world.run(shop());
	expect(told()).toEqual(["recovered: shop.orders"]);
});

test("`on` and `tables` say who is told what; a run as a whole is always told", async () => {
	const world = new World();
	const people = shop({ tables: "shop.people" });
	world.failing.set("orders", "E_SOURCE");
	await world.run(people);
	expect(told()).toEqual([]);
	world.failing.clear();
	world.connects = "E_LOGIN";
	await expect(world.run(people)).rejects.toThrow();
	expect(told()).toEqual(["failed: - E_LOGIN"]);
	world.connects = null;
	world.failing.set("people", "E_SOURCE");
	await world.run(shop({ on: ["recovered"], name: "other" }));
	expect(told()).toEqual([]);
});

test("every success is told to a dead man's switch, once a backfill, and not one that failed in part", async () => {
	const world = new World();
	const ping = shop({ on: "succeeded" });
	await world.run(ping);
	await world.run(ping);
	expect(told()).toEqual(["succeeded: -", "succeeded: -"]);
	world.failing.set("people", "E_SOURCE");
	await world.run(ping);
	expect(told()).toEqual([]);
});

describe("late_after", () => {
	test("a table whose last success is too long ago is late: told once, and when it is over", async () => {
		const world = new World();
		const late = shop({}, { late_after: "26h", tables: { "shop.*": {}, "shop.people": { late_after: "3d" } } });
		await world.run(late);
		world.failing.set("orders", "E_SOURCE").set("people", "E_SOURCE");
		world.aheadMs = 27 * HOUR_MS;
		await world.run(late);
		const bodies = server.take();
		expect(bodies).toMatchObject([{ event: "failed" }, { event: "late", items: [{ table: "shop.orders" }] }]);
		expect((bodies[1] as { items: { message: string }[] }).items[0]!.message).toMatch(
			/^last success \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, 27 h 00 min ago; late_after is 26 h 00 min$/,
		);
		{
			await using app = await world.app();
			expect((await app.status(late)).late).toMatchObject([{ table: "shop.orders" }]);
			expect(await app.alert(late)).toEqual([]);
			world.aheadMs = 29 * HOUR_MS;
			expect(await app.alert(late)).toMatchObject([{ channel: "ops", event: "late", error: null }]);
			expect(told()).toEqual(["late: shop.orders x2"]);
		}
		world.failing.clear();
		world.aheadMs = 0;
		await world.run(late);
		expect(told()).toEqual(["recovered: shop.orders, shop.people"]);
	});

	test("a pipeline that never succeeded is late as a whole; a table that is skipped now is not", async () => {
		const world = new World();
		const late = shop({}, { late_after: "1h" });
		world.failing.set("orders", "E_SOURCE").set("people", "E_SOURCE");
		await world.run(late);
		world.aheadMs = 2 * HOUR_MS;
		await using app = await world.app();
		expect((await app.status(late)).late).toMatchObject([{ table: null, last_success: null }]);
		world.failing.clear();
		world.aheadMs = 0;
		await app.run(late, {});
		world.aheadMs = 2 * HOUR_MS;
		const skipping = shop({}, { late_after: "1h", tables: { "shop.*": {}, "shop.people": "skip" } });
		expect((await app.status(skipping)).late).toMatchObject([{ table: "shop.orders" }]);
	});

	test("a run that finds another one at work looks, too: that one may hang", async () => {
		const world = new World();
		const late = shop({}, { late_after: "1h" });
		await world.run(late);
		world.aheadMs = 2 * HOUR_MS;
		await using store = await openStateStore(join(directory, ".headrace/state.db"));
		await store.acquireLease("pipeline:shop", `${process.pid} elsewhere`, HOUR_MS);
		await expect(world.run(late)).rejects.toMatchObject({ code: "E_BUSY" });
		expect(told()).toEqual(["late: shop.orders, shop.people"]);
	});
});

describe("a channel that can't be reached", () => {
	test("fails no run, is told in the run and its history, and is told by the next run what it missed", async () => {
		const world = new World();
		world.failing.set("orders", "E_SOURCE");
		server.answer = (_delivery, response) => {
			response.statusCode = 403;
			response.end();
		};
		const id = await world.run(shop());
		server.take();
		expect(world.notices).toEqual([
			expect.stringMatching(/^alarm not sent, the next run tries again: channel ops: 127\.0\.0\.1:\d+ answered 403\./),
		]);
		await using app = await world.app();
		expect((await app.status(shop())).alerts_waiting).toMatchObject([
			{ channel: "ops", event: "failed", table: "shop.orders", run_id: id, failure: /403/ },
		]);
		server.answer = (_delivery, response) => response.end();
		await world.run(shop());
		expect(told()).toEqual(["failed: shop.orders E_SOURCE x2"]);
		expect((await app.status(shop())).alerts_waiting).toEqual([]);
	});

	test("and that never answers keeps a run no longer than ten seconds", async () => {
		const world = new World();
		world.failing.set("orders", "E_SOURCE");
		server.answer = () => {};
		const started = performance.now();
		await world.run(shop());
		expect(performance.now() - started).toBeLessThan(12_000);
		expect(world.notices.join()).toContain("alarm not sent");
	});

	test("does not keep the others from being told", async () => {
		const world = new World();
		world.failing.set("orders", "E_SOURCE");
		const pipeline = definePipeline(
			{
				pipeline: "shop",
				from: "./unused",
				to: "duckdb:w.duckdb",
				retries: 0,
				tables: { "shop.*": {} },
				alerts: [
					{ type: "webhook", name: "gone", url: "http://127.0.0.1:1/x", allow_private: true },
					{ type: "webhook", name: "ops", url: server.url, allow_private: true },
				],
			},
			{ directory, env: {} },
		);
		await world.run(pipeline);
		expect(told()).toEqual(["failed: shop.orders E_SOURCE"]);
	});
});

test("several runs at once tell a failure once", async () => {
	const world = new World();
	world.failing.set("orders", "E_SOURCE");
	await world.run(shop());
	server.take();
	world.aheadMs = 2 * HOUR_MS;
	const late = shop({}, { late_after: "1h" });
	world.failing.clear();
	const apps = await Promise.all(Array.from({ length: 4 }, () => world.app()));
	await Promise.all(apps.map((app) => app.alert(late)));
	for (const app of apps) await app[Symbol.asyncDispose]();
	expect(told()).toHaveLength(1);
});

describe("a process that stood still while another one took over", () => {
	/** A state that stops the next call of a method until it is told to go on, as a frozen process would. */
	function frozenAt(state: ProjectState, method: "renewLease" | "changeAlerts") {
		const frozen = Promise.withResolvers<void>();
		const thawed = Promise.withResolvers<void>();
		let isOver = false;
		const inTheWay = (target: ProjectState): ProjectState =>
			new Proxy(target, {
				get(_target, name) {
					const value = Reflect.get(target, name, target) as unknown;
					if (name === "fencedBy") return (lease: Lease) => inTheWay(target.fencedBy(lease));
					if (typeof value !== "function") return value;
					if (name !== method) return value.bind(target) as unknown;
					return async (...given: unknown[]) => {
						const isAlarms = method === "changeAlerts" || (given[0] as Lease).name.startsWith("alerts:");
						if (isAlarms && !isOver) {
							isOver = true;
							frozen.resolve();
							await thawed.promise;
						}
						return value.apply(target, given) as unknown;
					};
				},
			});
		return { state: inTheWay(state), frozen: frozen.promise, thaw: thawed.resolve };
	}

	/** Gives a lease to another holder, as its end would. */
	async function takeOver(state: ProjectState, name: string): Promise<Lease> {
		const held = await state.leaseHolder(name);
		await state.releaseLease(held!);
		return (await state.acquireLease(name, "other:1:x", 60_000))!;
	}

	test("sends nothing more: the other one has told it", async () => {
		const world = new World();
		world.failing.set("orders", "E_SOURCE");
		await using state = await openStateStore(join(directory, ".headrace/state.db"));
		const slow = frozenAt(state, "renewLease");
		await using app = await openApp({ directory, source: world.source, state: slow.state });
		const running = app.run(shop(), {});
		await slow.frozen;
		const taken = await takeOver(state, "alerts:shop");
		await state.releaseLease(taken);
		await using other = await openApp({ directory, source: world.source, state });
		await other.alert(shop());
		const [first] = server.deliveries;
		expect(told()).toEqual(["failed: shop.orders E_SOURCE"]);
		slow.thaw();
		expect(await running).toMatchObject([{ state: "failed" }]);
		expect(told()).toEqual([]);
		// What tells the same says so by its name.
		expect(first!.headers["headrace-delivery"]).toMatch(/^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-a[\da-f]{3}-[\da-f]{12}$/);
		expect((await state.alerts("shop")).map(({ state: each }) => each)).toEqual(["told"]);
	});

	test("writes nothing down either, of a run that is another's now", async () => {
		const world = new World();
		world.failing.set("orders", "E_SOURCE");
		await using state = await openStateStore(join(directory, ".headrace/state.db"));
		const slow = frozenAt(state, "changeAlerts");
		await using app = await openApp({ directory, source: world.source, state: slow.state });
		const notices: string[] = [];
		const running = app.run(shop(), {
			onEvent: (event) => {
				if (event.type === "notice") notices.push(event.message);
			},
		});
		await slow.frozen;
		await takeOver(state, "pipeline:shop");
		slow.thaw();
		await running;
		expect(await state.alerts("shop")).toEqual([]);
		expect(told()).toEqual([]);
		expect(notices).toContainEqual(expect.stringContaining("E_FENCED pipeline:shop was taken over"));
	});
});

test("the same news has the same name, other news another", () => {
	const entry: AlertEntry = {
		...{ channel: "ops", event: "failed", table: "a", code: "E_SOURCE", state: "waiting", over: false, untold: 1 },
		...{ firstAt: "1", lastAt: "2", toldAt: null, runId: null, message: "", hint: "", attempts: 1, failure: null },
	};
	expect(deliveryId("shop", [entry])).toBe(deliveryId("shop", [{ ...entry, failure: "no answer", runId: "x" }]));
	const others = [
		{ ...entry, lastAt: "3" },
		{ ...entry, untold: 2 },
		{ ...entry, channel: "b" },
		{ ...entry, table: "b" },
	];
	const names = [
		deliveryId("crm", [entry]),
		deliveryId("shop", [entry, entry]),
		...others.map((each) => deliveryId("shop", [each])),
	];
	expect(new Set([deliveryId("shop", [entry]), ...names]).size).toBe(7);
});

test("a test goes through each channel, whatever it is for, and records nothing", async () => {
	const world = new World();
	await using app = await world.app();
	expect(await app.alertTest(shop({ on: "late" }))).toEqual([{ channel: "ops", event: "test", error: null }]);
	expect(server.take()).toMatchObject([{ event: "test", title: "shop test alarm", items: [{ table: null }] }]);
	expect((await app.status(shop())).alerts_waiting).toEqual([]);
	expect(readFileSync(join(directory, ".headrace/state.db"), "latin1")).not.toContain("This is a test");
});
