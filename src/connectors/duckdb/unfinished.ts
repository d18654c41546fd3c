import type { UnfinishedLoad } from "../../core/index.ts";
import { duckdbDialect, quotedPath } from "../../sql/index.ts";
import { SCHEMA, withoutConflict } from "./control.ts";
import { Place } from "./schema.ts";
import type { Session } from "./session.ts";

/** A build in parts, as its row tells. */
export interface UnfinishedBuild {
	readonly pipeline: string;
	readonly stream: string;
	readonly place: Place;
}

/** A chunk of a build: its rows are one range of row ids, since it was appended by one transaction. */
export interface BuiltChunk {
	readonly index: number;
	readonly firstRow: number;
	readonly rows: number;
}

/** Which tables are being built in parts, and which parts are in them: `_headrace.builds` and `_headrace.chunks`. */
export class UnfinishedBuilds {
	readonly #catalog: string;
	readonly #builds: string;
	readonly #chunks: string;
	#exist: boolean | null = null;

	constructor(catalog: string) {
		this.#catalog = catalog;
		this.#builds = quotedPath(duckdbDialect, [catalog, SCHEMA, "builds"]);
		this.#chunks = quotedPath(duckdbDialect, [catalog, SCHEMA, "chunks"]);
	}

	/** Whether any table was ever built in parts here: most databases never see one. */
	async exist(session: Session): Promise<boolean> {
		if (this.#exist === null) {
			const rows = await session.query(
				"SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = ?",
				[SCHEMA],
			);
			this.#exist = ["builds", "chunks"].every((name) => rows.some((row) => row["table_name"] === name));
		}
		return this.#exist;
	}

	/** The schema is there already. */
	async ensure(session: Session): Promise<void> {
		if (await this.exist(session)) return;
		await withoutConflict(() =>
			session.execute(`CREATE TABLE IF NOT EXISTS ${this.#builds} (
				pipeline VARCHAR NOT NULL, stream VARCHAR NOT NULL, seq BIGINT NOT NULL, schema_name VARCHAR NOT NULL,
				table_name VARCHAR NOT NULL, plan VARCHAR NOT NULL, begun_at TIMESTAMP NOT NULL);
			CREATE TABLE IF NOT EXISTS ${this.#chunks} (
				pipeline VARCHAR NOT NULL, stream VARCHAR NOT NULL, chunk INTEGER NOT NULL, first_row BIGINT NOT NULL,
				rows_inserted BIGINT NOT NULL, record VARCHAR NOT NULL, sealed_at TIMESTAMP NOT NULL)`),
		);
		this.#exist = true;
	}

	/** Null when there is none, or its table is gone. */
	async find(session: Session, pipeline: string, stream: string): Promise<UnfinishedLoad | null> {
		if (!(await this.exist(session))) return null;
		const [build] = await session.query(
			`SELECT seq, plan FROM ${this.#builds} AS b JOIN duckdb_tables() AS t
			ON t.database_name = current_database() AND t.schema_name = b.schema_name AND t.table_name = b.table_name
			WHERE pipeline = ? AND stream = ?`,
			[pipeline, stream],
		);
		if (build === undefined) return null;
		const chunks = await session.query(
			`SELECT chunk, record FROM ${this.#chunks} WHERE pipeline = ? AND stream = ? ORDER BY chunk`,
			[pipeline, stream],
		);
		const records = chunks.map((row) => [Number(row["chunk"]), String(row["record"])] as const);
		return { seq: Number(build["seq"]), plan: String(build["plan"]), records: new Map(records) };
	}

	/** Within the caller's transaction, as all that follows. */
	async insertBuild(session: Session, of: UnfinishedBuild, seq: number, plan: string): Promise<void> {
		await session.execute(`INSERT INTO ${this.#builds} VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TIMESTAMP))`, [
			of.pipeline,
			of.stream,
			seq,
			of.place.schema,
			of.place.name,
			plan,
			now(),
		]);
	}

	async insertChunk(
		session: Session,
		of: Pick<UnfinishedBuild, "pipeline" | "stream">,
		chunk: BuiltChunk & { readonly record: string },
	): Promise<void> {
		const { index, firstRow, rows, record } = chunk;
		const values = [of.pipeline, of.stream, index, firstRow, rows, record, now()];
		await session.execute(`INSERT INTO ${this.#chunks} VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TIMESTAMP))`, values);
	}

	async deleteChunks(
		session: Session,
		{ pipeline, stream }: Pick<UnfinishedBuild, "pipeline" | "stream">,
		indexes: readonly number[],
	): Promise<void> {
		await session.execute(
			`DELETE FROM ${this.#chunks} WHERE pipeline = ? AND stream = ? AND chunk IN (${indexes.map(Number).join(", ")})`,
			[pipeline, stream],
		);
	}

	/** The chunks of a build in the order of their rows. */
	async chunks(session: Session, of: Pick<UnfinishedBuild, "pipeline" | "stream">): Promise<BuiltChunk[]> {
		const rows = await session.query(
			`SELECT chunk, first_row, rows_inserted FROM ${this.#chunks} WHERE pipeline = ? AND stream = ?
			ORDER BY first_row, rows_inserted`,
			[of.pipeline, of.stream],
		);
		return rows.map((row) => ({
			index: Number(row["chunk"]),
			firstRow: Number(row["first_row"]),
			rows: Number(row["rows_inserted"]),
		}));
	}

	/** A chunk's rows lie elsewhere now. */
	async move(session: Session, of: Pick<UnfinishedBuild, "pipeline" | "stream">, chunk: BuiltChunk): Promise<void> {
		await session.execute(`UPDATE ${this.#chunks} SET first_row = ? WHERE pipeline = ? AND stream = ? AND chunk = ?`, [
			chunk.firstRow,
			of.pipeline,
			of.stream,
			chunk.index,
		]);
	}

	async deleteRows(
		session: Session,
		{ pipeline, stream }: Pick<UnfinishedBuild, "pipeline" | "stream">,
	): Promise<void> {
		for (const table of [this.#chunks, this.#builds])
			await session.execute(`DELETE FROM ${table} WHERE pipeline = ? AND stream = ?`, [pipeline, stream]);
	}

	/** Takes a stream's build away, whatever it holds. */
	async drop(session: Session, of: Pick<UnfinishedBuild, "pipeline" | "stream">): Promise<void> {
		const rows = await session.query(
			`SELECT pipeline, stream, schema_name, table_name FROM ${this.#builds} WHERE pipeline = ? AND stream = ?`,
			[of.pipeline, of.stream],
		);
		for (const build of rows.map((row) => this.#buildOf(row)))
			await session.execute(`DROP TABLE IF EXISTS ${build.place.sql}`);
		await this.deleteRows(session, of);
	}

	/** The SQL names of builds that their streams may go on with. */
	async live(session: Session): Promise<Set<string>> {
		if (!(await this.exist(session))) return new Set();
		const rows = await session.query(`SELECT * FROM ${this.#builds} AS b WHERE ${this.#isLive()}`);
		return new Set(rows.map((row) => this.#buildOf(row).place.sql));
	}

	/** Builds whose stream has moved on: a load of it was committed. */
	async removeEnded(session: Session): Promise<void> {
		if (!(await this.exist(session))) return;
		await this.#removeWhere(session, `NOT ${this.#isLive()}`);
	}

	async removeOlder(session: Session, pipeline: string, before: Date): Promise<void> {
		if (!(await this.exist(session))) return;
		const at = duckdbDialect.quoteLiteral(before.toISOString().slice(0, -1));
		const name = duckdbDialect.quoteLiteral(pipeline);
		await this.#removeWhere(session, `b.pipeline = ${name} AND b.begun_at < CAST(${at} AS TIMESTAMP)`);
	}

	async #removeWhere(session: Session, condition: string): Promise<void> {
		const rows = await session.query(`SELECT * FROM ${this.#builds} AS b WHERE ${condition}`);
		for (const row of rows)
			await withoutConflict(() => session.transaction(() => this.drop(session, this.#buildOf(row))));
	}

	#isLive(): string {
		const positions = quotedPath(duckdbDialect, [this.#catalog, SCHEMA, "positions"]);
		return `EXISTS (SELECT 1 FROM ${positions} AS p WHERE p.pipeline = b.pipeline AND p.stream = b.stream AND p.seq = b.seq)`;
	}

	#buildOf(row: Readonly<Record<string, unknown>>): UnfinishedBuild {
		const table = { schema: String(row["schema_name"]), name: String(row["table_name"]) };
		return {
			pipeline: String(row["pipeline"]),
			stream: String(row["stream"]),
			place: new Place(this.#catalog, table),
		};
	}
}

function now(): string {
	return new Date().toISOString().slice(0, -1);
}
