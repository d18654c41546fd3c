/** Logs that no longer hold what a pipeline has not read, and tables that change while they are followed. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningServer, ServerName } from "../support/server.ts";
import { freshDatabase, type TestDatabase } from "../support/shared.ts";
import { missing, startServer } from "../support/start.ts";
import { Project } from "./project.ts";
import { queryWarehouse } from "./warehouse.ts";

class Followed implements AsyncDisposable {
	readonly project: Project;
	readonly database: TestDatabase;
	readonly schema: string;

	constructor(database: TestDatabase, schema: string, items: string) {
		this.database = database;
		this.schema = schema;
		this.project = new Project({
			"connections.yaml": `source: "${database.url}"\ncopy: "duckdb:copy.duckdb"\n`,
			"pipelines/shop.yaml": `pipeline: shop\nfrom: source\nto: copy\nretries: 0\ntables:\n  ${schema}.items: ${items}\n  ${schema}.others: { mode: cdc }\n`,
		});
	}

	static async open(server: RunningServer, items = "{ mode: cdc }"): Promise<Followed> {
		const database = await freshDatabase(server, "shop");
		await database.query(
			"create table items (id integer primary key, name varchar(40)); create table others (id integer primary key)",
		);
		await database.query("insert into items values (1, 'one'), (2, 'two'); insert into others values (1)");
		const followed = new Followed(database, server.kind === "postgres" ? "public" : database.name, items);
		await followed.project.succeed("run", "shop");
		return followed;
	}

	async rows(table = "items"): Promise<string[]> {
		const rows = await queryWarehouse(
			this.project.path("copy.duckdb"),
			`select * from "${this.schema}"."${table}" order by 1`,
		);
		return rows.map((row) =>
			Object.values(row)
				.map((value) => (value === null ? "∅" : String(value)))
				.join("|"),
		);
	}

	/** A run that stops with this code, changes nothing, and says how to go on; and what it says works. */
	async expectRepair(code: string): Promise<void> {
		const before = await this.rows();
		const errors = await this.project.fail(1, "run", "shop");
		expect(new Set(errors.map((error) => error.code))).toEqual(new Set([code]));
		expect(await this.rows()).toEqual(before);
		// The same again: nothing was moved.
		expect((await this.project.fail(1, "run", "shop"))[0]!.code).toBe(code);
		const command = /`headrace ([^`]+)`/.exec(errors[0]!.hint)?.[1]?.replace("<pipeline>", "shop");
		expect(command, errors[0]!.hint).toBeDefined();
		const words = command!.split(" ").filter((word) => word !== "--table" && word !== "<table>");
		await this.project.succeed(...words);
		await this.database.query("insert into items values (90, 'after')");
		await this.project.succeed("run", "shop");
		const source = await this.database.query("select id, name from items order by id");
		expect(await this.rows()).toEqual(source.map(({ id, name }) => `${id}|${name}`));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.project[Symbol.dispose]();
		await this.database.drop();
	}
}

function ownServer(name: ServerName): () => RunningServer {
	let server: RunningServer | undefined;
	beforeAll(async () => {
		server = await startServer(name);
	});
	afterAll(() => server?.stop());
	return () => server!;
}

describe.skipIf(missing("mariadb"))("a log of MariaDB that is not what it was", () => {
	const server = ownServer("mariadb");

	test("was purged", async () => {
		await using followed = await Followed.open(server());
		await followed.database.query("insert into items values (3, 'three')");
		await server().admin("flush binary logs");
		const [status] = await server().admin("show master status");
		// A file that InnoDB may still need after a crash stays for a moment.
		await expect
			.poll(async () => {
				await server().admin(`purge binary logs to '${status!["File"]}'`);
				return (await server().admin("show binary logs"))[0]?.["Log_name"];
			})
			.toBe(status!["File"]);
		await followed.expectRepair("E_HISTORY_GONE");
	});

	test("was reset", async () => {
		await using followed = await Followed.open(server());
		await server().admin("reset master");
		await followed.database.query("insert into items values (3, 'three')");
		// It begins with the first file again; test/faults/mysql-log.test.ts has the one that looks like the old one.
		await followed.expectRepair("E_HISTORY_GONE");
	});
});

describe.skipIf(missing("postgres15"))("a slot of PostgreSQL that is not what it was", () => {
	const server = ownServer("postgres15");
	const slotOf = async (followed: Followed) =>
		(
			await followed.database.query("select slot_name from pg_replication_slots where database = current_database()")
		)[0]!["slot_name"]!;

	test("was dropped", async () => {
		await using followed = await Followed.open(server());
		await followed.database.query(`select pg_drop_replication_slot('${await slotOf(followed)}')`);
		await followed.database.query("insert into items values (3, 'three')");
		await followed.expectRepair("E_HISTORY_GONE");
	});

	test("was made anew", async () => {
		await using followed = await Followed.open(server());
		const slot = await slotOf(followed);
		await followed.database.query(`select pg_drop_replication_slot('${slot}')`);
		await followed.database.query("insert into items values (3, 'three')");
		await followed.database.query(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
		await followed.expectRepair("E_SLOT_AHEAD");
	});
});

describe.skipIf(missing("mysql56"))(
	"a history from MySQL, which does not tell where a snapshot lies in its log",
	() => {
		const server = ownServer("mysql56");

		test("begins between two commits and has every change after it", async () => {
			await using followed = await Followed.open(server(), "{ mode: cdc, write: history }");
			await followed.database.query(
				"update items set name = 'zwei' where id = 2; delete from items where id = 1; insert into items values (3, 'three')",
			);
			await followed.project.succeed("run", "shop");
			const versions = await queryWarehouse(
				followed.project.path("copy.duckdb"),
				`select id, name, _headrace_operation as operation, _headrace_valid_to is null as stands
			 from "${followed.schema}".items order by id, _headrace_valid_from, stands`,
			);
			expect(versions.map((row) => Object.values(row).map(String).join("|"))).toEqual([
				"1|one|snapshot|false",
				"2|two|snapshot|false",
				"2|zwei|update|true",
				"3|three|insert|true",
			]);
		});
	},
);

describe.each(["mariadb", "postgres18"] as const)("tables that change while they are followed, %s", (name) => {
	describe.skipIf(missing(name))("on a real server", () => {
		const server = ownServer(name);
		const change = async (statements: string) => {
			const followed = await Followed.open(server());
			await followed.database.query(statements);
			await followed.project.succeed("run", "shop");
			return followed;
		};

		test("a column more, with rows before and after it", async () => {
			await using followed = await change(
				"insert into items values (3, 'three'); alter table items add column price integer; insert into items values (4, 'four', 40); update items set price = 10 where id = 1",
			);
			expect(await followed.rows()).toEqual(["1|one|10", "2|two|∅", "3|three|∅", "4|four|40"]);
		});

		test("a column more with a default: rows that the log does not show have it too", async () => {
			await using followed = await change(
				"insert into items values (3, 'three'); alter table items add column price integer not null default 7; insert into items values (4, 'four', 40)",
			);
			expect(await followed.rows()).toEqual(["1|one|7", "2|two|7", "3|three|7", "4|four|40"]);
		});

		test("a column less: what it had stays", async () => {
			await using followed = await change(
				"insert into items values (3, 'three'); alter table items drop column name; insert into items values (4)",
			);
			expect((await followed.rows()).map((row) => row.split("|")[0])).toEqual(["1", "2", "3", "4"]);
			expect((await followed.rows())[0]).toBe("1|one");
		});

		test("another type", async () => {
			await using followed = await change(
				"alter table items modify_ name varchar(80); insert into items values (3, 'three')".replace(
					"modify_ name varchar(80)",
					name === "mariadb" ? "modify name varchar(80)" : "alter column name type varchar(80)",
				),
			);
			expect(await followed.rows()).toEqual(["1|one", "2|two", "3|three"]);
		});

		test("emptied, and filled again", async () => {
			await using followed = await change(
				"insert into items values (3, 'three'); truncate table items; insert into items values (1, 'again')",
			);
			expect(await followed.rows()).toEqual(["1|again"]);
		});

		test("a history is not thrown away by a change that the log does not tell", async () => {
			await using followed = await Followed.open(server(), "{ mode: cdc, write: history }");
			await followed.database.query("update items set name = 'uno' where id = 1");
			await followed.project.succeed("run", "shop");
			const before = await followed.rows();
			expect(before).toHaveLength(3);
			await followed.database.query(
				"alter table items add column price integer not null default 7; update items set price = 8 where id = 2",
			);
			await followed.project.succeed("run", "shop");
			const versions = await queryWarehouse(
				followed.project.path("copy.duckdb"),
				`select id, name, price, _headrace_operation as operation from "${followed.schema}".items order by id, _headrace_valid_from, price`,
			);
			expect(versions.map((row) => Object.values(row).join("|"))).toEqual([
				"1|one|7|snapshot",
				"1|uno|7|update",
				"2|two|7|snapshot",
				"2|two|8|update",
			]);
		});

		test("of several tables only the one that changes is read again", async () => {
			await using followed = await change(
				"insert into others values (2); alter table items add column price integer; insert into others values (3); insert into items values (5, 'five', 50); insert into others values (4)",
			);
			expect(await followed.rows("others")).toEqual(["1", "2", "3", "4"]);
			expect(await followed.rows()).toEqual(["1|one|∅", "2|two|∅", "5|five|50"]);
		});
	});
});
