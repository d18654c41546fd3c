import { slotName } from "../../src/connectors/postgres/wal/slot.ts";
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
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { describeTable, sourceOf } from "./postgres-support.ts";

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
	/** Tell the source that each boundary is durable. */
	readonly acknowledges?: boolean;
	readonly flush?: { readonly seconds: number; readonly rows: number; readonly bytes: number };
	readonly signal?: AbortSignal;
}

export const READER = "test";

export function logOf(source: Source): Required<Pick<ChangeLog, "begin" | "forget">> & ChangeLog {
	const log = source.changeLog!;
	return log as Required<Pick<ChangeLog, "begin" | "forget">> & ChangeLog;
}

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
	const { from, types = DEFAULT_TYPE_POLICY, before = "all", reader = READER } = options;
	const log = logOf(source);
	await using stream = await log.open({
		reader,
		from,
		until: options.until ?? (await log.end()),
		tables,
		types: () => types,
		before,
		flush: options.flush ?? { seconds: 3600, rows: 1_000_000, bytes: 1e9 },
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

/** A database with tables whose changes are followed from the moment it is given. */
export interface LoggedDatabase extends AsyncDisposable {
	readonly database: TestDatabase;
	readonly source: Source;
	readonly log: ReturnType<typeof logOf>;
	/** Of the reader `test`; its publication has the same name. */
	readonly slot: string;
	/** Describes the tables and begins their log for the reader `test`; gives where. */
	begin(names: readonly string[], insertsOnly?: readonly string[]): Promise<{ tables: SourceTable[]; from: string }>;
	query: TestDatabase["query"];
}

export async function loggedDatabase(server: "postgres15" | "postgres18"): Promise<LoggedDatabase> {
	const database = await freshDatabase(await sharedServer(server), "log");
	const source = await sourceOf(database.server, database.name);
	const log = logOf(source);
	const publicTable = (name: string) => ({ schema: "public", name });
	return {
		database,
		source,
		log,
		slot: slotName(READER, database.name),
		query: (sql, parameters) => database.query(sql, parameters),
		async begin(names, insertsOnly = []) {
			const tables = await Promise.all(names.map((name) => describeTable(source, name)));
			await using cut = await log.begin({ reader: READER, tables, insertsOnly: insertsOnly.map(publicTable) });
			return { tables, from: cut.position };
		},
		async [Symbol.asyncDispose]() {
			await source[Symbol.asyncDispose]();
			await database.drop();
		},
	};
}

/** A stream that is read event by event while the source goes on; every commit has its boundary. */
export async function liveStream(
	at: Pick<LoggedDatabase, "log">,
	tables: readonly SourceTable[],
	from: string,
	options: { readonly acknowledges?: boolean; readonly signal?: AbortSignal } = {},
) {
	const stream = await at.log.open({
		reader: READER,
		from,
		tables,
		types: () => DEFAULT_TYPE_POLICY,
		before: "all",
		flush: { seconds: 0.1, rows: 1, bytes: 1 },
		...(options.signal === undefined ? {} : { signal: options.signal }),
	});
	const events = stream[Symbol.asyncIterator]();
	return {
		stream,
		/** The next event of a kind; others are passed over. */
		async next<K extends ChangeEvent["kind"]>(kind: K): Promise<Extract<ChangeEvent, { kind: K }>> {
			while (true) {
				const { value, done } = await events.next();
				if (done === true || value === undefined) throw new Error("the stream ended");
				if (value.kind === "rows") value.batch.release();
				if (value.kind === "boundary" && options.acknowledges === true) await stream.acknowledge(value.position);
				if (value.kind === kind) return value as Extract<ChangeEvent, { kind: K }>;
			}
		},
		[Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
	};
}
