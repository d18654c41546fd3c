/** The stand-in itself: what Redshift refuses, it refuses. By a plain client of the protocol. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BACKEND, BUCKET, openWarehouse, type Warehouse } from "../../connectors/redshift-support.ts";
import { missing } from "../../support/start.ts";
import { ROLE } from "./index.ts";

describe.skipIf(missing(BACKEND))("stand-in of Redshift", () => {
	let warehouse: Warehouse;
	let client: pg.Client;
	const connect = async () => {
		const { host, port, user, password, database } = warehouse.redshift;
		const made = new pg.Client({ host, port, user, password, database });
		await made.connect();
		return made;
	};
	const rows = async (sql: string) => (await client.query({ text: sql, rowMode: "array" })).rows as unknown[][];
	beforeAll(async () => {
		warehouse = await openWarehouse();
		client = await connect();
		await client.query(
			"create table public.t (id bigint not null encode az64 distkey, name varchar(8), primary key (id)) diststyle key compound sortkey (id, name)",
		);
	});
	afterAll(async () => {
		await client?.end();
		await warehouse?.[Symbol.asyncDispose]();
	});

	test("says it is Redshift over PostgreSQL 8.0.2", async () => {
		expect((await rows("select version()"))[0]![0]).toMatch(/^PostgreSQL 8\.0\.2.*Redshift 1\.0/);
	});

	test.each([
		["insert into public.t values (1, 'a') on conflict do nothing", /near "conflict"/],
		["insert into public.t values (1, 'a') returning id", /near "returning"/],
		["delete from public.t as x where x.id = 1", /syntax error/],
		["select count(*) filter (where id = 1) from public.t", /near "filter"/],
		["select 1 where 1 is distinct from 2", /near "distinct"/],
		["select array[1]", /array/],
		["select row_number() over (order by id nulls last) from public.t", /NULLS/],
		["select id from public.t except all select id from public.t", /EXCEPT ALL/],
		["select string_agg(name, ',') from public.t", /string_agg/],
		["select ctid from public.t", /ctid/],
		["create index on public.t (id)", /CREATE INDEX is not supported/],
		["create table public.bad (id uuid)", /type "uuid" does not exist/],
		["create table public.bad (d jsonb)", /type "jsonb" does not exist/],
		["create table public.bad (a integer[])", /arrays are not supported/],
		["create table public.bad (t timestamp(3))", /syntax error/],
		["create table public.bad (n numeric(39, 0))", /precision/],
		["create table public.bad (n numeric(38, 38))", /scale/],
		["create table public.bad (v varchar(65536))", /65535/],
		["create table public.bad (v varbyte(16777217))", /16777216/],
		["create table public.bad (d super) sortkey (d)", /super/],
		["create table public.bad (a int) distkey (b)", /"b" named in key/],
		["create table public.bad (a int encode fast)", /invalid encoding/],
		["create table public.bad (a int check (a > 0))", /near "check"/],
		["alter table public.t add column a int, add column b int", /one action/],
		["alter table public.t add column a int not null", /NOT NULL/],
		["alter table public.t alter column id type int", /VARCHAR/],
		["alter table public.t alter column name type varchar(4)", /shorter/],
		["alter table public.t alter column name set not null", /syntax error/],
		['create table public."per%cent" (a int)', /percent/],
		[`create table public."${"x".repeat(128)}" (a int)`, /127 bytes/],
		["savepoint a", /SAVEPOINT/],
	])("refuses %s", async (sql, message) => {
		await expect(client.query(sql)).rejects.toThrow(message);
	});

	test("keys are taken and not enforced; names are folded in quotes, too", async () => {
		await client.query(`insert into public."T" values (1, 'a'), (1, 'a')`);
		expect(await rows("select count(*) from public.t")).toEqual([["2"]]);
		await client.query("delete from public.t");
	});

	test("a VARCHAR has bytes, not characters", async () => {
		await client.query("insert into public.t values (1, 'ééé')");
		await expect(client.query("insert into public.t values (1, 'ééééé')")).rejects.toThrow(/too long/);
		await client.query("delete from public.t");
	});

	test("a backslash escapes in a literal", async () => {
		expect(await rows(String.raw`select 'a\'b', 'a' || chr(92) || 'b'`)).toEqual([["a'b", String.raw`a\b`]]);
	});

	test("TRUNCATE commits the transaction; ALTER TABLE APPEND, VACUUM and a longer VARCHAR are in none", async () => {
		await client.query("insert into public.t values (1, 'a')");
		await client.query("begin");
		await client.query("truncate public.t");
		await client.query("rollback");
		expect(await rows("select count(*) from public.t")).toEqual([["0"]]);
		for (const sql of [
			"alter table public.t append from public.t",
			"vacuum public.t",
			"alter table public.t alter column name type varchar(9)",
		]) {
			await client.query("begin");
			await expect(client.query(sql)).rejects.toThrow(/transaction block/);
			await client.query("rollback");
		}
	});

	test("two transactions that change one row: the second is error 1023", async () => {
		await client.query("insert into public.t values (7, 'a')");
		const other = await connect();
		try {
			for (const one of [client, other]) {
				await one.query("begin");
				await one.query("select count(*) from public.t");
			}
			await client.query("update public.t set name = 'b' where id = 7");
			const waiting = other.query("update public.t set name = 'c' where id = 7");
			const refused = expect(waiting).rejects.toMatchObject({
				message: "1023",
				detail: expect.stringContaining("Serializable isolation violation"),
			});
			await client.query("commit");
			await refused;
			await other.query("rollback");
		} finally {
			await other.end();
		}
		await client.query("delete from public.t");
	});

	test.each([
		["without a role", "copy public.t from 's3://lake/in' csv", /CREDENTIALS/],
		[
			"by a role that is not attached",
			"copy public.t from 's3://lake/in' iam_role 'arn:aws:iam::000000000000:role/other' csv",
			/not authorized to assume/,
		],
		[
			"of Parquet with COMPUPDATE",
			`copy public.t from 's3://lake/in' iam_role '${ROLE}' format as parquet compupdate off`,
			/COMPUPDATE argument is not supported for PARQUET/,
		],
		[
			"of Parquet with REGION",
			`copy public.t from 's3://lake/in' iam_role '${ROLE}' format parquet region 'us-east-1'`,
			/REGION argument/,
		],
		["of a prefix without files", `copy public.t from 's3://lake/nothing' iam_role '${ROLE}' csv`, /does not exist/],
		["of a manifest that is none", `copy public.t from 's3://lake/in.csv' iam_role '${ROLE}' csv manifest`, /manifest/],
		[
			"of a manifest whose mandatory file is missing",
			`copy public.t from 's3://lake/mandatory' iam_role '${ROLE}' csv manifest`,
			/Status 404/,
		],
		[
			"with an option that there is not",
			`copy public.t from 's3://lake/in.csv' iam_role '${ROLE}' csv quickly`,
			/syntax error/,
		],
	])("COPY %s is refused", async (_what, sql, message) => {
		const entries = [{ url: "s3://lake/absent.csv", mandatory: true }];
		await warehouse.s3.put(BUCKET, "mandatory", JSON.stringify({ entries }));
		await warehouse.s3.put(BUCKET, "in.csv", "1,a\n");
		await expect(client.query(sql)).rejects.toThrow(message);
	});

	test("COPY of a manifest takes what it names, skips what is missing and not mandatory, and counts", async () => {
		const entries = [
			{ url: "s3://lake/absent.csv", mandatory: false },
			{ url: "s3://lake/in.csv", mandatory: true },
		];
		await warehouse.s3.put(BUCKET, "in.csv", '1,a\n2,NIL\n3,""\n');
		await warehouse.s3.put(BUCKET, "manifest", JSON.stringify({ entries }));
		await client.query(`copy public.t from 's3://lake/manifest' iam_role '${ROLE}' csv null as 'NIL' manifest`);
		expect(await rows("select id, name from public.t order by id")).toEqual([
			["1", "a"],
			["2", null],
			["3", ""],
		]);
		expect(await rows("select pg_last_copy_count()")).toEqual([["3"]]);
		await client.query(`copy public.t from 's3://lake/in.csv' iam_role '${ROLE}' csv noload`);
		expect(await rows("select count(*) from public.t")).toEqual([["3"]]);
		await client.query(
			`unload ('select id, name from public.t order by id') to 's3://lake/out/' iam_role '${ROLE}' csv`,
		);
		expect(String(await warehouse.s3.get(BUCKET, "out/0000_part_00"))).toBe("1,a\n2,\n3,\n");
	});

	test("a bad row is told by STL_LOAD_ERRORS and SYS_LOAD_ERROR_DETAIL, and nothing of the file stays", async () => {
		await client.query("delete from public.t");
		await warehouse.s3.put(BUCKET, "bad.csv", "1,a\nx,b\n");
		await expect(client.query(`copy public.t from 's3://lake/bad.csv' iam_role '${ROLE}' csv`)).rejects.toThrow(
			/stl_load_errors/,
		);
		expect(
			await rows("select line_number, trim(colname), err_code from stl_load_errors where session = pg_backend_pid()"),
		).toEqual([["2", "id", 1207]]);
		expect(
			await rows("select line_number, column_name from sys_load_error_detail where session_id = pg_backend_pid()"),
		).toEqual([["2", "id"]]);
		expect(await rows("select count(*) from public.t")).toEqual([["0"]]);
	});

	test("SVV_TABLE_INFO tells how a table lies", async () => {
		expect(await rows(`select diststyle, sortkey1 from svv_table_info where "table" = 't'`)).toEqual([
			["KEY(id)", "id"],
		]);
	});
});
