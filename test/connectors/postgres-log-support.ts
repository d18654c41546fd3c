import { slotName } from "../../src/connectors/postgres/wal/slot.ts";
import {
	type ChangeEvent,
	type ChangeLog,
	DEFAULT_TYPE_POLICY,
	type Source,
	type SourceTable,
} from "../../src/core/index.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { describeTable, sourceOf } from "./postgres-support.ts";

export const READER = "test";

export function logOf(source: Source): Required<Pick<ChangeLog, "begin" | "forget">> & ChangeLog {
	const log = source.changeLog!;
	return log as Required<Pick<ChangeLog, "begin" | "forget">> & ChangeLog;
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
