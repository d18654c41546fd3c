import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Snapshot, Source, SourceTable } from "../../src/core/index.ts";
import type { RunningServer } from "../support/server.ts";
import { freshDatabase, type TestDatabase } from "../support/shared.ts";
import { missing, startServer } from "../support/start.ts";
import { describeTable, policy, readAll, SERVERS, sourceOf } from "./postgres-support.ts";

// A server of its own: a transaction that is open anywhere in the cluster hides from a cut what has begun since.
describe.each(SERVERS)("chunks of %s that are proved unchanged", (name) => {
	describe.skipIf(missing(name))("on a real server", () => {
		let server: RunningServer;
		let database: TestDatabase;
		let source: Source;
		let reader: Source;
		beforeAll(async () => {
			// Autovacuum's transactions would be such ones, too.
			server = await startServer(name, { settings: { autovacuum: "off" } });
			database = await freshDatabase(server);
			source = await sourceOf(server, database.name);
			const { username, password } = new URL(database.readerUrl);
			reader = await sourceOf(server, database.name, { user: username, password: decodeURIComponent(password) });
		});
		afterAll(async () => {
			await source?.[Symbol.asyncDispose]();
			await reader?.[Symbol.asyncDispose]();
			await database?.drop();
			await server?.stop();
		});

		async function made(table: string, more = ""): Promise<SourceTable> {
			await database.query(
				`create table ${table} (id int primary key, v text not null${more});
				insert into ${table} (id, v) select i, 'row ' || i from generate_series(1, 20000) as i;
				analyze ${table}; grant select on ${table} to public`,
			);
			return describeTable(source, table);
		}

		/** Reads all chunks at one cut, changes the table, and gives what the next cut says of each. */
		async function answersTo(table: SourceTable, change: string, by = source): Promise<readonly boolean[]> {
			await using first = await by.snapshot({ readers: 2 });
			const chunks = await first.split(table, { rows: 4000 });
			expect(chunks.length).toBeGreaterThan(3);
			const since = await first.tableState!(table);
			const counts = await Promise.all(
				chunks.map(async (chunk) => (await readAll(first, table, policy(), { chunk })).rows.length),
			);
			await first[Symbol.asyncDispose]();
			if (since === null) return chunks.map(() => false);
			if (change !== "") await database.query(change);
			await using second: Snapshot = await by.snapshot({ readers: 2 });
			const ask = (i: number) => second.unchanged!({ table, chunk: chunks[i]!, since, rows: counts[i]! });
			return await Promise.all(chunks.map((_, i) => ask(i)));
		}
		const changed = (answers: readonly boolean[]) => answers.filter((answer) => !answer).length;

		test("nothing happened: all of them, also for a reader with SELECT only", async () => {
			const table = await made("still");
			expect(changed(await answersTo(table, ""))).toBe(0);
			expect(changed(await answersTo(table, "", reader))).toBe(0);
			// Vacuum and locks change no row, nor does work in other tables.
			expect(changed(await answersTo(table, "begin; select * from still where id < 100 for update; commit"))).toBe(0);
			await database.query("vacuum freeze still");
			expect(changed(await answersTo(table, "create table elsewhere (a int); insert into elsewhere values (1)"))).toBe(
				0,
			);
		});

		test("a change is seen in its own chunks, and the others stay", async () => {
			const table = await made("touched");
			expect(changed(await answersTo(table, "update touched set v = 'x' where id = 1"))).toBeLessThanOrEqual(2);
			expect(changed(await answersTo(table, "delete from touched where id = 10"))).toBe(1);
			expect(changed(await answersTo(table, "insert into touched values (30000, 'new')"))).toBe(1);
			expect(changed(await answersTo(table, "begin; update touched set v = 'y' where id = 5; rollback"))).toBe(0);
		});

		test.each([
			[
				"truncated and filled alike",
				"truncate t; insert into t (id, v) select i, 'row ' || i from generate_series(1, 20000) as i",
			],
			["rewritten", "vacuum full t"],
			[
				"made anew",
				"alter table t rename to t_old; create table t (like t_old including all); insert into t select * from t_old",
			],
			[
				"given another column of the same name",
				"alter table t drop column v; alter table t add column v text not null default 'z'",
			],
			["given another type", "alter table t alter column id type bigint"],
		])("a table that was %s has no unchanged chunk", async (_how, change) => {
			await database.query("drop table if exists t, t_old");
			const table = await made("t");
			const answers = await answersTo(table, change);
			expect(changed(answers)).toBe(answers.length);
		});

		test("a label that is renamed changes values, though no row", async () => {
			await database.query("create type mood as enum ('glad', 'sad')");
			const table = await made("moods", ", m mood not null default 'glad'");
			const answers = await answersTo(table, "alter type mood rename value 'glad' to 'happy'");
			expect(changed(answers)).toBe(answers.length);
		});

		test("each partition by itself", async () => {
			await database.query(
				`create table parted (id int primary key, v text) partition by range (id);
				create table parted_a partition of parted for values from (0) to (10000);
				create table parted_b partition of parted for values from (10000) to (30000);
				insert into parted select i, 'row ' || i from generate_series(1, 20000) as i; analyze parted`,
			);
			const table = await describeTable(source, "parted");
			expect(changed(await answersTo(table, ""))).toBe(0);
			expect(changed(await answersTo(table, "update parted set v = 'x' where id = 15000"))).toBeLessThanOrEqual(2);
			const answers = await answersTo(
				table,
				"create table parted_c partition of parted for values from (30000) to (40000)",
			);
			expect(changed(answers)).toBe(answers.length);
		});
	});
});
