import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { missing } from "../support/start.ts";
import { errorOf, Loads } from "./postgres-loads.ts";
import { SERVERS } from "./postgres-support.ts";

describe.each(SERVERS)("destination %s", (server) => {
	describe.skipIf(missing(server))("its own SQL", () => {
		let loads: Loads;
		beforeEach(async () => {
			loads = await Loads.open(server);
			await loads.load([
				["1", "a"],
				["2", "b"],
			]);
		});
		afterEach(() => loads[Symbol.asyncDispose]());

		test("query gives every value as text, and writes nothing", async () => {
			const { sql } = loads.destination;
			const table = sql!.relation({ schema: "raw", name: "t" });
			expect(
				await sql!.query(`select *, null as none, 1.50 as n, now() is null as b from ${table} order by id`),
			).toEqual([
				{ id: "1", name: "a", none: null, n: "1.50", b: "f" },
				{ id: "2", name: "b", none: null, n: "1.50", b: "f" },
			]);
			expect(await errorOf(sql!.query(`delete from ${table}`))).toBeInstanceOf(Error);
			expect(await errorOf(sql!.query("select * from no_such_table"))).toMatchObject({ code: "E_UNKNOWN_TABLE" });
			expect(await errorOf(sql!.query("selec 1"))).toMatchObject({ code: "E_INVALID_VALUE" });
			expect(await loads.lines("select count(*) from raw.t")).toEqual(["2"]);
			expect(sql!.quoteIdentifier('a"b')).toBe('"a""b"');
			expect(sql!.quoteLiteral("it's")).toBe("'it''s'");
			const stopped = AbortSignal.timeout(200);
			expect(await errorOf(sql!.query("select pg_sleep(20)", stopped))).toMatchObject({ code: "E_STOPPED" });
		});

		test("execute runs all statements or none, where the user's session would look for names", async () => {
			const { sql } = loads.destination;
			await sql!.execute([
				"create table in_public (i int)",
				"insert into in_public values (1); insert into in_public values (2)",
			]);
			expect(await loads.lines("select * from public.in_public")).toEqual(["1", "2"]);
			const failing = sql!.execute(["delete from in_public", "insert into in_public values ('SECRET')"]);
			const error = await errorOf(failing);
			expect(inspect(error, { depth: 10 })).not.toContain("SECRET");
			expect(await loads.lines("select count(*) from public.in_public")).toEqual(["2"]);
		});

		test("rebuild makes, replaces and verifies a table, and keeps what belongs to it", async () => {
			const { sql } = loads.destination;
			const table = { schema: "marts", name: "by_name" };
			const select = "select name, count(*) as n from raw.t group by name order by name -- all";
			expect(await sql!.rebuild({ table, select })).toEqual({ rows: 2 });
			await loads.client.query(`alter table marts.by_name add primary key (name), alter n set default 0;
				comment on table marts.by_name is 'ours'; grant select on marts.by_name to public`);
			await loads.load([["5", "e"]], { write: "merge" });
			expect(await sql!.rebuild({ table, select })).toEqual({ rows: 3 });
			const kept = `select obj_description('marts.by_name'::regclass), has_table_privilege('public', 'marts.by_name', 'select'),
				(select count(*) from pg_index where indrelid = 'marts.by_name'::regclass and indisprimary)`;
			expect(await loads.lines(kept)).toEqual(["ours|t|1"]);
			const refuse = sql!.rebuild({
				table,
				select: "select name, 7 as n from raw.t limit 1",
				verify: async ({ relation, query }) => {
					expect(await query(`select n from ${relation}`)).toEqual([{ n: "7" }]);
					throw new Error("no");
				},
			});
			expect((await errorOf(refuse)).message).toBe("no");
			expect(await loads.lines("select count(*) from marts.by_name")).toEqual(["3"]);
			await loads.client.query("create view marts.v as select * from marts.by_name");
			expect(
				await sql!.rebuild({ table, select: "select name, n + 1 as n from marts.by_name where name <> 'a'" }),
			).toEqual({
				rows: 2,
			});
			expect(await loads.lines("select * from marts.v order by 1")).toEqual(["b|2", "e|2"]);
			expect(await loads.lines("select count(*) from pg_class where relname ~ '^_headrace_'")).toEqual(["0"]);
		});
	});
});
