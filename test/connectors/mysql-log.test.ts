import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
	type BeforeImages,
	type ChangeEvent,
	DEFAULT_TYPE_POLICY,
	type Source,
	type SourceTable,
} from "../../src/core/index.ts";
import { valueText } from "../../src/formats/index.ts";
import { heldBytes, settledBytes } from "../support/held-memory.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { brief, follow, logOf } from "./log-support.ts";
import { codeOf, describeOne, MYSQL_SERVERS, openSource } from "./mysql-support.ts";

describe.each(MYSQL_SERVERS)("the change log of %s", (server) => {
	describe.skipIf(missing(server))("on a real server", () => {
		let database: TestDatabase;
		let source: Source;
		let from: string;
		let table: SourceTable;

		beforeEach(async () => {
			const shared = await sharedServer(server);
			database = await freshDatabase(shared);
			source = await openSource(shared, { database: database.name });
			await database.query(
				"create table t (id int primary key, v varchar(40)) engine=innodb character set utf8mb4; set names utf8mb4",
			);
			table = await describeOne(source, database.name, "t");
			from = await logOf(source).end();
		});
		afterEach(async () => {
			await source?.[Symbol.asyncDispose]();
			await database?.drop();
		});

		const changesOf = (options: Partial<Parameters<typeof follow>[2]> = {}) =>
			follow(source, [table], { from, ...options });

		test("inserts, updates and deletes come in order, with their transactions", async () => {
			await database.query(
				"insert into t values (1,'a'),(2,'b'); start transaction; update t set v='c' where id=1; delete from t where id=2; commit",
			);
			const { rows, events } = await changesOf();
			expect(
				rows.map(({ operation, transaction, values }) => [operation, transaction, values["id"], values["v"]]),
			).toEqual([
				["insert", 0, "1", "a"],
				["insert", 0, "2", "b"],
				["before", 1, "1", "a"],
				["update", 1, "1", "c"],
				["delete", 1, "2", "b"],
			]);
			const [boundary, ...more] = events;
			expect(more).toEqual([]);
			expect(boundary).toMatchObject({ kind: "boundary" });
			if (boundary?.kind !== "boundary") throw new Error("no boundary");
			expect(boundary.transactions).toHaveLength(2);
			const log = logOf(source);
			const [first, second] = boundary.transactions;
			expect(log.compare(from, first!.position)).toBeLessThan(0);
			expect(log.compare(first!.position, second!.position)).toBeLessThan(0);
			expect(log.compare(second!.position, boundary.position)).toBeLessThanOrEqual(0);
			expect(Math.abs(Number(first!.committedAt / 1000n) - Date.now())).toBeLessThan(60_000);
			expect(first!.id).toBeDefined();
		});

		test("only key changes bring the row before, when no other is wanted", async () => {
			await database.query(
				"insert into t values (1,'a'); update t set v='b' where id=1; update t set id=9 where id=1; update t set id=9, v='B' where id=9",
			);
			const { rows } = await changesOf({ before: "key-changes" });
			expect(brief(rows)).toEqual(["insert 1,a", "update 1,b", "before 1,b", "update 9,b", "update 9,B"]);
		});

		test("law: taken up at any boundary, each change comes once", async () => {
			for (let id = 1; id <= 12; id++)
				await database.query(
					`insert into t values (${id},'x'); ${id === 6 ? "flush binary logs;" : ""} update t set v='y' where id=${id}`,
				);
			const whole = await changesOf({ flush: { seconds: 3600, rows: 1, bytes: 1 } });
			const boundaries = whole.events.flatMap((event) => (event.kind === "boundary" ? [event.position] : []));
			expect(boundaries.length).toBeGreaterThan(20);
			for (let at = 0; at < boundaries.length; at += 3) {
				const rest = await follow(source, [table], { from: boundaries[at]! });
				const taken = whole.all.findIndex(
					(event) => "kind" in event && event.kind === "boundary" && event.position === boundaries[at],
				);
				const expected = whole.all.slice(taken).flatMap((event) => ("kind" in event ? [] : [event]));
				expect(brief(rest.rows)).toEqual(brief(expected));
			}
		});

		test("a place in the middle of an event, and an event that is another one, are found out", async () => {
			await database.query("insert into t values (1,'a'); insert into t values (2,'b')");
			const { position } = await changesOf();
			const inside = position
				.replace(/:(\d+)/, (_match, offset) => `:${Number(offset) - 5}`)
				.replace(/ (?:last|server|created)=\S+/g, "");
			const failed = async (at: string) =>
				(await codeOf(follow(source, [table], { from: at, until: "zzz.999999:4" }))).code;
			expect(await failed(inside)).toBe("E_HISTORY_MISMATCH");
			expect(await failed(position.replace(/:[0-9a-f]{8}$/, ":00000000"))).toBe("E_HISTORY_MISMATCH");
			expect(await failed(position.replace(/created=\d+/, "created=1"))).toBe("E_HISTORY_MISMATCH");
			expect(await failed(position.replace(/:\d+/, ":4294967000"))).toBe("E_HISTORY_MISMATCH");
			expect(await failed("mysql-bin.999999:4")).toBe("E_HISTORY_GONE");
		});

		test("by GTIDs alone, the stream goes on where they end", async () => {
			await database.query("insert into t values (1,'a')");
			const { position } = await changesOf();
			await database.query("insert into t values (2,'b')");
			const gtid = /gtid=(\S+)/.exec(position)![1]!;
			const { rows } = await follow(source, [table], { from: gtid });
			expect(brief(rows)).toEqual(["insert 2,b"]);
		});

		test("begun by GTIDs and ended before anything came, it goes on there: nothing comes again", async () => {
			await database.query("insert into t (id) values (1)");
			const { position } = await follow(source, [table], { from: await logOf(source).beginning() });
			const gtid = /gtid=(\S+)/.exec(position)![1]!;
			const idle = await follow(source, [table], { from: gtid });
			expect(idle.rows).toEqual([]);
			expect(logOf(source).compare(idle.position, position)).toBe(0);
			await database.query("insert into t (id) values (2)");
			const { rows } = await follow(source, [table], { from: idle.position });
			expect(rows.map(({ values }) => values["id"])).toEqual(["2"]);
		});

		test.skipIf(server === "mariadb")(
			"transactions that the GTIDs have are passed over, wherever they lie",
			async () => {
				await database.query("insert into t values (1,'a')");
				const { position } = await changesOf();
				await database.query("insert into t values (2,'b'); delete from t where id = 1");
				const later = (await changesOf()).position;
				await database.query("insert into t values (3,'c')");
				const place = /^[^ ]+/.exec(position)![0];
				const gtids = /gtid=\S+/.exec(later)![0];
				const { rows } = await follow(source, [table], { from: `${place} ${gtids}` });
				expect(brief(rows)).toEqual(["insert 3,c"]);
			},
		);

		test("truncate and drop come at their place; a table of the same name is another one", async () => {
			await database.query(
				"insert into t values (1,'a'); truncate t; insert into t values (2,'b'); /* a */ truncate /*!40000 table */ `t`",
			);
			await database.query("create table if not exists t (id int)");
			expect((await changesOf()).rows.map(({ values }) => values)).toEqual([
				{ id: "1", v: "a" },
				{ id: "2", v: "b" },
			]);
			await database.query("drop table t; create table t (id int primary key, w date) character set utf8mb4");
			// Without names in the log, nobody knows any more which columns the first one had.
			if (server === "mysql56") return expect((await codeOf(changesOf())).code).toBe("E_SCHEMA_AMBIGUOUS");
			const { all } = await changesOf();
			expect(all.map((event) => ("kind" in event ? event.kind : `${event.operation} ${event.values["id"]}`))).toEqual([
				"insert 1",
				"truncate",
				"insert 2",
				"truncate",
				"schema",
				"schema",
				"boundary",
			]);
			const [gone, back] = all.flatMap((event) => ("kind" in event && event.kind === "schema" ? [event] : []));
			expect(gone).toMatchObject({ after: null, statement: "drop" });
			expect(back?.after?.columns.map(({ name }) => name)).toEqual(["id", "w"]);
		});

		test("without names in the log, columns that were swapped before the stream began are found out", async () => {
			await database.query("create table pair (id int primary key, a int, b int)");
			const begin = await logOf(source).end();
			await database.query("insert into pair values (1, 10, 20)");
			await database.query("alter table pair change a b int, change b a int");
			await database.query("insert into pair values (2, 10, 20)");
			const pair = await describeOne(source, database.name, "pair");
			const reading = follow(source, [pair], { from: begin });
			if (server === "mysql56") expect((await codeOf(reading)).code).toBe("E_SCHEMA_AMBIGUOUS");
			else
				expect((await reading).rows.map(({ values }) => values)).toEqual([
					{ id: "1", a: "10", b: "20" },
					{ id: "2", b: "10", a: "20" },
				]);
		});

		test("columns that came and went before the stream began: rows of before have those of then", async () => {
			await database.query(
				"create table wide (id int primary key, a int, note varchar(20), day date not null) engine=innodb",
			);
			const begin = await logOf(source).end();
			await database.query(
				`insert into wide values (1, 10, 'one', '2026-01-01');
				alter table wide add column b int after id, add index by_day (day), algorithm = inplace;
				insert into wide (id, b, a, note, day) values (2, 20, 21, 'two', '2026-01-02');
				alter table wide drop column note;
				alter table wide add (c varchar(9) default 'c', e bigint);
				insert into wide values (3, 30, 31, '2026-01-03', 'new', 33);
				create table wide_other (id int primary key); alter table wide_other add column v int`,
			);
			const wide = await describeOne(source, database.name, "wide");
			const { all } = await follow(source, [wide], { from: begin });
			const without = server === "mysql56" ? {} : { note: "one" };
			const found = all.map((event) => ("kind" in event ? event.kind : event.values));
			expect(found.filter((event) => event !== "boundary" && event !== "schema")).toEqual([
				{ id: "1", a: "10", day: "2026-01-01", ...without },
				{ id: "2", b: "20", a: "21", day: "2026-01-02", ...(server === "mysql56" ? {} : { note: "two" }) },
				{ id: "3", b: "30", a: "31", day: "2026-01-03", c: "new", e: "33" },
			]);
		});

		test("where columns can't be known, the table is given up for a new reading, when there can be one", async () => {
			await database.query("create table pair (id int primary key, a int, b int) engine=innodb");
			const begin = await logOf(source).end();
			await database.query(
				"insert into pair values (1, 10, 20); insert into t values (1, 'a'); update t, pair set v = 'b', a = 11 where t.id = pair.id",
			);
			await database.query("alter table pair drop a, add c int; insert into pair values (2, 21, 22)");
			await database.query("insert into t values (2, 'c')");
			const pair = await describeOne(source, database.name, "pair");
			const { all } = await follow(source, [pair, table], { from: begin, before: "key-changes", canReadAnew: true });
			const told = all.map((event) => ("kind" in event ? event.kind : `${event.table} ${event.values["id"]}`));
			const kept =
				server === "mariadb" ? ["pair 1", "t 1", "t 1", "pair 1", "schema", "pair 2", "t 2", "boundary"] : null;
			expect(told.toSorted()).toEqual((kept ?? ["schema", "t 1", "t 1", "t 2", "boundary"]).toSorted());
			if (server === "mysql56")
				expect(all.find((event) => "kind" in event && event.kind === "schema")).toMatchObject({
					before: { name: { name: "pair" } },
					after: null,
					rereads: true,
				});
		});

		test("without names in the log, a column that was dropped among others of its type can't be told from them", async () => {
			await database.query("create table same (id int primary key, a int, b int) engine=innodb");
			const begin = await logOf(source).end();
			await database.query("insert into same values (1, 10, 20); alter table same drop column a");
			const same = await describeOne(source, database.name, "same");
			const reading = follow(source, [same], { from: begin });
			if (server === "mysql56")
				expect(await codeOf(reading)).toMatchObject({
					code: "E_SCHEMA_AMBIGUOUS",
					place: { table: `${database.name}.same` },
				});
			else expect((await reading).rows.map(({ values }) => values)).toEqual([{ id: "1", a: "10", b: "20" }]);
		});

		test("a column that comes back under its name has nothing of what it was: the table is read again", async () => {
			const rereads = async (sql: string) => {
				const begin = await logOf(source).end();
				await database.query(sql);
				const now = await describeOne(source, database.name, "t");
				const { events } = await follow(source, [now], { from: begin });
				return events.flatMap((event) => (event.kind === "schema" ? [event.rereads] : []));
			};
			const define = "v varchar(40) character set utf8mb4";
			expect(await rereads(`alter table t drop v, add ${define}`)).toEqual([true]);
			// The catalog shows the second one already when the log is at the first.
			expect(await rereads(`alter table t drop v; alter table t add ${define}`)).toEqual([true]);
			expect(
				await rereads("alter table t add index i (v); alter table t drop index i, alter v set default 'x'"),
			).toEqual([]);
			if (server === "mysql56") return;
			expect(await rereads(`alter table t drop column if exists v, add ${define}`)).toEqual([true]);
			await database.query(`alter table t add w varchar(40) character set utf8mb4`);
			expect(await rereads("alter table t rename column v to w, rename column w to v")).toEqual([true]);
		});

		test("a swap by RENAME asks for the table to be read again", async () => {
			await database.query("create table t_new like t; rename table t to t_old, t_new to t");
			const { events } = await changesOf();
			expect(events.filter(({ kind }) => kind === "schema")).toMatchObject([{ statement: "rename", rereads: true }]);
		});

		test("what whoever follows a table knows already is left out, whatever its columns were", async () => {
			await database.query("insert into t values (1, '7'); alter table t change v w int, add u int first");
			await database.query(
				"set session binlog_format = 'STATEMENT'; insert into t (id) values (2); set session binlog_format = 'ROW'; truncate t",
			);
			const known = await logOf(source).end();
			await database.query("insert into t (id, w) values (3, 30); truncate t");
			const changed = await describeOne(source, database.name, "t");
			const places = server === "mariadb" ? [known] : [known, /gtid=(\S+)/.exec(known)![1]!];
			for (const knownUntil of places) {
				const { all } = await follow(source, [changed], { from, knownUntil });
				expect(all.map((event) => ("kind" in event ? event.kind : event.values))).toEqual([
					{ id: "3", w: "30", u: null },
					"truncate",
					"boundary",
				]);
			}
		});

		test("statements in place of rows stop by name, in this table's database only", async () => {
			await database.query("create table other (id int primary key)");
			await database.query(
				"set session binlog_format = 'STATEMENT'; insert into other values (1); set session binlog_format = 'ROW'",
			);
			expect((await changesOf()).rows).toEqual([]);
			await database.query(
				"set session binlog_format = 'STATEMENT'; insert into t values (1,'a'); set session binlog_format = 'ROW'",
			);
			const error = await codeOf(changesOf());
			expect(error).toMatchObject({ code: "E_STATEMENT_EVENT", place: { table: `${database.name}.t` } });
		});

		test("images that leave columns out say so", async () => {
			await database.query(
				"create table wide (id int primary key, a int, b text); insert into wide values (1, 2, 'x')",
			);
			const wide = await describeOne(source, database.name, "wide");
			const begin = await logOf(source).end();
			await database.query(
				"set session binlog_row_image = 'MINIMAL'; update wide set a = 3 where id = 1; delete from wide where id = 1; insert into wide (id, a) values (5, 6)",
			);
			const { rows } = await follow(source, [wide], { from: begin, before: "key-changes" });
			expect(rows.map(({ operation, values }) => [operation, values])).toEqual([
				["update", { id: "1", a: "3" }],
				["delete", { id: "1" }],
				["insert", server === "mariadb" ? { id: "5", a: "6" } : expect.objectContaining({ id: "5", a: "6" })],
			]);
		});

		test("a transaction of many rows comes in batches before its end, and in bounded memory", async () => {
			await database.query("create table big (id int primary key auto_increment, v char(200) not null) engine=innodb");
			await database.query("create table little (id int primary key, v char(20)) engine=innodb");
			const big = await describeOne(source, database.name, "big");
			const little = await describeOne(source, database.name, "little");
			const begin = await logOf(source).end();
			await database.query(
				`start transaction; insert into big (v) values (repeat('x', 200)); ${"insert into big (v) select v from big; ".repeat(17)} commit`,
			);
			// The memory of what came first has been used again by then.
			await database.query("insert into little values (7, 'seven')");
			await using stream = await logOf(source).open({
				reader: "big",
				from: begin,
				until: await logOf(source).end(),
				tables: [big, little],
				types: () => DEFAULT_TYPE_POLICY,
				before: "all",
				flush: { seconds: 3600, rows: 1000, bytes: 1e6 },
			});
			let rows = 0;
			let boundaries = 0;
			let batches = 0;
			let peak = 0;
			let last = 0;
			const seen: string[] = [];
			const base = heldBytes();
			for await (const event of stream) {
				if (event.kind === "rows" && event.table.name.name === "little") {
					seen.push(valueText(event.batch.columns[1]!, 0)!);
					event.batch.release();
				} else if (event.kind === "rows") {
					const [ids] = event.batch.columns;
					for (let row = 0; row < event.batch.rowCount; last = ids!.i32[row++]!)
						if (ids!.i32[row]! <= last) throw new Error(`id ${ids!.i32[row]} after ${last}`);
					rows += event.batch.rowCount;
					batches++;
					expect(boundaries).toBe(0);
					event.batch.release();
				} else if (event.kind === "boundary") boundaries++;
				if (batches % 10 === 1) peak = Math.max(peak, heldBytes() - base);
			}
			expect(rows).toBe(2 ** 17);
			expect(batches).toBeGreaterThan(60);
			expect(boundaries).toBe(2);
			expect(seen).toEqual(["seven"]);
			expect(peak).toBeLessThan(150 << 20);
		});

		test("law: the log, replayed, is the table", async () => {
			const id = fc.integer({ min: 1, max: 12 });
			const write = fc.oneof(
				fc
					.tuple(id, fc.string({ maxLength: 8 }))
					.map(([at, v]) => `replace into t values (${at}, x'${Buffer.from(v).toString("hex")}')`),
				fc.tuple(id, fc.nat(99)).map(([at, v]) => `update t set v = '${v}' where id >= ${at}`),
				fc.tuple(id, id).map(([a, b]) => `update ignore t set id = ${a} where id = ${b}`),
				fc
					.tuple(id, id)
					.map(
						([a, b]) =>
							`update t set id = 100 where id = ${a}; update ignore t set id = ${a} where id = ${b}; update ignore t set id = ${b} where id = 100`,
					),
				id.map((at) => `delete from t where id = ${at} or id = 100`),
				id.map((at) => `savepoint s; delete from t where id < ${at}; rollback to savepoint s`),
			);
			const work = fc.array(fc.tuple(fc.array(write, { minLength: 1, maxLength: 4 }), fc.boolean()), {
				minLength: 1,
				maxLength: 6,
			});
			await fc.assert(
				fc.asyncProperty(work, fc.constantFrom<BeforeImages>("all", "key-changes"), async (transactions, before) => {
					await database.query("delete from t");
					const begin = await logOf(source).end();
					for (const [statements, commits] of transactions)
						await database.query(`start transaction; ${statements.join("; ")}; ${commits ? "commit" : "rollback"}`);
					const replayed = new Map<string, string | null>();
					for (const { operation, values } of (await follow(source, [table], { from: begin, before })).rows) {
						if (operation === "before" || operation === "delete") replayed.delete(values["id"]!);
						else replayed.set(values["id"]!, values["v"]!);
					}
					const stored = await database.query("select id, v from t");
					const sorted = (rows: readonly (readonly [string, string | null])[]) =>
						rows.toSorted(([a], [b]) => Number(a) - Number(b));
					expect(sorted([...replayed])).toEqual(sorted(stored.map((row) => [row["id"]!, row["v"]!] as const)));
				}),
				{ numRuns: 25 },
			);
		}, 120_000);

		test("readers of one name, of two projects on one machine, do not end each other", async () => {
			const open = () =>
				logOf(source).open({
					...{ reader: "shop", from, tables: [table], types: () => DEFAULT_TYPE_POLICY, before: "all" as const },
					flush: { seconds: 3600, rows: 1, bytes: 1 },
				});
			const next = async (events: AsyncIterator<ChangeEvent>) => {
				const told: string[] = [];
				for (let event = await events.next(); ; event = await events.next()) {
					if (event.done === true) throw new Error(`the stream ended after ${told}`);
					told.push(event.value.kind);
					if (event.value.kind === "rows") event.value.batch.release();
					if (event.value.kind === "boundary" && event.value.transactions.length > 0) return told;
				}
			};
			await using first = await open();
			const events = first[Symbol.asyncIterator]();
			await database.query("insert into t values (1, 'a')");
			expect(await next(events)).toContain("rows");
			await using second = await open();
			expect(await next(second[Symbol.asyncIterator]())).toContain("rows");
			await database.query("insert into t values (2, 'b')");
			expect(await next(events)).toContain("rows");
		});

		test("an abort ends a stream that waits", async () => {
			const controller = new AbortController();
			const waiting = codeOf(changesOf({ until: "zzz.999999:4", signal: controller.signal }));
			setTimeout(() => controller.abort(), 100);
			expect((await waiting).code).toBe("E_STOPPED");
		});
	});
});

describe.skipIf(missing("mariadb"))("the change log of MariaDB alone", () => {
	let database: TestDatabase;
	let source: Source;
	beforeEach(async () => {
		const shared = await sharedServer("mariadb");
		database = await freshDatabase(shared);
		source = await openSource(shared, { database: database.name });
	});
	afterEach(async () => {
		await source?.[Symbol.asyncDispose]();
		await database?.drop();
	});

	test("columns that came, went and moved keep their names", async () => {
		await database.query("create table t (id int primary key, a int, b int); insert into t values (0,0,0)");
		const table = await describeOne(source, database.name, "t");
		const from = await logOf(source).end();
		await database.query(
			"insert into t values (1, 10, 20); alter table t add column z int first; insert into t values (5, 2, 11, 21)",
		);
		await database.query(
			"alter table t drop column a; insert into t values (6, 3, 22); alter table t rename column b to c; insert into t values (7, 4, 23)",
		);
		const { rows, events } = await follow(source, [table], { from });
		expect(rows.map(({ values }) => values)).toEqual([
			{ id: "1", a: "10", b: "20" },
			{ z: "5", id: "2", a: "11", b: "21" },
			{ z: "6", id: "3", b: "22" },
			{ z: "7", id: "4", c: "23" },
		]);
		const schemas = events.flatMap((event) =>
			event.kind === "schema" ? [event.after?.columns.map(({ name }) => name)] : [],
		);
		expect(schemas.at(-1)).toEqual(["z", "id", "c"]);
	});

	test("law: compressed events hold what others hold", async () => {
		await database.query("create table t (id int primary key, v text)");
		const table = await describeOne(source, database.name, "t");
		const from = await logOf(source).end();
		const admin = await openSourceAdmin();
		await admin("set global log_bin_compress = 1");
		try {
			await using client = await database.connect();
			await client.query("insert into t values (1, repeat('long text ', 500)), (2, 'x')");
			await client.query("update t set v = repeat('y', 3000) where id = 1; delete from t where id = 2");
			await client.query(`alter table t comment = '${"c".repeat(500)}'`);
		} finally {
			await admin("set global log_bin_compress = 0");
		}
		const { rows } = await follow(source, [table], { from });
		expect(brief(rows)).toEqual([
			`insert 1,${"long text ".repeat(500)}`,
			"insert 2,x",
			`before 1,${"long text ".repeat(500)}`,
			`update 1,${"y".repeat(3000)}`,
			"delete 2,x",
		]);
	});

	test("an XA transaction counts when it is committed, also when the stream is taken up in between", async () => {
		await database.query("create table t (id int primary key)");
		const table = await describeOne(source, database.name, "t");
		const from = await logOf(source).end();
		await using other = await database.connect();
		await other.query("xa start 'a'; insert into t values (1); xa end 'a'; xa prepare 'a'");
		const zeroth = await follow(source, [table], { from });
		expect(zeroth.rows).toEqual([]);
		await database.query("insert into t values (2)");
		const first = await follow(source, [table], { from });
		expect(brief(first.rows)).toEqual(["insert 2"]);
		// Taken up where it is to end.
		expect((await follow(source, [table], { from: first.position, until: first.position })).rows).toEqual([]);
		await database.query("insert into t values (3)");
		const second = await follow(source, [table], { from: first.position });
		expect(brief(second.rows)).toEqual(["insert 3"]);
		await other.query(
			"xa commit 'a'; xa start 'b'; insert into t values (4); xa end 'b'; xa prepare 'b'; xa rollback 'b'",
		);
		const third = await follow(source, [table], { from: second.position });
		expect(brief(third.rows)).toEqual(["insert 1"]);
		const whole = await follow(source, [table], { from: zeroth.position });
		expect(brief(whole.rows)).toEqual(["insert 2", "insert 3", "insert 1"]);
	});

	test("a large XA transaction waits on the disk until it is committed", async () => {
		const rows = 20_000;
		await database.query("create table big (id int primary key, v varchar(2000)); create table t (id int primary key)");
		const tables = [await describeOne(source, database.name, "big"), await describeOne(source, database.name, "t")];
		const from = await logOf(source).end();
		await using other = await database.connect();
		const inserts = Array.from({ length: 10 }, (_, index) => {
			const [first, end] = [(rows / 10) * index + 1, (rows / 10) * (index + 1)];
			return `insert into big select seq, repeat(char(65 + seq % 26), 2000) from seq_${first}_to_${end};`;
		});
		await other.query(`xa start 'a'; ${inserts.join(" ")} xa end 'a'; xa prepare 'a'`);
		await database.query("insert into t values (1)");
		await other.query("xa commit 'a'");
		await using stream = await logOf(source).open({
			reader: "xa",
			from,
			until: await logOf(source).end(),
			tables,
			types: () => DEFAULT_TYPE_POLICY,
			before: "all",
			flush: { seconds: 3600, rows: 1, bytes: 1e6 },
		});
		const base = await settledBytes();
		let held = 0;
		let last = 0;
		for await (const event of stream) {
			if (event.kind !== "rows") continue;
			const [ids, texts] = event.batch.columns;
			// The one that is prepared has been read by then.
			if (event.table.name.name === "t") held = (await settledBytes()) - base;
			else
				for (let row = 0; row < event.batch.rowCount; row++) {
					expect(ids!.i32[row]).toBe(++last);
					if (last % 1000 === 0)
						expect(valueText(texts!, row)).toBe(String.fromCharCode(65 + (last % 26)).repeat(2000));
				}
			event.batch.release();
		}
		expect(last).toBe(rows);
		expect(held).toBeGreaterThan(0);
		expect(held).toBeLessThan(rows * 2000 * 0.7);
	});

	async function openSourceAdmin() {
		const shared = await sharedServer("mariadb");
		return (sql: string) => shared.admin(sql);
	}
});
