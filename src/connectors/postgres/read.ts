import {
	type Batch,
	BatchPool,
	BatchQueue,
	HeadraceError,
	qualified,
	type ReadRequest,
	typeName,
} from "../../core/index.ts";
import { decoderOf } from "./decoders.ts";
import type { Reader } from "./readers.ts";
import { RowDecoder } from "./row-decoder.ts";
import { decoderPlan, selectSql } from "./select-sql.ts";
import type { Session, StatementAbout } from "./session.ts";
import { stopped } from "./stopped.ts";

const BUFFER_BYTES_MAX = 8 << 20;
/** How long a cancelled COPY may take to end before its connection is cut. */
const CANCEL_TIMEOUT_MS = 5_000;

export interface ReadContext {
	readonly reader: Reader;
	/** The database's encoding is SQL_ASCII. */
	readonly textUnchecked: boolean;
	/** Asks the server to stop what a backend does. */
	readonly cancelBackend: (processId: string) => Promise<void>;
	/** Ends reads when the snapshot closes. */
	readonly closing: AbortSignal;
	/** Cancels that the closing snapshot waits for. */
	readonly active: Set<() => Promise<void>>;
}

/**
 * One SELECT as batches, inside a savepoint of the reader's transaction that the caller rolls back to: so a failed or
 * cancelled read costs neither the snapshot nor the connection, and locks do not outlive the read.
 */
export async function* readRows(context: ReadContext, request: ReadRequest): AsyncGenerator<Batch, void, undefined> {
	const { reader, closing, active } = context;
	const { session } = reader;
	const { table, columns, types } = request;
	const signal = request.signal === undefined ? closing : AbortSignal.any([request.signal, closing]);
	const about: StatementAbout = { table: table.name, ownSql: hasOwnSql(request) };
	refuse(request);
	const sql = selectSql(request);
	await checkShape(session, sql, request, about);

	let settled = false;
	const queue = new BatchQueue(request.bufferBytesMax ?? BUFFER_BYTES_MAX, {
		pause: () => {
			if (!settled) session.pause();
		},
		resume: () => session.resume(),
		cancel: () => cancel(),
	});
	const decoder = new RowDecoder({
		pool: request.pool ?? new BatchPool(columns),
		decoders: columns.map((c) => decoderOf(decoderPlan(c).decode, c.name, c.type, types)),
		textUnchecked: context.textUnchecked,
		invalidText: types.invalidText,
		onBatch: (batch) => queue.push(batch),
		onFailure: (error) => {
			queue.fail(error);
			void cancel();
		},
	});
	const copied = (async () => {
		try {
			const rows = await session.copy(`COPY (${sql}) TO STDOUT (FORMAT binary)`, decoder, about);
			decoder.finish(rows);
			queue.end();
		} catch (error) {
			queue.fail(error);
		} finally {
			settled = true;
		}
	})();
	let cancelling: Promise<void> | null = null;
	const cancel = (): Promise<void> => {
		cancelling ??= settled ? Promise.resolve() : cancelCopy(context, copied);
		return cancelling;
	};
	const onAbort = () => {
		queue.fail(stopped(signal));
		void cancel();
	};
	active.add(cancel);
	if (signal.aborted) onAbort();
	signal.addEventListener("abort", onAbort, { once: true });
	try {
		yield* queue;
		await checkUnchanged(session, about);
	} catch (error) {
		throw error instanceof HeadraceError ? error.at({ table: qualified(table.name) }) : error;
	} finally {
		signal.removeEventListener("abort", onAbort);
		if (!settled) await cancel();
		await copied;
		active.delete(cancel);
		decoder.discard();
	}
}

/** Whether SQL of the pipeline file is in the statement: it names tables as the user's own session would. */
export function hasOwnSql(request: Pick<ReadRequest, "table" | "where">): boolean {
	return request.table.kind === "query" || request.where !== undefined;
}

/** Ends a COPY that nobody wants any more: what is on its way is thrown away, and the backend is told to stop. */
async function cancelCopy({ reader, cancelBackend }: ReadContext, copied: Promise<void>): Promise<void> {
	const { session } = reader;
	session.discardRows();
	session.resume();
	const timer = setTimeout(() => session.destroy(), CANCEL_TIMEOUT_MS);
	await cancelBackend(reader.processId).catch(() => session.destroy());
	await copied;
	clearTimeout(timer);
}

function refuse(request: ReadRequest): void {
	for (const column of request.columns)
		if (column.fidelity === "refused")
			throw new HeadraceError("E_TYPE_REFUSED", `column ${column.name}: ${column.note ?? typeName(column.type)}`, {
				table: qualified(request.table.name),
			});
}

/** Compares what the server is about to send with what was described: DDL may have come between. */
async function checkShape(session: Session, sql: string, request: ReadRequest, about: StatementAbout): Promise<void> {
	const described = await session.describe(sql, about);
	request.columns.forEach((column, index) => {
		if (described[index]?.type === decoderPlan(column).wire) return;
		throw new HeadraceError("E_SCHEMA", `column ${column.name} has changed its type since the table was described`, {
			table: qualified(request.table.name),
			hint: "Run again: the table is described anew.",
		});
	});
}

/**
 * TRUNCATE, REFRESH and rewriting ALTERs are not transactional for older snapshots: the table looks empty or as it is
 * now. The snapshot's catalog names the file that the table had, pg_relation_filenode the one that it has; the read's
 * locks hold every table that it used. https://www.postgresql.org/docs/current/mvcc-caveats.html
 */
async function checkUnchanged(session: Session, about: StatementAbout): Promise<void> {
	const changed = await session.rows(
		`WITH RECURSIVE touched(oid) AS (
			SELECT l.relation FROM pg_catalog.pg_locks AS l
			WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'
			  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
			UNION
			SELECT i.inhrelid FROM touched AS t JOIN pg_catalog.pg_inherits AS i ON i.inhparent = t.oid
		)
		SELECT n.nspname || '.' || c.relname FROM touched JOIN pg_catalog.pg_class AS c ON c.oid = touched.oid
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm') AND c.relfilenode <> 0
		  AND (c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid)
		    OR (c.relispartition AND pg_catalog.pg_partition_root(c.oid) IS NULL))
		LIMIT 1`,
		undefined,
		about,
	);
	if (changed.length > 0)
		throw new HeadraceError(
			"E_CONFLICT",
			`${changed[0]![0]} was truncated, rewritten or detached during the snapshot`,
			{
				hint: "The run is retried with a new snapshot.",
			},
		);
}
