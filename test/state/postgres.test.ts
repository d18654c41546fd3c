import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { receipt, tableReceipt } from "../../src/conformance/state-store-receipts.ts";
import { openServerState, SCHEMA_VERSION } from "../../src/state/index.ts";
import { MIGRATIONS } from "../../src/state/migrations.ts";
import { postgresStep } from "../../src/state/postgres-schema.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { serverState } from "./stores.ts";

describe.skipIf(missing("postgres15"))("a state in PostgreSQL", () => {
	let database: TestDatabase;
	beforeAll(async () => {
		database = await freshDatabase(await sharedServer("postgres15"), "state");
	});
	afterAll(() => database?.drop());

	const openIn = (schema: string) => openServerState(serverState(database, schema));
	const killSessions = () =>
		database.query(
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'headrace state'",
		);

	test("is made once by many that come at once, in its own schema only", async () => {
		const stores = await Promise.all(Array.from({ length: 5 }, () => openIn("made")));
		await stores[0]!.saveRun(receipt("r1", 1));
		expect((await stores[4]!.run("r1"))?.run_id).toBe("r1");
		for (const store of stores) await store[Symbol.asyncDispose]();
		const [meta] = await database.query("SELECT version FROM made.state_meta");
		expect(meta).toEqual({ version: String(SCHEMA_VERSION) });
		expect(await database.query("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")).toEqual([]);
	});

	test("outlives sessions that the server ends, and does not forget what was said to be kept", async () => {
		await using store = await openIn("ended");
		await store.saveRun(receipt("r1", 1));
		await killSessions();
		await store.saveRun(receipt("r2", 2));
		await killSessions();
		expect((await store.runs({ limit: 9 })).map(({ run_id }) => run_id)).toEqual(["r2", "r1"]);
	});

	test("is refused when a newer Headrace was there, also by who has it open, and stays as it is", async () => {
		await using store = await openIn("newer");
		await database.query(`UPDATE newer.state_meta SET version = ${SCHEMA_VERSION + 1}`);
		const refused = { code: "E_STATE", message: /newer Headrace/ };
		await expect(store.saveRun(receipt("r1", 1))).rejects.toMatchObject(refused);
		await expect(openIn("newer")).rejects.toMatchObject(refused);
		expect(await database.query("SELECT 1 FROM newer.runs")).toEqual([]);
	});

	test("of an older version gets what later ones keep by itself out of its runs", async () => {
		const run = (id: string, minute: number, day: number) => {
			const at = `2026-11-20T10:0${minute}:00.000Z`;
			const interval = `'2026-11-0${day} 00:00:00', '2026-11-0${day + 1} 00:00:00'`;
			return `INSERT INTO runs (run_id, pipeline, interval_start, interval_end, state, started_at, finished_at, holder)
				VALUES ('${id}', 'shop', ${interval}, 'succeeded', '${at}', '${at}', 'x')`;
		};
		const table = (id: string, ordinal: number, name: string, mode: string) => {
			const done = JSON.stringify(
				tableReceipt(name, { mode, state: "succeeded", rows_loaded: 7, bytes: 70, seconds: 1.5 }),
			);
			return `INSERT INTO table_receipts VALUES ('${id}', ${ordinal}, '${name}', 'succeeded', '${done}')`;
		};
		await database.query(
			[
				"CREATE SCHEMA old; SET search_path = old",
				...MIGRATIONS.slice(0, 6).map((step) => postgresStep(step).trim().replace(/;$/, "")),
				"CREATE TABLE state_meta (only_row BOOLEAN PRIMARY KEY DEFAULT true, application TEXT, version INTEGER, writes BIGINT)",
				"INSERT INTO state_meta (application, version, writes) VALUES ('headrace state', 6, 0)",
				...[run("first", 1, 1), run("newest", 2, 2), run("again", 3, 1)],
				...["first", "newest", "again"].flatMap((id) => [table(id, 0, "a", "interval"), table(id, 1, "b", "full")]),
			].join(";\n"),
		);
		await using store = await openIn("old");
		expect(await store.lastSuccesses("shop")).toEqual([
			{ table: "a", at: "2026-11-20T10:02:00.000Z" },
			{ table: "b", at: "2026-11-20T10:03:00.000Z" },
		]);
		const intervals = await store.server.intervals("shop", "2026-11-01", "2026-12-01");
		expect(intervals.map(({ runId, rows }) => [runId, rows])).toEqual([
			["again", 7],
			["newest", 7],
		]);
		const sums = await store.server.lastRuns("shop", { since: "2026-11-01", least: 1 });
		expect(sums.map(({ run_id, rows, bytes, seconds }) => [run_id, rows, bytes, seconds])).toEqual(
			["first", "newest", "again"].map((id) => [id, 14, 140, 3]),
		);
	});

	test("is not made among the tables of another program, nor where the user may not", async () => {
		await database.query("CREATE SCHEMA taken; CREATE TABLE taken.notes (text text)");
		await expect(openIn("taken")).rejects.toMatchObject({ code: "E_STATE", message: /another program/ });
		const { server, name } = database;
		const reader = { ...database, server: { ...server, ...server.reader }, name } as TestDatabase;
		await expect(openServerState(serverState(reader, "denied"))).rejects.toMatchObject({
			code: "E_RIGHTS",
			hint: expect.stringMatching(/CREATE SCHEMA "denied" AUTHORIZATION "reader"/),
		});
		await expect(
			openServerState(serverState({ ...database, name: "none" } as TestDatabase, "x")),
		).rejects.toMatchObject({ code: "E_LOGIN" });
	});
});
