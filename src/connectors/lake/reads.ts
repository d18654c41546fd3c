import {
	type DestinationReads,
	HeadraceError,
	qualified,
	type SqlRow,
	type Staging,
	type TableName,
	type Verify,
} from "../../core/index.ts";
import { type EngineConnection, streamTextRows, textRows } from "../../engine/index.ts";
import { duckdbDialect, quotedPath } from "../../sql/index.ts";
import { type LakeResources, openEngine, withEngine } from "./engine.ts";
import type { BuiltFiles } from "./load-builder.ts";
import { LocalFiles, withLocal } from "./local-files.ts";
import { type LocalFile, relationOf } from "./relation.ts";
import type { LakeTable } from "./table.ts";
import {
	fieldsOf,
	type LakeFile,
	type StoredColumn,
	schemaName,
	type TableForm,
	type TableState,
} from "./table-state.ts";

/**
 * The lake's tables by DuckDB's SQL, which only reads: each statement is asked of a DuckDB in memory that has the tables
 * it names as views over their files. Of a bucket, the files of these tables are fetched first.
 */
export class LakeReads implements DestinationReads {
	readonly quoteIdentifier = duckdbDialect.quoteIdentifier;
	readonly quoteLiteral = duckdbDialect.quoteLiteral;
	readonly #store: Staging;
	readonly #resources: LakeResources;
	readonly #table: (name: TableName) => LakeTable;
	/** Tables by the SQL name that was given of them. */
	readonly #named = new Map<string, TableName>();

	constructor(store: Staging, resources: LakeResources, table: (name: TableName) => LakeTable) {
		this.#store = store;
		this.#resources = resources;
		this.#table = table;
	}

	relation(name: TableName): string {
		const relation = relationName(name);
		this.#named.set(relation, name);
		return relation;
	}

	async query(sql: string, signal?: AbortSignal): Promise<readonly SqlRow[]> {
		const rows: SqlRow[] = [];
		for await (const some of this.select(sql, signal)) rows.push(...some);
		return rows;
	}

	/** @throws E_UNKNOWN_TABLE when one of the tables was never loaded */
	async *select(sql: string, signal?: AbortSignal): AsyncGenerator<readonly SqlRow[], void, undefined> {
		await using open = new AsyncDisposableStack();
		const engine = open.use(await openEngine(this.#resources));
		const connection = open.use(await engine.connect());
		for (const [relation, name] of this.#named) {
			if (!sql.includes(relation)) continue;
			const state = await this.#table(name).head();
			if (state === null || state.form === null)
				throw new HeadraceError("E_UNKNOWN_TABLE", `the lake has no table ${qualified(name)}`);
			const local = open.use(await LocalFiles.open(this.#store, state.files));
			await createView(connection, name, local.files, state.form, state.schemas);
		}
		yield* streamTextRows(connection, sql, signal);
	}

	/** Shows a table as it will be with files that are not committed yet. */
	async verify(name: TableName, base: TableState | null, built: BuiltFiles, verify: Verify): Promise<void> {
		const gone = new Set<LakeFile>(built.replacesAll ? (base?.files ?? []) : built.removed);
		const files = [...(base?.files ?? []).filter((file) => !gone.has(file)), ...built.added];
		const schemas = { ...base?.schemas, [schemaName(built.form.columns)]: built.form.columns };
		await withEngine(this.#resources, (connection) =>
			withLocal(this.#store, files, async (local) => {
				await createView(connection, name, local, built.form, schemas);
				await verify({ relation: relationName(name), query: (sql) => textRows(connection, sql) });
			}),
		);
	}
}

const relationName = (name: TableName) => quotedPath(duckdbDialect, [schemaOf(name), name.name]);

/** Tables without a schema are in one that no source has. */
const schemaOf = ({ schema }: TableName) => (schema === "" ? "_headrace_lake" : schema);

async function createView(
	connection: EngineConnection,
	name: TableName,
	local: readonly LocalFile[],
	form: TableForm,
	schemas: Readonly<Record<string, readonly StoredColumn[]>>,
): Promise<void> {
	await connection.execute(`CREATE SCHEMA IF NOT EXISTS ${duckdbDialect.quoteIdentifier(schemaOf(name))}`);
	const rows = relationOf(local, schemas, fieldsOf(form.columns));
	await connection.execute(`CREATE OR REPLACE VIEW ${relationName(name)} AS SELECT * FROM ${rows} AS rows`);
}
