import { setTimeout as sleep } from "node:timers/promises";
import {
	type ApplyRequest,
	crashPoint,
	decodeColumns,
	encodeColumns,
	expectedRow,
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
import type { Value } from "../../engine/index.ts";
import { duckdbDialect, quotedPath, quoteSingle } from "../../sql/index.ts";
import type { Session } from "./session.ts";

/** Schema of what Headrace keeps for itself. */
export const SCHEMA = "_headrace";
const CONFLICT_ATTEMPTS = 20;

/**
 * Positions, loads and recorded columns, in the database of the data: a DuckDB transaction writes one database file only, and data and
 * position must be one transaction.
 */
export class ControlTables {
	readonly #schema: string;
	readonly #positions: string;
	readonly #loads: string;
	readonly #schemas: string;

	constructor(catalog: string) {
		this.#schema = quotedPath(duckdbDialect, [catalog, SCHEMA]);
		this.#positions = `${this.#schema}.positions`;
		this.#loads = `${this.#schema}.loads`;
		this.#schemas = `${this.#schema}.schemas`;
	}

	async exist(session: Session): Promise<boolean> {
		return this.#have(session, ["positions", "loads"]);
	}

	async #have(session: Session, names: readonly string[]): Promise<boolean> {
		const rows = await session.query(
			"SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = ?",
			[SCHEMA],
		);
		return names.every((name) => rows.some((row) => row["table_name"] === name));
	}

	/** Makes the tables when they are missing. Reading comes first: a conflict of two makers is no reason to fail. */
	async ensure(session: Session): Promise<void> {
		await withoutConflict(async () => {
			if (!(await this.#have(session, ["positions", "loads", "schemas"]))) await this.#create(session);
		});
	}

	async #create(session: Session): Promise<void> {
		await session.execute(`CREATE SCHEMA IF NOT EXISTS ${this.#schema};
			CREATE TABLE IF NOT EXISTS ${this.#positions} (
				pipeline VARCHAR NOT NULL, stream VARCHAR NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
				position VARCHAR, load_id VARCHAR, schema_version VARCHAR, committed_at TIMESTAMP,
				PRIMARY KEY (pipeline, stream));
			CREATE TABLE IF NOT EXISTS ${this.#loads} (
				load_id VARCHAR PRIMARY KEY, pipeline VARCHAR NOT NULL, table_name VARCHAR NOT NULL,
				from_position VARCHAR, to_position VARCHAR NOT NULL, rows_inserted BIGINT NOT NULL,
				rows_updated BIGINT NOT NULL, rows_deleted BIGINT NOT NULL, committed_at TIMESTAMP NOT NULL);
			CREATE TABLE IF NOT EXISTS ${this.#schemas} (
				pipeline VARCHAR NOT NULL, stream VARCHAR NOT NULL, schema_version VARCHAR NOT NULL,
				columns_json VARCHAR NOT NULL, committed_at TIMESTAMP NOT NULL)`);
	}

	/** Raises the epoch of streams, all in one transaction. A load that commits at the same moment is waited for. */
	async takeOver(session: Session, pipeline: string, streams: readonly string[]): Promise<Map<string, PositionRow>> {
		if (streams.length === 0) return new Map();
		const names = [...new Set(streams)];
		const list = names.map((stream) => `(${quoteSingle(stream)})`).join(", ");
		const mine = `pipeline = ${quoteSingle(pipeline)} AND stream IN (${names.map(quoteSingle).join(", ")})`;
		const rows = await withoutConflict(() =>
			session.transaction(async () => {
				await session.execute(`UPDATE ${this.#positions} SET epoch = epoch + 1 WHERE ${mine}`);
				await session.execute(
					`INSERT INTO ${this.#positions} (pipeline, stream, epoch, seq)
					SELECT ${quoteSingle(pipeline)}, stream, 1, 0 FROM (VALUES ${list}) AS wanted(stream)
					WHERE stream NOT IN (SELECT stream FROM ${this.#positions} WHERE ${mine})`,
				);
				return session.query(`SELECT * FROM ${this.#positions} WHERE ${mine}`);
			}),
		);
		return new Map(rows.map(positionRow).map((row) => [row.stream, row]));
	}

	async positions(session: Session, pipeline: string): Promise<PositionRow[]> {
		const rows = await session.query(`SELECT * FROM ${this.#positions} WHERE pipeline = ? ORDER BY stream`, [pipeline]);
		return rows.map(positionRow);
	}

	/** The last line of each stream. A file of an earlier version has no such table. */
	async schemas(session: Session, pipeline: string): Promise<RecordedSchema[]> {
		if (!(await this.#have(session, ["schemas"]))) return [];
		const rows = await session.query(
			`SELECT * FROM ${this.#schemas} WHERE pipeline = ?
			QUALIFY row_number() OVER (PARTITION BY stream ORDER BY committed_at DESC) = 1 ORDER BY stream`,
			[pipeline],
		);
		return rows.map((row) => ({
			stream: String(row["stream"]),
			version: String(row["schema_version"]),
			columns: decodeColumns(String(row["columns_json"])),
			committedAt: `${String(row["committed_at"]).replace(" ", "T")}Z`,
		}));
	}

	/** A line more, unless the last is equal. Its time is after that of the last, whatever the clock says. */
	async #recordSchema(
		session: Session,
		request: Pick<LoadRequest, "pipeline" | "schema" | "schemaVersion">,
		committedAt: string,
	): Promise<void> {
		const { pipeline, schema, schemaVersion } = request;
		if (schema === undefined) return;
		const columns = encodeColumns(schema.columns);
		const [last] = await session.query(
			`SELECT columns_json, CAST(committed_at + INTERVAL 1 MICROSECOND AS VARCHAR) AS next FROM ${this.#schemas}
			WHERE pipeline = ? AND stream = ? ORDER BY committed_at DESC LIMIT 1`,
			[pipeline, schema.stream],
		);
		if (last?.["columns_json"] === columns) return;
		await session.execute(
			`INSERT INTO ${this.#schemas} VALUES (?, ?, ?, ?, greatest(CAST(? AS TIMESTAMP), CAST(? AS TIMESTAMP)))`,
			[pipeline, schema.stream, schemaVersion, columns, committedAt, last === undefined ? null : String(last["next"])],
		);
	}

	async committed(session: Session, loadId: string): Promise<boolean> {
		return (await session.query(`SELECT 1 AS one FROM ${this.#loads} WHERE load_id = ?`, [loadId])).length > 0;
	}

	/** Asked before any work: a run that is fenced already must not read everything to learn it. @throws E_FENCED */
	async expectPosition(session: Session, request: PositionExpected): Promise<void> {
		const [row] = await session.query(`SELECT * FROM ${this.#positions} WHERE pipeline = ? AND stream = ?`, [
			request.pipeline,
			request.stream,
		]);
		expectedRow(row === undefined ? null : positionRow(row), request);
	}

	/** The last statements of a load's transaction. @throws E_FENCED */
	async record(session: Session, request: Omit<LoadRequest, "input">, result: LoadResult): Promise<void> {
		crashPoint("c09");
		const committedAt = new Date().toISOString().slice(0, -1);
		const { loadId, target } = request;
		await this.#insertLoad(session, request, { loadId, table: qualified(target.name), result }, committedAt);
		await this.#recordSchema(session, request, committedAt);
		await this.#move(session, request, committedAt);
	}

	/** The last statements of a transaction of changes. @throws E_FENCED */
	async recordChanges(session: Session, request: ApplyRequest, results: readonly LoadResult[]): Promise<void> {
		crashPoint("c09");
		const { pipeline, parts } = request;
		const committedAt = new Date().toISOString().slice(0, -1);
		for (const load of loadsOfApply(request, { parts: results }))
			await this.#insertLoad(session, request, load, committedAt);
		for (const part of parts) await this.#recordSchema(session, { ...part, pipeline }, committedAt);
		await this.#move(session, request, committedAt);
	}

	async #insertLoad(
		session: Session,
		{ pipeline, fromPosition, toPosition }: PositionMove,
		{ loadId, table, result }: RecordedLoad,
		committedAt: string,
	): Promise<void> {
		await session.execute(`INSERT INTO ${this.#loads} VALUES (?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TIMESTAMP))`, [
			loadId,
			pipeline,
			table,
			fromPosition,
			toPosition,
			result.rowsInserted,
			result.rowsUpdated,
			result.rowsDeleted,
			committedAt,
		]);
	}

	/** The compare-and-set. @throws E_FENCED */
	async #move(session: Session, request: PositionMove, committedAt: string): Promise<void> {
		const { pipeline, stream, loadId, fromPosition, toPosition, schemaVersion, epoch, seq } = request;
		const changed = await session.execute(
			`UPDATE ${this.#positions}
			SET seq = seq + 1, position = ?, load_id = ?, schema_version = ?, committed_at = CAST(? AS TIMESTAMP)
			WHERE pipeline = ? AND stream = ? AND epoch = ? AND seq = ? AND position IS NOT DISTINCT FROM ?`,
			[toPosition, loadId, schemaVersion, committedAt, pipeline, stream, epoch, seq, fromPosition],
		);
		if (changed !== 1) throw fenced(request);
	}
}

function positionRow(row: Record<string, Value>): PositionRow {
	const text = (name: string) => (row[name] === null ? null : String(row[name]));
	const committedAt = text("committed_at");
	return {
		stream: String(row["stream"]),
		epoch: Number(row["epoch"]),
		seq: Number(row["seq"]),
		position: text("position"),
		loadId: text("load_id"),
		schemaVersion: text("schema_version"),
		committedAt: committedAt === null ? null : `${committedAt.replace(" ", "T")}Z`,
	};
}

/** Repeats work whose transaction lost against another one. */
export async function withoutConflict<T>(work: () => Promise<T>): Promise<T> {
	for (let attempt = 1; ; attempt++) {
		try {
			return await work();
		} catch (error) {
			const conflict = error instanceof HeadraceError && error.code === "E_CONFLICT";
			if (!conflict || attempt === CONFLICT_ATTEMPTS) throw error;
			await sleep(10 * attempt);
		}
	}
}
