import {
	type ApplyRequest,
	type ApplyResult,
	crashPoint,
	decodeColumns,
	encodeColumns,
	fenced,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	loadsOfApply,
	type PositionMove,
	type PositionRow,
	qualified,
	type RecordedLoad,
	type RecordedSchema,
} from "../../core/index.ts";
import { settingsSql } from "./connect.ts";
import type { Session, TextRow } from "./session.ts";
import type { WriteSession } from "./write-session.ts";

const POSITIONS = "_headrace.positions";
const LOADS = "_headrace.loads";
const SCHEMAS = "_headrace.schemas";
/** Names the lock that makers of the control tables take: two that make them at once would fail. "headrace" in ASCII. */
const MAKER_LOCK = "7522525836635890533";

const COMMITTED_AT = `pg_catalog.to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const COLUMNS = `stream, epoch, seq, position, load_id, schema_version, ${COMMITTED_AT}`;

async function haveTables(session: Session, names: readonly string[]): Promise<boolean> {
	const [row] = await session.rows(
		`SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		 WHERE n.nspname = '_headrace' AND c.relname = ANY ($1::pg_catalog.text[]) AND c.relkind IN ('r', 'p')`,
		[[...names]],
	);
	return Number(row?.[0]) === names.length;
}

export function controlTablesExist(session: Session): Promise<boolean> {
	return haveTables(session, ["positions", "loads"]);
}

/** Makes the control tables when they are missing. @throws E_RIGHTS */
export async function ensureControlTables(session: Session): Promise<void> {
	if (await haveTables(session, ["positions", "loads", "schemas"])) return;
	await inTransaction(session, async () => {
		await session.rows("SELECT pg_catalog.pg_advisory_xact_lock($1)", [MAKER_LOCK]);
		const [schema] = await session.rows("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = '_headrace'");
		await session.script([
			...(schema === undefined ? ["CREATE SCHEMA _headrace"] : []),
			`CREATE TABLE IF NOT EXISTS ${POSITIONS} (
				pipeline text NOT NULL, stream text NOT NULL, epoch bigint NOT NULL, seq bigint NOT NULL,
				position text, load_id text, schema_version text, committed_at timestamptz, PRIMARY KEY (pipeline, stream))`,
			`CREATE TABLE IF NOT EXISTS ${LOADS} (
				load_id text PRIMARY KEY, pipeline text NOT NULL, table_name text NOT NULL, from_position text,
				to_position text NOT NULL, rows_inserted bigint NOT NULL, rows_updated bigint NOT NULL,
				rows_deleted bigint NOT NULL, committed_at timestamptz NOT NULL)`,
			`CREATE TABLE IF NOT EXISTS ${SCHEMAS} (
				pipeline text NOT NULL, stream text NOT NULL, schema_version text NOT NULL, columns_json text NOT NULL,
				committed_at timestamptz NOT NULL, PRIMARY KEY (pipeline, stream, committed_at))`,
		]);
	});
}

/** Raises the epochs, makes the rows that are missing; in the order of their names, so that two runs don't lock each other. */
export async function takeOver(
	session: Session,
	pipeline: string,
	streams: readonly string[],
): Promise<Map<string, PositionRow>> {
	if (streams.length === 0) return new Map();
	const rows = await session.rows(
		`INSERT INTO ${POSITIONS} AS p (pipeline, stream, epoch, seq)
		 SELECT $1, wanted.stream, 1, 0 FROM (SELECT DISTINCT pg_catalog.unnest($2::text[]) AS stream) AS wanted
		 ORDER BY wanted.stream COLLATE "C"
		 ON CONFLICT (pipeline, stream) DO UPDATE SET epoch = p.epoch + 1 RETURNING ${COLUMNS}`,
		[pipeline, [...streams]],
	);
	return new Map(rows.map(positionRow).map((row) => [row.stream, row]));
}

export async function positionsOf(session: Session, pipeline: string): Promise<PositionRow[]> {
	const rows = await session.rows(
		`SELECT ${COLUMNS} FROM ${POSITIONS} WHERE pipeline = $1 ORDER BY stream COLLATE "C"`,
		[pipeline],
	);
	return rows.map(positionRow);
}

/** The last line of each stream. A database that an earlier version loaded has no such table. */
export async function schemasOf(session: Session, pipeline: string): Promise<RecordedSchema[]> {
	if (!(await haveTables(session, ["schemas"]))) return [];
	const rows = await session.rows(
		`SELECT DISTINCT ON (stream COLLATE "C") stream, schema_version, columns_json, ${COMMITTED_AT}
		 FROM ${SCHEMAS} WHERE pipeline = $1 ORDER BY stream COLLATE "C", ${SCHEMAS}.committed_at DESC`,
		[pipeline],
	);
	return rows.map(([stream, version, columns, committedAt]) => ({
		stream: stream!,
		version: version!,
		columns: decodeColumns(columns!),
		committedAt: committedAt!,
	}));
}

/** A line more, unless the last is equal. Its time is after that of the last, whatever the clock says. */
async function recordSchema(
	writer: WriteSession,
	{ pipeline, schema, schemaVersion }: Pick<LoadRequest, "pipeline" | "schema" | "schemaVersion">,
): Promise<void> {
	if (schema === undefined) return;
	await writer.execute(
		`INSERT INTO ${SCHEMAS}
		 SELECT $1::text, $2::text, $3, $4::text, greatest(pg_catalog.clock_timestamp(), last.committed_at + interval '1 microsecond')
		 FROM (SELECT 1) AS one LEFT JOIN (SELECT columns_json, committed_at FROM ${SCHEMAS}
		   WHERE pipeline = $1 AND stream = $2 ORDER BY committed_at DESC LIMIT 1) AS last ON TRUE
		 WHERE last.columns_json IS DISTINCT FROM $4`,
		[pipeline, schema.stream, schemaVersion, encodeColumns(schema.columns)],
	);
}

export async function isCommitted(session: Session, loadId: string): Promise<boolean> {
	return (await session.rows(`SELECT 1 FROM ${LOADS} WHERE load_id = $1`, [loadId])).length > 0;
}

/** Asked before any work: a run that is fenced already must not read everything to learn it. @throws E_FENCED */
export async function expectPosition(session: Session, request: PositionMove): Promise<void> {
	const [found] = await session.rows(
		`SELECT 1 FROM ${POSITIONS} WHERE pipeline = $1 AND stream = $2 AND epoch = $3 AND seq = $4
		 AND position IS NOT DISTINCT FROM $5`,
		[request.pipeline, request.stream, request.epoch, request.seq, request.fromPosition],
	);
	if (found === undefined) throw fenced(request);
}

/** The last statements of a load's transaction. @throws E_FENCED */
export async function recordLoad(writer: WriteSession, request: LoadRequest, result: LoadResult): Promise<void> {
	await movePosition(writer, request);
	await recordLoads(writer, request, [{ loadId: request.loadId, table: qualified(request.target.name), result }]);
	await recordSchema(writer, request);
}

/**
 * The last statements of a transaction that applies changes: a row for the request, and one for each part.
 * @throws E_FENCED
 */
export async function recordApply(writer: WriteSession, request: ApplyRequest, result: ApplyResult): Promise<void> {
	await movePosition(writer, request);
	await recordLoads(writer, request, loadsOfApply(request, result));
	for (const { schema, schemaVersion } of request.parts)
		if (schema !== undefined) await recordSchema(writer, { pipeline: request.pipeline, schema, schemaVersion });
}

async function movePosition(writer: WriteSession, request: PositionMove): Promise<void> {
	crashPoint("c09");
	const { pipeline, stream, loadId, fromPosition, toPosition, schemaVersion, epoch, seq } = request;
	// First: it waits for a run that is taking the stream over, and then finds its epoch.
	const moved = await writer.execute(
		`UPDATE ${POSITIONS} SET seq = seq + 1, position = $1, load_id = $2, schema_version = $3,
		 committed_at = pg_catalog.clock_timestamp()
		 WHERE pipeline = $4 AND stream = $5 AND epoch = $6 AND seq = $7 AND position IS NOT DISTINCT FROM $8`,
		[toPosition, loadId, schemaVersion, pipeline, stream, epoch, seq, fromPosition],
	);
	if (moved !== 1) throw fenced(request);
}

async function recordLoads(
	writer: WriteSession,
	{ pipeline, fromPosition, toPosition }: PositionMove,
	loads: readonly RecordedLoad[],
): Promise<void> {
	await writer.execute(
		`INSERT INTO ${LOADS} SELECT id, $2, table_name, $4, $5, inserted, updated, deleted, pg_catalog.clock_timestamp()
		 FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($6::bigint[]),
		   pg_catalog.unnest($7::bigint[]), pg_catalog.unnest($8::bigint[]))
		   AS one (id, table_name, inserted, updated, deleted)`,
		[
			loads.map(({ loadId }) => loadId),
			pipeline,
			loads.map(({ table }) => table),
			fromPosition,
			toPosition,
			loads.map(({ result }) => result.rowsInserted),
			loads.map(({ result }) => result.rowsUpdated),
			loads.map(({ result }) => result.rowsDeleted),
		],
	);
}

/** A short transaction of the look-up connection. */
export async function inTransaction<T>(session: Session, work: () => Promise<T>): Promise<T> {
	await session.script(["BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", settingsSql("transaction", "write")]);
	try {
		const result = await work();
		const { command } = await session.execute("COMMIT");
		if (command !== "COMMIT") throw new HeadraceError("E_DESTINATION", "the transaction was rolled back by the server");
		return result;
	} catch (error) {
		if (!session.broken) await session.execute("ROLLBACK").catch(() => session.destroy());
		throw error;
	}
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
