import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestServer } from "../support/server.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { headrace } from "./cli.ts";

describe.skipIf(missing("mariadb"))("headrace changes", () => {
	let server: TestServer;
	let database: TestDatabase;
	let from: string;
	beforeAll(async () => {
		server = await sharedServer("mariadb");
		database = await freshDatabase(server);
		const [status] = await server.admin("show master status");
		from = `${status!["File"]}:${status!["Position"]}`;
		await database.query(
			`create table orders (id int primary key, status varchar(20), total decimal(10,2), note text);
			 create table other (id int primary key);
			 insert into orders values (7, 'new', 12.50, null), (8, 'a "b"', -1, 'x\ny');
			 update orders set status = 'paid', note = 'ok' where id = 7;
			 start transaction; delete from orders where id = 8; insert into other values (1); commit;
			 truncate orders`,
		);
	});
	afterAll(async () => {
		await database?.drop();
	});

	const run = (...args: string[]) => headrace(["changes", server.url(database.name), "--from", from, ...args]);

	test("prints what a person reads, and ends where the log ends", async () => {
		const { code, stdout, stderr } = await run("--tables", "orders");
		expect(stderr).toBe("");
		expect(code).toBe(0);
		const lines = stdout.split("\n").map((line) => line.replace(/commit \S+ {2}mysql-bin\.\d+:\d+ {2}\S+/, "commit …"));
		const orders = `${database.name}.orders`;
		expect(lines.filter((line) => !line.startsWith("Schema"))).toEqual([
			`WriteRows ${orders} id=7 status="new" total=12.50 note=NULL`,
			`WriteRows ${orders} id=8 status="a \\"b\\"" total=-1.00 note="x\\\\x0ay"`,
			"  commit …",
			`UpdateRows ${orders} id=7 status="new" => "paid" note=NULL => "ok"`,
			"  commit …",
			`DeleteRows ${orders} id=8 status="a \\"b\\"" total=-1.00 note="x\\\\x0ay"`,
			"  commit …",
			`Truncate ${orders}`,
			"  commit …",
			"",
		]);
	});

	test("--json is a line an item, the last one the answer's envelope", async () => {
		const { code, stdout } = await run("--json");
		expect(code).toBe(0);
		const items = stdout
			.trim()
			.split("\n")
			.map((line) => JSON.parse(line) as Record<string, unknown>);
		const rows = items.filter(({ kind }) => ["insert", "update", "delete"].includes(kind as string));
		expect(rows.map(({ kind, table }) => [kind, (table as string).split(".")[1]])).toEqual([
			["insert", "orders"],
			["insert", "orders"],
			["update", "orders"],
			["delete", "orders"],
			["insert", "other"],
		]);
		expect(rows[2]).toMatchObject({
			key: ["id"],
			before: { id: "7", status: "new", total: "12.50", note: null },
			after: { id: "7", status: "paid", total: "12.50", note: "ok" },
		});
		expect(items.at(-1)).toMatchObject({ command: "changes", ok: true, data: { insert: 3, update: 1, delete: 1 } });
		const { position } = items.at(-1)!["data"] as { position: string };
		const rest = await headrace(["changes", server.url(database.name), "--from", position]);
		expect([rest.code, rest.stdout]).toEqual([0, ""]);
	});

	test("--from now follows until Ctrl-C", async () => {
		let written = false;
		let id = 100;
		const write = setInterval(() => {
			if (written) return;
			void database.query(`insert into other values (${id++})`).catch(() => undefined);
		}, 200);
		const { code, stdout, seconds } = await headrace(["changes", server.url(database.name), "--from", "now"], {
			onStdout: (text, kill) => {
				if (written || !text.includes("commit")) return;
				written = true;
				kill("SIGINT");
			},
		});
		clearInterval(write);
		expect(code).toBe(130);
		expect(stdout).toMatch(/^WriteRows \S+\.other id=1\d\d\n {2}commit/);
		expect(seconds).toBeLessThan(15);
	}, 20_000);

	test("a reader that goes away ends it", async () => {
		const { code } = await headrace(["changes", server.url(database.name), "--from", from, "--follow"], {
			closeStdout: true,
		});
		expect(code).toBe(0);
	}, 20_000);

	test.each([
		[["--from", "nonsense"], "E_INVALID_VALUE", 2],
		[["--from", "mysql-bin.999999:4"], "E_HISTORY_GONE", 1],
		[["--tables", "nothing"], "E_UNKNOWN_TABLE", 2],
	] as const)("%j is %s", async (args, expected, exit) => {
		const { code, stderr, stdout } = await headrace(["changes", server.url(database.name), ...args]);
		expect([code, stdout]).toEqual([exit, ""]);
		expect(stderr).toContain(expected);
	});

	test("without the right it says which one, and a source without a log says so", async () => {
		const { code, stderr } = await headrace(["changes", server.readerUrl(database.name)]);
		expect(code).toBe(4);
		expect(stderr).toMatch(/E_RIGHTS/);
		const file = await headrace(["changes", "duckdb:x.duckdb"]);
		expect(file.code).toBe(2);
	});
});
