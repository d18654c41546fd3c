import { type Connection, matchesPattern, parsePattern } from "../config/index.ts";
import {
	type ChangedRows,
	type ChangeEvent,
	type ChangeLog,
	ChangeOperation,
	DEFAULT_TYPE_POLICY,
	HeadraceError,
	isTold,
	qualified,
	type Source,
	type SourceTable,
} from "../core/index.ts";
import { valueText } from "../formats/index.ts";
import { openSource } from "./registry.ts";

/** Each transaction is handed on once it is whole, so that they come in the order of their commits. */
const EACH_TRANSACTION = { seconds: 0.2, rows: 1, bytes: 1 };

export interface ChangesOptions {
	/** Names and patterns; none: every table that the address names. */
	readonly tables: readonly string[];
	/** `beginning`, `now`, or a position as the source writes it. */
	readonly from: string;
	/** Goes on at the log's end, until `signal`. */
	readonly follow: boolean;
	readonly signal: AbortSignal;
}

/** Values as canonical text; null is NULL. A column that the log does not tell is left out. */
export type ChangeValues = Readonly<Record<string, string | null>>;

/** A row that was written, changed or deleted. */
export interface RowChange {
	readonly kind: "insert" | "update" | "delete";
	readonly table: string;
	/** Names of the key's columns. */
	readonly key: readonly string[];
	readonly before?: ChangeValues;
	readonly after?: ChangeValues;
}

/** What the log holds, as text. */
export type Change =
	| RowChange
	| { readonly kind: "truncate"; readonly table: string }
	| {
			readonly kind: "schema";
			readonly table: string;
			readonly statement: string;
			/** Names and types as the source has them; null when the table is gone. */
			readonly columns: ChangeValues | null;
			/** Rows may have changed without being in the log. */
			readonly rereads: boolean;
	  }
	| {
			/** The changes before it, back to the commit before, are one transaction. */
			readonly kind: "commit";
			readonly position: string;
			/** UTC, ISO 8601. */
			readonly committed_at: string;
			readonly id: string | null;
	  };

/**
 * A source's change log from a place on. Ends at the place where the log ended when it was opened, unless it follows.
 * @throws E_UNSUPPORTED for a source without a log, E_UNKNOWN_TABLE, E_RIGHTS, E_LOG_SETTINGS, E_HISTORY_GONE
 */
export async function* readChanges(
	connection: Connection,
	options: ChangesOptions,
): AsyncGenerator<Change, { position: string }, undefined> {
	await using source = await openSource(connection, {
		engineMemoryBytes: 64 << 20,
		temporaryDirectory: ".",
		stagingDirectory: ".",
	});
	const log = source.changeLog;
	if (log === undefined)
		throw new HeadraceError("E_UNSUPPORTED", `${connection.name} keeps no change log that can be read`);
	const { signal, follow } = options;
	const end = await log.end(signal);
	const from = await startOf(log, options.from, end, signal);
	const tables = await tablesOf(source, options.tables);
	await using stream = await log.open({
		reader: `changes:${process.pid}`,
		from,
		tables,
		types: () => DEFAULT_TYPE_POLICY,
		before: "all",
		flush: EACH_TRANSACTION,
		looks: true,
		...(follow ? {} : { until: end }),
		signal,
	});
	let position = log.format(from);
	const before = new Map<string, ChangeValues>();
	for await (const event of stream) {
		if (event.kind === "rows") yield* rowsOf(event, before);
		else if (event.kind === "boundary") {
			position = log.format(event.position);
			for (const transaction of event.transactions)
				yield {
					kind: "commit",
					position: log.format(transaction.position),
					committed_at: timeText(transaction.committedAt),
					id: transaction.id ?? null,
				};
		} else yield otherOf(event);
	}
	return { position };
}

async function startOf(log: ChangeLog, from: string, end: string, signal: AbortSignal): Promise<string> {
	if (from === "now") return end;
	return from === "beginning" ? log.beginning(signal) : log.parse(from);
}

/** Tables only: views have no changes of their own. */
async function tablesOf(source: Source, wanted: readonly string[]): Promise<SourceTable[]> {
	const all = await source.listTables();
	const inDefault = source.defaultSchema === "" ? all : all.filter(({ schema }) => schema === source.defaultSchema);
	const chosen = new Set(wanted.length === 0 ? inDefault : []);
	for (const text of wanted) {
		const pattern = parsePattern(text);
		const named = pattern.schema === undefined ? inDefault : all;
		const matches = named.filter((table) => matchesPattern(pattern, table));
		if (matches.length === 0)
			throw new HeadraceError("E_UNKNOWN_TABLE", `no table that can be seen matches ${JSON.stringify(text)}`, {
				hint: "Check --tables, or grant the reader the right to see them.",
			});
		for (const table of matches) chosen.add(table);
	}
	const described = await source.describe(
		[...chosen].map((table) => ({ table, types: DEFAULT_TYPE_POLICY, forLog: true as const })),
	);
	const tables = described.filter(({ kind }) => kind === "table");
	if (tables.length === 0)
		throw new HeadraceError("E_UNKNOWN_TABLE", "the address has no table whose changes could be read");
	return tables;
}

function* rowsOf(event: ChangedRows, before: Map<string, ChangeValues>): Generator<Change, void, undefined> {
	const { batch, operations } = event;
	const table = qualified(event.table.name);
	const key = event.table.primaryKey;
	try {
		for (let row = 0; row < batch.rowCount; row++) {
			const values = valuesOf(event, row);
			switch (operations[row]) {
				case ChangeOperation.before:
					before.set(table, values);
					break;
				case ChangeOperation.update: {
					const was = before.get(table);
					before.delete(table);
					yield { kind: "update", table, key, ...(was === undefined ? {} : { before: was }), after: values };
					break;
				}
				case ChangeOperation.delete:
					yield { kind: "delete", table, key, before: values };
					break;
				default:
					yield { kind: "insert", table, key, after: values };
			}
		}
	} finally {
		batch.release();
	}
}

function valuesOf(rows: ChangedRows, row: number): ChangeValues {
	const values: [string, string | null][] = [];
	for (const [index, column] of rows.batch.columns.entries())
		if (isTold(rows, index, row)) values.push([column.name, valueText(column, row)]);
	return Object.fromEntries(values);
}

function otherOf(event: Exclude<ChangeEvent, { kind: "rows" | "boundary" }>): Change {
	if (event.kind === "truncate") return { kind: "truncate", table: qualified(event.table.name) };
	const { before, after, statement, rereads } = event;
	const columns =
		after === null ? null : Object.fromEntries(after.columns.map(({ name, nativeType }) => [name, nativeType]));
	return { kind: "schema", table: qualified(before.name), statement, columns, rereads };
}

function timeText(micros: bigint): string {
	const fraction = String(micros % 1_000_000n)
		.padStart(6, "0")
		.replace(/0+$/, "");
	const seconds = new Date(Number(micros / 1000n)).toISOString().slice(0, 19);
	return `${seconds}${fraction === "" ? "" : `.${fraction}`}Z`;
}
