/** What may happen to a change log and to the way to it: each ends in the error that names it, never in a gap. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Dump } from "../../src/connectors/mysql/binlog/dump.ts";
import { MysqlConnection } from "../../src/connectors/mysql/connection.ts";
import { DEFAULT_TYPE_POLICY, Secret, type Source, type SourceTable } from "../../src/core/index.ts";
import { brief, follow, logOf } from "../connectors/log-support.ts";
import { codeOf, describeOne, openSource } from "../connectors/mysql-support.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningServer } from "../support/server.ts";
import { missing, startServer } from "../support/start.ts";

describe.skipIf(missing("mariadb"))("faults of a change log", () => {
	let server: RunningServer;
	let source: Source;
	let table: SourceTable;
	let serial = 0;

	beforeAll(async () => {
		server = await startServer("mariadb");
		await server.createDatabase("shop");
		await server.query("shop", "create table t (id int primary key, v varchar(500))");
		source = await openSource(server);
		table = await describeOne(source, "shop", "t");
	}, 180_000);
	afterAll(async () => {
		await source?.[Symbol.asyncDispose]();
		await server?.stop();
	});

	const insert = async (count = 1): Promise<string[]> => {
		const ids = Array.from({ length: count }, () => ++serial);
		await server.query("shop", `insert into t values ${ids.map((id) => `(${id}, repeat('x', 400))`).join(",")}`);
		return ids.map(String);
	};
	const here = () => logOf(source).end();

	test("files that were purged past the position", async () => {
		const from = await here();
		await insert();
		await server.admin("flush binary logs");
		await insert();
		const end = (await here()).split(":")[0]!;
		// A file that InnoDB may still need after a crash stays for a moment.
		await expect
			.poll(async () => {
				await server.admin(`purge binary logs to '${end}'`);
				return (await server.admin("show binary logs"))[0]?.["Log_name"];
			})
			.toBe(end);
		expect(await codeOf(follow(source, [table], { from }))).toMatchObject({ code: "E_HISTORY_GONE" });
		const beginning = await logOf(source).beginning();
		expect(brief((await follow(source, [table], { from: beginning })).rows)).toHaveLength(1);
	});

	test("RESET MASTER, and then the same file name with the same size", async () => {
		await server.admin("reset master");
		const from = await here();
		await insert();
		const { position } = await follow(source, [table], { from });
		await server.admin("reset master");
		await insert();
		expect(await codeOf(follow(source, [table], { from: position }))).toMatchObject({ code: "E_HISTORY_MISMATCH" });
		await insert();
		expect(await codeOf(follow(source, [table], { from: position }))).toMatchObject({ code: "E_HISTORY_MISMATCH" });
	});

	test("another server: by GTIDs when it has them, else by name", async () => {
		await insert();
		const { position } = await follow(source, [table], { from: await here() });
		const elsewhere = position.replace(/server=\S+/, "server=77");
		const ids = await insert();
		expect((await follow(source, [table], { from: elsewhere })).rows.map(({ values }) => values["id"])).toEqual(ids);
		const ahead = elsewhere.replace(/gtid=(\d+-\d+)-\d+/, "gtid=$1-999999");
		expect(await codeOf(follow(source, [table], { from: ahead }))).toMatchObject({ code: "E_ERRANT" });
		const unknown = elsewhere.replace(/ gtid=\S+/, "");
		expect(await codeOf(follow(source, [table], { from: unknown }))).toMatchObject({ code: "E_HISTORY_MISMATCH" });
	});

	test("one flipped byte on the way", async () => {
		const from = await here();
		await insert(4000);
		await using proxy = await startProxy(server);
		await using through = await openSource({ ...server, port: proxy.port });
		await through.describe([]);
		proxy.set({ corruptByteAt: 900_000 });
		expect(await codeOf(follow(through, [table], { from }))).toMatchObject({ code: "E_CORRUPT_EVENT" });
		proxy.set({});
		const { rows } = await follow(through, [table], { from });
		expect(rows).toHaveLength(4000);
	});

	test("pieces of one byte, and a cut in the middle", async () => {
		const from = await here();
		const ids = await insert(20);
		await using proxy = await startProxy(server);
		await using through = await openSource({ ...server, port: proxy.port });
		await through.describe([]);
		proxy.set({ pieceBytes: 1 });
		expect((await follow(through, [table], { from })).rows.map(({ values }) => values["id"])).toEqual(ids);
		await insert(4000);
		proxy.set({ cutAfterBytes: 700_000 });
		expect(await codeOf(follow(through, [table], { from }))).toMatchObject({ code: "E_CONNECTION_LOST" });
	}, 30_000);

	test("a server that falls silent is noticed after three heartbeats", async () => {
		await using proxy = await startProxy(server);
		const { host, user, password } = server;
		const connection = await MysqlConnection.open({ host, port: proxy.port, user, password: new Secret(password) });
		const [file, offset] = (await here()).split(" ")[0]!.split(":");
		const start = { file: file!, offset: Number(offset) };
		const dump = await Dump.open(connection, start, { reader: "silence", heartbeatMs: 200 });
		const waitLong = async () => {
			for (let heard = 0; heard < 100; heard++) {
				while (dump.next());
				await dump.wait(60_000);
			}
		};
		const waiting = codeOf(waitLong());
		await new Promise((resolve) => setTimeout(resolve, 500));
		const begun = performance.now();
		proxy.set({ blackHole: true });
		expect((await waiting).code).toBe("E_CONNECTION_LOST");
		expect(performance.now() - begun).toBeLessThan(3000);
		dump.close();
	});

	test("a server that is killed and started again: the stream goes on where it was", async () => {
		const from = await here();
		const first = await insert(3);
		const before = await follow(source, [table], { from });
		await server.kill9();
		await server.restart();
		await using again = await openSource(server);
		const second = await insert(3);
		const after = await follow(again, [table], { from: before.position });
		expect([...before.rows, ...after.rows].map(({ values }) => values["id"])).toEqual([...first, ...second]);
	}, 180_000);

	test("check tells what changes would be lost by, each with its cure", async () => {
		await server.query(
			"shop",
			`create table parent (id int primary key) engine=innodb;
			 create table child (id int primary key, p int, constraint of_parent foreign key (p) references parent (id) on delete cascade) engine=innodb;
			 create table loose (a int) engine=myisam`,
		);
		await server.admin(
			"set global binlog_format = 'MIXED', global binlog_row_image = 'MINIMAL', global binlog_row_metadata = 'NO_LOG', global binlog_expire_logs_seconds = 3600",
		);
		await using asked = await openSource(server);
		const tables = await asked.describe(
			["child", "loose"].map((name) => ({ table: { schema: "shop", name }, types: DEFAULT_TYPE_POLICY })),
		);
		const findings = await logOf(asked).check(tables);
		const found = (pattern: RegExp) => findings.find(({ message }) => pattern.test(message));
		expect(found(/binlog_format is MIXED/)).toMatchObject({
			severity: "error",
			remedy: expect.stringMatching(/^SET GLOBAL/),
		});
		expect(found(/binlog_row_image is MINIMAL/)).toMatchObject({ severity: "error" });
		expect(found(/binlog_row_metadata is NO_LOG/)).toMatchObject({ severity: "warning" });
		expect(found(/kept for 0 days/)).toMatchObject({ severity: "warning" });
		expect(found(/of_parent/)).toMatchObject({
			severity: "error",
			remedy: expect.stringContaining("DROP FOREIGN KEY"),
		});
		expect(found(/shop.loose: engine MyISAM/)).toMatchObject({ severity: "warning" });
		expect(found(/shop.loose has no primary key/)).toMatchObject({ severity: "warning" });
		await using reader = await openSource({ ...server, ...server.reader });
		const [missingRight] = await logOf(reader).check([]);
		expect(missingRight).toMatchObject({
			severity: "error",
			remedy: "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'reader'@'127.0.0.1';",
		});
		await server.admin("grant replication slave, binlog monitor on *.* to reader@'127.0.0.1'");
		await using allowed = await openSource({ ...server, ...server.reader });
		expect((await logOf(allowed).check([]))[0]).toMatchObject({ severity: "ok" });
		await server.admin(
			"set global binlog_format = 'ROW', global binlog_row_image = 'FULL', global binlog_row_metadata = 'FULL'",
		);
	});
});
