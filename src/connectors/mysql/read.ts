import {
	type Batch,
	BatchPool,
	BatchQueue,
	HeadraceError,
	qualified,
	type ReadRequest,
	type SourceTable,
} from "../../core/index.ts";
import { columnList } from "./catalog.ts";
import type { MysqlConnection, RunningStatement } from "./connection.ts";
import { windowCondition } from "./literal.ts";
import { type Readers, stopped } from "./readers.ts";
import { decoderOf, RowDecoder } from "./row-decoder.ts";
import { selectHint } from "./server.ts";
import { all, derived, tableSql } from "./sql.ts";

const BUFFER_BYTES_DEFAULT = 16 << 20;
/** How long a read that is stopped may take to end at the server before its connection is given up. */
const CANCEL_TIMEOUT_MS = 5_000;

/** Where a table's rows come from. */
export function fromSql(table: SourceTable): string {
	return table.kind === "query" ? derived(table.query ?? "") : tableSql(table.name);
}

function selectSql(connection: MysqlConnection, request: ReadRequest): string {
	const { table, columns } = request;
	// A row needs one value at least.
	const selected = columns.map((column) => decoderOf(column).select).join(", ");
	const where = all([
		request.chunk?.condition,
		windowCondition(table.columns, request.window),
		// The line end keeps a comment at the condition's end from swallowing the bracket.
		request.where === undefined ? undefined : `${request.where}\n`,
	]);
	return `SELECT ${selectHint(connection.server)}${selected} FROM ${fromSql(table)}${where}`;
}

/** Reads by one of the snapshot's connections. `kill` ends the statement of a session. */
export async function* readTable(
	readers: Readers,
	request: ReadRequest,
	kill: (threadId: number) => Promise<void>,
): AsyncGenerator<Batch, void, undefined> {
	const { table, columns, signal } = request;
	if (columns.length === 0)
		throw new HeadraceError("E_INVALID_VALUE", `no column of ${qualified(table.name)} is to be read`);
	const connection = await readers.take(signal);
	try {
		const before = await expectedColumns(connection, request);
		yield* streamBatches(connection, request, kill);
		if (before !== null) {
			const after = await columnList(connection, table.name);
			if (JSON.stringify([...after]) !== JSON.stringify([...before])) throw changed(table);
		}
	} catch (error) {
		throw error instanceof HeadraceError ? error.at({ table: qualified(table.name) }) : error;
	} finally {
		readers.give(connection);
	}
}

/**
 * The column list of a table now, checked against what was described. An old snapshot answers with the new columns
 * after an instant ADD, DROP or RENAME COLUMN: only the list before and after the read shows it.
 */
async function expectedColumns(
	connection: MysqlConnection,
	{ table, columns }: ReadRequest,
): Promise<Map<string, string> | null> {
	if (table.kind === "query") return null;
	const now = await columnList(connection, table.name);
	// Nothing to be seen: dropped, or the right was taken away. The SELECT gets the server's own answer.
	if (now.size > 0 && columns.some((column) => now.get(column.name) !== column.nativeType)) throw changed(table);
	return now;
}

function changed(table: SourceTable): HeadraceError {
	return new HeadraceError("E_CONFLICT", `the columns of ${qualified(table.name)} changed while it was read (DDL)`);
}

async function* streamBatches(
	connection: MysqlConnection,
	request: ReadRequest,
	kill: (threadId: number) => Promise<void>,
): AsyncGenerator<Batch, void, undefined> {
	const { table, columns, signal, types } = request;
	const sql = selectSql(connection, request);
	let isCancelled = false;
	let cancelling: Promise<void> | null = null;
	const cancel = (): Promise<void> => {
		isCancelled = true;
		cancelling ??= endStatement(connection, statement, kill);
		return cancelling;
	};
	const queue = new BatchQueue(request.bufferBytesMax ?? BUFFER_BYTES_DEFAULT, {
		pause: () => connection.pause(),
		resume: () => connection.resume(),
		cancel,
	});
	const decoder = new RowDecoder(columns, request.pool ?? new BatchPool(columns), types, (batch) => queue.push(batch));
	const fail = (error: unknown) => {
		isCancelled = true;
		queue.fail(connection.translate(error, table.name));
	};
	const statement = connection.stream(
		sql,
		{
			fields: () => {},
			row: (buffer, start, end) => {
				if (isCancelled) return;
				try {
					decoder.row(buffer, start, end);
				} catch (error) {
					fail(error);
				}
			},
			flush: () => {
				if (isCancelled) return;
				try {
					decoder.flush();
				} catch (error) {
					fail(error);
				}
			},
		},
		table.name,
	);
	void statement.ended.then((error) => {
		try {
			if (error !== null) fail(error);
			else if (!isCancelled) decoder.finish();
			queue.end();
		} catch (failure) {
			fail(failure);
		} finally {
			decoder.abandon();
		}
	});
	const abort = () => {
		if (signal !== undefined) fail(stopped(signal));
	};
	signal?.addEventListener("abort", abort, { once: true });
	if (signal?.aborted) abort();
	try {
		yield* queue;
	} finally {
		signal?.removeEventListener("abort", abort);
		await cancel();
	}
}

/**
 * Ends a statement that may still be sending: KILL QUERY from another session, then what is on its way is read and
 * dropped, so that the connection keeps its snapshot. A connection that does not come back in time is cut.
 */
async function endStatement(
	connection: MysqlConnection,
	statement: RunningStatement,
	kill: (threadId: number) => Promise<void>,
): Promise<void> {
	if (statement.isOver) return;
	connection.resume();
	const { promise: tooLong, reject } = Promise.withResolvers<never>();
	const timer = setTimeout(() => reject(new Error("the statement did not end")), CANCEL_TIMEOUT_MS);
	const ended = async () => {
		await kill(connection.threadId);
		await statement.ended;
		// A KILL that came after the statement's end ends the next one, which may be this.
		await connection.rows("DO 0").catch(() => connection.rows("DO 0"));
	};
	try {
		await Promise.race([ended(), tooLong]);
	} catch {
		connection.destroy();
	} finally {
		clearTimeout(timer);
	}
}
