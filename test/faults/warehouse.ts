/** What a DuckDB file holds, read as a second program would: read-only, while no command has it open. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Engine, type EngineConnection, type Value } from "../../src/engine/index.ts";
import { quoteDouble } from "./names.ts";

export interface PositionRow {
	readonly pipeline: string;
	readonly stream: string;
	readonly seq: number;
	readonly position: string | null;
	readonly load_id: string | null;
}

export interface Contents {
	/** Rows of each `schema.table` as sorted lines `1|text|∅`; all columns, in their order. */
	readonly tables: ReadonlyMap<string, readonly string[]>;
	readonly positions: readonly PositionRow[];
	readonly loads: readonly { readonly load_id: string; readonly pipeline: string; readonly to_position: string }[];
}

const EMPTY: Contents = { tables: new Map(), positions: [], loads: [] };

/** Rows of a query, on a connection of its own. */
export async function queryWarehouse(path: string, sql: string): Promise<Record<string, Value>[]> {
	await using engine = await Engine.open({ path, readOnly: true });
	await using connection = await engine.connect();
	return await connection.query(sql);
}

/** Rows of a relation as sorted lines. */
async function linesOf(connection: EngineConnection, relation: string): Promise<string[]> {
	const columns = await connection.query(`SELECT column_name AS c FROM (DESCRIBE SELECT * FROM ${relation})`);
	const line = columns.map(({ c }) => `coalesce(CAST(${quoteDouble(String(c))} AS VARCHAR), '∅')`).join(", ");
	const rows = await connection.query(`SELECT concat_ws('|', ${line}) AS line FROM ${relation}`);
	return rows.map((row) => String(row["line"])).sort();
}

/** Tables that lie as Parquet files in a folder, read as any program would. */
export async function readFolder(root: string, names: readonly string[]): Promise<Contents> {
	const tables = new Map<string, readonly string[]>();
	const found = names.filter((name) => existsSync(join(root, name)));
	if (found.length > 0) {
		await using engine = await Engine.open({ allowedDirectories: [root] });
		await using connection = await engine.connect();
		for (const name of found)
			tables.set(name, await linesOf(connection, `read_parquet('${join(root, name)}/*.parquet')`));
	}
	return { ...EMPTY, tables };
}

/** All of a file; an absent one is empty. */
export async function readWarehouse(path: string): Promise<Contents> {
	if (!existsSync(path)) return EMPTY;
	await using engine = await Engine.open({ path, readOnly: true });
	await using connection = await engine.connect();
	const tables = new Map<string, readonly string[]>();
	const names = await connection.query(
		"SELECT schema_name AS s, table_name AS t FROM duckdb_tables() WHERE NOT internal ORDER BY ALL",
	);
	const has = (name: string) => names.some((row) => row["s"] === "_headrace" && row["t"] === name);
	for (const { s, t } of names) {
		if (s === "_headrace") continue;
		const table = `${quoteDouble(String(s))}.${quoteDouble(String(t))}`;
		tables.set(`${s}.${t}`, await linesOf(connection, table));
	}
	const positions = has("positions")
		? await connection.query("SELECT pipeline, stream, seq, position, load_id FROM _headrace.positions ORDER BY ALL")
		: [];
	const loads = has("loads")
		? await connection.query("SELECT load_id, pipeline, to_position FROM _headrace.loads ORDER BY ALL")
		: [];
	return {
		tables,
		positions: positions.map((row) => ({
			pipeline: String(row["pipeline"]),
			stream: String(row["stream"]),
			seq: Number(row["seq"]),
			position: row["position"] as string | null,
			load_id: row["load_id"] as string | null,
		})),
		loads: loads.map((row) => ({
			load_id: String(row["load_id"]),
			pipeline: String(row["pipeline"]),
			to_position: String(row["to_position"]),
		})),
	};
}

/** Every position names a load that is there, and each stream has as many loads as its seq says. @throws */
export function assertConsistent({ positions, loads }: Contents): void {
	const committed = new Map(loads.map((load) => [load.load_id, load]));
	let seqs = 0;
	for (const { stream, seq, position, load_id } of positions) {
		seqs += seq;
		if ((seq === 0) !== (position === null) || (seq === 0) !== (load_id === null))
			throw new Error(`${stream}: seq ${seq} with position ${position} of load ${load_id}`);
		if (load_id !== null && committed.get(load_id)?.to_position !== position)
			throw new Error(`${stream} stands at ${position}, its load ${load_id} at ${committed.get(load_id)?.to_position}`);
	}
	if (seqs !== loads.length) throw new Error(`${loads.length} loads, but the positions moved ${seqs} times`);
}

/** Tables that a load builds beside the real ones and that must not stay. */
export function leftovers({ tables }: Contents): string[] {
	return [...tables.keys()].filter((name) => name.includes("_headrace_"));
}
