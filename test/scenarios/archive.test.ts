/** An archive of changes: what it holds, and that the same history comes of it as of the log itself. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/index.ts";
import { Project } from "../faults/project.ts";
import { queryWarehouse } from "../faults/warehouse.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";

type Server = "mariadb" | "postgres15" | "postgres18";

const LONG = "x".repeat(9000);

/** Between two runs of the followers; each line is a transaction. */
const WORK: readonly (readonly string[])[] = [
	[
		"insert into items values (10, 'ten', 1.50, 'note'), (11, null, null, null); insert into orders values (1, 10, 'new')",
		"update items set name = 'TEN' where id = 10",
		"update items set id = 12 where id = 11; update orders set state = 'paid' where id = 1",
		"delete from items where id = 1",
	],
	["update items set note = note, price = 2.25 where id = 2", "update items set id = 20, name = 'moved' where id = 2"],
	[
		"insert into orders values (2, 12, 'new'), (3, 12, 'new')",
		"truncate table orders",
		"insert into orders values (2, 12, 'again')",
		"delete from orders where id = 2; insert into orders values (2, 10, 'and again'); update orders set state = 'last' where id = 2",
	],
	[
		"alter table items add column stock integer not null default 7",
		"insert into items values (30, 'late', 3, null, 9)",
	],
	["update items set stock = 8 where id = 10", "delete from items where id = 12"],
];

class World implements AsyncDisposable {
	readonly database: TestDatabase;
	readonly schema: string;
	readonly project: Project;

	constructor(database: TestDatabase, server: Server) {
		this.database = database;
		this.schema = server === "mariadb" ? database.name : "public";
		const tables = (options: string) =>
			["items", "orders", "facts"].map((name) => `  ${this.schema}.${name}: ${options}`).join("\n");
		const pipeline = (name: string, from: string, to: string, options: string) =>
			`pipeline: ${name}\nfrom: ${from}\nto: ${to}\nretries: 0\ntables:\n${tables(options)}\n`;
		this.project = new Project({
			"connections.yaml": `source: "${database.url}"\nfollowed: "duckdb:followed.duckdb"\nrebuilt: "duckdb:rebuilt.duckdb"\nstate: "duckdb:state.duckdb"\narchive: ./archive\n`,
			"pipelines/follow.yaml": pipeline("follow", "source", "followed", "{ mode: cdc, write: history }"),
			"pipelines/archive.yaml": pipeline(
				"archive",
				"source",
				"archive",
				"{ mode: cdc, write: append, before_images: true }",
			),
			"pipelines/rebuild.yaml": pipeline("rebuild", "archive", "rebuilt", "{ mode: cdc, write: history }"),
			"pipelines/state.yaml": pipeline("state", "archive", "state", "{ mode: cdc }"),
		});
	}

	static async open(server: Server): Promise<World> {
		const database = await freshDatabase(await sharedServer(server), "archive");
		const long = server === "mariadb" ? "mediumtext" : "text";
		await database.query(
			`create table items (id integer primary key, name varchar(40), price decimal(10,2), note ${long}); create table orders (id integer primary key, item integer, state varchar(20)); create table facts (a integer primary key, b varchar(10), c ${long})`,
		);
		if (server !== "mariadb") {
			await database.query("alter table orders replica identity full");
			// Long values lie outside of their rows, and an update that leaves them does not tell them.
			await database.query("alter table items alter column note set storage external");
		}
		await database.query(
			`insert into items values (1, 'one', 10, 'first'), (2, 'two', null, '${LONG}'); insert into facts values (1, 'x', 'y')`,
		);
		return new World(database, server);
	}

	async work(transactions: readonly string[]): Promise<void> {
		for (const statements of transactions) {
			const isDdl = /^(alter|truncate)/.test(statements);
			await this.database.query(isDdl ? statements : `begin; ${statements}; commit`);
		}
	}

	/** Versions as lines. When, and where in the log, a table was read first is each follower's own. */
	async versions(file: string, table: string): Promise<string[]> {
		const columns = table === "items" ? "id, name, price, md5(note) AS note, stock" : "*";
		const rows = await queryWarehouse(
			this.project.path(file),
			`select ${columns === "*" ? "* exclude (_headrace_valid_from, _headrace_valid_to, _headrace_operation, _headrace_position)" : columns},
				_headrace_operation, case when _headrace_operation <> 'snapshot' then _headrace_position end,
				case when _headrace_operation <> 'snapshot' then epoch_us(_headrace_valid_from) end, epoch_us(_headrace_valid_to)
			from "${this.schema}"."${table}"`,
		);
		return rows
			.map((row) =>
				Object.values(row)
					.map((value) => (value === null ? "∅" : String(value)))
					.join("|"),
			)
			.sort();
	}

	/** A query over the files, as any reader of Parquet asks. */
	async archived(sql: (files: string) => string): Promise<string[]> {
		await using engine = await Engine.open({ allowedDirectories: [this.project.path("archive")] });
		await using connection = await engine.connect();
		const files = (table: string) =>
			`read_parquet('${this.project.path("archive")}/${this.schema}.${table}/*.parquet', union_by_name = true)`;
		return (await connection.query(sql(files("items")))).map((row) =>
			Object.values(row)
				.map((value) => (value === null ? "∅" : String(value)))
				.join("|"),
		);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.project[Symbol.dispose]();
		await this.database.drop();
	}
}

describe.each(["mariadb", "postgres15"] as const)("an archive of the changes of %s", (server) => {
	describe.skipIf(missing(server))("on a real server", () => {
		let world: World;
		beforeAll(async () => {
			world = await World.open(server);
			for (const name of ["follow", "archive"]) await world.project.succeed("run", name);
			await world.project.succeed("run", "rebuild");
			for (const transactions of WORK) {
				await world.work(transactions);
				for (const name of ["follow", "archive"]) await world.project.succeed("run", name);
				if (transactions === WORK[3]) await world.project.succeed("run", "rebuild");
			}
			await world.project.succeed("run", "rebuild");
		});
		afterAll(() => world?.[Symbol.asyncDispose]());

		test("history rebuilt from it is the one that following the log gave, row for row", async () => {
			for (const table of ["items", "orders", "facts"]) {
				const wanted = await world.versions("followed.duckdb", table);
				expect(await world.versions("rebuilt.duckdb", table), table).toEqual(wanted);
				expect(wanted.length).toBeGreaterThan(0);
			}
		});

		test("the state rebuilt from it all at once is the source's", async () => {
			await world.project.succeed("run", "state");
			for (const table of ["items", "orders", "facts"]) {
				const lines = (rows: readonly object[]) =>
					rows.map((row) =>
						Object.values(row)
							.map((value) => (value === null ? "∅" : String(value)))
							.join("|"),
					);
				const own = await queryWarehouse(
					world.project.path("state.duckdb"),
					`select * from "${world.schema}"."${table}" order by 1`,
				);
				expect(lines(own)).toEqual(lines(await world.database.query(`select * from ${table} order by 1`)));
			}
		});
	});
});
