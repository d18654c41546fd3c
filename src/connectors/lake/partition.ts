import { type ColumnType, type Field, HeadraceError } from "../../core/index.ts";
import { duckdbDialect } from "../../sql/index.ts";
import { hiveType } from "./types.ts";

const PARTS = ["year", "month", "day", "hour"] as const;
type Part = (typeof PARTS)[number];

/** What Hive calls the partition of rows without a value. */
export const NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__";
/** A folder's name can have 255 bytes on most file systems. */
const SEGMENT_BYTES_MAX = 240;

/** One level of a table's folders. */
export interface PartitionColumn {
	/** As written. */
	readonly text: string;
	readonly column: string;
	/** Absent: the column's own value. */
	readonly part?: Part;
	/** Of the folder, and of the column that Athena sees. */
	readonly name: string;
}

/** Reads `country` or `day(created_at)`. */
export function parsePartition(text: string): PartitionColumn {
	const match = /^(year|month|day|hour)\(\s*(.+?)\s*\)$/.exec(text);
	if (match === null) return { text, column: text, name: text };
	const [, part, column] = match as unknown as [string, Part, string];
	return { text, column, part, name: `${column}_${part}` };
}

const isTime = ({ kind }: ColumnType) => kind === "date" || kind === "timestamp" || kind === "timestamptz";
const UNFIT = new Set(["float32", "float64", "binary", "list"]);

/**
 * The levels of a table: those that are wanted when it has all their columns, else none.
 * @throws E_UNSUPPORTED when a column's type can't be a folder's name, E_NAME_COLLISION
 */
export function partitionsOf(wanted: readonly string[], fields: readonly Field[]): PartitionColumn[] {
	const columns = wanted.map(parsePartition);
	const typeOf = (name: string) => fields.find((field) => field.name === name)?.type;
	if (columns.some(({ column }) => typeOf(column) === undefined)) return [];
	for (const { text, column, part, name } of columns) {
		const type = typeOf(column)!;
		if (part === undefined ? UNFIT.has(type.kind) : !isTime(type))
			throw new HeadraceError(
				"E_UNSUPPORTED",
				`partition_by: ${text} does not go with column ${column}, which is ${hiveType(type)}`,
				{ hint: "Take a column of text, numbers or days; year, month, day and hour are of dates and timestamps." },
			);
		if (part !== undefined && typeOf(name) !== undefined)
			throw new HeadraceError("E_NAME_COLLISION", `partition_by: ${text} makes a column ${name}, which the table has`);
	}
	return columns;
}

/** The value of a level as SQL text on the stored columns. A zoned time is taken in UTC. */
export function partitionSql({ column, part }: PartitionColumn): string {
	const value = duckdbDialect.quoteIdentifier(column);
	if (part === undefined) return `CAST(${value} AS VARCHAR)`;
	const time = `CAST(${value} AS TIMESTAMP)`;
	if (part === "year") return `CAST(year(${time}) AS VARCHAR)`;
	return `strftime(${time}, '${{ month: "%Y-%m", day: "%Y-%m-%d", hour: "%Y-%m-%d-%H" }[part]}')`;
}

/** The Hive type of a level's values. */
export function partitionHiveType({ column, part }: PartitionColumn, fields: readonly Field[]): string {
	if (part !== undefined) return { year: "int", month: "string", day: "date", hour: "string" }[part];
	const type = fields.find((field) => field.name === column)?.type;
	return type !== undefined && ["int32", "int64", "date"].includes(type.kind) ? hiveType(type) : "string";
}

/**
 * The folders of a partition, each with a slash: `country=DE/created_at_day=2024-01-31/`; none for no levels. Encoded as
 * Hive does it, the empty text included, for which Hive has no folder of its own.
 * See FileUtils.escapePathName, https://github.com/apache/hive/blob/master/common/src/java/org/apache/hadoop/hive/common/FileUtils.java
 * @throws E_TOO_LARGE when a value is too long for a folder's name
 */
export function partitionPath(levels: readonly PartitionColumn[], values: readonly (string | null)[]): string {
	return levels
		.map(({ name }, index) => {
			const value = values[index] ?? "";
			const segment = `${escaped(name)}=${value === "" ? NULL_PARTITION : escaped(value)}`;
			if (Buffer.byteLength(segment) > SEGMENT_BYTES_MAX)
				throw new HeadraceError("E_TOO_LARGE", `a value of ${name} is too long for the name of a folder`, {
					hint: "Take another column for partition_by.",
				});
			return `${segment}/`;
		})
		.join("");
}

/** What Athena and Glue call the values of a partition. */
export function partitionValues(values: readonly (string | null)[]): string[] {
	return values.map((value) => (value === null || value === "" ? NULL_PARTITION : value));
}

const ESCAPED = new Set("\"#%'*/:=?\\\u007f{[]^");

function escaped(text: string): string {
	let out = "";
	for (const char of text) {
		const code = char.charCodeAt(0);
		out += code < 0x20 || ESCAPED.has(char) ? `%${code.toString(16).toUpperCase().padStart(2, "0")}` : char;
	}
	return out;
}
