import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/connectors/postgres/connect.ts";
import { readFacts } from "../../src/connectors/postgres/server-facts.ts";
import { splitByKey } from "../../src/connectors/postgres/split.ts";
import type { Chunk, Snapshot, Source, SourceTable } from "../../src/core/index.ts";
import { startProxy } from "../support/proxy.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing, startServer } from "../support/start.ts";
import {
	codeOf,
	describeTable,
	optionsOf,
	policy,
	quote,
	readAll,
	rowsText,
	SERVERS,
	sourceOf,
} from "./postgres-support.ts";

async function readChunks(snapshot: Snapshot, table: SourceTable, chunks: readonly Chunk[]) {
	const parts = await Promise.all(chunks.map((chunk) => readAll(snapshot, table, policy(), { chunk })));
	return parts.flatMap((part) => part.rows);
}

const ids = (rows: readonly (readonly (string | null)[])[]) => rows.map((row) => Number(row[0])).sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe.each(SERVERS)("%s", (name) => {
	describe.skipIf(missing(name))("snapshot", () => {
		let database: TestDatabase;
		let source: Source;

		beforeAll(async () => {
			const server = await sharedServer(name);
			database = await freshDatabase(server);
			source = await sourceOf(server, database.name);
		});
		afterAll(async () => {
			await source?.[Symbol.asyncDispose]();
			await database?.drop();
		});

		/** Sessions of the source's snapshots that the server still has. */
		const sessions = async (state = "true") =>
			Number(
				(
					await database.query(
						`select count(*) as n from pg_stat_activity where datname = current_database() and application_name = 'headrace reader' and ${state}`,
					)
				)[0]!["n"],
			);

		async function until(done: () => Promise<boolean>, what: string) {
			for (let attempt = 0; attempt < 200; attempt++) {
				if (await done()) return;
				await new Promise((resolve) => setTimeout(resolve, 25));
			}
			throw new Error(`never: ${what}`);
		}

		test("several tables and readers see one cut while writers move money between the tables", async () => {
			for (const table of ["left_side", "right_side"])
				await database.query(
					`create table ${table} (id int primary key, cents bigint); insert into ${table} select i, 1000 from generate_series(1, 3000) i; analyze ${table}`,
				);
			const [left, right] = [await describeTable(source, "left_side"), await describeTable(source, "right_side")];
			let stop = false;
			const writers = Array.from({ length: 3 }, async (_, seed) => {
				await using client = await database.connect();
				for (let i = seed; !stop; i += 7)
					await client.query(
						`begin; update left_side set cents = cents - 5 where id = ${(i % 3000) + 1}; update right_side set cents = cents + 5 where id = ${((i * 13) % 3000) + 1}; commit`,
					);
			});
			try {
				for (let round = 0; round < 3; round++) {
					await using snapshot = await source.snapshot({ readers: 4 });
					expect(snapshot.readers).toBe(4);
					const chunks = await Promise.all([left, right].map((table) => snapshot.split(table, { rows: 700 })));
					expect(chunks[0]!.length).toBeGreaterThan(2);
					const rows = (
						await Promise.all([readChunks(snapshot, left, chunks[0]!), readChunks(snapshot, right, chunks[1]!)])
					).flat();
					expect(rows).toHaveLength(6000);
					expect(rows.reduce((sum, row) => sum + BigInt(row[1]!), 0n)).toBe(6_000_000n);
				}
			} finally {
				stop = true;
				await Promise.all(writers);
			}
		});

		test.each([
			["heap", "create table split_me (id int, pad text)"],
			[
				"partitioned",
				"create table split_me (id int, pad text) partition by hash (id); create table split_1 partition of split_me for values with (modulus 3, remainder 0); create table split_2 partition of split_me for values with (modulus 3, remainder 1) partition by range (id); create table split_2a partition of split_2 for values from (minvalue) to (5000); create table split_2b partition of split_2 default; create table split_3 partition of split_me for values with (modulus 3, remainder 2)",
			],
			["inherited", "create table split_me (id int, pad text); create table split_heir (own int) inherits (split_me)"],
		])("split covers each row of a %s table once, whatever was deleted, updated or added", async (kind, ddl) => {
			await database.query(
				`drop table if exists split_me cascade; ${ddl}; insert into split_me select i, repeat('x', i % 50) from generate_series(1, 12000) i`,
			);
			if (kind === "inherited")
				await database.query("insert into split_heir select i, 'y', 1 from generate_series(12001, 12500) i");
			await database.query("delete from split_me where id % 5 = 0; update split_me set pad = 'moved' where id % 7 = 0");
			await database.query("vacuum analyze split_me");
			const expected = (await database.query("select id from split_me"))
				.map((row) => Number(row["id"]))
				.sort((a, b) => a - b);
			const table = await describeTable(source, "split_me");
			await using snapshot = await source.snapshot({ readers: 3 });
			await database.query(
				"insert into split_me select i, 'late' from generate_series(50000, 52000) i; delete from split_me where id < 1000",
			);
			const chunks = await snapshot.split(table, { rows: 1000 });
			expect(chunks.length).toBeGreaterThan(5);
			expect(ids(await readChunks(snapshot, table, chunks))).toEqual(expected);
			const window = { column: "id", from: "100", to: "200" };
			const parts = await Promise.all(
				chunks.map((chunk) => readAll(snapshot, table, policy(), { chunk, window, where: "split_me.id % 2 = 0" })),
			);
			expect(ids(parts.flatMap((p) => p.rows))).toEqual(expected.filter((id) => id >= 100 && id < 200 && id % 2 === 0));
		});

		test("a block range is read by blocks, not by reading the whole table", async () => {
			await database.query(
				"create table blocks (id int); insert into blocks select generate_series(1, 20000); analyze blocks",
			);
			const table = await describeTable(source, "blocks");
			await using snapshot = await source.snapshot({ readers: 1 });
			const [, second] = await snapshot.split(table, { rows: 5000 });
			const plan = await database.query(`explain select id from ${second!.condition}`);
			expect(plan.map((row) => row["QUERY PLAN"]).join("\n")).toContain("Tid Range Scan");
		});

		test.each(['text collate "C"', 'text collate "en-x-icu"', "timestamptz", "uuid", "numeric(12,2)", "float8"])(
			"key ranges of a %s key cover each row once",
			async (type) => {
				const value = type.startsWith("text")
					? "chr(65 + i % 58) || md5(i::text)"
					: type === "uuid"
						? "md5(i::text)::uuid"
						: type === "timestamptz"
							? "timestamptz '2020-01-01' + i * interval '1.7 hours'"
							: "(i * 1.37)";
				await database.query(
					`drop table if exists keyed; create table keyed (k ${type}, n int, primary key (k, n)); insert into keyed select ${value}, i from generate_series(1, 9000) i; analyze keyed`,
				);
				const table = await describeTable(source, "keyed");
				const { session } = await connect(optionsOf(database.server, database.name), "headrace");
				const [row] = await session.rows(
					"select relpages, reltuples / relpages from pg_catalog.pg_class where oid = 'public.keyed'::regclass",
				);
				const member = { name: table.name, relkind: "r", blocks: Number(row![0]), rowsPerBlock: Number(row![1]) };
				const chunks = await splitByKey(session, table, 1000, member);
				await session.end();
				expect(chunks.length).toBeGreaterThan(4);
				await using snapshot = await source.snapshot({ readers: 2 });
				const rows = await readChunks(snapshot, table, chunks);
				expect(rows.map((r) => Number(r[1])).sort((a, b) => a - b)).toEqual(upTo(9000));
			},
		);

		test.each(["truncate cut", "alter table cut alter v type bigint using v * 10", "vacuum full cut"])(
			"%s after the cut makes the read fail to be tried again, never look empty",
			async (statement) => {
				await database.query(
					"drop table if exists cut; create table cut (id int, v int); insert into cut values (1, 1)",
				);
				const table = await describeTable(source, "cut");
				await using snapshot = await source.snapshot({ readers: 2 });
				await database.query(statement);
				expect(await codeOf(readAll(snapshot, table))).toMatch(/^E_(?:CONFLICT|SCHEMA)$/);
				// The snapshot goes on for others.
				await database.query("drop table if exists other; create table other (id int)");
				expect(await codeOf(readAll(snapshot, table))).toMatch(/^E_(?:CONFLICT|SCHEMA)$/);
			},
		);

		test("a truncated or detached partition, and a truncated table under a view, are found as well", async () => {
			await database.query(`create table p (id int) partition by range (id); create table p1 partition of p for values from (0) to (10); create table p2 partition of p for values from (10) to (20);
				insert into p values (1), (11); create table under (id int); insert into under values (1); create view over_it as select * from under`);
			const [p, view] = [await describeTable(source, "p"), await describeTable(source, "over_it")];
			await using first = await source.snapshot({ readers: 1 });
			await database.query("truncate p2; truncate under");
			expect(await codeOf(readAll(first, p))).toBe("E_CONFLICT");
			expect(await codeOf(readAll(first, view))).toBe("E_CONFLICT");
			await using second = await source.snapshot({ readers: 1 });
			await database.query("alter table p detach partition p1");
			expect(await codeOf(readAll(second, p))).toBe("E_CONFLICT");
			await using third = await source.snapshot({ readers: 1 });
			expect(await codeOf(readAll(third, p))).toBe("no error");
		});

		test("a read holds its locks no longer than it lasts", async () => {
			await database.query("create table altered (id int); insert into altered values (1)");
			const table = await describeTable(source, "altered");
			await using snapshot = await source.snapshot({ readers: 1 });
			await readAll(snapshot, table);
			await database.query("set lock_timeout = '2s'; alter table altered add column more int; reset lock_timeout");
		});

		test("1,000 columns, a 50 MB value and an empty table", async () => {
			const columns = Array.from(
				{ length: 1000 },
				(_, i) => `c${i} ${["int", "text", "numeric(10,2)", "timestamptz"][i % 4]}`,
			);
			await database.query(
				`create table wide (${columns.join(", ")}); insert into wide (c0, c1, c998, c999) select i, 'text ' || i, i, '2024-01-01' from generate_series(1, 300) i`,
			);
			await database.query(
				"create table big (id int, v text, b bytea); insert into big select i, repeat('0123456789', 5000000), decode(repeat('ab', 100), 'hex') from generate_series(1, 2) i; create table empty (id int)",
			);
			await using snapshot = await source.snapshot({ readers: 1 });
			const wide = await describeTable(source, "wide");
			const { rows } = await readAll(snapshot, wide);
			expect(rows).toHaveLength(300);
			expect([rows[299]![0], rows[299]![1], rows[299]![2], rows[299]![998], rows[299]![999]]).toEqual([
				"300",
				"text 300",
				null,
				"300.00",
				"2024-01-01 00:00:00+00",
			]);
			const big = await describeTable(source, "big");
			let seen = 0;
			for await (const batch of snapshot.read({ table: big, columns: big.columns, types: policy() })) {
				for (let row = 0; row < batch.rowCount; row++) {
					const value = batch.columns[1]!.bytes(row);
					expect(value.length).toBe(50_000_000);
					expect([value[0], value[25_000_001], value[49_999_999]]).toEqual([48, 49, 57]);
					expect(batch.columns[2]!.bytes(row).length).toBe(100);
					seen++;
				}
				batch.release();
			}
			expect(seen).toBe(2);
			const empty = await describeTable(source, "empty");
			expect(await readAll(snapshot, empty)).toEqual({ rows: [], changed: {}, batches: 0 });
			expect(await snapshot.split(empty, { rows: 10 })).toEqual([{ index: 0 }]);
		});

		describe("a long read", () => {
			let table: SourceTable;
			beforeAll(async () => {
				await database.query(
					"create table long_one (id int, v text); insert into long_one select i, repeat('x', 1000) from generate_series(1, 60000) i; analyze long_one",
				);
				table = await describeTable(source, "long_one");
			});

			test("waits for a taker that does not take: the server is held back", async () => {
				await using proxy = await startProxy(database.server);
				await using through = await sourceOf({ ...database.server, host: proxy.host, port: proxy.port }, database.name);
				await using snapshot = await through.snapshot({ readers: 1 });
				const request = { table, columns: table.columns, types: policy(), bufferBytesMax: 1 << 20 };
				const batches = snapshot.read(request)[Symbol.asyncIterator]();
				let next = await batches.next();
				let sent = -1;
				await until(async () => {
					const before = sent;
					sent = proxy.bytesToClient;
					await new Promise((resolve) => setTimeout(resolve, 300));
					return before === sent && sent === proxy.bytesToClient;
				}, "the server stops sending");
				// Of 60 MB: the bound, and what lies in the sockets' own buffers.
				expect(sent).toBeLessThan(30_000_000);
				let rows = 0;
				for (; !next.done; next = await batches.next()) {
					rows += next.value.rowCount;
					next.value.release();
				}
				expect(rows).toBe(60_000);
			});

			test.each(["abort", "break"])("%s ends it at the server and keeps the snapshot", async (how) => {
				await using snapshot = await source.snapshot({ readers: 1 });
				await database.query("delete from long_one where id > 59990");
				const abort = new AbortController();
				const reading = (async () => {
					for await (const batch of snapshot.read({
						table,
						columns: table.columns,
						types: policy(),
						signal: abort.signal,
						bufferBytesMax: 1 << 18,
					})) {
						batch.release();
						if (how === "break") break;
						abort.abort();
					}
				})();
				expect(await codeOf(reading)).toBe(how === "break" ? "no error" : "E_STOPPED");
				await until(async () => (await sessions("state = 'active'")) === 0, "the COPY ended");
				expect(await sessions()).toBe(1);
				const { rows } = await readAll(snapshot, table);
				expect(ids(rows)).toEqual(ids(rows).toSorted((a, b) => a - b));
				expect(rows.length % 10).toBe(0);
				await database.query("insert into long_one select i, repeat('x', 1000) from generate_series(59991, 60000) i");
			});

			test("an abort while it waits for its turn, and closing the snapshot in the middle", async () => {
				const snapshot = await source.snapshot({ readers: 1 });
				const first = snapshot
					.read({ table, columns: table.columns, types: policy(), bufferBytesMax: 1 << 18 })
					[Symbol.asyncIterator]();
				(await first.next()).value.release();
				const abort = new AbortController();
				const second = readAll(snapshot, table, policy(), { signal: abort.signal });
				const third = readAll(snapshot, table);
				abort.abort();
				expect(await codeOf(second)).toBe("E_STOPPED");
				await Promise.all([
					snapshot[Symbol.asyncDispose](),
					expect(third).rejects.toMatchObject({ code: "E_STOPPED" }),
				]);
				const rest = (async () => {
					for (let next = await first.next(); !next.done; next = await first.next()) next.value.release();
				})();
				expect(await codeOf(rest)).toBe("E_STOPPED");
				await until(async () => (await sessions()) === 0, "the sessions ended");
			});

			test("a cut connection is E_CONNECTION_LOST; the snapshot's other readers go on", async () => {
				await using proxy = await startProxy(database.server);
				await using through = await sourceOf({ ...database.server, host: proxy.host, port: proxy.port }, database.name);
				await using snapshot = await through.snapshot({ readers: 2 });
				const [backend] = await database.query("select 1 as x");
				expect(backend).toBeDefined();
				const broken = (async () => {
					for await (const batch of snapshot.read({
						table,
						columns: table.columns,
						types: policy(),
						bufferBytesMax: 1 << 18,
					})) {
						batch.release();
						await database.query(
							"select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'headrace reader' and state = 'active' and datname = current_database()",
						);
					}
				})();
				expect(await codeOf(broken)).toBe("E_CONNECTION_LOST");
				expect((await readAll(snapshot, table)).rows).toHaveLength(60_000);
				proxy.cut();
				expect(await codeOf(readAll(snapshot, table))).toBe("E_CONNECTION_LOST");
				expect(await codeOf(readAll(snapshot, table))).toBe("E_CONNECTION_LOST");
				// The source itself connects again.
				expect((await describeTable(through, "long_one")).columns).toHaveLength(2);
			});

			test.each([1, 7, 4096])("arrives the same in pieces of %i bytes", async (pieceBytes) => {
				await using proxy = await startProxy(database.server);
				await using through = await sourceOf({ ...database.server, host: proxy.host, port: proxy.port }, database.name);
				await using snapshot = await through.snapshot({ readers: 1 });
				const where = pieceBytes === 4096 ? "id <= 3000" : "id <= 12";
				const expected = await readAll(snapshot, table, policy(), { where });
				proxy.set({ pieceBytes });
				expect(await readAll(snapshot, table, policy(), { where })).toEqual(expected);
			});
		});

		test("types that changed since they were described are E_SCHEMA, columns that went E_UNKNOWN_COLUMN", async () => {
			await database.query("create table changing (id int, v int); insert into changing values (1, 1)");
			const table = await describeTable(source, "changing");
			await database.query("alter table changing alter v type text");
			await using snapshot = await source.snapshot({ readers: 1 });
			expect(await codeOf(readAll(snapshot, table))).toBe("E_SCHEMA");
			await database.query("alter table changing drop v");
			expect(await codeOf(readAll(snapshot, table))).toBe("E_UNKNOWN_COLUMN");
			await database.query("drop table changing");
			expect(await codeOf(readAll(snapshot, table))).toBe("E_UNKNOWN_TABLE");
		});

		test("cursorMax leaves out infinity and NaN, and sorts values, not their text", async () => {
			await database.query(`create table cursors (n int, d numeric(10,2), t timestamptz, day date, "value" bigint);
				insert into cursors values (9, 9, '2024-01-01 00:00:00.5+00', '2024-01-01', 9), (10, 10, 'infinity', 'infinity', 10), (null, 'NaN', null, '-infinity', null)`);
			const table = await describeTable(source, "cursors");
			await using snapshot = await source.snapshot({ readers: 1 });
			expect(await snapshot.cursorMax(table, "n")).toEqual({ max: "10", nulls: 1 });
			expect(await snapshot.cursorMax(table, "d")).toEqual({ max: "10.00", nulls: 0 });
			expect(await snapshot.cursorMax(table, "t")).toEqual({ max: "2024-01-01 00:00:00.5+00", nulls: 1 });
			expect(await snapshot.cursorMax(table, "day")).toEqual({ max: "2024-01-01", nulls: 0 });
			expect(await snapshot.cursorMax(table, "value")).toEqual({ max: "10", nulls: 1 });
		});

		test("windows: a bound is not rounded to the column, and may lie beyond its range", async () => {
			await database.query(
				"create table bounds (n numeric(5,1), t timestamp(0), i int, c char(3), d date); insert into bounds values (1.2, '2024-01-01 00:00:01', 5, 'ab', '2024-01-02'), (1.3, '2024-01-01 00:00:02', 6, 'b', '2024-01-03')",
			);
			const table = await describeTable(source, "bounds");
			await using snapshot = await source.snapshot({ readers: 1 });
			const count = async (column: string, from: string) =>
				(await readAll(snapshot, table, policy(), { window: { column, from } })).rows.length;
			expect(await count("n", "1.25")).toBe(1);
			expect(await count("t", "2024-01-01 00:00:01.4")).toBe(1);
			expect(await count("t", "2024-01-01 00:00:01.6")).toBe(1);
			expect(await count("i", "-9000000000")).toBe(2);
			expect(await count("i", "9000000000")).toBe(0);
			expect(await count("c", "abc")).toBe(1);
			expect(await count("d", "2024-01-02 12:00:00")).toBe(1);
		});

		test("marks: a transaction that has not written yet counts, by its start", async () => {
			await database.query("create table stamped (id int, at timestamptz default now())");
			await using writer = await database.connect();
			await writer.query("begin; select 1");
			await using first = await source.snapshot({ readers: 1 });
			expect(first.transactions?.kind).toBe("clock");
			expect(first.transactions!.oldestOpen).toBeLessThan(first.transactions!.now);
			await writer.query("insert into stamped values (1)");
			await using second = await source.snapshot({ readers: 1 });
			expect(second.transactions!.oldestOpen).toBeLessThan(first.transactions!.now);
			await writer.query("commit");
			await until(async () => {
				await using third = await source.snapshot({ readers: 1 });
				return third.transactions!.oldestOpen === third.transactions!.now;
			}, "no transaction is open");
		});

		test("xid marks, for a user who does not see others' sessions: an open transaction above xmax is seen", async () => {
			const role = `unseeing_${database.name}`;
			await database.query(`create role ${role} login password 'x'; create table written (id int)`);
			try {
				await using unseeing = await sourceOf(database.server, database.name, { user: role, password: "x" });
				await using writer = await database.connect();
				// Nothing has completed since the writer got its id: it is at or above every snapshot's xmax.
				await writer.query("begin; insert into written values (1)");
				await using during = await unseeing.snapshot({ readers: 1 });
				expect(during.transactions?.kind).toBe("xid");
				expect(during.transactions!.oldestOpen).toBeLessThan(during.transactions!.now);
				await writer.query("commit");
				await using after = await unseeing.snapshot({ readers: 1 });
				expect(after.transactions!.oldestOpen).toBeGreaterThanOrEqual(during.transactions!.now);
			} finally {
				await database.query(`drop role ${role}`);
			}
		});

		test("readers on one cut that could not be opened are done without", async () => {
			const role = `few_${database.name}`;
			await database.query(
				`create role ${role} login password 'x' connection limit 3; create table few (id int); grant select on few to ${role}`,
			);
			await using limited = await sourceOf(database.server, database.name, { user: role, password: "x" });
			const table = await describeTable(limited, "few");
			{
				await using snapshot = await limited.snapshot({ readers: 6 });
				expect(snapshot.readers).toBe(2);
				expect((await Promise.all(upTo(5).map(() => readAll(snapshot, table)))).map((r) => r.rows)).toEqual(
					upTo(5).map(() => []),
				);
			}
			await database.query(`drop owned by ${role}`);
			await until(async () => (await sessions()) === 0, "the sessions ended");
			await limited[Symbol.asyncDispose]();
			await database.query(`drop role ${role}`);
		});

		test("text of a database in SQL_ASCII is checked here, by policy", async () => {
			const odd = `${database.name}_ascii`;
			await database.query(`create database ${quote(odd)} encoding 'SQL_ASCII' locale 'C' template template0`);
			try {
				await database.server.query(
					odd,
					"create table t (id int, v text, j text[]); insert into t values (1, convert_from('\\x68ff', 'SQL_ASCII'), array['a']), (2, 'a long text that is fine', null), (3, convert_from('\\xc3a9', 'SQL_ASCII'), '{}')",
				);
				await using source = await sourceOf(database.server, odd);
				expect((await source.check()).some((f) => f.message.includes("SQL_ASCII"))).toBe(true);
				const table = await describeTable(source, "t");
				await using snapshot = await source.snapshot({ readers: 1 });
				expect(await codeOf(readAll(snapshot, table))).toBe("E_ENCODING");
				const replaced = await readAll(snapshot, table, policy({ invalidText: "replace" }));
				expect(replaced.rows.map((r) => r[1])).toEqual(["h\ufffd", "a long text that is fine", "é"]);
				expect(replaced.changed).toEqual({ v: 1 });
				const bytes = await describeTable(source, "t", policy({ overrides: { v: { kind: "binary" } } }));
				expect((await readAll(snapshot, bytes)).rows.map((r) => r[1])).toEqual([
					"68ff",
					Buffer.from("a long text that is fine").toString("hex"),
					"c3a9",
				]);
			} finally {
				await database.server.dropDatabase(odd);
			}
		});

		test("a database in LATIN1 arrives in UTF-8", async () => {
			const odd = `${database.name}_latin`;
			await database.query(`create database ${quote(odd)} encoding 'LATIN1' locale 'C' template template0`);
			try {
				await database.server.query(
					odd,
					`create type mood as enum ('glücklich'); create table "tä" ("ö" text, m mood, a text[]); insert into "tä" values ('é', 'glücklich', '{ü}')`,
				);
				await using source = await sourceOf(database.server, odd);
				const table = await describeTable(source, "tä");
				await using snapshot = await source.snapshot({ readers: 1 });
				expect(table.columns[0]!.name).toBe("ö");
				expect((await readAll(snapshot, table)).rows).toEqual([["é", "glücklich", '["ü"]']]);
			} finally {
				await database.server.dropDatabase(odd);
			}
		});

		test("facts of the server", async () => {
			const { session, facts } = await connect(optionsOf(database.server, database.name), "headrace");
			expect(facts).toEqual(await readFacts(session, { tls: "off", loopback: true }));
			expect(Math.floor(facts.version / 10000)).toBe(
				name === "postgres15" ? Number.parseInt(database.server.version, 10) : 18,
			);
			await session.end();
			await session.end();
		});
	});
});

describe.skipIf(missing("postgres18"))("a server that is killed", () => {
	test("in the middle of a read is E_CONNECTION_LOST, and the next run connects again", async () => {
		await using server = await startServer("postgres18");
		await server.query(
			"postgres",
			"create table t (id int, v text); insert into t select i, repeat('x', 1000) from generate_series(1, 50000) i",
		);
		await using source = await sourceOf(server, "postgres");
		const table = await describeTable(source, "t");
		{
			await using snapshot = await source.snapshot({ readers: 2 });
			let rows = 0;
			const reading = (async () => {
				for await (const batch of snapshot.read({
					table,
					columns: table.columns,
					types: policy(),
					bufferBytesMax: 1 << 18,
				})) {
					if (rows === 0) await server.kill9();
					rows += rowsText(batch).length;
					batch.release();
				}
			})();
			expect(await codeOf(reading)).toBe("E_CONNECTION_LOST");
			expect(rows).toBeGreaterThan(0);
			expect(rows).toBeLessThan(50_000);
		}
		expect(await codeOf(source.snapshot({ readers: 1 }))).toBe("E_CONNECT");
		expect(await codeOf(source.check())).toMatch(/^E_CONNECT/);
		await server.restart();
		await using again = await source.snapshot({ readers: 1 });
		expect((await readAll(again, table)).rows).toHaveLength(50_000);
	});
});
