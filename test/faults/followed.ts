/** A pipeline that follows two small tables into a DuckDB file, and what it has to do when its log is lost. */
import { afterAll, beforeAll, expect } from "vitest";
import type { RunningServer, ServerName, StartOptions } from "../support/server.ts";
import { freshDatabase, type TestDatabase } from "../support/shared.ts";
import { startServer } from "../support/start.ts";
import { Project } from "./project.ts";
import { queryWarehouse } from "./warehouse.ts";

export class Followed implements AsyncDisposable {
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

	/** A run that stops with this code, again and again, and changes nothing; gives the command that it prints. */
	async expectStop(code: string): Promise<string[]> {
		const before = [await this.rows(), await this.rows("others")];
		const errors = await this.project.fail(1, "run", "shop");
		expect(new Set(errors.map((error) => error.code))).toEqual(new Set([code]));
		// The same again: nothing was moved.
		expect((await this.project.fail(1, "run", "shop"))[0]!.code).toBe(code);
		expect([await this.rows(), await this.rows("others")]).toEqual(before);
		const command = /`headrace ([^`]+)`/.exec(errors[0]!.hint)?.[1];
		expect(command, errors[0]!.hint).toBeDefined();
		return command!.split(" ");
	}

	/** It stops with this code, and the command that it prints, run as printed, makes it follow again. */
	async expectRepair(code: string): Promise<void> {
		await this.project.succeed(...(await this.expectStop(code)));
		await this.expectEqual();
	}

	/** What is written now arrives, and all that was written before is there. */
	async expectEqual(source = this.database): Promise<void> {
		await source.query("insert into items values (90, 'after'); insert into others values (90)");
		await this.project.succeed("run", "shop");
		const items = await source.query("select id, name from items order by id");
		expect(await this.rows()).toEqual(items.map(({ id, name }) => `${id}|${name}`));
		const others = await source.query("select id from others order by id");
		expect(await this.rows("others")).toEqual(others.map(({ id }) => id));
	}

	/** The same tables are on another server from now on. */
	moveTo(database: TestDatabase): void {
		this.project.write("connections.yaml", `source: "${database.url}"\ncopy: "duckdb:copy.duckdb"\n`);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.project[Symbol.dispose]();
		await this.database.drop();
	}
}

/** A server that a file of tests has for itself. */
export function ownServer(name: ServerName, settings: StartOptions["settings"] = {}): () => RunningServer {
	let server: RunningServer | undefined;
	beforeAll(async () => {
		server = await startServer(name, { settings });
	});
	afterAll(() => server?.stop());
	return () => server!;
}
