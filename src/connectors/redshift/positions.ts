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
	type PositionExpected,
	type PositionMove,
	type PositionRow,
	qualified,
	type RecordedLoad,
	type RecordedSchema,
} from "../../core/index.ts";
import type { Session, TextRow } from "./session.ts";
import { quoteLiteral } from "./sql-text.ts";
import { VARCHAR_BYTES_MAX } from "./target-types.ts";
import type { Writer } from "./writer.ts";

const POSITIONS = "_headrace.positions";
const LOADS = "_headrace.loads";
const SCHEMAS = "_headrace.schemas";

/** Bytes of a schema's text in one row: a table of 1600 columns needs several. */
const SCHEMA_PART_BYTES = 60_000;
/** SYSDATE is UTC here, at the start of the transaction: https://docs.aws.amazon.com/redshift/latest/dg/r_SYSDATE.html */
const NOW = "SYSDATE";
const COMMITTED_AT = `to_char(committed_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const COLUMNS = `stream, epoch, seq, position, load_id, schema_version, ${COMMITTED_AT}`;

/** Small tables: a copy on every node, found by the pipeline. Keys are not enforced, so none is declared. */
const CONTROL_TABLES: Readonly<Record<string, string>> = {
	positions: `CREATE TABLE IF NOT EXISTS ${POSITIONS} (
	pipeline VARCHAR(1024) NOT NULL, stream VARCHAR(4096) NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
	position VARCHAR(${VARCHAR_BYTES_MAX}), load_id VARCHAR(64), schema_version VARCHAR(128), committed_at TIMESTAMP
) DISTSTYLE ALL`,
	loads: `CREATE TABLE IF NOT EXISTS ${LOADS} (
	load_id VARCHAR(64) NOT NULL, pipeline VARCHAR(1024) NOT NULL, table_name VARCHAR(1024) NOT NULL,
	from_position VARCHAR(${VARCHAR_BYTES_MAX}), to_position VARCHAR(${VARCHAR_BYTES_MAX}) NOT NULL,
	rows_inserted BIGINT NOT NULL, rows_updated BIGINT NOT NULL, rows_deleted BIGINT NOT NULL,
	committed_at TIMESTAMP NOT NULL
) SORTKEY (load_id)`,
	schemas: `CREATE TABLE IF NOT EXISTS ${SCHEMAS} (
	pipeline VARCHAR(1024) NOT NULL, stream VARCHAR(4096) NOT NULL, version INTEGER NOT NULL, part INTEGER NOT NULL,
	schema_version VARCHAR(128) NOT NULL, columns_json VARCHAR(${VARCHAR_BYTES_MAX}) NOT NULL,
	committed_at TIMESTAMP NOT NULL
)`,
};

async function tablesThere(session: Session): Promise<Set<string>> {
	const rows = await session.rows(
		`SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = '_headrace' AND c.relkind = 'r'`,
	);
	return new Set(rows.map(([name]) => name!));
}

export async function controlTablesExist(session: Session): Promise<boolean> {
	const there = await tablesThere(session);
	return there.has("positions") && there.has("loads");
}

/** Makes the control tables when they are missing. @throws E_RIGHTS */
export async function ensureControlTables(session: Session): Promise<void> {
	const there = await tablesThere(session);
	const missing = Object.keys(CONTROL_TABLES).filter((name) => !there.has(name));
	if (missing.length === 0) return;
	for (const statement of ["CREATE SCHEMA IF NOT EXISTS _headrace", ...missing.map((name) => CONTROL_TABLES[name]!)])
		try {
			await session.execute(statement);
		} catch (error) {
			// Another run makes the same at the same time.
			if (!(error instanceof HeadraceError) || error.code !== "E_CONFLICT") throw error;
		}
	const now = await tablesThere(session);
	if (missing.some((name) => !now.has(name)))
		throw new HeadraceError("E_CONFLICT", "another run is making the control tables of _headrace");
}

/**
 * Locks the positions. It is the first statement of every transaction that moves one: a snapshot is taken by what comes
 * after it, so that what is compared is fresh. Nothing else guards them, since Redshift enforces no key.
 * https://docs.aws.amazon.com/redshift/latest/dg/r_LOCK.html
 */
export const LOCK_POSITIONS = `LOCK ${POSITIONS}`;

/** Raises the epochs and makes the rows that are missing, in a transaction of the writer's. */
export async function takeOver(
	writer: Writer,
	pipeline: string,
	streams: readonly string[],
): Promise<Map<string, PositionRow>> {
	const wanted = [...new Set(streams)];
	if (wanted.length === 0) return new Map();
	const ofPipeline = `pipeline = ${quoteLiteral(pipeline)}`;
	const chosen = `${ofPipeline} AND stream IN (${wanted.map(quoteLiteral).join(", ")})`;
	return writer.transaction(async () => {
		await writer.execute(LOCK_POSITIONS);
		await writer.execute(`UPDATE ${POSITIONS} SET epoch = epoch + 1 WHERE ${chosen}`);
		const there = new Set((await writer.rows(`SELECT stream FROM ${POSITIONS} WHERE ${chosen}`)).map(([s]) => s!));
		const missing = wanted.filter((stream) => !there.has(stream));
		if (missing.length > 0)
			await writer.execute(
				`INSERT INTO ${POSITIONS} (pipeline, stream, epoch, seq) VALUES ${missing
					.map((stream) => `(${quoteLiteral(pipeline)}, ${quoteLiteral(stream)}, 1, 0)`)
					.join(", ")}`,
			);
		const rows = await writer.rows(`SELECT ${COLUMNS} FROM ${POSITIONS} WHERE ${chosen}`);
		return new Map(rows.map(positionRow).map((row) => [row.stream, row]));
	});
}

export async function positionsOf(session: Session, pipeline: string): Promise<PositionRow[]> {
	const rows = await session.rows(
		`SELECT ${COLUMNS} FROM ${POSITIONS} WHERE pipeline = ${quoteLiteral(pipeline)} ORDER BY stream`,
	);
	return rows.map(positionRow);
}

/** The last columns of each stream. */
export async function schemasOf(session: Session, pipeline: string): Promise<RecordedSchema[]> {
	if (!(await tablesThere(session)).has("schemas")) return [];
	const rows = await session.rows(
		`SELECT s.stream, s.schema_version, s.columns_json, to_char(s.committed_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM ${SCHEMAS} AS s JOIN (
	SELECT stream, max(version) AS version FROM ${SCHEMAS} WHERE pipeline = ${quoteLiteral(pipeline)} GROUP BY stream
) AS last ON last.stream = s.stream AND last.version = s.version
WHERE s.pipeline = ${quoteLiteral(pipeline)} ORDER BY s.stream, s.part`,
	);
	const found = new Map<string, { version: string; text: string; committedAt: string }>();
	for (const [stream, version, part, committedAt] of rows) {
		const before = found.get(stream!);
		if (before === undefined) found.set(stream!, { version: version!, text: part!, committedAt: committedAt! });
		else before.text += part!;
	}
	return [...found].map(([stream, { version, text, committedAt }]) => ({
		stream,
		version,
		columns: decodeColumns(text),
		committedAt,
	}));
}

/** A version more, unless the last is equal. */
async function recordSchema(
	writer: Writer,
	{ pipeline, schema, schemaVersion }: Pick<LoadRequest, "pipeline" | "schema" | "schemaVersion">,
): Promise<void> {
	if (schema === undefined) return;
	const ofStream = `pipeline = ${quoteLiteral(pipeline)} AND stream = ${quoteLiteral(schema.stream)}`;
	const last = await writer.rows(
		`SELECT version, columns_json FROM ${SCHEMAS} WHERE ${ofStream}
AND version = (SELECT max(version) FROM ${SCHEMAS} WHERE ${ofStream}) ORDER BY part`,
	);
	const text = encodeColumns(schema.columns);
	if (last.length > 0 && last.map(([, part]) => part).join("") === text) return;
	const version = Number(last[0]?.[0] ?? 0) + 1;
	const values = partsOf(text).map(
		(part, at) =>
			`(${[quoteLiteral(pipeline), quoteLiteral(schema.stream), version, at, quoteLiteral(schemaVersion), quoteLiteral(part), NOW].join(", ")})`,
	);
	await writer.execute(
		`INSERT INTO ${SCHEMAS} (pipeline, stream, version, part, schema_version, columns_json, committed_at)
VALUES ${values.join(",\n\t")}`,
	);
}

/** Pieces that are a row each; no character is cut. */
function partsOf(text: string): string[] {
	const parts: string[] = [];
	let part = "";
	let bytes = 0;
	for (const character of text) {
		const size = Buffer.byteLength(character);
		// A piece that ended in a blank would lose it nowhere, but would compare equal to one without.
		if (bytes + size > SCHEMA_PART_BYTES) {
			parts.push(part);
			part = "";
			bytes = 0;
		}
		part += character;
		bytes += size;
	}
	parts.push(part);
	return parts;
}

export async function isCommitted(session: Session, loadId: string): Promise<boolean> {
	return (await session.rows(`SELECT 1 FROM ${LOADS} WHERE load_id = ${quoteLiteral(loadId)}`)).length > 0;
}

function asGiven(request: PositionExpected): string {
	const { pipeline, stream, epoch, seq, fromPosition } = request;
	const position = fromPosition === null ? "position IS NULL" : `position = ${quoteLiteral(fromPosition)}`;
	return `pipeline = ${quoteLiteral(pipeline)} AND stream = ${quoteLiteral(stream)} AND epoch = ${epoch} AND seq = ${seq} AND ${position}`;
}

/** Asked before any work: a run that is fenced already must not copy everything to learn it. @throws E_FENCED */
export async function expectPosition(session: Session, request: PositionExpected): Promise<void> {
	const [found] = await session.rows(`SELECT 1 FROM ${POSITIONS} WHERE ${asGiven(request)}`);
	if (found === undefined) throw fenced(request);
}

/** The last statements of a load's transaction. @throws E_FENCED */
export async function recordLoad(writer: Writer, request: LoadRequest, result: LoadResult): Promise<void> {
	await movePosition(writer, request);
	await recordLoads(writer, request, [{ loadId: request.loadId, table: qualified(request.target.name), result }]);
	await recordSchema(writer, request);
}

/**
 * The last statements of a transaction that applies changes: a row for the request, and one for each part.
 * @throws E_FENCED
 */
export async function recordApply(writer: Writer, request: ApplyRequest, result: ApplyResult): Promise<void> {
	await movePosition(writer, request);
	await recordLoads(writer, request, loadsOfApply(request, result));
	for (const { schema, schemaVersion } of request.parts)
		if (schema !== undefined) await recordSchema(writer, { pipeline: request.pipeline, schema, schemaVersion });
}

async function movePosition(writer: Writer, request: PositionMove): Promise<void> {
	crashPoint("c09");
	const { loadId, toPosition, schemaVersion } = request;
	refuseLong(request);
	const moved = await writer.execute(
		`UPDATE ${POSITIONS} SET seq = seq + 1, position = ${quoteLiteral(toPosition)}, load_id = ${quoteLiteral(loadId)}, schema_version = ${quoteLiteral(schemaVersion)}, committed_at = ${NOW}
WHERE ${asGiven(request)}`,
	);
	if (moved !== 1) throw fenced(request);
}

/** Rows of one INSERT: a statement has at most 16 MB, and each row holds two positions. */
const LOADS_MAX = 50;

async function recordLoads(
	writer: Writer,
	{ pipeline, fromPosition, toPosition }: PositionMove,
	loads: readonly RecordedLoad[],
): Promise<void> {
	const rows = loads.map(({ loadId, table, result }) => {
		const values = [
			...[loadId, pipeline, table].map(quoteLiteral),
			fromPosition === null ? "NULL" : quoteLiteral(fromPosition),
			quoteLiteral(toPosition),
			...[result.rowsInserted, result.rowsUpdated, result.rowsDeleted],
			NOW,
		];
		return `(${values.join(", ")})`;
	});
	for (let from = 0; from < rows.length; from += LOADS_MAX)
		await writer.execute(
			`INSERT INTO ${LOADS} (load_id, pipeline, table_name, from_position, to_position, rows_inserted, rows_updated, rows_deleted, committed_at)
VALUES ${rows.slice(from, from + LOADS_MAX).join(",\n\t")}`,
		);
}

function refuseLong({ toPosition, stream }: PositionMove): void {
	if (Buffer.byteLength(toPosition) > VARCHAR_BYTES_MAX)
		throw new HeadraceError("E_TOO_LARGE", `the position of ${stream} is longer than ${VARCHAR_BYTES_MAX} bytes`, {
			hint: "Read fewer files by one table: give folders tables of their own.",
		});
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
