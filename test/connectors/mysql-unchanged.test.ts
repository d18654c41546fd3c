import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Source, SourceTable } from "../../src/core/index.ts";
import { openClient } from "../support/client.ts";
import { ownServers } from "../support/shared.ts";
import { missing, startServer } from "../support/start.ts";
import { describeOne, openSource } from "./mysql-support.ts";

// What is proved here depends on the open transactions of the whole server.
ownServers();

const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// A server of its own: what other tests commit would be seen.
describe.skipIf(missing("mariadb"))("tables of MariaDB that are proved unchanged", () => {
	let server: Awaited<ReturnType<typeof startServer>>;
	let source: Source;
	let plain: Source;
	const query = async (sql: string) => {
		await using client = await openClient(server);
		return await client.query(sql);
	};

	beforeAll(async () => {
		server = await startServer("mariadb");
		await query(`create database d; create user plain@'%' identified by 'plain'; grant select on d.* to plain@'%'`);
		source = await openSource(server, { database: "d" });
		plain = await openSource({ ...server, user: "plain", password: "plain" }, { database: "d" });
	});
	afterAll(async () => {
		await source?.[Symbol.asyncDispose]();
		await plain?.[Symbol.asyncDispose]();
		await server?.stop();
	});

	async function made(table: string, more = ""): Promise<SourceTable> {
		await query(
			`use d; create table d.${table} (id int primary key, v varchar(20)) engine=innodb ${more};
			insert into d.${table} select seq, 'row' from d_seq`.replace("from d_seq", "from seq_1_to_1000"),
		);
		// A stamp is of a whole second.
		await wait(1_100);
		return describeOne(source, "d", table);
	}

	async function staysAfter(table: SourceTable, change: () => Promise<unknown>, by = source): Promise<boolean> {
		await using first = await by.snapshot({ readers: 1 });
		const since = await first.tableState!(table);
		await change();
		if (since === null) return false;
		await using second = await by.snapshot({ readers: 1 });
		return await second.unchanged!({ table, chunk: { index: 0 }, since, rows: 1000 });
	}

	test("a server that stands still", async () => {
		const table = await made("still");
		expect(await staysAfter(table, async () => {})).toBe(true);
		// Without PROCESS the binlog and the table's stamp tell.
		expect(await staysAfter(table, async () => {}, plain)).toBe(true);
	});

	test("work in other tables: the table's own stamp tells, to those who may see transactions", async () => {
		const table = await made("standing");
		await query("create table d.busy (a int) engine=innodb");
		const work = () => query("insert into d.busy values (1)");
		expect(await staysAfter(table, work)).toBe(true);
		expect(await staysAfter(table, work, plain)).toBe(false);
	});

	test.each([
		"update d.t set v = 'x' where id = 7",
		"delete from d.t where id = 7",
		"insert into d.t values (-1, 'new')",
	])("%s", async (change) => {
		await query("drop table if exists d.t");
		const table = await made("t");
		expect(await staysAfter(table, () => query(change))).toBe(false);
		await wait(1_100);
		expect(await staysAfter(table, () => query(change.replaceAll("7", "8").replace("-1", "-2")), plain)).toBe(false);
	});

	test("a transaction that began long before the cut and commits after it, whose stamp is its begin", async () => {
		const table = await made("late");
		await using writer = await openClient(server);
		await writer.query("start transaction");
		await writer.query("select * from d.late where id = 1");
		await wait(1_500);
		const commit = async () => {
			await writer.query("update d.late set v = 'late' where id = 7");
			await writer.query("commit");
		};
		expect(await staysAfter(table, commit)).toBe(false);
	});

	test("a change that a session keeps out of the binlog", async () => {
		const table = await made("unlogged");
		const change = () => query("set sql_log_bin = 0; update d.unlogged set v = 'x' where id = 7");
		expect(await staysAfter(table, change, plain)).toBe(false);
		expect(
			await staysAfter(table, () => query("set sql_log_bin = 0; update d.unlogged set v = 'y' where id = 8")),
		).toBe(false);
	});

	test("a change by a foreign key's cascade", async () => {
		await query("create table d.parent (id int primary key) engine=innodb; insert into d.parent values (1), (2)");
		await query(
			`create table d.child (id int primary key, p int, foreign key (p) references d.parent(id) on delete cascade) engine=innodb;
			insert into d.child values (1, 1), (2, 2)`,
		);
		await wait(1_100);
		const table = await describeOne(source, "d", "child");
		expect(await staysAfter(table, () => query("delete from d.parent where id = 1"))).toBe(false);
	});

	test.each(["truncate table d.t", "alter table d.t engine=innodb", "alter table d.t modify v varchar(30)"])(
		"%s",
		async (change) => {
			await query("drop table if exists d.t");
			const table = await made("t");
			expect(await staysAfter(table, () => query(change))).toBe(false);
		},
	);

	test("nothing is proved of a table that no snapshot holds, or of partitions", async () => {
		await query("create table d.aria (id int primary key) engine=aria");
		await using snapshot = await source.snapshot({ readers: 1 });
		expect(await snapshot.tableState!(await describeOne(source, "d", "aria"))).toBeNull();
		const parted = await made("parted", "partition by hash (id) partitions 4");
		await using other = await source.snapshot({ readers: 1 });
		expect(await other.tableState!(parted)).toBeNull();
	});
});
