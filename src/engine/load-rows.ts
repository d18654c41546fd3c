import { type Batch, type Field, HeadraceError, type LoadRequest, type LoadResult, qualified } from "../core/index.ts";
import { countKeys, duckdbDialect } from "../sql/index.ts";
import type { EngineConnection } from "./connection.ts";
import { oldNameOf, tagOf } from "./load-shape.ts";
import { rowsNotReplaced } from "./overlap.ts";
import { duckdbType, selectItem } from "./types.ts";

const { quoteIdentifier, quoteLiteral } = duckdbDialect;

/** The order in which rows came; `rowid` would be a column of the user's if there is one of that name. */
const ORDINAL = '"_headrace_ordinal"';

/** A temporary table with these columns, in place of one of this name. */
export async function createTable(
	connection: EngineConnection,
	name: string,
	fields: readonly Field[],
	more: readonly string[] = [],
): Promise<void> {
	const columns = fields.map((field) => `${quoteIdentifier(field.name)} ${duckdbType(field.type)}`);
	await connection.execute(`CREATE OR REPLACE TEMP TABLE ${name} (${[...columns, ...more].join(", ")})`);
}

/** What a load makes of a table: the query of its rows, and the counts. */
export interface Outcome {
	readonly sql: string;
	readonly result: LoadResult;
	readonly rows: number;
	/** The rows that are new, when all others stay as they are: `sql` is those and these. */
	readonly added?: { readonly sql: string; readonly rows: number };
}

/** Rows that came in, as the temporary table `incoming` has them. */
export interface StagedRows {
	readonly rows: number;
	/** As batches. */
	readonly bytes: number;
	/** The table's columns: their types are those that they are kept as. */
	readonly fields: readonly Field[];
}

/**
 * Puts the rows of a load into the temporary table `incoming`, numbered in their order. `kept` are the table's columns
 * and `item` the value of each as SQL on the batches' columns, where they are kept as another type.
 */
export async function stageIncoming(
	connection: EngineConnection,
	request: Pick<LoadRequest, "bufferBytesMax" | "signal">,
	rows: {
		readonly fields: readonly Field[];
		readonly batches: AsyncIterable<Batch>;
		readonly kept?: readonly Field[];
		readonly item?: (field: Field) => string;
	},
): Promise<StagedRows> {
	const { fields, batches, kept = fields, item = selectItem } = rows;
	await createTable(connection, "incoming", kept, [`${ORDINAL} BIGINT`]);
	await connection.execute("CREATE OR REPLACE TEMP SEQUENCE incoming_order");
	const items = fields.map(item).join(", ");
	const { rows: count, bytes } = await connection.consume({
		fields,
		batches,
		// One thread: rows are numbered as they were read, and the number says which came later.
		statement: (relation) => `INSERT INTO incoming SELECT ${items}, nextval('incoming_order') FROM ${relation}`,
		bufferBytesMax: request.bufferBytesMax,
		threads: 1,
		...(request.signal === undefined ? {} : { signal: request.signal }),
	});
	return { rows: count, bytes, fields: kept };
}

/**
 * Works out a load that needs the rows that are there: merge, interval, overlap, or a change of columns.
 * `fields` are the table's after the load, and `existing` a relation of what it holds, null when it is new. It may be
 * a part of the table, if that has all rows that the load can touch.
 */
export async function planOutcome(
	connection: EngineConnection,
	request: LoadRequest,
	incoming: StagedRows,
	fields: readonly Field[],
	existing: { readonly relation: string; readonly fields: readonly Field[] } | null,
): Promise<Outcome> {
	const old = await oldRows(connection, request, fields, existing);
	const shaped = new Shaper(request, fields, incoming.fields);
	const base = { rowsReceived: incoming.rows, rowsUpdated: 0, rowsSuperseded: 0 };
	if (request.write === "merge") return merge(connection, shaped, request, old, base);
	if (request.overlap !== undefined && request.interval === undefined) {
		const names = columnList(fields);
		const { column, from, added = [] } = request.overlap;
		const type = duckdbType(fields.find((field) => field.name === column)?.type ?? { kind: "text" });
		const range = from === null ? "TRUE" : `${quoteIdentifier(column)} >= CAST(${quoteLiteral(from)} AS ${type})`;
		if (added.length > 0) {
			const came = shaped.items("incoming");
			const left = rowsNotReplaced({
				kept: old.kept,
				incoming: `(SELECT ${came} FROM incoming)`,
				fields,
				added,
				range,
			});
			const rows = (await count(connection, `(${left})`)) + incoming.rows;
			const rowsInserted = rows - old.keptRows;
			return {
				sql: `${left} UNION ALL SELECT ${came} FROM incoming`,
				rows,
				result: { ...base, rowsInserted, rowsDeleted: 0, rowsSuperseded: incoming.rows - rowsInserted },
			};
		}
		const sql = `SELECT ${shaped.items("incoming")} FROM incoming EXCEPT ALL SELECT ${names} FROM ${old.kept} AS kept WHERE ${range}`;
		await connection.execute(`CREATE OR REPLACE TEMP TABLE added AS ${sql}`);
		const inserted = await count(connection, "added");
		return {
			sql: `SELECT ${names} FROM ${old.kept} AS kept UNION ALL SELECT ${names} FROM added`,
			added: { sql: `SELECT ${names} FROM added`, rows: inserted },
			rows: old.keptRows + inserted,
			result: { ...base, rowsInserted: inserted, rowsDeleted: 0, rowsSuperseded: incoming.rows - inserted },
		};
	}
	const names = columnList(fields);
	// A replaced table leaves out what the source calls deleted; other rows come in as they are.
	const isReplace = request.write === "replace" && request.interval === undefined;
	const added = `SELECT ${shaped.items("incoming")} FROM incoming${isReplace ? ` WHERE NOT ${deletedFlag(request, "incoming")}` : ""}`;
	const inserted = await count(connection, `(${added})`);
	return {
		sql: `SELECT ${names} FROM ${old.kept} AS kept UNION ALL ${added}`,
		...(old.removedRows === 0 ? { added: { sql: added, rows: inserted } } : {}),
		rows: old.keptRows + inserted,
		result: { ...base, rowsInserted: inserted, rowsDeleted: old.removedRows },
	};
}

/** Whether a row of a relation is one that the source calls deleted, as SQL that is never NULL. */
function deletedFlag({ deletedColumn }: LoadRequest, from: string): string {
	return deletedColumn === undefined
		? "false"
		: `coalesce(CAST(${from}.${quoteIdentifier(deletedColumn)} AS BOOLEAN), false)`;
}

const columnList = (fields: readonly Field[]) => fields.map((field) => quoteIdentifier(field.name)).join(", ");

async function count(connection: EngineConnection, relation: string): Promise<number> {
	const [row] = await connection.query(`SELECT count(*) AS rows FROM ${relation} AS counted`);
	return Number(row!["rows"]);
}

interface OldRows {
	/** The rows that an interval leaves, as a relation with the new columns. */
	readonly kept: string;
	readonly keptRows: number;
	readonly removedRows: number;
}

async function oldRows(
	connection: EngineConnection,
	request: LoadRequest,
	fields: readonly Field[],
	existing: { readonly relation: string; readonly fields: readonly Field[] } | null,
): Promise<OldRows> {
	const { target } = request;
	const items = fields.map((field) => {
		const before = oldNameOf(field.name, target, existing?.fields ?? []);
		const known = existing?.fields.some((other) => other.name === before) ?? false;
		const column = target.columns.find((other) => other.name === field.name);
		const added = column?.fill === true ? (column.defaultSql ?? "NULL") : "NULL";
		return `CAST(${known ? quoteIdentifier(before) : added} AS ${duckdbType(field.type)}) AS ${quoteIdentifier(field.name)}`;
	});
	const all =
		existing === null
			? `(SELECT ${items.join(", ")} WHERE false)`
			: `(SELECT ${items.join(", ")} FROM ${existing.relation} AS old)`;
	const rows = existing === null ? 0 : await count(connection, existing.relation);
	const { interval } = request;
	if (interval === undefined) return { kept: all, keptRows: rows, removedRows: 0 };
	const kept = `(SELECT * FROM ${all} AS old WHERE NOT coalesce(${intervalCondition(interval, fields)}, false))`;
	const keptRows = await count(connection, kept);
	return { kept, keptRows, removedRows: rows - keptRows };
}

/** Rows that an interval replaces, as a condition that may be NULL. @throws E_UNKNOWN_COLUMN */
export function intervalCondition(interval: NonNullable<LoadRequest["interval"]>, fields: readonly Field[]): string {
	if (interval.column === undefined) return `"_headrace_interval" = ${quoteLiteral(tagOf(interval))}`;
	const field = fields.find((other) => other.name === interval.column);
	if (field === undefined) throw new HeadraceError("E_UNKNOWN_COLUMN", `the table has no column ${interval.column}`);
	const name = quoteIdentifier(field.name);
	const bound = (text: string) => `CAST(${quoteLiteral(text)} AS ${duckdbType(field.type)})`;
	return `(${name} >= ${bound(interval.start)} AND ${name} < ${bound(interval.end)})`;
}

/** Incoming rows in the shape of the table. */
class Shaper {
	readonly #request: LoadRequest;
	readonly #fields: readonly Field[];
	readonly #incoming: ReadonlySet<string>;

	constructor(request: LoadRequest, fields: readonly Field[], incoming: readonly Field[]) {
		this.#request = request;
		this.#fields = fields;
		this.#incoming = new Set(incoming.map((field) => field.name));
	}

	/** The value of a field as the load gives it; null when it says nothing about the column. */
	given(field: Field, from: string): string | null {
		const { interval } = this.#request;
		const type = duckdbType(field.type);
		if (this.#incoming.has(field.name)) return `CAST(${from}.${quoteIdentifier(field.name)} AS ${type})`;
		const isTag = field.name === "_headrace_interval" && interval !== undefined && interval.column === undefined;
		return isTag ? quoteLiteral(tagOf(interval)) : null;
	}

	items(from: string): string {
		return this.#fields
			.map(
				(field) =>
					`${this.given(field, from) ?? `CAST(NULL AS ${duckdbType(field.type)})`} AS ${quoteIdentifier(field.name)}`,
			)
			.join(", ");
	}

	/** A row that is there and gets new values: a column that the load does not have keeps its value. */
	updated(oldFrom: string, newFrom: string): string {
		return this.#fields
			.map((field) => {
				const name = quoteIdentifier(field.name);
				return `${this.given(field, newFrom) ?? `${oldFrom}.${name}`} AS ${name}`;
			})
			.join(", ");
	}
}

/** Newest row of each key over what is there, in the order of the old rows, new keys behind. */
async function merge(
	connection: EngineConnection,
	shaped: Shaper,
	request: LoadRequest,
	old: OldRows,
	base: Pick<LoadResult, "rowsReceived">,
): Promise<Outcome> {
	const { key, name } = request.target;
	if (key.length === 0) throw new HeadraceError("E_KEY_REQUIRED", `merge into ${qualified(name)} needs a key`);
	const keys = key.map(quoteIdentifier);
	const order = request.orderColumn === undefined ? "" : `${quoteIdentifier(request.orderColumn)} DESC NULLS LAST, `;
	await connection.execute(
		`CREATE OR REPLACE TEMP TABLE newest AS SELECT * FROM incoming QUALIFY row_number() OVER (PARTITION BY ${keys.join(", ")} ORDER BY ${order}${ORDINAL} DESC) = 1`,
	);
	const isDeleted = deletedFlag(request, "newest");
	const same = keys.map((column) => `kept.${column} = newest.${column}`).join(" AND ");
	const newestRows = await count(connection, "newest");
	const [matched] = await connection.query(
		`SELECT count(*) FILTER (${isDeleted}) AS deleted, count(*) FILTER (NOT ${isDeleted}) AS updated FROM ${old.kept} AS kept JOIN newest ON ${same}`,
	);
	const missing = `FROM newest WHERE NOT ${isDeleted} AND NOT EXISTS (SELECT 1 FROM ${old.kept} AS kept WHERE ${same})`;
	const [added] = await connection.query(`SELECT count(*) AS rows ${missing}`);
	const rowsDeleted = Number(matched!["deleted"]);
	const rowsInserted = Number(added!["rows"]);
	if (request.onConflict === "ignore")
		return {
			sql: `SELECT kept.* FROM ${old.kept} AS kept UNION ALL SELECT ${shaped.items("newest")} ${missing}`,
			...(old.removedRows === 0
				? { added: { sql: `SELECT ${shaped.items("newest")} ${missing}`, rows: rowsInserted } }
				: {}),
			rows: old.keptRows + rowsInserted,
			result: {
				rowsReceived: base.rowsReceived,
				rowsInserted,
				rowsUpdated: 0,
				rowsDeleted: old.removedRows,
				rowsSuperseded: base.rowsReceived - newestRows,
			},
		};
	return {
		sql: `SELECT kept.* FROM ${old.kept} AS kept WHERE NOT EXISTS (SELECT 1 FROM newest WHERE ${same})
			UNION ALL SELECT ${shaped.updated("kept", "newest")} FROM ${old.kept} AS kept JOIN newest ON ${same} WHERE NOT ${isDeleted}
			UNION ALL SELECT ${shaped.items("newest")} ${missing}`,
		rows: old.keptRows - rowsDeleted + rowsInserted,
		result: {
			rowsReceived: base.rowsReceived,
			rowsInserted,
			rowsUpdated: Number(matched!["updated"]),
			rowsDeleted: rowsDeleted + old.removedRows,
			rowsSuperseded: base.rowsReceived - newestRows,
		},
	};
}

/** @throws E_DUPLICATE_KEY when two rows of the relation have the same key */
export async function checkUnique(connection: EngineConnection, relation: string, request: LoadRequest): Promise<void> {
	const { key, name } = request.target;
	if (key.length === 0) return;
	const [counts] = await connection.query(countKeys(duckdbDialect, `${relation} AS loaded`, key));
	if (Number(counts!["nulls"]) > 0)
		throw new HeadraceError("E_NULL_KEY", `${counts!["nulls"]} rows for ${qualified(name)} have NULL in the key`);
	if (counts!["keys"] !== counts!["row_count"])
		throw new HeadraceError("E_DUPLICATE_KEY", `the key of ${qualified(name)} is not unique in the rows that came`);
}
