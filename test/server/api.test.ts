import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { receipt } from "../../src/conformance/state-store-receipts.ts";
import { ROUTES } from "../../src/server/http.ts";
import { serverEvent } from "../../src/server/schemas/events.ts";
import { logLine } from "../../src/server/schemas/runs.ts";
import { openStreams } from "../../src/server/sse.ts";
import { openStateStore } from "../../src/state/index.ts";
import { type Answer, type Asking, type Listener, listen, openWorld, tokenOf, until, type World } from "./world.ts";

let world: World;
let server: Listener;
let token: string;

beforeAll(async () => {
	world = await openWorld({
		pipelines: {
			shop: 'from: ./data\nto: duckdb:out.duckdb\nschedule: "0 2 * * 1-5"\ntimezone: Europe/Berlin\nlate_after: 26h\nretries: 0\ntables: { shop.orders: {} }\n',
			visits:
				"from: ./data\nto: duckdb:visits.duckdb\nstart: 2026-01-01\nstaging: ./staged\ntables: { shop.visits: { mode: interval, cursor: at } }\n",
			broken: "from: ./data\nto: duckdb:x.duckdb\nshedule: daily\ntables: { a: {} }\n",
		},
		connections:
			"shop_prod: mysql://reader:${env:SHOP_PASSWORD}@127.0.0.1:9/prod\nunset: mysql://r:${env:NOT_SET}@h/d\n",
	});
	server = await listen(world, { sampleRows: true });
	// Before it begins to look at the clock: a test is not to run what is due at night.
	await world.service.start();
	token = await tokenOf(world, "admin");
});
afterAll(async () => {
	expect(server.errors).toEqual([]);
	await until(() => (openStreams() + world.service.events.listeners === 0 ? true : undefined));
	await server[Symbol.asyncDispose]();
	await world[Symbol.asyncDispose]();
});

const used = new Set<string>();

/** Asks a route, and checks that its answer is of the form that the API promises. */
async function ask(path: string, request: Asking = {}): Promise<Answer> {
	const method = request.method ?? (request.body === undefined ? "GET" : "POST");
	const answer = await server.ask(path, { token, ...request });
	const route = ROUTES.find(
		(each) =>
			each.method === method &&
			new RegExp(`^${each.path.replaceAll(/:\w+/g, "[^/]+")}$`).test(path.replace(/\?.*/, "")),
	);
	if (route === undefined) throw new Error(`no route ${method} ${path}`);
	used.add(`${route.method} ${route.path}`);
	if (answer.status < 400 && answer.json !== null) route.answer!.parse(answer.json);
	return answer;
}

/** Runs a job to its end. */
async function ended(answer: Answer) {
	expect(answer.status).toBe(202);
	const { job_id: id } = answer.json.job;
	return until(async () => {
		const { job } = (await ask(`/api/jobs/${id}`)).json;
		return ["queued", "running"].includes(job.state) ? undefined : job;
	});
}

/** The events of a stream, until one that is the last. */
async function eventsOf(
	path: string,
	headers: Record<string, string>,
	isLast: (event: SseEvent) => boolean,
): Promise<SseEvent[]> {
	const controller = new AbortController();
	const answer = await fetch(new URL(path, server.address), {
		headers: { authorization: `Bearer ${token}`, ...headers },
		signal: AbortSignal.any([controller.signal, AbortSignal.timeout(30_000)]),
	});
	expect(answer.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
	const events: SseEvent[] = [];
	let text = "";
	for await (const part of answer.body!.pipeThrough(new TextDecoderStream())) {
		text += part;
		const blocks = text.split("\n\n");
		text = blocks.pop()!;
		for (const block of blocks) {
			const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
			if (field("event") === undefined) continue;
			events.push({ id: field("id"), event: field("event")!, data: JSON.parse(field("data")!) });
			if (!isLast(events.at(-1)!)) continue;
			controller.abort();
			return events;
		}
	}
	return events;
}
interface SseEvent {
	readonly id: string | undefined;
	readonly event: string;
	// biome-ignore lint/suspicious/noExplicitAny: of every event
	readonly data: any;
}

describe("a run from its request to its page", () => {
	let runId: string;

	test("a request becomes a job, the job a real run, and whoever watches is told each step", async () => {
		const isEnd = ({ event, data }: SseEvent) => event === "job" && data.job.state === "succeeded";
		const watching = eventsOf("/api/events", {}, isEnd);
		await until(() => (world.service.events.listeners > 0 ? true : undefined));
		const job = await ended(await ask("/api/pipelines/shop/run", { body: {} }));
		expect(job).toMatchObject({ state: "succeeded", trigger: "manual", requested_by: "admin", error: null });
		[runId] = job.run_ids;
		const events = await watching;
		for (const { data } of events) serverEvent.parse(data);
		expect(events[0]!.event).toBe("reset");
		const told = events.map(({ event, data }) => `${event} ${data.state ?? data.job?.state ?? ""}`.trim());
		for (const each of [
			"job queued",
			"job running",
			"run running",
			"table running",
			"progress",
			"table succeeded",
			"run succeeded",
		])
			expect(told).toContain(each);
		const resumed = await eventsOf("/api/events", { "last-event-id": events[2]!.id! }, isEnd);
		expect(resumed.map(({ id }) => id)).toEqual(events.slice(3).map(({ id }) => id));
		const [first] = await eventsOf("/api/events", { "last-event-id": "999999" }, () => true);
		expect(first!.event, "of another server's time").toBe("reset");
	});

	test("its receipt says who began it, and when its tables were read", async () => {
		const { json } = await ask(`/api/runs/${runId}`);
		expect(json).toMatchObject({ trigger: "manual", requested_by: "admin", held: false, previous_run_id: null });
		expect(json.run.tables[0]).toMatchObject({ table: "shop.orders", state: "succeeded", rows_loaded: 2 });
		expect(json.stages[0]).toMatchObject({ table: "shop.orders", stage: "extract", attempt: 1, rows: 2 });
		expect(json.stages[0].finished_at >= json.stages[0].started_at).toBe(true);
		expect(json.log_lines).toBeGreaterThan(2);
		expect((await ask("/api/runs?pipeline=shop&state=succeeded")).json.runs[0]).toMatchObject({
			run_id: runId,
			rows: 2,
		});
		expect((await ask("/api/runs?state=failed")).json.runs).toEqual([]);
		expect((await ask(`/api/runs/${runId.slice(0, 12)}`)).status, "a part of its name").toBe(404);
	});

	test("its log comes in pages, as a stream that goes on where it broke, and as a file", async () => {
		const { lines } = (await ask(`/api/runs/${runId}/log`)).json;
		const first = (await ask(`/api/runs/${runId}/log?limit=1`)).json;
		expect(first.lines).toEqual([lines[0]]);
		expect((await ask(`/api/runs/${runId}/log?after=${first.next}`)).json.lines).toEqual(lines.slice(1));
		expect((await ask(`/api/runs/${runId}/log?table=shop.orders&search=LOADED`)).json.lines).toHaveLength(1);
		const isEnd = ({ event }: SseEvent) => event === "end";
		const stream = await eventsOf(`/api/runs/${runId}/log/stream`, {}, isEnd);
		expect(stream.slice(0, -1).map(({ data }) => logLine.parse(data))).toEqual(lines);
		expect(stream.at(-1)!.data).toEqual({ state: "succeeded" });
		const rest = await eventsOf(`/api/runs/${runId}/log/stream`, { "last-event-id": stream[0]!.id! }, isEnd);
		expect(rest).toHaveLength(stream.length - 1);
		const file = await ask(`/api/runs/${runId}/log?download=1`);
		expect(file.headers.get("content-disposition")).toContain(`${runId}.log`);
		expect(file.text).toContain("receipt: read 2 = loaded 2");
		used.add("GET /api/runs/:run/log/stream").add("GET /api/events");
		const report = await ask(`/api/runs/${runId}/report`);
		expect(report.headers.get("content-disposition")).toBe(`attachment; filename="report-${runId}.html"`);
		expect(report.headers.get("content-type")).toBe("text/html; charset=utf-8");
		expect(report.headers.get("content-security-policy")).toContain("default-src 'none'");
		for (const part of ["<!doctype html>", "The receipt balances", "shop.orders: {}", "Europe/Berlin"])
			expect(report.text).toContain(part);
		expect((await ask("/api/runs/20000101T000000-none/report")).status).toBe(404);
	});

	test("the pipeline, its grid and its table know it", async () => {
		const { pipelines } = (await ask("/api/pipelines")).json;
		const shop = pipelines.find((each: { pipeline: string }) => each.pipeline === "shop");
		expect(shop).toMatchObject({
			schedule: { words: "At 02:00, Monday through Friday", timezone: "Europe/Berlin" },
			last_runs: [{ run_id: runId, state: "succeeded", rows: 2 }],
			freshness: { late: false, late_after_seconds: 93_600, never_loaded: [] },
			rows_day: 2,
			problems: [],
		});
		const visits = pipelines.find((each: { pipeline: string }) => each.pipeline === "visits");
		expect(visits.freshness).toMatchObject({ last_success_at: null, never_loaded: ["shop.visits"] });
		expect(new Date(shop.schedule.next_at).getTime()).toBeGreaterThan(Date.now());
		const sample = (await ask("/api/pipelines/shop/tables/shop.orders/sample", { method: "POST" })).json;
		expect(sample).toMatchObject({
			into: "shop.orders",
			rows: [
				["9", "x"],
				["9", "x"],
			],
		});
		const detail = (await ask("/api/pipelines/shop")).json;
		expect(detail.next_runs).toHaveLength(5);
		expect(detail.grid.tables[0].cells[0]).toMatchObject({ run_id: runId, state: "succeeded", rows: 2 });
		expect((await ask("/api/pipelines/shop/grid?runs=1")).json.runs).toHaveLength(1);
		const table = (await ask("/api/pipelines/shop/tables/shop.orders")).json;
		expect(table).toMatchObject({
			into: "shop.orders",
			mode: "full",
			key: ["id"],
			history: [{ run_id: runId, rows: 2 }],
		});
		expect(table.columns).toMatchObject([
			{ name: "id", destination_type: "BIGINT", fidelity: "exact" },
			{ name: "name", destination_type: "VARCHAR" },
		]);
		expect((await ask("/api/pipelines/shop/tables/none")).status).toBe(404);
	});

	test("a stream that nobody would read is not begun", async () => {
		expect((await server.ask("/api/events", { token, method: "HEAD" })).status).toBe(405);
		expect(openStreams()).toBe(0);
	});

	test("nothing that succeeded can be repeated or cancelled; what failed is", async () => {
		expect((await ask(`/api/runs/${runId}/retry`, { method: "POST" })).status).toBe(409);
		expect((await ask(`/api/runs/${runId}/cancel`, { method: "POST" })).status).toBe(409);
		const failed = await ended(await ask("/api/pipelines/shop/run", { body: { tables: ["none"] } }));
		expect(failed).toMatchObject({ state: "failed", error: { code: "E_UNKNOWN_TABLE" } });
		const retried = await ask(`/api/runs/${failed.run_ids[0]}/retry`, { method: "POST" });
		expect((await ended(retried)).trigger).toBe("retry");
	});

	test("metrics count it, in the form that Prometheus reads", async () => {
		const { text, headers } = await server.ask("/metrics", { token });
		expect(headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
		for (const line of text.trimEnd().split("\n"))
			expect(line).toMatch(/^(?:# (?:HELP|TYPE) \w+ .+|\w+(?:\{(?:\w+="[^"\n]*",?)+\})? -?[\d.e+]+)$/);
		expect(text).toContain('headrace_jobs{state="running"} 0');
		expect(text).toMatch(/headrace_last_success_timestamp_seconds\{pipeline="shop",table="shop.orders"\} \d+/);
		expect(text).toMatch(/process_resident_memory_bytes \d+/);
	});
});

describe("where columns go, and what a file said", () => {
	const people = (more: string) =>
		`# a comment\nfrom: ./data\nto: duckdb:people.duckdb\nretries: 0\ntables:\n  shop.people:\n    columns: { email: { mask: hmac, secret: "k3y-of-the-mask" }, note: { rename: remark }, card: drop }\n${more}`;

	test("the lineage of a run's tables: copied, renamed, masked, dropped; summaries by what they read", async () => {
		const summaries =
			"summaries:\n  by_name: { into: marts.by_name, query: 'select remark, count(*) as n from shop.people group by 1' }\n";
		world.write("people", people(summaries));
		await world.service.refresh();
		expect((await ask("/api/pipelines/people/lineage")).json).toMatchObject({ tables: [], summaries: [{ reads: [] }] });
		expect(await ended(await ask("/api/pipelines/people/run", { body: {} }))).toMatchObject({ state: "succeeded" });
		const { tables, summaries: found } = (await ask("/api/pipelines/people/lineage")).json;
		expect(tables).toHaveLength(1);
		expect(tables[0]).toMatchObject({ table: "shop.people", into: "shop.people", key: ["id"] });
		// biome-ignore lint/suspicious/noExplicitAny: of an answer
		const ways = tables[0].columns.map(({ source, name, change, mask, fidelity }: any) =>
			[source, name, change, mask, fidelity].join(" "),
		);
		expect(ways).toEqual([
			"id id copied  exact",
			"email email copied hmac lossy",
			"note remark renamed  exact",
			"card  dropped  ",
		]);
		expect(found).toEqual([{ name: "by_name", into: "marts.by_name", reads: ["shop.people"] }]);
		expect((await ask("/api/pipelines/nothing/lineage")).status).toBe(404);
	});

	test("a run says what changed in its file since the run before, without comments and secrets", async () => {
		const settingsOf = async () => {
			const { runs } = (await ask("/api/runs?pipeline=people")).json;
			const answer = await ask(`/api/runs/${runs[0].run_id}/settings`);
			expect(answer.text).not.toContain("k3y-of-the-mask");
			expect(answer.text).not.toContain("a comment");
			// biome-ignore lint/suspicious/noExplicitAny: of an answer
			const changed = answer.json.lines.filter(({ kind }: any) => kind !== "same");
			// biome-ignore lint/suspicious/noExplicitAny: of an answer
			return { ...answer.json, changed: changed.map(({ kind, text }: any) => `${kind} ${text.trim()}`) };
		};
		const first = await settingsOf();
		expect(first).toMatchObject({ state: "first", changed: [], since_run_id: first.run_id });
		await ended(await ask("/api/pipelines/people/run", { body: {} }));
		expect(await settingsOf()).toMatchObject({ state: "same", changed: [], since_run_id: first.run_id });
		world.write("people", people("concurrency: 2\n"));
		await world.service.refresh();
		await ended(await ask("/api/pipelines/people/run", { body: {} }));
		const third = await settingsOf();
		expect(third).toMatchObject({ state: "changed", since_run_id: third.run_id });
		expect(third.changed).toContain("added concurrency: 2");
		expect(third.changed).toContain("removed summaries:");
		expect((await ask(`/api/runs/${first.run_id}/settings`)).json.state, "what was is not changed by what is").toBe(
			"first",
		);
	});
});

describe("intervals", () => {
	test("a preview says what a backfill would run, the backfill does, and the calendar shows it", async () => {
		const body = { start: "2026-01-01", end: "2026-01-05" };
		const preview = (await ask("/api/pipelines/visits/backfill/preview", { body })).json;
		expect(preview.runs).toBe(4);
		expect(preview.intervals[0]).toEqual({
			interval: { start: "2026-01-01T00:00:00Z", end: "2026-01-02T00:00:00Z" },
			state: "missing",
			taken: true,
		});
		const two = { ...body, end: "2026-01-03" };
		expect(await ended(await ask("/api/pipelines/visits/backfill", { body: two }))).toMatchObject({
			state: "succeeded",
			intervals: 2,
		});
		const missing = { ...body, which: "missing", newest_first: true };
		const rest = (await ask("/api/pipelines/visits/backfill/preview", { body: missing })).json;
		expect(rest.intervals.map((each: { state: string; taken: boolean }) => [each.state, each.taken])).toEqual([
			["missing", true],
			["missing", true],
			["succeeded", false],
			["succeeded", false],
		]);
		const calendar = (await ask("/api/pipelines/visits/calendar?from=2026-01-01&to=2026-01-05")).json;
		expect(calendar).toMatchObject({ unit: "day", timezone: "UTC", from: "2026-01-01T00:00:00Z" });
		expect(calendar.intervals.map((each: { state: string; rows: number }) => `${each.state} ${each.rows}`)).toEqual([
			"succeeded 1",
			"succeeded 1",
			"missing 0",
			"missing 0",
		]);
		const { stages } = (await ask(`/api/runs/${calendar.intervals[0].run_id}`)).json;
		expect(
			stages.map(({ stage }: { stage: string }) => stage),
			"by way of files",
		).toEqual(["extract", "load"]);
	});

	test("what can't be filled is said: no such day, no table with intervals, nothing left", async () => {
		const refused = async (path: string, body: object) => {
			const { status, json } = await ask(path, { body });
			return [status, json.errors[0].code];
		};
		expect(await refused("/api/pipelines/visits/backfill/preview", { start: "2026-02-30", end: "2026-03-01" })).toEqual(
			[400, "E_INVALID_VALUE"],
		);
		expect(await refused("/api/pipelines/shop/backfill", { start: "2026-01-01", end: "2026-01-02" })).toEqual([
			400,
			"E_USAGE",
		]);
		const done = { start: "2026-01-01", end: "2026-01-02", which: "missing" };
		expect(await refused("/api/pipelines/visits/backfill", done)).toEqual([400, "E_USAGE"]);
		expect((await ask("/api/pipelines/shop/calendar")).status).toBe(400);
	});
});

test("a broken file is shown with its place, runs nothing, stops no other, and is taken up when it is mended", async () => {
	const broken = async () => (await ask("/api/pipelines/broken")).json;
	expect((await broken()).problems).toMatchObject([
		{ code: "E_UNKNOWN_KEY", file: "pipelines/broken.yaml", line: 3, column: 1, message: /did you mean "schedule"/ },
	]);
	expect(await ask("/api/pipelines/broken/run", { body: {} })).toMatchObject({
		status: 400,
		json: { errors: [{ code: "E_UNKNOWN_KEY", line: 3 }] },
	});
	world.write("broken", "from: ./data\nto: duckdb:x.duckdb\nschedule: daily\ntables: { a: {} }\n");
	world.write("fresh", "from: ./data\nto: duckdb:x.duckdb\nschedule: every 90m\ntables: { a: {} }\n");
	await world.service.refresh();
	expect(await broken()).toMatchObject({ problems: [], schedule: { words: "At 00:00" } });
	expect((await ask("/api/pipelines/fresh")).json.schedule.words).toBe("Every 90 minutes");
});

test("what another process runs is noticed, also in its log", async () => {
	const lastId = world.service.events.lastId;
	await using other = await openStateStore(join(world.directory, ".headrace", "state.db"));
	await other.appendLog("run-of-another", []);
	await other.saveRun({ ...receipt("run-of-another", 1), pipeline: "shop", state: "running", finished_at: null });
	await world.service.refresh();
	expect(world.service.events.since(lastId)?.map(({ event }) => event.type)).toEqual(["history"]);
	const line = { at: "2026-01-01T00:00:00.000Z", level: "info", task: null } as const;
	const stream = eventsOf("/api/runs/run-of-another/log/stream", {}, ({ event }) => event === "end");
	await other.appendLog("run-of-another", [{ ...line, message: "one" }]);
	await other.saveRun({ ...receipt("run-of-another", 1), pipeline: "shop", state: "succeeded" });
	await other.appendLog("run-of-another", [{ ...line, message: "two" }]);
	const messages = (await stream).map(({ data }) => data.message ?? data.state);
	expect(messages.slice(0, 1)).toEqual(["one"]);
	expect(messages.at(-1)).toBe("succeeded");
	expect((await ask("/api/runs/run-of-another")).json).toMatchObject({ trigger: "command", requested_by: null });
});

test("a schedule is held and goes on", async () => {
	const held = (await ask("/api/pipelines/shop/pause", { body: { reason: "the night of the move" } })).json;
	expect(held).toMatchObject({ paused: { by: "admin", reason: "the night of the move" }, schedule: { next_at: null } });
	expect((await ask("/api/pipelines/shop/unpause", { method: "POST" })).json).toMatchObject({ paused: null });
});

test("connections are tested, pipelines checked and planned; what is wrong is an answer, not a failure", async () => {
	const { connections } = (await ask("/api/connections")).json;
	expect(connections).toMatchObject([
		{ name: "shop_prod", type: "mysql", problems: [] },
		{ name: "unset", type: null, problems: [{ code: "E_MISSING_VARIABLE", line: 2 }] },
	]);
	expect((await ask("/api/connections/shop_prod/test", { method: "POST" })).json.ok).toBe(false);
	expect((await ask("/api/connections/none/test", { method: "POST" })).status).toBe(404);
	expect((await ask("/api/pipelines/shop/check", { method: "POST" })).json.ok).toBe(true);
	const plan = (await ask("/api/pipelines/shop/plan", { body: {} })).json;
	expect(plan.tables).toMatchObject([{ table: "shop.orders", change: "same" }]);
	expect((await ask("/api/pipelines/shop/changes")).json.state).toBe("none");
});

test("the document of the API names every route with what it takes and gives", async () => {
	const { json } = await server.ask("/api/openapi.json");
	for (const { method, path, body, role } of ROUTES) {
		const operation = json.paths[path.replaceAll(/:(\w+)/g, "{$1}")][method.toLowerCase()];
		expect(operation.requestBody !== undefined, path).toBe(body !== undefined);
		expect(operation.security.length > 0, path).toBe(role !== null);
		expect(operation.summary.length).toBeGreaterThan(5);
	}
	const ids = Object.values(json.paths as Record<string, Record<string, { operationId: string }>>).flatMap((path) =>
		Object.values(path).map(({ operationId }) => operationId),
	);
	expect(new Set(ids).size).toBe(ids.length);
});

test("every route has been asked for an answer", async () => {
	expect((await ask("/api/session")).json).toMatchObject({ name: "admin", version: "0.0.0-test" });
	expect((await ask("/api/health")).json).toMatchObject({ state: "ok", jobs_max: 4, history: { sound: true } });
	expect((await ask("/api/jobs")).json.jobs.length).toBeGreaterThan(3);
	expect((await ask("/api/jobs/none")).status).toBe(404);
	expect((await ask("/api/jobs/none/cancel", { method: "POST" })).status).toBe(404);
	const made = (await ask("/api/tokens", { body: { name: "x", role: "viewer" } })).json;
	expect((await ask("/api/tokens")).json.tokens).toHaveLength(2);
	expect((await ask(`/api/tokens/${made.item.token_id}`, { method: "DELETE" })).status).toBe(200);
	expect((await ask("/api/audit?limit=500")).json.entries.length).toBeGreaterThan(5);
	expect((await ask("/api/logout", { method: "POST" })).status).toBe(204);
	expect((await ask("/api/login", { body: { token } })).status).toBe(200);
	expect(ROUTES.map(({ method, path }) => `${method} ${path}`).filter((each) => !used.has(each))).toEqual([]);
});
