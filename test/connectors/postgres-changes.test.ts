import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TextRow } from "../../src/conformance/index.ts";
import { missing } from "../support/start.ts";
import { Changes, HISTORY, type Part } from "./postgres-changes-support.ts";
import { errorOf, Loads } from "./postgres-loads.ts";
import { SERVERS } from "./postgres-support.ts";

describe.each(SERVERS)("changes into %s", (server) => {
	describe.skipIf(missing(server))("tables of a database", () => {
		let loads: Loads;
		let changes: Changes;
		beforeEach(async () => {
			loads = await Loads.open(server);
			changes = new Changes(loads);
		});
		afterEach(() => loads[Symbol.asyncDispose]());

		test("partial rows change keys in a circle, by keys and values of PostgreSQL's own types", async () => {
			await loads.client.query(`create schema raw; create table raw.t (a uuid, b varchar(5), n numeric unique, j jsonb,
				primary key (a, b))`);
			const [one, two] = ["00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-000000000002"];
			const shape = { columns: "a uuid, b text, n decimal(9,2), j json", key: ["a", "b"] } as const;
			await changes.apply({
				...shape,
				rows: [
					[one, "x", "1.50", '{"k": 1}', "false"],
					[two, "x", "2.50", '{"k": 2}', "false"],
					[two, "y", "3.50", null, "false"],
				],
			});
			const { parts } = await changes.apply({
				...shape,
				partial: true,
				rows: [
					[one, "x", null, null, "true", "0011", one, "x"],
					[two, "x", null, null, "false", "0011", one, "x"],
					[one, "x", null, "[]", "false", "0010", two, "x"],
					[two, "y", "4.50", null, "false", "0001", two, "y"],
				],
			});
			expect(parts).toEqual([{ rowsReceived: 4, rowsInserted: 0, rowsUpdated: 3, rowsDeleted: 0, rowsSuperseded: 1 }]);
			expect(await loads.lines()).toEqual([`${one}|x|2.50|[]`, `${two}|x|1.50|{"k": 1}`, `${two}|y|4.50|∅`]);
		});

		test("a column that is renamed, widened and joined by another in the middle of a request", async () => {
			await changes.apply({ columns: "id int64, a int32", rows: [["1", "10", "false"]] });
			const renamed = { b: { renamedFrom: "a" }, c: { defaultSql: "5", fill: true } } as const;
			const parts: Part[] = [
				{ columns: "id int64, a int32", rows: [["2", "20", "false"]] },
				{ table: "other", rows: [["1", "x", "false"]] },
				{
					columns: "id int64, b int64, c int32",
					column: renamed,
					partial: true,
					rows: [
						["1", null, "6", "false", "010", "1"],
						["2", "5000000000", null, "false", "001", "2"],
						["3", "30", "7", "false", null, null],
					],
				},
				{ table: "other", truncatedAt: "2024-01-01 00:00:00+00", rows: [] },
			];
			// Nothing of it stays when the last part fails: the old name neither.
			const broken = { table: "third", rows: [["1", "x\0", "false"]] };
			expect(await errorOf(changes.apply(...parts, broken))).toMatchObject({
				code: "E_VALUE",
				place: { table: "raw.third" },
			});
			expect(await loads.lines("select id, a from raw.t")).toEqual(["1|10"]);
			expect(await loads.lines("select to_regclass('raw.other'), to_regclass('raw.third')")).toEqual(["∅|∅"]);
			const result = await changes.apply(...parts);
			expect(result.parts.map(({ rowsInserted, rowsUpdated }) => [rowsInserted, rowsUpdated])).toEqual([
				[1, 0],
				[1, 0],
				[1, 2],
				[0, 0],
			]);
			expect(result.parts[3]).toMatchObject({ rowsDeleted: 1 });
			expect(await loads.lines()).toEqual(["1|10|6", "2|5000000000|5", "3|30|7"]);
			expect(await loads.lines("select count(*) from raw.other")).toEqual(["0"]);
			expect(
				await loads.lines("select table_name, rows_inserted, rows_updated from _headrace.loads order by load_id"),
			).toEqual([
				"changes|0|0",
				"raw.t|1|0",
				"changes|0|0",
				"raw.t|1|0",
				"raw.other|1|0",
				"raw.t|1|2",
				"raw.other|0|0",
			]);
		});

		test("a table of its owner's without a unique index, and one with partitions", async () => {
			await loads.client.query(`create schema raw; create table raw.t (id bigint, name text);
				insert into raw.t values (1, 'a'), (1, 'b'), (2, 'c');
				create table raw.p (id bigint primary key, name text) partition by range (id);
				create table raw.p1 partition of raw.p for values from (0) to (10); create table raw.p2 partition of raw.p default`);
			const rows: TextRow[] = [
				["1", "A", "false"],
				["2", "c", "false"],
				["20", "x", "false"],
				["2", null, "true"],
				["9", null, "true"],
			];
			const first = await changes.apply({ rows }, { table: "p", rows });
			expect(first.parts).toMatchObject([
				{ rowsInserted: 1, rowsUpdated: 1, rowsDeleted: 2, rowsSuperseded: 1 },
				{ rowsInserted: 2, rowsUpdated: 0, rowsDeleted: 0, rowsSuperseded: 1 },
			]);
			for (const table of ["t", "p"])
				expect(await loads.lines(`select * from raw.${table} order by 1`)).toEqual(["1|A", "20|x"]);
		});

		test("constraints of the owner's that can be deferred are checked at the end", async () => {
			await loads.client.query(`create schema raw; create table raw.p (id bigint primary key, name text);
				create table raw.t (id bigint primary key references raw.p deferrable, name text unique deferrable, kept int default 7)`);
			const child = (id: string, name: string, deleted = "false"): TextRow => [id, name, deleted];
			await changes.apply(
				{ rows: [child("1", "a"), child("2", "b")] },
				{ table: "p", rows: [child("1", "x"), child("2", "y")] },
			);
			await changes.apply({ rows: [child("1", "b"), child("2", "a")] });
			expect(await loads.lines()).toEqual(["1|b|7", "2|a|7"]);
			await changes.apply({ table: "p", rows: [child("1", "x", "true")] }, { rows: [child("1", "b", "true")] });
			const error = await errorOf(changes.apply({ rows: [child("9", "z")] }));
			expect(error).toMatchObject({ code: "E_VALUE", message: expect.stringContaining("t_id_fkey") });
			expect(await loads.lines()).toEqual(["2|a|7"]);
		});

		test("versions are found by an index, which a history gets when it has none", async () => {
			const version = (id: string, name: string | null, second: number, operation: string): TextRow => [
				id,
				name,
				`2024-01-01 00:00:0${second}+00`,
				operation,
				String(second),
			];
			const shape = { write: "history" } as const;
			await changes.apply({ ...shape, rows: [version("1", "a", 1, "insert"), version("2", "b", 1, "insert")] });
			const definition = "CREATE UNIQUE INDEX t_id_idx ON raw.t USING btree (id) WHERE (_headrace_valid_to IS NULL)";
			const indexes = () => loads.lines("select indexdef from pg_indexes where schemaname = 'raw'");
			expect(await indexes()).toEqual([definition]);
			expect(
				await loads.destination.planDdl(loads.target({ columns: `id int64, name text${HISTORY}` }), "history"),
			).toEqual([]);
			await loads.client.query("drop index raw.t_id_idx");
			expect(
				await loads.destination.planDdl(loads.target({ columns: `id int64, name text${HISTORY}` }), "history"),
			).toEqual([`CREATE UNIQUE INDEX ON "raw"."t" ("id") WHERE "_headrace_valid_to" IS NULL`]);
			const { parts } = await changes.apply({
				...shape,
				rows: [version("1", "A", 2, "update"), version("1", null, 3, "delete"), version("2", "B", 3, "update")],
			});
			expect(parts).toMatchObject([{ rowsReceived: 3, rowsInserted: 2, rowsUpdated: 2, rowsDeleted: 0 }]);
			expect(await indexes()).toEqual([definition]);
			await changes.apply({ ...shape, rows: [] });
			expect(await indexes()).toHaveLength(1);
			const second = (column: string) => `to_char(${column} at time zone 'UTC', 'SS')`;
			expect(
				await loads.lines(
					`select id, name, ${second("_headrace_valid_from")}, ${second("_headrace_valid_to")}, _headrace_operation
					 from raw.t order by 1, 3`,
				),
			).toEqual(["1|a|01|02|insert", "1|A|02|03|update", "2|b|01|03|insert", "2|B|03|∅|update"]);
		});

		test("a reader that holds a table is not in the way of its rows, and of its columns for a while only", async () => {
			await changes.apply({ rows: [["1", "a", "false"]] });
			await using reader = await loads.database.connect();
			await reader.query("begin isolation level repeatable read; select count(*) from raw.t");
			await changes.apply(
				{
					rows: [
						["1", "b", "false"],
						["2", "b", "false"],
					],
				},
				{ truncatedAt: "2024-01-01 00:00:00+00", rows: [["3", "c", "false"]] },
			);
			expect(await reader.arrays("select id, name from raw.t")).toEqual([["1", "a"]]);
			const waiting = changes.apply({ columns: "id int64, name text, more int32", rows: [["3", "c", "1", "false"]] });
			await reader.query("commit");
			await waiting;
			expect(await loads.lines()).toEqual(["3|c|1"]);
		});
	});
});
