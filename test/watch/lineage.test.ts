import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { datasetOf } from "../../src/app/lineage-tables.ts";
import { loadConnection } from "../../src/config/index.ts";
import { RunLineage } from "../../src/observe/lineage.ts";
import { LineageSender } from "../../src/observe/lineage-sender.ts";
import { lineageSettings } from "../../src/observe/lineage-settings.ts";
import { startWebhookServer, type WebhookServer } from "../support/webhook-server.ts";
import { World } from "./world.ts";

/** What the specification demands of an event, and of each facet that is sent: https://openlineage.io/spec/2-0-2/OpenLineage.json */
const facetOf = <Shape extends z.ZodRawShape>(definition: string, shape: Shape) =>
	z.strictObject({
		_producer: z.url(),
		_schemaURL: z
			.string()
			.regex(
				new RegExp(`^https://openlineage\\.io/spec/facets/\\d+-\\d+-\\d+/${definition}\\.json#/\\$defs/${definition}$`),
			),
		...shape,
	});
const count = z.int().min(0);
const job = z.strictObject({ namespace: z.string().min(1), name: z.string().min(1) });
const runId = z.uuid();
const schema = facetOf("SchemaDatasetFacet", {
	fields: z.array(z.strictObject({ name: z.string(), type: z.string() })),
});
const dataset = { namespace: z.string().min(1), name: z.string().min(1) };
const runEvent = z.strictObject({
	eventType: z.enum(["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]),
	eventTime: z.iso.datetime(),
	producer: z.url(),
	schemaURL: z.url(),
	run: z.strictObject({
		runId,
		facets: z.strictObject({
			processing_engine: facetOf("ProcessingEngineRunFacet", { version: z.string(), name: z.string() }),
			parent: facetOf("ParentRunFacet", { run: z.strictObject({ runId }), job }).optional(),
			nominalTime: facetOf("NominalTimeRunFacet", {
				nominalStartTime: z.iso.datetime(),
				nominalEndTime: z.iso.datetime(),
			}).optional(),
			errorMessage: facetOf("ErrorMessageRunFacet", {
				message: z.string(),
				programmingLanguage: z.string(),
			}).optional(),
		}),
	}),
	job: z.strictObject({
		...job.shape,
		facets: z.strictObject({
			jobType: facetOf("JobTypeJobFacet", {
				processingType: z.enum(["BATCH", "STREAMING"]),
				integration: z.string(),
				jobType: z.string(),
			}),
		}),
	}),
	inputs: z.array(
		z.strictObject({
			...dataset,
			facets: z.strictObject({ schema: schema.optional() }),
			inputFacets: z.strictObject({
				inputStatistics: facetOf("InputStatisticsInputDatasetFacet", { rowCount: count, size: count }).optional(),
			}),
		}),
	),
	outputs: z.array(
		z.strictObject({
			...dataset,
			facets: z.strictObject({
				schema: schema.optional(),
				columnLineage: facetOf("ColumnLineageDatasetFacet", {
					fields: z.record(
						z.string(),
						z.strictObject({
							inputFields: z.array(
								z.strictObject({
									...dataset,
									field: z.string(),
									transformations: z.array(
										z.strictObject({
											type: z.enum(["DIRECT", "INDIRECT"]),
											subtype: z.string(),
											description: z.string(),
											masking: z.boolean(),
										}),
									),
								}),
							),
						}),
					),
				}).optional(),
			}),
			outputFacets: z.strictObject({
				outputStatistics: facetOf("OutputStatisticsOutputDatasetFacet", { rowCount: count, size: count }).optional(),
			}),
		}),
	),
});
type Event = z.infer<typeof runEvent>;

let server: WebhookServer;
beforeEach(async () => {
	server = await startWebhookServer();
});
afterEach(() => server[Symbol.asyncDispose]());

const origin = () => server.url.replace("/hook", "");
const taken = (): Event[] => server.take().map((event) => runEvent.parse(event));
const shown = (events: readonly Event[]) => events.map(({ eventType, job }) => `${eventType} ${job.name}`);

/** Each run of a job begins once and ends once. */
function expectWhole(events: readonly Event[]): void {
	for (const [id, own] of Map.groupBy(events, ({ run }) => run.runId)) {
		const types = own.map(({ eventType }) => eventType).filter((type) => type !== "RUNNING");
		expect(types, id).toEqual(["START", expect.stringMatching(/^(?:COMPLETE|FAIL|ABORT)$/)]);
	}
}

test("a run, and in it each table with its columns, where they come from, rows and bytes", async () => {
	const world = new World();
	const parentId = "0197f0c4-6e3b-7aaa-8bbb-123456789abc";
	const env = {
		OPENLINEAGE_URL: origin(),
		OPENLINEAGE_API_KEY: "key-1",
		OPENLINEAGE_NAMESPACE: "night",
		OPENLINEAGE_PARENT_ID: `airflow/dag.task/${parentId}`,
	};
	const receipt = await world.run(env, {
		tables: { "shop.orders": { into: "raw.orders", columns: { email: { rename: "mail", mask: "partial" } } } },
		summaries: { totals: { into: "raw.totals", query: "select count(*) as n from raw.orders" } },
	});
	expect(receipt.state).toBe("succeeded");
	const { deliveries } = server;
	expect(deliveries.every(({ path }) => path === "/api/v1/lineage")).toBe(true);
	expect(deliveries.every(({ headers }) => headers.authorization === "Bearer key-1")).toBe(true);
	expect(JSON.stringify(deliveries)).not.toContain("secret value");
	const events = taken();
	expectWhole(events);
	expect(shown(events)).toEqual([
		"START shop",
		"START shop.shop.orders",
		"COMPLETE shop.shop.orders",
		"START shop.totals",
		"COMPLETE shop.totals",
		"COMPLETE shop",
	]);
	const [run, , orders, , totals] = events;
	expect(run!.job.namespace).toBe("night");
	expect(run!.run.facets.parent).toMatchObject({
		run: { runId: parentId },
		job: { namespace: "airflow", name: "dag.task" },
	});
	expect(orders!.run.facets.parent).toMatchObject({ run: { runId: run!.run.runId }, job: { name: "shop" } });
	const input = { namespace: "file", name: join(world.directory, "unused/shop.orders") };
	expect(orders!.inputs).toMatchObject([{ ...input, inputFacets: { inputStatistics: { rowCount: 2 } } }]);
	const [output] = orders!.outputs;
	expect(output).toMatchObject({
		namespace: `duckdb:${join(world.directory, "w.duckdb")}`,
		name: "raw.orders",
		facets: {
			schema: {
				fields: [
					{ name: "id", type: "BIGINT" },
					{ name: "mail", type: "VARCHAR" },
				],
			},
			columnLineage: {
				fields: {
					id: { inputFields: [{ ...input, field: "id", transformations: [{ subtype: "IDENTITY", masking: false }] }] },
					mail: {
						inputFields: [
							{ ...input, field: "email", transformations: [{ subtype: "TRANSFORMATION", masking: true }] },
						],
					},
				},
			},
		},
		outputFacets: { outputStatistics: { rowCount: 2, size: receipt.tables[0]!.bytes } },
	});
	expect(totals!.inputs).toMatchObject([{ namespace: output!.namespace, name: "raw.orders" }]);
	expect(totals!.outputs).toMatchObject([{ name: "raw.totals", outputFacets: { outputStatistics: { rowCount: 1 } } }]);
});

test("what fails says why, without secrets; a run that could not connect has its two events", async () => {
	const world = new World();
	world.failing.set("orders", { code: "E_TIMEOUT", times: 9 });
	await world.run({ OPENLINEAGE_URL: `${origin()}/base/`, OPENLINEAGE_ENDPOINT: "/v2/events" });
	expect(new Set(server.deliveries.map(({ path }) => path))).toEqual(new Set(["/base/v2/events"]));
	const events = taken();
	expectWhole(events);
	const failed = events.filter(({ eventType }) => eventType === "FAIL");
	expect(shown(failed)).toEqual(["FAIL shop.shop.orders", "FAIL shop"]);
	expect(failed[0]!.run.facets.errorMessage?.message).toBe("E_TIMEOUT: orders did not answer ***");
	expect(failed[0]!.outputs[0]!.outputFacets).toEqual({});
	world.connects = "E_LOGIN";
	await expect(world.run({ OPENLINEAGE_URL: origin() })).rejects.toThrow("no way");
	const unconnected = taken();
	expect(shown(unconnected)).toEqual(["START shop", "FAIL shop"]);
	expect(unconnected[1]!.run.facets.errorMessage?.message).toBe("E_LOGIN: no way to db.internal as ***");
});

test("a stage that only extracts has no output; a run that is stopped is aborted", async () => {
	const world = new World();
	const env = { OPENLINEAGE_URL: origin() };
	await world.run(env, { staging: "./staged" }, { stage: "extract", tables: ["shop.orders"] });
	expect(taken().flatMap(({ outputs }) => outputs)).toEqual([]);
	await world.run(env, { staging: "./staged" }, { stage: "load", tables: ["shop.orders"] });
	expect(taken().at(-2)).toMatchObject({ eventType: "COMPLETE", outputs: [{ name: "shop.orders" }] });
	await world.run(env, {}, { signal: AbortSignal.abort() }).catch(() => {});
	expect(shown(taken()).at(-1)).toBe("ABORT shop");
});

test("events go to a file, one a line, each run after the other", async () => {
	const world = new World();
	const env = { OPENLINEAGE__TRANSPORT__TYPE: "file", OPENLINEAGE__TRANSPORT__LOG_FILE_PATH: "events.ndjson" };
	await world.run(env);
	await world.run(env);
	const lines = readFileSync(join(world.directory, "events.ndjson"), "utf8").trimEnd().split("\n");
	const events = lines.map((line) => runEvent.parse(JSON.parse(line)));
	expect(events).toHaveLength(12);
	expectWhole(events);
});

describe("nothing about lineage stops a run", () => {
	const unlistened = () =>
		new Promise<number>((resolve) => {
			const probe = createServer().listen(0, "127.0.0.1", () => {
				const { port } = probe.address() as { port: number };
				probe.close(() => resolve(port));
			});
		});

	test("when nobody listens", async () => {
		const world = new World();
		const port = await unlistened();
		expect((await world.run({ OPENLINEAGE_URL: `http://user:hunter3@127.0.0.1:${port}` })).state).toBe("succeeded");
		expect(world.notices).toContainEqual(
			`OpenLineage: 6 events were not sent: 127.0.0.1:${port} can't be reached (ECONNREFUSED)`,
		);
	});

	test("when what listens never answers, or refuses", async () => {
		const world = new World();
		server.answer = () => {};
		const env = { OPENLINEAGE_URL: origin(), OPENLINEAGE__TRANSPORT__TIMEOUT: "0.05" };
		expect((await world.run(env)).state).toBe("succeeded");
		expect(world.notices.join()).toContain(`6 events were not sent: 127.0.0.1:${server.port} did not answer in time`);
		server.answer = (_delivery, response) => response.writeHead(401).end("who are you?");
		expect((await world.run({ OPENLINEAGE_URL: origin() })).state).toBe("succeeded");
		expect(world.notices.at(-1)).toMatch(/^OpenLineage: 6 events were not sent: .*401/);
	});

	test("when its settings make no sense, which is said; and when it is switched off, which is not", async () => {
		const world = new World();
		expect((await world.run({ OPENLINEAGE_URL: "lineage:5000:x" })).state).toBe("succeeded");
		expect(world.notices.join()).toContain("OpenLineage: OPENLINEAGE_URL has to begin with https://");
		const path = join(world.directory, "no/such/folder/x");
		await world.run({ OPENLINEAGE__TRANSPORT__TYPE: "file", OPENLINEAGE__TRANSPORT__LOG_FILE_PATH: path });
		expect(world.notices.at(-1)).toMatch(/^OpenLineage: 6 events were not sent: ENOENT/);
		const before = world.notices.length;
		await world.run({ OPENLINEAGE_URL: origin(), OPENLINEAGE_DISABLED: "true" });
		expect(server.take()).toEqual([]);
		expect(world.notices.length).toBe(before);
	});
});

test("a table that takes long is told once a minute", () => {
	let nowMs = Date.UTC(2026, 0, 1);
	const sent: Event[] = [];
	const settings = lineageSettings({ OPENLINEAGE_URL: origin() }, "/x");
	if (settings === null || typeof settings === "string") throw new Error("it has settings");
	const lineage = new RunLineage({
		settings,
		version: "1.0.0",
		redact: (text) => text,
		send: (event) => sent.push(runEvent.parse(event)),
		now: () => new Date(nowMs),
	});
	const output = { namespace: "duckdb:x", name: "raw.events" };
	lineage.planned("r", new Map([["shop.events", { inputs: [], output, columns: [], isStream: true }]]));
	const run = {
		run_id: "r",
		pipeline: "shop",
		interval: { start: "2026-01-01T00:00:00Z", end: "2026-01-02T00:00:00Z" },
		state: "running" as const,
		started_at: "2026-01-02T00:00:00.000Z",
		finished_at: null,
		tables: [],
	};
	lineage.onEvent({ type: "run-started", run });
	lineage.onEvent({ type: "table-started", runId: "r", table: "shop.events", into: "raw.events" });
	for (let second = 1; second <= 150; second++) {
		nowMs += 1000;
		const table = second % 2 === 0 ? "shop.events" : "shop.events@2026-01-01";
		lineage.onEvent({ type: "progress", runId: "r", table, phase: "load", rows: second, bytes: second * 10 });
	}
	expect(shown(sent)).toEqual(["START shop", "START shop.shop.events", ...Array(2).fill("RUNNING shop.shop.events")]);
	expect(sent[2]).toMatchObject({
		run: { facets: { nominalTime: { nominalStartTime: "2026-01-01T00:00:00Z" } } },
		job: { facets: { jobType: { processingType: "STREAMING" } } },
		outputs: [{ ...output, outputFacets: { outputStatistics: { rowCount: 60, size: 600 } } }],
	});
});

test("no more wait than memory allows, and what is left is given up in time", async () => {
	server.answer = () => {};
	const sender = new LineageSender({ type: "http", url: server.url, timeoutMs: 60_000 });
	for (let index = 0; index < 1500; index++) sender.add({ index });
	expect(await sender.finish(30)).toMatch(/^1500 events were not sent: /);
});

describe("datasets have the names that others give them", () => {
	const names: readonly (readonly [address: string, schema: string, namespace: string, name: string])[] = [
		["mysql://r@db.internal:3307/prod", "prod", "mysql://db.internal:3307", "prod.t"],
		["postgres://r@db.internal/app", "public", "postgres://db.internal:5432", "app.public.t"],
		[
			"redshift://l@dw.abc123.us-east-1.redshift.amazonaws.com:5439/dw",
			"raw",
			"redshift://dw.us-east-1:5439",
			"dw.raw.t",
		],
		["s3://acme-lake/in/", "", "s3://acme-lake", "in/t"],
		["./orders.csv", "", "file", "/project/orders.csv"],
		["./data", "", "file", "/project/data/t"],
		["duckdb:dw.duckdb", "raw", "duckdb:/project/dw.duckdb", "raw.t"],
	];
	test.each(names)("%s", async (address, schema, namespace, name) => {
		const connection = await loadConnection("/project", address, { env: {} });
		expect(datasetOf(connection, { schema, name: "t" })).toEqual({ namespace, name });
	});
});

test.each([
	[{}, null],
	[{ OPENLINEAGE_URL: "" }, null],
	[{ OPENLINEAGE_URL: "https://x/y" }, { type: "http", url: "https://x/y/api/v1/lineage", timeoutMs: 5000 }],
	[{ OPENLINEAGE_URL: "file:///tmp/e.ndjson" }, { type: "file", path: "/tmp/e.ndjson" }],
	[
		{
			OPENLINEAGE__TRANSPORT__TYPE: "http",
			OPENLINEAGE__TRANSPORT__URL: "http://m:5000",
			OPENLINEAGE__TRANSPORT__AUTH__API_KEY: "k",
			OPENLINEAGE__TRANSPORT__TIMEOUT: "2.5",
		},
		{ type: "http", url: "http://m:5000/api/v1/lineage", apiKey: "k", timeoutMs: 2500 },
	],
	[{ OPENLINEAGE__TRANSPORT__TYPE: "kafka" }, /a transport of type kafka is not built in/],
	[{ OPENLINEAGE__TRANSPORT__TYPE: "file" }, /LOG_FILE_PATH is not set/],
	[{ OPENLINEAGE_URL: "https://x", OPENLINEAGE_DISABLED: "1" }, null],
])("settings of %j", (env, expected) => {
	const settings = lineageSettings(env, "/project");
	if (expected instanceof RegExp) expect(settings).toMatch(expected);
	else if (expected === null) expect(settings).toBeNull();
	else expect(settings).toMatchObject({ transport: expected, namespace: "default" });
});
