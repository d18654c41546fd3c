/** A project that follows a ledger's log, and what its copy has to look like. */
import { existsSync } from "node:fs";
import { expect } from "vitest";
import { openLake } from "../connectors/lake-support.ts";
import { redshiftConnection, s3Connection, type Warehouse } from "../connectors/redshift-support.ts";
import type { SnowflakeStandIn } from "../stand-ins/snowflake/index.ts";
import type { TestDatabase } from "../support/shared.ts";
import type { Ledger, LedgerTable } from "./ledger.ts";
import { LEDGER_COLUMNS, LEDGER_TABLES } from "./ledger.ts";
import { readPostgres } from "./postgres-warehouse.ts";
import { Project } from "./project.ts";
import { readSnowflake, snowflakeConnection } from "./snowflake-warehouse.ts";
import { type Contents, queryWarehouse, readWarehouse } from "./warehouse.ts";

export interface LedgerCopyOptions {
	/** A database to copy into, in place of a DuckDB file. */
	readonly target?: TestDatabase;
	/** The stand-ins of Redshift and of S3, in place of a DuckDB file. */
	readonly redshift?: Warehouse;
	/** A lake in a folder of the project, in place of a DuckDB file. */
	readonly lake?: true;
	/** The stand-in of Snowflake, in place of a DuckDB file. */
	readonly snowflake?: SnowflakeStandIn;
	/** More keys of the pipeline file. */
	readonly keys?: string;
}

export class LedgerCopy implements Disposable {
	readonly project: Project;
	readonly ledger: Ledger;
	readonly #target: TestDatabase | undefined;
	readonly #redshift: Warehouse | undefined;
	readonly #lake: boolean;
	readonly #snowflake: SnowflakeStandIn | undefined;

	constructor(ledger: Ledger, { redshift, target = redshift?.database, ...options }: LedgerCopyOptions = {}) {
		this.ledger = ledger;
		this.#target = target;
		this.#redshift = redshift;
		this.#lake = options.lake === true;
		this.#snowflake = options.snowflake;
		const keys = `${options.keys ?? ""}${redshift === undefined ? "" : "staging: lake\n"}`;
		let to = `"${target?.url ?? "duckdb:copy.duckdb"}"`;
		if (this.#lake) to = "{ type: lake, path: ./copy }";
		if (redshift !== undefined) to = redshiftConnection(redshift);
		if (options.snowflake !== undefined) to = snowflakeConnection(options.snowflake);
		const lake = redshift === undefined ? "" : `lake: ${s3Connection(redshift)}\n`;
		this.project = new Project({
			"connections.yaml": `source: "${ledger.database.url}"\ncopy: ${to}\n${lake}`,
			"pipelines/ledger.yaml": `pipeline: ledger\nfrom: source\nto: copy\nretries: 0\n${keys}tables:${LEDGER_TABLES(ledger.schema, ledger.exact)}`,
		});
	}

	/** Names of files that are staged. */
	staged(): readonly string[] {
		return this.#redshift?.s3.keys("lake", "staging/") ?? this.project.files(".headrace/staging");
	}

	/** The SQL name of a table for `query`; null when it is not there. */
	async #relation(table: LedgerTable): Promise<string | null> {
		const { schema } = this.ledger;
		if (this.#snowflake !== undefined)
			return this.#snowflake.table(schema.toUpperCase(), table.toUpperCase())?.physical ?? null;
		if (this.#lake) {
			await using lake = openLake(this.project.path("copy"));
			return (await lake.describe({ schema, name: table })) === null ? null : `"${schema}"."${table}"`;
		}
		const found = await this.query(
			`select 1 as one from information_schema.tables where table_schema = '${schema}' and table_name = '${table}'`,
		);
		return found.length === 0 ? null : `"${schema}"."${table}"`;
	}

	async read(): Promise<Contents> {
		if (this.#lake) {
			await using lake = openLake(this.project.path("copy"));
			const rows = await lake.positions("ledger");
			const positions = rows.map(({ stream, seq, position, loadId }) => ({
				pipeline: "ledger",
				...{ stream, seq, position, load_id: loadId },
			}));
			return { tables: new Map(), positions, loads: [] };
		}
		if (this.#snowflake !== undefined) return readSnowflake(this.#snowflake);
		return this.#target === undefined ? readWarehouse(this.project.path("copy.duckdb")) : readPostgres(this.#target);
	}

	async query(sql: string): Promise<Record<string, string | null>[]> {
		if (this.#lake) {
			await using lake = openLake(this.project.path("copy"));
			for (const name of Object.keys(LEDGER_COLUMNS)) lake.reads!.relation({ schema: this.ledger.schema, name });
			return [...(await lake.reads!.query(sql))];
		}
		if (this.#target !== undefined) return this.#target.query(sql);
		const path = this.project.path("copy.duckdb");
		if (this.#snowflake === undefined && !existsSync(path)) return [];
		const rows = await (this.#snowflake?.query(sql) ?? queryWarehouse(path, sql));
		return rows.map((row) =>
			Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)])),
		);
	}

	/** Rows of a table as sorted lines, its own columns only. */
	async rows(table: LedgerTable, where: string): Promise<string[]> {
		const columns = LEDGER_COLUMNS[table];
		const list = columns.map((column) => `cast("${column}" as varchar) as "${column}"`).join(", ");
		const rows = await this.query(`select ${list} from ${await this.#relation(table)} where ${where}`);
		return rows.map((row) => columns.map((column) => row[column] ?? "∅").join("|")).sort();
	}

	/** The sum that no transaction changes. Null when nothing is there yet. */
	async sum(): Promise<string | null> {
		const current = this.ledger.exact ? "where _headrace_valid_to is null" : "";
		const sums: string[] = [];
		for (const table of ["accounts", "entries", "book"] as const) {
			const relation = await this.#relation(table);
			if (relation === null) return null;
			sums.push(`(select coalesce(sum(amount), 0) from ${relation} ${table === "book" ? current : ""})`);
		}
		const [row] = await this.query(`select cast(${sums.join(" + ")} as varchar) as total`);
		return row!["total"]!;
	}

	/** Every table has what the source has. */
	async expectEqual(): Promise<void> {
		const source = await this.ledger.lines();
		for (const [table, where] of [
			["accounts", "true"],
			["entries", "true"],
			["book", this.ledger.exact ? "_headrace_valid_to is null" : "true"],
			["people", "_headrace_deleted_at is null"],
			...(this.ledger.exact ? ([["events", "true"]] as const) : []),
		] as const)
			expect(await this.rows(table, where), table).toEqual(source.get(table));
	}

	[Symbol.dispose](): void {
		this.project[Symbol.dispose]();
	}
}
