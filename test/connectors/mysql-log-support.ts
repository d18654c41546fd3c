import {
	type BeforeImages,
	type ChangeEvent,
	type ChangeLog,
	ChangeOperation,
	DEFAULT_TYPE_POLICY,
	type Source,
	type SourceTable,
	type TypePolicy,
} from "../../src/core/index.ts";
import { valueText } from "../../src/formats/index.ts";

const NAMES = Object.fromEntries(Object.entries(ChangeOperation).map(([name, code]) => [code, name]));

/** A row of the log as canonical text, a boundary, or another event; batches are released. */
export interface LoggedRow {
	readonly table: string;
	readonly operation: string;
	readonly transaction: number;
	/** Columns that the row does not tell are left out. */
	readonly values: Readonly<Record<string, string | null>>;
}

export interface Logged {
	readonly rows: LoggedRow[];
	readonly events: Exclude<ChangeEvent, { kind: "rows" }>[];
	/** Rows and other events in the order in which they came. */
	readonly all: (LoggedRow | Exclude<ChangeEvent, { kind: "rows" }>)[];
	/** Of the last boundary. */
	readonly position: string;
}

export interface FollowOptions {
	readonly from: string;
	readonly until?: string;
	readonly types?: TypePolicy;
	readonly before?: BeforeImages;
	readonly reader?: string;
	readonly flush?: { readonly seconds: number; readonly rows: number; readonly bytes: number };
	readonly signal?: AbortSignal;
}

export const logOf = (source: Source): ChangeLog => source.changeLog!;

/** Rows of a `rows` event. */
export function rowsOfEvent(event: Extract<ChangeEvent, { kind: "rows" }>): LoggedRow[] {
	const rows: LoggedRow[] = [];
	for (let row = 0; row < event.batch.rowCount; row++) {
		const values: Record<string, string | null> = {};
		for (const [index, column] of event.batch.columns.entries()) {
			const bits = event.absent?.[index] ?? null;
			if (bits !== null && ((bits[row >> 3]! >> (row & 7)) & 1) === 1) continue;
			values[column.name] = valueText(column, row);
		}
		rows.push({
			table: event.table.name.name,
			operation: NAMES[event.operations[row]!]!,
			transaction: event.transactions[row]!,
			values,
		});
	}
	event.batch.release();
	return rows;
}

/** Everything from a position to another one, or to the log's end. */
export async function follow(source: Source, tables: readonly SourceTable[], options: FollowOptions): Promise<Logged> {
	const { from, types = DEFAULT_TYPE_POLICY, before = "all", reader = "test" } = options;
	const log = logOf(source);
	await using stream = await log.open({
		reader,
		from,
		until: options.until ?? (await log.end()),
		tables,
		types: () => types,
		before,
		flush: options.flush ?? { seconds: 3600, rows: 1_000_000, bytes: 1e9 },
		...(options.signal === undefined ? {} : { signal: options.signal }),
	});
	const logged = { rows: [] as LoggedRow[], events: [] as Logged["events"], all: [] as Logged["all"], position: from };
	for await (const event of stream) {
		if (event.kind === "rows") {
			const rows = rowsOfEvent(event);
			logged.rows.push(...rows);
			logged.all.push(...rows);
			continue;
		}
		logged.events.push(event);
		logged.all.push(event);
		if (event.kind === "boundary") logged.position = event.position;
	}
	return logged;
}

/** Rows as `insert 1,one`: the operation and the values in their order. */
export function brief(rows: readonly LoggedRow[]): string[] {
	return rows.map(({ operation, values }) => `${operation} ${Object.values(values).join(",")}`);
}
