import { access } from "node:fs/promises";
import {
	type Batch,
	type Field,
	type FileFormat,
	type FormatName,
	HeadraceError,
	type WriteFilesRequest,
} from "../core/index.ts";
import { duckdbDialect, quoteSingle } from "../sql/index.ts";
import { EngineConnection } from "./connection.ts";
import { ENGINE_MEMORY_BYTES_DEFAULT, Engine, type EngineOptions } from "./engine.ts";
import { engineError } from "./errors.ts";
import { type FileWriter, openFileWriter } from "./kept-engines.ts";
import { duckdbType, selectItem } from "./types.ts";

/** Rows of one file when they are narrow: four of DuckDB's row groups. Wide rows end a file by their bytes. */
const FILE_ROWS_MAX = 491_520;
/** Files that are written at once, each by one thread: two cores compress while the event loop decodes. */
const LANES_MAX = 2;

/** A file of few long values is in the engine as rows, as a page that grows by doubling, and compressed; two at once. */
const WIDE_MEMORY_FACTOR = 20;

export interface ParquetOptions {
	/** Bounds the engine that writes or reads; batches come on top. */
	readonly memoryBytes?: number;
	readonly threads?: number;
	/** Where the engine spills what does not fit its memory. */
	readonly temporaryDirectory?: string;
}

/**
 * Parquet files whose every value reads back equal: zstd, version 1 encodings, which every reader knows. An interval is
 * text in them, since Parquet's own knows neither signs nor microseconds.
 * See https://parquet.apache.org/docs/file-format/types/logicaltypes/
 */
export class ParquetFormat implements FileFormat {
	readonly name: FormatName = "parquet";
	readonly extension = "parquet";
	readonly #options: ParquetOptions;

	constructor(options: ParquetOptions = {}) {
		this.#options = options;
	}

	/** All files of a call lie in the folder of the first: the engine can write nowhere else. */
	async write(request: WriteFilesRequest): Promise<void> {
		const iterator = request.batches[Symbol.asyncIterator]();
		const first = await firstBatch(iterator);
		if (first === null) return;
		let path: string;
		let writer: FileWriter;
		try {
			path = await request.nextPath();
			writer = await openFileWriter(path, { ...this.#engineOptions, preserveOrder: false });
		} catch (error) {
			first.release();
			await iterator.return?.();
			throw error;
		}
		await using _writer = writer;
		const { engine } = writer;
		await using connections = new AsyncDisposableStack();
		const lanes: EngineConnection[] = [];
		for (let lane = 0; lane < Math.min(LANES_MAX, engine.threads); lane++)
			lanes.push(connections.use(await engine.connect()));
		const items = request.fields.map((field, at) => stored(field, request.stored?.[at])).join(", ");
		const paths = new Map<string, string>();
		let begun: string | null = path;
		await EngineConnection.consumeInLanes(lanes, {
			fields: request.fields,
			batches: withFirst(first, iterator),
			bufferBytesMax: request.bufferBytesMax,
			rowsMax: FILE_ROWS_MAX,
			wideBytesMax: Math.floor((this.#options.memoryBytes ?? ENGINE_MEMORY_BYTES_DEFAULT) / WIDE_MEMORY_FACTOR),
			threads: 1,
			statement: async (relation) => {
				const next = begun ?? request.nextPath();
				begun = null;
				const path = await next;
				const within = quoteSingle(await writer.begin(path));
				const sql = `COPY (SELECT ${items} FROM ${relation}) TO ${within} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`;
				paths.set(sql, path);
				return sql;
			},
			onGroup: async (rows, sql) => {
				const path = paths.get(sql)!;
				paths.delete(sql);
				await writer.deliver(path);
				await request.written(path, rows);
			},
		});
		writer.done();
	}

	async *read(localPath: string, fields: readonly Field[]): AsyncGenerator<Batch, void, undefined> {
		await access(localPath).catch((cause: unknown) => {
			throw new HeadraceError("E_FILE_NOT_FOUND", `the file ${localPath} is not there or can't be read`, { cause });
		});
		await using engine = await Engine.open({ ...this.#engineOptions, allowedPaths: [localPath] });
		await using connection = await engine.connect();
		try {
			const { batches } = await connection.stream(`SELECT * FROM ${parquetRelation([localPath], fields)}`);
			yield* batches;
		} catch (error) {
			throw engineError(error, { doing: `reading ${localPath}` });
		}
	}

	get #engineOptions(): EngineOptions {
		const { memoryBytes, threads, temporaryDirectory } = this.#options;
		return {
			...(memoryBytes === undefined ? {} : { memoryBytes }),
			...(threads === undefined ? {} : { threads }),
			...(temporaryDirectory === undefined ? {} : { tempDirectory: temporaryDirectory }),
		};
	}
}

/** A relation of files that `ParquetFormat` wrote, its columns those of `fields` with their real DuckDB types. */
export function parquetRelation(localPaths: readonly string[], fields: readonly Field[]): string {
	const items = fields.map((field) => {
		const name = duckdbDialect.quoteIdentifier(field.name);
		return field.type.kind === "interval" ? `CAST(${name} AS INTERVAL) AS ${name}` : name;
	});
	const paths = localPaths.map(quoteSingle).join(", ");
	return `(SELECT ${items.join(", ")} FROM read_parquet([${paths}], binary_as_string = false, hive_partitioning = false))`;
}

function stored(field: Field, as: Field | undefined): string {
	if (as !== undefined) return storedAs(field, as);
	if (field.type.kind !== "interval") return selectItem(field);
	const name = duckdbDialect.quoteIdentifier(field.name);
	return `${intervalText(name)} AS ${name}`;
}

/**
 * A column under the type of other readers. Of types that have infinities there only finite values are written: others
 * would read an infinity as a time of the far future.
 */
export function storedAs(field: Field, as: Field): string {
	const name = duckdbDialect.quoteIdentifier(field.name);
	const { kind } = field.type;
	const to = as.type.kind === "text" ? "VARCHAR" : duckdbType(as.type);
	const finite = (expression: string) =>
		kind === "date" || kind === "timestamp" || kind === "timestamptz"
			? `CASE WHEN isinf(${name}) THEN error(${quoteSingle(`column ${field.name} holds an infinite ${kind}`)}) ELSE ${expression} END`
			: expression;
	// Lists and JSON are text in a batch already.
	const isText = kind === "text" || kind === "json" || kind === "list";
	if (as.type.kind === "text" && isText) return `CAST(${name} AS VARCHAR) AS ${name}`;
	if (kind === "list" && as.type.kind === "list") return selectItem(as);
	// Microseconds since midnight, for readers that have no time of day.
	if (kind === "time" && as.type.kind === "int64") return `epoch_us(${name}) AS ${name}`;
	if (as.type.kind === "text" && kind === "interval") return `${intervalIsoText(name)} AS ${name}`;
	// DuckDB leaves out the zero before the point where the type has no digits there.
	if (as.type.kind === "text" && kind === "decimal")
		return `regexp_replace(CAST(${name} AS VARCHAR), '^(-?)[.]', '\\1' || '0.') AS ${name}`;
	return `CAST(${finite(name)} AS ${to}) AS ${name}`;
}

/** ISO 8601 as PostgreSQL prints it: `P1Y2M-3DT4H5M6.7S`, each part with its own sign. */
function intervalIsoText(expression: string): string {
	const part = (name: string) => `datepart('${name}', ${expression})`;
	const whole = (value: string, unit: string) => `CASE WHEN ${value} = 0 THEN '' ELSE ${value} || '${unit}' END`;
	const date = [whole(part("year"), "Y"), whole(part("month"), "M"), whole(part("day"), "D")].join(" || ");
	// The microseconds of an interval are one number with one sign, of which these are parts.
	const micros = part("microsecond");
	const negative = `(${part("hour")} < 0 OR ${part("minute")} < 0 OR ${micros} < 0)`;
	const sign = `CASE WHEN ${negative} THEN '-' ELSE '' END`;
	const fraction = `rtrim(lpad(CAST(abs(${micros}) % 1000000 AS VARCHAR), 6, '0'), '0')`;
	const seconds = `${sign} || (abs(${micros}) // 1000000) || CASE WHEN abs(${micros}) % 1000000 = 0 THEN '' ELSE '.' || ${fraction} END || 'S'`;
	const time = [
		whole(part("hour"), "H"),
		whole(part("minute"), "M"),
		`CASE WHEN ${micros} = 0 THEN '' ELSE ${seconds} END`,
	].join(" || ");
	return `CASE WHEN ${expression} IS NULL THEN NULL
		WHEN (${date} || ${time}) = '' THEN 'PT0S'
		ELSE 'P' || ${date} || CASE WHEN (${time}) = '' THEN '' ELSE 'T' || ${time} END END`;
}

/** `14 months -3 days 5000000 microseconds`: what DuckDB itself prints does not read back at the extremes. */
function intervalText(expression: string): string {
	const part = (name: string) => `datepart('${name}', ${expression})`;
	const months = `(${part("year")} * 12 + ${part("month")})`;
	const micros = `((${part("hour")} * 60 + ${part("minute")}) * 60000000 + ${part("microsecond")})`;
	return `${months} || ' months ' || ${part("day")} || ' days ' || ${micros} || ' microseconds'`;
}

/** The first batch with rows; null when none comes. */
async function firstBatch(iterator: AsyncIterator<Batch>): Promise<Batch | null> {
	while (true) {
		const next = await iterator.next();
		if (next.done === true) return null;
		if (next.value.rowCount > 0) return next.value;
		next.value.release();
	}
}

async function* withFirst(first: Batch, iterator: AsyncIterator<Batch>): AsyncGenerator<Batch, void, undefined> {
	let finished = false;
	try {
		yield first;
		while (true) {
			const next = await iterator.next();
			if (next.done === true) {
				finished = true;
				return;
			}
			yield next.value;
		}
	} finally {
		if (!finished) await iterator.return?.();
	}
}
