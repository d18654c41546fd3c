import {
	type ApplyRequest,
	type ApplyResult,
	crashPoint,
	decodeColumns,
	encodeColumns,
	fenced,
	type LoadRequest,
	type LoadResult,
	loadsOfApply,
	type PositionExpected,
	type PositionMove,
	type PositionRow,
	qualified,
	type RecordedLoad,
	type RecordedSchema,
} from "../../core/index.ts";
import { isNotThere } from "./errors.ts";
import { type Session, type TextRow, transactionName } from "./session.ts";

export const CONTROL_SCHEMA = "_HEADRACE";
const POSITIONS = `"_HEADRACE"."POSITIONS"`;
const LOADS = `"_HEADRACE"."LOADS"`;
const SCHEMAS = `"_HEADRACE"."SCHEMAS"`;
const SWAPS = `"_HEADRACE"."SWAPS"`;
const MUTEX = `"_HEADRACE"."MUTEX"`;

const COMMITTED_AT = `TO_CHAR(COMMITTED_AT, 'YYYY-MM-DD"T"HH24:MI:SS.FF6') || 'Z'`;
const COLUMNS = `STREAM, EPOCH, SEQ, POSITION, LOAD_ID, SCHEMA_VERSION, ${COMMITTED_AT}`;
const NOW = "CAST(SYSDATE() AS TIMESTAMP_NTZ(6))";

/** A table that was built and waits to take the place of another; its load is committed. */
export interface PendingSwap {
	readonly loadId: string;
	readonly pipeline: string;
	readonly stream: string;
	readonly schema: string;
	readonly name: string;
}

/**
 * Makes the control tables when they are missing. The mutex is a table with one row, made in one statement: keys are not
 * enforced by Snowflake, and an UPDATE that meets no row may hold no lock.
 * https://docs.snowflake.com/en/sql-reference/constraints-overview
 * @throws E_RIGHTS
 */
export async function ensureControlTables(session: Session): Promise<void> {
	if (await controlTablesExist(session)) return;
	try {
		await session.run(`DESCRIBE SCHEMA "${CONTROL_SCHEMA}"`);
	} catch (error) {
		if (!isNotThere(error)) throw error;
		await session.run(`CREATE SCHEMA IF NOT EXISTS "${CONTROL_SCHEMA}"`);
	}
	for (const statement of [
		`CREATE TABLE IF NOT EXISTS ${POSITIONS} (
	PIPELINE VARCHAR NOT NULL, STREAM VARCHAR NOT NULL, EPOCH NUMBER(19,0) NOT NULL, SEQ NUMBER(19,0) NOT NULL,
	POSITION VARCHAR, LOAD_ID VARCHAR, SCHEMA_VERSION VARCHAR, COMMITTED_AT TIMESTAMP_NTZ(6), PRIMARY KEY (PIPELINE, STREAM))`,
		`CREATE TABLE IF NOT EXISTS ${LOADS} (
	LOAD_ID VARCHAR NOT NULL PRIMARY KEY, PIPELINE VARCHAR NOT NULL, TABLE_NAME VARCHAR NOT NULL, FROM_POSITION VARCHAR,
	TO_POSITION VARCHAR NOT NULL, ROWS_INSERTED NUMBER(19,0) NOT NULL, ROWS_UPDATED NUMBER(19,0) NOT NULL,
	ROWS_DELETED NUMBER(19,0) NOT NULL, COMMITTED_AT TIMESTAMP_NTZ(6) NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS ${SCHEMAS} (
	PIPELINE VARCHAR NOT NULL, STREAM VARCHAR NOT NULL, SCHEMA_VERSION VARCHAR NOT NULL, COLUMNS_JSON VARCHAR NOT NULL,
	COMMITTED_AT TIMESTAMP_NTZ(6) NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS ${SWAPS} (
	LOAD_ID VARCHAR NOT NULL PRIMARY KEY, PIPELINE VARCHAR NOT NULL, STREAM VARCHAR NOT NULL, SCHEMA_NAME VARCHAR NOT NULL,
	TABLE_NAME VARCHAR NOT NULL, COMMITTED_AT TIMESTAMP_NTZ(6) NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS ${MUTEX} AS SELECT CAST(0 AS NUMBER(38,0)) AS TOUCHED`,
	])
		await session.run(statement);
}

/** The mutex is made last: where it is, all are. */
export async function controlTablesExist(session: Session): Promise<boolean> {
	try {
		await session.run(`DESCRIBE TABLE ${MUTEX}`);
		return true;
	} catch (error) {
		if (isNotThere(error)) return false;
		throw error;
	}
}

/**
 * Takes the lock that all changes of positions are made under. Statements that begin after it see what others have
 * committed: https://docs.snowflake.com/en/sql-reference/transactions#isolation-level (READ COMMITTED, by statement).
 * A statement that itself waited would see the rows of when it began.
 */
async function takeMutex(session: Session): Promise<void> {
	await session.run(`UPDATE ${MUTEX} SET TOUCHED = TOUCHED + 1`);
}

/** Raises the epochs and makes the rows that are missing, in one transaction. */
export async function takeOver(
	session: Session,
	pipeline: string,
	streams: readonly string[],
): Promise<Map<string, PositionRow>> {
	const names = [...new Set(streams)];
	if (names.length === 0) return new Map();
	await endTransactionsOf(session, pipeline, ["", ...names]);
	return session.transaction(transactionName(pipeline, ""), async () => {
		await takeMutex(session);
		const known = new Set((await positionsOf(session, pipeline)).map((row) => row.stream));
		for (const stream of names) {
			if (known.has(stream))
				await session.run(`UPDATE ${POSITIONS} SET EPOCH = EPOCH + 1 WHERE PIPELINE = ? AND STREAM = ?`, [
					pipeline,
					stream,
				]);
			else
				await session.run(`INSERT INTO ${POSITIONS} (PIPELINE, STREAM, EPOCH, SEQ) VALUES (?, ?, 1, 0)`, [
					pipeline,
					stream,
				]);
		}
		const rows = await positionsOf(session, pipeline);
		return new Map(rows.filter((row) => names.includes(row.stream)).map((row) => [row.stream, row]));
	});
}

/**
 * Rolls back what a dead run left open in these streams, and in the pipeline itself (the stream ""): Snowflake keeps the
 * transaction of a client that is gone, and its locks, for hours.
 * https://docs.snowflake.com/en/sql-reference/functions/system_abort_transaction
 */
export async function endTransactionsOf(session: Session, pipeline: string, streams: readonly string[]): Promise<void> {
	const names = new Set(streams.map((stream) => transactionName(pipeline, stream)));
	const { columns, rows } = await session.run("SHOW TRANSACTIONS");
	const [id, called] = [columns.indexOf("id"), columns.indexOf("name")];
	for (const row of rows)
		if (names.has(row[called] ?? "") && /^\d+$/.test(row[id] ?? ""))
			await session.run(`SELECT SYSTEM$ABORT_TRANSACTION(${row[id]})`);
}

export async function positionsOf(session: Session, pipeline: string): Promise<PositionRow[]> {
	const rows = await session.rows(`SELECT ${COLUMNS} FROM ${POSITIONS} WHERE PIPELINE = ? ORDER BY STREAM`, [pipeline]);
	return rows.map(positionRow);
}

/** The last line of each stream. */
export async function schemasOf(session: Session, pipeline: string): Promise<RecordedSchema[]> {
	const rows = await session.rows(
		`SELECT STREAM, SCHEMA_VERSION, COLUMNS_JSON, ${COMMITTED_AT} FROM ${SCHEMAS} WHERE PIPELINE = ?
QUALIFY row_number() OVER (PARTITION BY STREAM ORDER BY COMMITTED_AT DESC) = 1 ORDER BY STREAM`,
		[pipeline],
	);
	return rows.map(([stream, version, columns, committedAt]) => ({
		stream: stream!,
		version: version!,
		columns: decodeColumns(columns!),
		committedAt: committedAt!,
	}));
}

export async function isCommitted(session: Session, loadId: string): Promise<boolean> {
	return (await session.rows(`SELECT 1 FROM ${LOADS} WHERE LOAD_ID = ?`, [loadId])).length > 0;
}

/** Swaps of committed loads that are not done: of a pipeline, or of one load. */
export async function pendingSwaps(
	session: Session,
	of: { readonly pipeline: string } | { readonly loadId: string },
): Promise<PendingSwap[]> {
	const [column, value] = "pipeline" in of ? ["PIPELINE", of.pipeline] : ["LOAD_ID", of.loadId];
	const rows = await session.rows(
		`SELECT LOAD_ID, PIPELINE, STREAM, SCHEMA_NAME, TABLE_NAME FROM ${SWAPS} WHERE ${column} = ? ORDER BY COMMITTED_AT`,
		[value],
	);
	return rows.map(([loadId, pipeline, stream, schema, name]) => ({
		loadId: loadId!,
		pipeline: pipeline!,
		stream: stream!,
		schema: schema!,
		name: name!,
	}));
}

export async function forgetSwap(session: Session, { pipeline, stream, loadId }: PendingSwap): Promise<void> {
	await session.transaction(transactionName(pipeline, stream), async () => {
		await session.run(`DELETE FROM ${SWAPS} WHERE LOAD_ID = ?`, [loadId]);
	});
}

/** Asked before any work: a run that is fenced already must not load everything to learn it. @throws E_FENCED */
export async function expectPosition(session: Session, request: PositionExpected): Promise<void> {
	const { pipeline, stream, epoch, seq, fromPosition } = request;
	const row = (await positionsOf(session, pipeline)).find((other) => other.stream === stream);
	if (row?.epoch !== epoch || row.seq !== seq || row.position !== fromPosition) throw fenced(request);
}

/** The last statements of a load's transaction. `swap` says that the table takes its place afterwards. @throws E_FENCED */
export async function recordLoad(
	session: Session,
	request: LoadRequest,
	result: LoadResult,
	swap?: Pick<PendingSwap, "schema" | "name">,
): Promise<void> {
	await movePosition(session, request);
	const { pipeline, stream, loadId, target } = request;
	await recordLoads(session, request, [{ loadId, table: qualified(target.name), result }]);
	if (swap !== undefined)
		await session.run(`INSERT INTO ${SWAPS} SELECT ?, ?, ?, ?, ?, ${NOW}`, [
			loadId,
			pipeline,
			stream,
			swap.schema,
			swap.name,
		]);
	await recordSchema(session, request);
}

/**
 * The last statements of a transaction that applies changes: a row for the request, and one for each part.
 * @throws E_FENCED
 */
export async function recordApply(session: Session, request: ApplyRequest, result: ApplyResult): Promise<void> {
	await movePosition(session, request);
	await recordLoads(session, request, loadsOfApply(request, result));
	for (const { schema, schemaVersion } of request.parts)
		if (schema !== undefined) await recordSchema(session, { pipeline: request.pipeline, schema, schemaVersion });
}

async function movePosition(session: Session, request: PositionMove): Promise<void> {
	crashPoint("c09");
	const { pipeline, stream, loadId, fromPosition, toPosition, schemaVersion, epoch, seq } = request;
	await takeMutex(session);
	const moved = await session.change(
		`UPDATE ${POSITIONS} SET SEQ = SEQ + 1, POSITION = ?, LOAD_ID = ?, SCHEMA_VERSION = ?, COMMITTED_AT = ${NOW}
WHERE PIPELINE = ? AND STREAM = ? AND EPOCH = ? AND SEQ = ? AND POSITION IS NOT DISTINCT FROM ?`,
		[toPosition, loadId, schemaVersion, pipeline, stream, epoch, seq, fromPosition],
	);
	if (moved.updated !== 1) throw fenced(request);
}

/** Rows of one INSERT. */
const LOADS_MAX = 50;

async function recordLoads(
	session: Session,
	{ pipeline, fromPosition, toPosition }: PositionMove,
	loads: readonly RecordedLoad[],
): Promise<void> {
	for (let from = 0; from < loads.length; from += LOADS_MAX) {
		const some = loads.slice(from, from + LOADS_MAX);
		const rows = some.map(() => `SELECT ?, ?, ?, ?, ?, ?, ?, ?, ${NOW}`).join("\nUNION ALL ");
		const binds = some.flatMap(({ loadId, table, result: { rowsInserted, rowsUpdated, rowsDeleted } }) => {
			return [loadId, pipeline, table, fromPosition, toPosition, rowsInserted, rowsUpdated, rowsDeleted];
		});
		await session.run(`INSERT INTO ${LOADS} ${rows}`, binds);
	}
}

/** A line more, unless the last is equal. Its time is after that of the last, whatever the clock says. */
async function recordSchema(
	session: Session,
	{ pipeline, schema, schemaVersion }: Pick<LoadRequest, "pipeline" | "schema" | "schemaVersion">,
): Promise<void> {
	if (schema === undefined) return;
	const columns = encodeColumns(schema.columns);
	const [last] = await session.rows(
		`SELECT COLUMNS_JSON FROM ${SCHEMAS} WHERE PIPELINE = ? AND STREAM = ? ORDER BY COMMITTED_AT DESC LIMIT 1`,
		[pipeline, schema.stream],
	);
	if (last?.[0] === columns) return;
	await session.run(
		`INSERT INTO ${SCHEMAS} SELECT ?, ?, ?, ?, greatest(${NOW}, coalesce((SELECT DATEADD(microsecond, 1, max(COMMITTED_AT))
FROM ${SCHEMAS} WHERE PIPELINE = ? AND STREAM = ?), ${NOW}))`,
		[pipeline, schema.stream, schemaVersion, columns, pipeline, schema.stream],
	);
}

function positionRow([stream, epoch, seq, position, loadId, schemaVersion, committedAt]: TextRow): PositionRow {
	return {
		stream: stream!,
		epoch: Number(epoch),
		seq: Number(seq),
		position: position ?? null,
		loadId: loadId ?? null,
		schemaVersion: schemaVersion ?? null,
		committedAt: committedAt ?? null,
	};
}
