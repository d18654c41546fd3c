/** A source, a pipeline that follows it, one that archives its changes, and those that read the archive back. */
import { Engine } from "../../src/engine/index.ts";
import { Project } from "../faults/project.ts";
import { queryWarehouse } from "../faults/warehouse.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";

export type ArchivedServer = "mariadb" | "postgres15" | "postgres18";

const LONG = "x".repeat(9000);

export class ArchiveWorld implements AsyncDisposable {
	readonly database: TestDatabase;
	readonly schema: string;
	readonly project: Project;

	constructor(database: TestDatabase, server: ArchivedServer) {
		this.database = database;
		this.schema = server === "mariadb" ? database.name : "public";
		const tables = (options: string) =>
			["items", "orders", "facts"].map((name) => `  ${this.schema}.${name}: ${options}`).join("\n");
		const pipeline = (name: string, from: string, to: string, options: string) =>
			`pipeline: ${name}\nfrom: ${from}\nto: ${to}\nretries: 0\ntables:\n${tables(options)}\n`;
		this.project = new Project({
			"connections.yaml": `source: "${database.url}"\nfollowed: "duckdb:followed.duckdb"\nkept: "duckdb:kept.duckdb"\nrebuilt: "duckdb:rebuilt.duckdb"\nstate: "duckdb:state.duckdb"\narchive: ./archive\n`,
			"pipelines/follow.yaml": pipeline("follow", "source", "followed", "{ mode: cdc, write: history }"),
			"pipelines/archive.yaml": pipeline(
				"archive",
				"source",
				"archive",
				"{ mode: cdc, write: append, before_images: true }",
			),
			"pipelines/keep.yaml": pipeline("keep", "source", "kept", "{ mode: cdc, write: append, before_images: true }"),
			"pipelines/rebuild.yaml": pipeline("rebuild", "archive", "rebuilt", "{ mode: cdc, write: history }"),
			"pipelines/state.yaml": pipeline("state", "archive", "state", "{ mode: cdc }"),
		});
	}

	static async open(server: ArchivedServer): Promise<ArchiveWorld> {
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
		return new ArchiveWorld(database, server);
	}

	async work(transactions: readonly string[]): Promise<void> {
		for (const statements of transactions) {
			const isDdl = /^(alter|truncate)/.test(statements);
			await this.database.query(isDdl ? statements : `begin; ${statements}; commit`);
		}
	}

	/** Versions as lines. When, and where in the log, a table was read first is each follower's own. */
	async versions(file: string, table: string): Promise<string[]> {
		const columns =
			table === "items"
				? "* exclude (note, _headrace_valid_from, _headrace_valid_to, _headrace_operation, _headrace_position), md5(note)"
				: "*";
		const rows = await queryWarehouse(
			this.project.path(file),
			`select ${columns === "*" ? "* exclude (_headrace_valid_from, _headrace_valid_to, _headrace_operation, _headrace_position)" : columns},
				_headrace_operation, case when _headrace_operation <> 'snapshot' then _headrace_position end,
				case when _headrace_operation <> 'snapshot' then epoch_us(_headrace_valid_from) end, epoch_us(_headrace_valid_to)
			from "${this.schema}"."${table}"`,
		);
		return linesOf(rows).sort();
	}

	/** A table as it is in a DuckDB file, and in the source. */
	async states(file: string, table: string): Promise<readonly [kept: string[], wanted: string[]]> {
		const kept = await queryWarehouse(this.project.path(file), `select * from "${this.schema}"."${table}" order by 1`);
		return [linesOf(kept), linesOf(await this.database.query(`select * from ${table} order by 1`))];
	}

	/** A query over the files of a table, as any reader of Parquet asks. */
	async archived(table: string, sql: (files: string) => string): Promise<string[]> {
		const folder = this.project.path("archive");
		await using engine = await Engine.open({ allowedDirectories: [folder] });
		await using connection = await engine.connect();
		const files = `read_parquet('${folder}/${this.schema}.${table}/*.parquet', union_by_name = true)`;
		return linesOf(await connection.query(sql(files)));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.project[Symbol.dispose]();
		await this.database.drop();
	}
}

function linesOf(rows: readonly object[]): string[] {
	return rows.map((row) =>
		Object.values(row)
			.map((value) => (value === null ? "∅" : String(value)))
			.join("|"),
	);
}
