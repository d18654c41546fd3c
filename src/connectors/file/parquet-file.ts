import { open } from "node:fs/promises";
import { type Batch, type ColumnType, type Field, HeadraceError, sameType } from "../../core/index.ts";
import { duckdbType, type EngineConnection, listText } from "../../engine/index.ts";
import { readError } from "../../formats/index.ts";
import { duckdbDialect } from "../../sql/index.ts";
import { pathLiteral } from "./engine-paths.ts";

/** Bytes stay bytes, and a folder called `a=1` gives no column. */
const PARQUET_OPTIONS = "binary_as_string = false, hive_partitioning = false";

export interface ParquetInspection {
	readonly columns: readonly ParquetColumn[];
	readonly rows: number;
}

export interface ParquetColumn {
	readonly name: string;
	/** As the engine gives it without a cast of ours. */
	readonly type: ColumnType;
	/** DuckDB's name of the file's own type: `STRUCT(a INTEGER)`, `DECIMAL(10,2)`. */
	readonly nativeType: string;
}

/**
 * Columns and rows of a Parquet file, from its footer.
 * @throws E_CORRUPT_FILE naming the file when it is no Parquet file or its footer is damaged
 */
export async function inspectParquet(connection: EngineConnection, path: string): Promise<ParquetInspection> {
	await checkMagic(path);
	const from = `read_parquet(${pathLiteral(path)}, ${PARQUET_OPTIONS})`;
	try {
		const described = await connection.query(`DESCRIBE SELECT * FROM ${from}`);
		const { fields, batches } = await connection.stream(`SELECT * FROM ${from} LIMIT 0`);
		for await (const batch of batches) batch.release();
		const [count] = await connection.query(`SELECT num_rows AS rows FROM parquet_file_metadata(${pathLiteral(path)})`);
		return {
			columns: fields.map(({ name, type }, index) => ({
				name,
				type,
				nativeType: String(described[index]!["column_type"]),
			})),
			rows: Number(count!["rows"]),
		};
	} catch (error) {
		throw damaged(error, path);
	}
}

/** https://parquet.apache.org/docs/file-format/: `PAR1` at both ends, the footer's length before the last. */
async function checkMagic(path: string): Promise<void> {
	try {
		const handle = await open(path, "r");
		try {
			const { size } = await handle.stat();
			const head = Buffer.alloc(4);
			const tail = Buffer.alloc(8);
			await handle.read(head, 0, 4, 0);
			if (size >= 12) await handle.read(tail, 0, 8, size - 8);
			const footerBytes = tail.readUInt32LE(0);
			if (head.toString("latin1") !== "PAR1")
				throw new HeadraceError("E_CORRUPT_FILE", `${path} is no Parquet file`, { file: path });
			if (tail.toString("latin1", 4) !== "PAR1" || footerBytes + 12 > size)
				throw new HeadraceError("E_CORRUPT_FILE", `${path} is cut short: its footer is missing`, { file: path });
		} finally {
			await handle.close();
		}
	} catch (error) {
		throw readError(error, path);
	}
}

/** Faults that say something about this machine or run, not about the file. */
const NOT_OF_THE_FILE = new Set(["E_STOPPED", "E_MEMORY", "E_NO_SPACE", "E_RIGHTS", "E_FILE_NOT_FOUND", "E_CONFLICT"]);

function damaged(error: unknown, path: string): unknown {
	if (error instanceof HeadraceError && (NOT_OF_THE_FILE.has(error.code) || error.code === "E_CORRUPT_FILE"))
		return error.at({ file: path });
	return new HeadraceError("E_CORRUPT_FILE", `${path} is damaged`, { file: path, cause: error });
}

/** The rows of a Parquet file, `columns` of them, cast where their type is another; what the file lacks is NULL. */
export async function* readParquet(
	connection: EngineConnection,
	path: string,
	inspection: ParquetInspection,
	fields: { readonly columns: readonly Field[]; readonly all: readonly Field[] },
	condition: string | null,
	signal?: AbortSignal,
): AsyncGenerator<Batch, void, undefined> {
	let casts = condition !== null;
	// A condition may be about a column that is not read.
	const items = (condition === null ? fields.columns : fields.all).map((field) => {
		const column = inspection.columns.find((other) => other.name === field.name);
		const name = duckdbDialect.quoteIdentifier(field.name);
		if (column === undefined) return `CAST(NULL AS ${duckdbType(field.type)}) AS ${name}`;
		if (sameType(column.type, field.type)) return name;
		casts = true;
		return `${castTo(name, column.type, field.type)} AS ${name}`;
	});
	const rows = `SELECT ${items.join(", ")} FROM read_parquet(${pathLiteral(path)}, ${PARQUET_OPTIONS})`;
	const names = fields.columns.map((field) => duckdbDialect.quoteIdentifier(field.name)).join(", ");
	try {
		const { batches } = await connection.stream(
			condition === null ? rows : `SELECT ${names} FROM (${rows}) AS file_rows WHERE ${condition}`,
			signal === undefined ? {} : { signal },
		);
		yield* batches;
	} catch (error) {
		// With a cast or a condition of the user's, a value error may be about them.
		if (casts && error instanceof HeadraceError && (error.code === "E_VALUE" || error.code === "E_DESTINATION"))
			throw new HeadraceError(error.code === "E_VALUE" ? "E_VALUE" : "E_SOURCE", `${path}: ${error.message}`, {
				file: path,
				cause: error,
			});
		throw damaged(error, path);
	}
}

/** A value as another type: canonical text for text. */
export function castTo(expression: string, from: ColumnType, to: ColumnType): string {
	if (to.kind === "text" && from.kind === "binary") return `lower(hex(${expression}))`;
	if (to.kind === "text" && from.kind === "list") return listText(expression, from.element);
	if (to.kind === "list" && from.kind === "json")
		return `CAST(CAST(to_json(${expression}) AS VARCHAR[]) AS ${duckdbType(to)})`;
	if (to.kind === "interval" && from.kind === "text") return intervalOfText(expression);
	if (from.kind === "json") return `CAST(to_json(${expression}) AS ${duckdbType(to)})`;
	return `CAST(${expression} AS ${duckdbType(to)})`;
}

const DURATION =
	"^P(?:(-?\\d+)Y)?(?:(-?\\d+)M)?(?:(-?\\d+)D)?(?:T(?:(-?\\d+)H)?(?:(-?\\d+)M)?(?:(-?)(\\d+)(?:\\.(\\d{1,6}))?S)?)?$";

/** ISO 8601, which a file destination writes and DuckDB does not read; anything else as DuckDB reads intervals. */
function intervalOfText(expression: string): string {
	const group = (index: number) => `regexp_extract(${expression}, '${DURATION}', ${index})`;
	const number = (index: number) => `coalesce(TRY_CAST(${group(index)} AS BIGINT), 0)`;
	const seconds = `(${number(7)} * 1000000 + CAST(rpad(${group(8)}, 6, '0') AS BIGINT))`;
	const micros = `${number(4)} * 3600000000 + ${number(5)} * 60000000 + CASE ${group(6)} WHEN '-' THEN -${seconds} ELSE ${seconds} END`;
	return `CASE WHEN regexp_matches(${expression}, '${DURATION}')
		THEN to_months(CAST(${number(1)} * 12 + ${number(2)} AS INTEGER)) + to_days(CAST(${number(3)} AS INTEGER)) + to_microseconds(${micros})
		ELSE CAST(${expression} AS INTERVAL) END`;
}
