import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Loader } from "../../src/conformance/destination-fixture.ts";
import { missing } from "../support/start.ts";
import { errorOf, Loads } from "./postgres-loads.ts";
import { SERVERS } from "./postgres-support.ts";

describe.each(SERVERS)("merge and append into %s", (server) => {
	describe.skipIf(missing(server))("rows", () => {
		let loads: Loads;
		beforeEach(async () => {
			loads = await Loads.open(server);
		});
		afterEach(() => loads[Symbol.asyncDispose]());

		test("that are equal already are not written, however often they come; those that only SQL calls equal are", async () => {
			const columns = "id int64, f float64, r float32, i interval, l int32[], j json, t text, n decimal(10,2)";
			const rows = [
				["1", "-0", "-0", "P1M", '["1"]', '{"a": 1}', "a", "1.50"],
				["2", "NaN", "NaN", "P30D", "[]", "null", null, null],
			];
			await loads.load(rows, { columns, write: "merge" });
			const versions = () => loads.lines("select ctid, xmin, id from raw.t order by id");
			const before = await versions();
			const again = await loads.load(rows, { columns, write: "merge" });
			expect(again).toMatchObject({ rowsReceived: 2, rowsInserted: 0, rowsUpdated: 0, rowsDeleted: 0 });
			expect(await versions()).toEqual(before);
			for (const [at, value] of [
				[1, "0"],
				[2, "0"],
				[3, "P30D"],
				[5, '{"a":1}'],
			] as const) {
				const changed = rows[0]!.with(at, value);
				expect(await loads.load([changed], { columns, write: "merge" })).toMatchObject({ rowsUpdated: 1 });
				expect(await loads.load([changed], { columns, write: "merge" })).toMatchObject({ rowsUpdated: 0 });
				await loads.load([rows[0]!], { columns, write: "merge" });
			}
		});

		test("counts are exact when rows come, change, go and stay", async () => {
			const columns = "id int64, name text, gone boolean, at int64";
			const options = { columns, write: "merge", orderColumn: "at", deletedColumn: "gone" } as const;
			await loads.load(
				Array.from({ length: 100 }, (_, i) => [String(i), "old", "false", "1"]),
				options,
			);
			const result = await loads.load(
				[
					...Array.from({ length: 50 }, (_, i) => [String(i), i < 20 ? "old" : "new", "false", "1"]),
					...Array.from({ length: 10 }, (_, i) => [String(200 + i), "new", "false", "2"]),
					...Array.from({ length: 10 }, (_, i) => [String(200 + i), "older", "false", "1"]),
					["90", "x", "true", "2"],
					["91", "x", "true", "2"],
					["999", "x", "true", "2"],
				],
				options,
			);
			expect(result).toEqual({
				rowsReceived: 73,
				rowsInserted: 10,
				rowsUpdated: 30,
				rowsDeleted: 2,
				rowsSuperseded: 10,
			});
		});

		test("into a table of its owner's with a unique column: names that change places, and one that is taken", async () => {
			await loads.client.query(`create schema raw; create table raw.t (id bigint primary key, name text unique, kept int default 7);
				insert into raw.t values (1, 'a', 1), (2, 'b', 2), (3, 'c', 3); alter table raw.t drop column kept`);
			const result = await loads.load(
				[
					["1", "b"],
					["2", "a"],
					["4", "d"],
				],
				{ write: "merge" },
			);
			expect(result).toMatchObject({ rowsInserted: 1, rowsUpdated: 2 });
			expect(await loads.lines()).toEqual(["1|b", "2|a", "3|c", "4|d"]);
			const error = await errorOf(loads.load([["9", "c"]], { write: "merge" }));
			expect(error).toMatchObject({ code: "E_DUPLICATE_KEY", message: expect.stringContaining("t_name_key") });
			expect(JSON.stringify([error.message, error.hint])).not.toContain("(c)");
			expect(await loads.lines()).toEqual(["1|b", "2|a", "3|c", "4|d"]);
		});

		test("columns that the rows do not have keep their values; generated and identity columns do not hinder", async () => {
			await loads.client.query(`create schema raw; create table raw.t (id bigint generated always as identity primary key, name text,
				kept int not null default 7, doubled bigint generated always as (id * 2) stored); insert into raw.t (name, kept) values ('a', 1)`);
			for (const write of ["merge", "replace", "append"] as const)
				await loads.load(
					[
						[write === "append" ? "3" : "1", "A"],
						[write === "append" ? "4" : "2", "B"],
					],
					{ write },
				);
			expect(await loads.lines("select id, name, kept, doubled from raw.t order by 1")).toEqual([
				"1|A|7|2",
				"2|B|7|4",
				"3|A|7|6",
				"4|B|7|8",
			]);
			await loads.client.query("update raw.t set kept = 9");
			await loads.load([["1", "merged"]], { write: "merge" });
			expect(await loads.lines("select name, kept from raw.t where id = 1")).toEqual(["merged|9"]);
			const computed = loads.load([["1", "5"]], { write: "merge", columns: "id int64, doubled int64" });
			expect(await errorOf(computed)).toMatchObject({ code: "E_SCHEMA", message: expect.stringContaining("doubled") });
		});

		test("into a table without a unique index: one is made; rows that share a key stay so, until it is merged", async () => {
			await loads.load([["1", "a"]], { write: "append", key: [] });
			expect(await loads.destination.planDdl(loads.target(), "merge")).toEqual([
				'CREATE UNIQUE INDEX ON "raw"."t" ("id")',
			]);
			await loads.load([["1", "b"]], { write: "merge" });
			expect(await loads.destination.planDdl(loads.target(), "merge")).toEqual([]);
			const twice = { table: "twice", write: "append", key: [] } as const;
			await loads.load(
				[
					["1", "a"],
					["1", "a"],
					["2", "b"],
					["3", "c"],
					["3", "d"],
				],
				twice,
			);
			const result = await loads.load(
				[
					["1", "a"],
					["2", "B"],
					["4", "d"],
				],
				{ table: "twice", write: "merge" },
			);
			expect(result).toMatchObject({ rowsInserted: 1, rowsUpdated: 1, rowsDeleted: 1 });
			expect(await loads.lines("select * from raw.twice order by 1, 2")).toEqual(["1|a", "2|B", "3|c", "3|d", "4|d"]);
		});

		test("by a key of a text whose collation calls different texts equal", async () => {
			await loads.client.query(`create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
				create schema raw; create table raw.t (id bigint primary key, name text collate loose); insert into raw.t values (1, 'a')`);
			await loads.load([["1", "A"]], { write: "merge" });
			expect(await loads.lines()).toEqual(["1|A"]);
			await loads.load([["2", "a"]], { write: "append", key: [], overlap: { column: "id", from: "1" } });
			expect(await loads.lines("select count(*) from raw.t")).toEqual(["2"]);
		});

		test("a partitioned table takes every write", async () => {
			await loads.client.query(`create schema raw; create table raw.t (id bigint primary key, name text) partition by range (id);
				create table raw.t1 partition of raw.t for values from (0) to (10); create table raw.t2 partition of raw.t default`);
			await loads.load(
				[
					["1", "a"],
					["20", "b"],
				],
				{ write: "merge" },
			);
			const merged = await loads.load(
				[
					["1", "A"],
					["20", "b"],
					["21", "c"],
				],
				{ write: "merge" },
			);
			expect(merged).toMatchObject({ rowsInserted: 1, rowsUpdated: 1 });
			await loads.load([["2", "d"]], { write: "append", key: [] });
			expect(await loads.destination.planDdl(loads.target(), "replace")).toEqual([
				expect.stringContaining("it is partitioned"),
			]);
			await loads.load([
				["1", "A"],
				["30", "e"],
			]);
			expect(await loads.lines()).toEqual(["1|A", "30|e"]);
		});

		test("two first loads of intervals of one table at once", async () => {
			const second = { table: "t", key: [], write: "append" } as const;
			const day = (n: number) => ({ start: `2024-01-0${n} 00:00:00`, end: `2024-01-0${n + 1} 00:00:00` });
			await Promise.all(
				[1, 2, 3].map(async (n) => {
					const target = loads.target(second);
					const stream = `t@${n}`;
					const row = (await loads.destination.takeOver("days", [stream])).get(stream)!;
					const loader = await Loader.takeOver(loads.destination, { ...target, name: { schema: "raw", name: stream } });
					const request = loader.request([[String(n), "x"]], { target, write: "append", interval: day(n) });
					await loads.destination.load({ ...request, pipeline: "days", stream, epoch: row.epoch, seq: 0 });
				}),
			);
			expect(await loads.lines("select id, _headrace_interval from raw.t order by 1")).toEqual(
				[1, 2, 3].map((n) => `${n}|${day(n).start}/${day(n).end}`),
			);
		});
	});
});

describe.each(SERVERS)("columns of a table in %s that differ", (server) => {
	const cases: readonly (readonly [string, string, string | null])[] = [
		["int32", "int64", "bigint"],
		["int64", "int32", "bigint"],
		["uint32", "int64", "bigint"],
		["int64", "uint64", "numeric(20,0)"],
		["decimal(5,2)", "decimal(10,2)", "numeric(10,2)"],
		["int32", "decimal(12,2)", "numeric(12,2)"],
		["date", "timestamp", "timestamp"],
		["timestamp", "date", "timestamp"],
		["float32", "float64", "double precision"],
		["json", "text", "text"],
		["int64", "text", null],
		["decimal(12,4)", "decimal(10,2)", "numeric(12,4)"],
		["decimal(10,4)", "decimal(10,2)", null],
		["uint64", "int64", "numeric(20,0)"],
		["timestamp", "timestamptz", null],
		["text", "int64", null],
	];
	test.skipIf(missing(server)).each(cases)("%s, then %s", async (before, after, type) => {
		await using loads = await Loads.open(server);
		const value = (kind: string) => {
			if (kind === "date") return "2024-02-29";
			if (kind.startsWith("timestamp")) return "2024-02-29 12:00:00";
			return kind.startsWith("decimal") ? `1.${"0".repeat(Number(/,(\d)/.exec(kind)![1]))}` : "1";
		};
		await loads.load([["1", value(before)]], { write: "merge", columns: `id int64, v ${before}` });
		const change = { write: "merge", columns: `id int64, v ${after}` } as const;
		const planned = loads.destination.planDdl(loads.target(change), "merge");
		const loading = loads.load([["2", value(after)]], change);
		if (type === null) {
			for (const failing of [planned, loading]) expect(await errorOf(failing)).toMatchObject({ code: "E_SCHEMA" });
			expect(await loads.lines("select count(*) from raw.t")).toEqual(["1"]);
			return;
		}
		await Promise.all([planned, loading]);
		const described = await loads.destination.describe({ schema: "raw", name: "t" });
		expect(described?.columns[1]?.destinationType).toBe(type);
		expect(await loads.lines("select count(*) from raw.t")).toEqual(["2"]);
	});
});
