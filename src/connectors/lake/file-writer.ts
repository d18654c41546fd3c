import { randomBytes } from "node:crypto";
import { type Field, HeadraceError, type StagedWrite, type Staging } from "../../core/index.ts";
import { duckdbType, type EngineConnection } from "../../engine/index.ts";
import { duckdbDialect } from "../../sql/index.ts";
import { type PartitionColumn, partitionPath, partitionSql } from "./partition.ts";
import { type LakeFile, schemaName, storedColumns } from "./table-state.ts";

const { quoteIdentifier, quoteLiteral } = duckdbDialect;

/** Rows of a file whose rows are narrow; rows of a group in it, DuckDB's own number. */
const FILE_ROWS_MAX = 491_520;
const GROUP_ROWS_MAX = 122_880;
const GROUP_ROWS_MIN = 2048;
/** The part of the engine's memory that a group's rows may take: they are there as rows and as pages, by two threads. */
const GROUP_MEMORY_SHARE = 16;
/** The same where rows only go from files to a file: groups of 45,000 rows take a quarter more CPU there than of 90,000. */
const COPY_MEMORY_SHARE = 8;
const UPLOADS_MAX = 4;
/** More folders than this from one load are a mistake in partition_by. */
const PARTITIONS_MAX = 10_000;
/** A longer text is not kept as the end of a range. */
const RANGE_TEXT_MAX = 64;

export interface WriterOptions {
	readonly store: Staging;
	/** The table's folder. */
	readonly folder: string;
	/** A part of the files' names; another part is made here, so that no two attempts give a file the same name. */
	readonly name: string;
	/** The table's columns as they are kept. */
	readonly fields: readonly Field[];
	readonly levels: readonly PartitionColumn[];
	/** Columns whose ranges are kept. */
	readonly ranged: readonly string[];
	readonly engineMemoryBytes: number;
}

interface BegunFile {
	readonly write: StagedWrite;
	readonly path: string;
	readonly partition: readonly (string | null)[];
}

/** Writes the files of one commit. Until the commit nobody knows of them; `discard` takes them away again. */
export class FileWriter {
	readonly files: LakeFile[] = [];
	readonly #options: WriterOptions;
	readonly #schema: string;
	readonly #tag = randomBytes(4).toString("hex");
	readonly #begun = new Map<string, BegunFile>();
	readonly #paths: string[] = [];
	readonly #uploads = new Set<Promise<void>>();
	#failure: unknown = null;

	constructor(options: WriterOptions) {
		this.#options = options;
		this.#schema = schemaName(storedColumns(options.fields));
	}

	get rows(): number {
		return this.files.reduce((sum, file) => sum + file.rows, 0);
	}

	/** Begins a file; gives the place on this machine's disk where to write it. */
	async begin(partition: readonly (string | null)[] = []): Promise<string> {
		const { store, folder, name, levels } = this.#options;
		const number = String(this.#paths.length).padStart(5, "0");
		const path = `${folder}/data/${partitionPath(levels, partition)}part-${name}-${this.#tag}-${number}.parquet`;
		this.#paths.push(path);
		const write = await store.create(path);
		this.#begun.set(write.localPath, { write, path, partition });
		return write.localPath;
	}

	/** Looks at a written file and begins to put it in its place. Waits while others are on their way. */
	async finish(connection: EngineConnection, localPath: string, rows: number): Promise<void> {
		const { write, path, partition } = this.#begun.get(localPath)!;
		const ranges = await this.#ranges(connection, localPath);
		const upload = (async () => {
			const { bytes, sha256 } = await write.commit();
			this.#begun.delete(localPath);
			this.files.push({ path, partition, rows, bytes, sha256, schema: this.#schema, ranges });
		})()
			.catch((error: unknown) => {
				this.#failure ??= error;
			})
			.finally(() => this.#uploads.delete(upload));
		this.#uploads.add(upload);
		if (this.#uploads.size >= UPLOADS_MAX) await Promise.race(this.#uploads);
		if (this.#failure !== null) throw this.#failure;
	}

	/**
	 * Writes the rows of a query, those of each partition into files of their own, by the order of columns when some are
	 * given. `rowBytes`: what a row takes, about.
	 * @throws E_UNSUPPORTED for too many partitions
	 */
	async write(
		connection: EngineConnection,
		sql: string,
		rowBytes: number,
		orderBy: readonly string[] = [],
	): Promise<void> {
		const { fields, levels } = this.#options;
		// Under names of our own: a column called rowid would hide the engine's number of a row.
		const columns = fields.map(({ name }, index) => `${quoteIdentifier(name)} AS c${index}`).join(", ");
		const names = fields.map(({ name }, index) => `c${index} AS ${quoteIdentifier(name)}`).join(", ");
		const values = levels.map((_, index) => valueName(index));
		const items = levels.map((level, index) => `, ${partitionSql(level)} AS ${valueName(index)}`).join("");
		const order = orderBy.map((name) => `c${fields.findIndex((field) => field.name === name)}`);
		const sorted = order.length === 0 ? [] : [...values.map((value) => `${value} NULLS FIRST`), ...order];
		await connection.execute(
			`CREATE OR REPLACE TEMP TABLE shaped AS SELECT ${columns}${items} FROM (${sql}) AS rows${sorted.length === 0 ? "" : ` ORDER BY ${sorted.join(", ")}`}`,
		);
		const found = await connection.query(
			`SELECT ${[...values, "count(*) AS rows"].join(", ")} FROM shaped ${values.length === 0 ? "" : `GROUP BY ${values.join(", ")} ORDER BY ${values.map((value) => `${value} NULLS FIRST`).join(", ")}`}`,
		);
		if (found.length > PARTITIONS_MAX)
			throw new HeadraceError(
				"E_UNSUPPORTED",
				`the rows belong to ${found.length} partitions: no more than ${PARTITIONS_MAX} may`,
				{
					hint: "Write coarser partitions, such as month(created_at), or load smaller intervals.",
				},
			);
		// Rows of a partition lie together then, so that each is found by the numbers of its rows.
		if (found.length > 1 && order.length === 0) {
			await connection.execute(
				`CREATE OR REPLACE TEMP TABLE sorted AS SELECT * FROM shaped ORDER BY ${values.map((value) => `${value} NULLS FIRST`).join(", ")}`,
			);
			await connection.execute("DROP TABLE shaped; ALTER TABLE sorted RENAME TO shaped");
		}
		const rowGroup = this.#groupRows(rowBytes);
		const fileRows = Math.min(FILE_ROWS_MAX, rowGroup * 16);
		const options = `(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowGroup})`;
		let first = 0;
		for (const row of found) {
			const rows = Number(row["rows"]);
			const partition = levels.map((_, index) => row[`_headrace_value_${index}`] as string | null);
			for (let from = first; from < first + rows; from += fileRows) {
				const to = Math.min(first + rows, from + fileRows);
				const localPath = await this.begin(partition);
				await connection.execute(
					`COPY (SELECT ${names} FROM shaped WHERE rowid BETWEEN ${from} AND ${to - 1}) TO ${quoteLiteral(localPath)} ${options}`,
				);
				await this.finish(connection, localPath, to - from);
			}
			first += rows;
		}
		await connection.execute("DROP TABLE shaped");
	}

	/** Writes the rows of a relation into one file, in their order. */
	async copy(
		connection: EngineConnection,
		relation: string,
		file: { readonly partition: readonly (string | null)[]; readonly rows: number; readonly rowBytes: number },
	): Promise<void> {
		const localPath = await this.begin(file.partition);
		const sql = `COPY (SELECT * FROM ${relation} AS rows) TO ${quoteLiteral(localPath)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${this.#groupRows(file.rowBytes, COPY_MEMORY_SHARE)})`;
		const rows = await connection.execute(sql);
		if (rows !== file.rows)
			throw new HeadraceError("E_RECEIPT", `${rows} rows were written where the files have ${file.rows}`);
		await this.finish(connection, localPath, rows);
	}

	#groupRows(rowBytes: number, memoryShare = GROUP_MEMORY_SHARE): number {
		const groups = this.#options.engineMemoryBytes / memoryShare / Math.max(1, rowBytes) / GROUP_ROWS_MIN;
		return Math.min(GROUP_ROWS_MAX, Math.max(1, Math.floor(groups)) * GROUP_ROWS_MIN);
	}

	/** A file without rows: a table without any still says what columns it has. */
	async writeEmpty(connection: EngineConnection): Promise<void> {
		const { fields, store, folder, name } = this.#options;
		const path = `${folder}/data/empty-${name}-${this.#tag}.parquet`;
		const write = await store.create(path);
		this.#paths.push(path);
		this.#begun.set(write.localPath, { write, path, partition: [] });
		await connection.execute(
			`COPY (SELECT ${fields.map(emptyItem).join(", ")} WHERE false) TO ${quoteLiteral(write.localPath)} (FORMAT parquet, COMPRESSION zstd)`,
		);
		await this.finish(connection, write.localPath, 0);
	}

	/** Waits until every file is in its place. */
	async settle(): Promise<void> {
		while (this.#uploads.size > 0) await Promise.all(this.#uploads);
		if (this.#failure !== null) throw this.#failure;
		this.files.sort((a, b) => (a.path < b.path ? -1 : 1));
	}

	/** Takes away what was written. A process that dies before leaves files that no commit names. */
	async discard(): Promise<void> {
		await Promise.all(this.#uploads);
		for (const { write } of this.#begun.values()) await write.abort().catch(() => {});
		await this.#options.store.remove(this.#paths).catch(() => {});
	}

	get hasFiles(): boolean {
		return this.#paths.length > 0;
	}

	async #ranges(connection: EngineConnection, localPath: string): Promise<LakeFile["ranges"]> {
		const { ranged } = this.#options;
		if (ranged.length === 0) return {};
		const items = ranged.flatMap((name, index) => {
			const column = quoteIdentifier(name);
			return [
				`CAST(min(${column}) AS VARCHAR) AS least_${index}`,
				`CAST(max(${column}) AS VARCHAR) AS greatest_${index}`,
			];
		});
		const [row] = await connection.query(
			`SELECT ${items.join(", ")} FROM read_parquet(${quoteLiteral(localPath.replace(/[*?[]/g, "[$&]"))}, binary_as_string = false)`,
		);
		const ranges = ranged.map((name, index) => {
			const least = row![`least_${index}`] as string | null;
			const greatest = row![`greatest_${index}`] as string | null;
			return [name, [least, greatest]] as const;
		});
		const isShort = (text: string | null) => text === null || text.length <= RANGE_TEXT_MAX;
		return Object.fromEntries(ranges.filter(([, ends]) => ends.every(isShort)));
	}
}

const valueName = (index: number) => `"_headrace_value_${index}"`;

function emptyItem(field: Field): string {
	return `CAST(NULL AS ${duckdbType(field.type)}) AS ${quoteIdentifier(field.name)}`;
}
