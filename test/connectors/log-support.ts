/** Change logs of any source as rows of text. */
import {
	type BeforeImages,
	type ChangeEvent,
	type ChangeLog,
	ChangeOperation,
	DEFAULT_TYPE_POLICY,
	isTold,
	type Source,
	type SourceTable,
	type TypePolicy,
} from "../../src/core/index.ts";
import { valueText } from "../../src/formats/index.ts";

const NAMES = Object.fromEntries(Object.entries(ChangeOperation).map(([name, code]) => [code, name]));

/** A row of the log as canonical text; columns that it does not tell are left out. */
export interface LoggedRow {
	readonly table: string;
	readonly operation: string;
	readonly transaction: number;
	readonly values: Readonly<Record<string, string | null>>;
}

export type OtherEvent = Exclude<ChangeEvent, { kind: "rows" }>;

export interface Logged {
	readonly rows: LoggedRow[];
	readonly events: OtherEvent[];
	/** Rows and other events in the order in which they came. */
	readonly all: (LoggedRow | OtherEvent)[];
	/** Of the last boundary. */
	readonly position: string;
}

export interface FollowOptions {
	readonly from: string;
	readonly until?: string;
	readonly types?: TypePolicy;
	readonly before?: BeforeImages;
	readonly reader?: string;
	readonly looks?: boolean;
	/** Of every table. */
	readonly knownUntil?: string;
	readonly canReadAnew?: boolean;
	/** Tell the source that each boundary is durable. */
	readonly acknowledges?: boolean;
	readonly flush?: { readonly seconds: number; readonly rows: number; readonly bytes: number };
	readonly signal?: AbortSignal;
}

export function rowsOfEvent(event: Extract<ChangeEvent, { kind: "rows" }>): LoggedRow[] {
	const rows: LoggedRow[] = [];
	for (let row = 0; row < event.batch.rowCount; row++) {
		const values: Record<string, string | null> = {};
		for (const [index, column] of event.batch.columns.entries()) {
			if (isTold(event, index, row)) values[column.name] = valueText(column, row);
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

export const logOf = (source: Source): ChangeLog => source.changeLog!;

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
		...(options.knownUntil === undefined ? {} : { knownUntil: () => options.knownUntil }),
		canReadAnew: () => options.canReadAnew === true,
		...(options.looks === undefined ? {} : { looks: options.looks }),
		...(options.signal === undefined ? {} : { signal: options.signal }),
	});
	const logged = { rows: [] as LoggedRow[], events: [] as OtherEvent[], all: [] as Logged["all"], position: from };
	for await (const event of stream) {
		if (event.kind === "rows") {
			const rows = rowsOfEvent(event);
			logged.rows.push(...rows);
			logged.all.push(...rows);
			continue;
		}
		logged.events.push(event);
		logged.all.push(event);
		if (event.kind !== "boundary") continue;
		logged.position = event.position;
		if (options.acknowledges === true) await stream.acknowledge(event.position);
	}
	return logged;
}

/** Rows as `insert 1,one`: the operation and the values in their order. */
export function brief(rows: readonly LoggedRow[]): string[] {
	return rows.map(({ operation, values }) => `${operation} ${Object.values(values).join(",")}`);
}
