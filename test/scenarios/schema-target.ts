/** A destination of the scenarios of changing columns: a DuckDB file in the project, or a PostgreSQL database. */
import { Engine } from "../../src/engine/index.ts";
import { quoteDouble } from "../faults/names.ts";
import type { Project } from "../faults/project.ts";
import { queryWarehouse } from "../faults/warehouse.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";

export type TargetName = "duckdb" | "postgres15";

export class Target implements AsyncDisposable {
	readonly #database: TestDatabase | null;

	private constructor(database: TestDatabase | null) {
		this.#database = database;
	}

	static async open(name: TargetName): Promise<Target> {
		return new Target(name === "duckdb" ? null : await freshDatabase(await sharedServer(name), "target"));
	}

	url(project: Project): string {
		return this.#database === null ? `duckdb:${project.path("w.duckdb")}` : this.#database.url;
	}

	/** Rows of a query, each value as text. */
	async query(project: Project, sql: string): Promise<Record<string, string | null>[]> {
		if (this.#database !== null) return this.#database.query(sql);
		const rows = await queryWarehouse(project.path("w.duckdb"), sql);
		return rows.map((row) =>
			Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)])),
		);
	}

	async execute(project: Project, sql: string): Promise<void> {
		if (this.#database !== null) {
			await this.#database.query(sql);
			return;
		}
		await using engine = await Engine.open({ path: project.path("w.duckdb") });
		await using connection = await engine.connect();
		await connection.execute(sql);
	}

	async indexes(project: Project, table: string): Promise<string[]> {
		const [schema, name] = table.split(".") as [string, string];
		const where =
			this.#database === null
				? ["duckdb_indexes()", "schema_name", "table_name"]
				: ["pg_indexes", "schemaname", "tablename"];
		const column = this.#database === null ? "index_name" : "indexname";
		const rows = await this.query(
			project,
			`select ${column} as name from ${where[0]} where ${where[1]} = '${schema}' and ${where[2]} = '${name}'`,
		);
		return rows.map((row) => row["name"]!);
	}

	/** How often columns were recorded. */
	async recorded(project: Project): Promise<number> {
		return Number((await this.query(project, "select count(*) as n from _headrace.schemas"))[0]!["n"]);
	}

	/** `name type`, with `not null`, of each column. */
	async columns(project: Project, table: string): Promise<string[]> {
		const [schema, name] = table.split(".") as [string, string];
		const rows = await this.query(
			project,
			`select column_name as name, data_type as type, is_nullable as nullable from information_schema.columns
			where table_schema = '${schema}' and table_name = '${name}' order by ordinal_position`,
		);
		return rows.map(
			(row) => `${row["name"]} ${row["type"]!.toLowerCase()}${row["nullable"] === "NO" ? " not null" : ""}`,
		);
	}

	/** Rows as sorted lines `1|text|∅`, some columns left out. */
	async lines(project: Project, table: string, without: readonly string[] = []): Promise<string[]> {
		const columns = (await this.columns(project, table)).map((column) => column.split(" ")[0]!);
		const items = columns
			.filter((column) => !without.includes(column))
			.map((column) => `coalesce(cast(${quoteDouble(column)} as varchar), '∅')`);
		const rows = await this.query(project, `select concat_ws('|', ${items.join(", ")}) as line from ${table}`);
		return rows.map((row) => row["line"]!).sort();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#database?.drop();
	}
}
