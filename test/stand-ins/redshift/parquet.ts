import { Engine } from "../../../src/engine/index.ts";
import { RedshiftError } from "./errors.ts";

/** A column of the table that COPY loads: its name and type as `format_type` has them. */
export interface TableColumn {
	readonly name: string;
	readonly type: string;
}

interface Leaf {
	readonly name: string;
	readonly physical: string;
	readonly converted: string;
	readonly logical: string;
	readonly precision: number;
	readonly scale: number;
}

const quote = (text: string) => `'${text.replaceAll("'", "''")}'`;
const identifier = (name: string) => `"${name.replaceAll('"', '""')}"`;

/**
 * Whether COPY takes a Parquet column into one of a type. The table of the Developer Guide has types, not encodings
 * (https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_EXTERNAL_TABLE.html, data types; COPY of columnar formats
 * reads by Spectrum): what is not said there, unsigned numbers, decimals in an INT32 or INT64, JSON, UUID and TIME, is
 * refused here.
 */
function fits(type: string, leaf: Leaf): boolean {
	const { physical, converted, logical, precision, scale } = leaf;
	const plain = converted === "" && logical === "";
	const [, base = "", first = "", second = ""] = /^([^(]+?)(?:\((\d+)(?:,(\d+))?\))?$/.exec(type) ?? [];
	switch (base) {
		case "boolean":
			return physical === "BOOLEAN";
		case "smallint":
			return physical === "INT32" && converted === "INT_16";
		case "integer":
			return physical === "INT32" && (plain || converted === "INT_32");
		case "bigint":
			return physical === "INT64" && (plain || converted === "INT_64");
		case "real":
			return physical === "FLOAT";
		case "double precision":
			return physical === "DOUBLE";
		case "numeric":
			return (
				physical === "FIXED_LEN_BYTE_ARRAY" &&
				converted === "DECIMAL" &&
				precision <= Number(first) &&
				scale === Number(second)
			);
		case "date":
			return physical === "INT32" && converted === "DATE";
		case "timestamp without time zone":
			return physical === "INT64" && /isAdjustedToUTC=(?:0|false)/.test(logical) && /Timestamp/i.test(logical);
		case "timestamp with time zone":
			return physical === "INT64" && /isAdjustedToUTC=(?:1|true)/.test(logical) && /Timestamp/i.test(logical);
		case "character varying":
		case "character":
			return physical === "BYTE_ARRAY" && converted === "UTF8";
		case "binary varying":
			return physical === "BYTE_ARRAY" && plain;
		default:
			return false;
	}
}

/**
 * A Parquet file as CSV for the backend, its schema checked against the table's: as many columns, in their order, of
 * types that fit. Gives the rows.
 */
export async function parquetToCsv(
	files: { readonly parquet: string; readonly csv: string; readonly folder: string; readonly url: string },
	columns: readonly TableColumn[],
): Promise<number> {
	await using engine = await Engine.open({
		allowedDirectories: [files.folder],
		memoryBytes: 256 << 20,
		tempDirectory: `${files.csv}.tmp`,
	});
	await using connection = await engine.connect();
	const schema = await connection
		.query(
			`SELECT name, type, coalesce(converted_type, '') AS converted, coalesce(CAST(logical_type AS VARCHAR), '') AS logical, CAST(coalesce(precision, 0) AS INTEGER) AS precision, CAST(coalesce(scale, 0) AS INTEGER) AS scale, CAST(coalesce(num_children, 0) AS INTEGER) AS children FROM parquet_schema(${quote(files.parquet)})`,
		)
		.catch(() => {
			throw spectrum(files.url, "is not a Parquet file");
		});
	const leaves = schema.slice(1).map(
		(row): Leaf => ({
			name: String(row["name"]),
			physical: String(row["type"]),
			converted: String(row["converted"]),
			logical: String(row["logical"]),
			precision: Number(row["precision"]),
			scale: Number(row["scale"]),
		}),
	);
	if (schema.slice(1).some((row) => Number(row["children"]) > 0))
		throw spectrum(files.url, "has a nested column, which needs SERIALIZETOJSON and SUPER");
	if (leaves.length !== columns.length)
		throw new RedshiftError(
			"XX000",
			`Number of columns in parquet file does not match number of columns in the table. Expected ${columns.length} columns but found ${leaves.length} columns in file '${files.url}'.`,
		);
	for (const [at, leaf] of leaves.entries())
		if (!fits(columns[at]!.type, leaf))
			throw spectrum(
				files.url,
				`has an incompatible Parquet schema for column '${leaf.name}'. Column type: ${columns[at]!.type.toUpperCase()}, Parquet schema: ${leaf.physical} ${leaf.converted} ${leaf.logical}`,
			);
	const items = leaves.map(({ name }, at) =>
		columns[at]!.type.startsWith("binary")
			? `'\\x' || lower(hex(${identifier(name)})) AS c${at}`
			: `CAST(${identifier(name)} AS VARCHAR) AS c${at}`,
	);
	const quoted = leaves.flatMap((_, at) => (columns[at]!.type.startsWith("character") ? [`c${at}`] : []));
	const force = quoted.length === 0 ? "" : `, FORCE_QUOTE (${quoted.join(", ")})`;
	return await connection.execute(
		`COPY (SELECT ${items.join(", ")} FROM read_parquet(${quote(files.parquet)}, binary_as_string = false, hive_partitioning = false)) TO ${quote(files.csv)} (FORMAT csv, HEADER false, NULLSTR ''${force})`,
	);
}

/** https://docs.aws.amazon.com/redshift/latest/dg/c-spectrum-troubleshooting.html */
function spectrum(url: string, what: string): RedshiftError {
	return new RedshiftError("XX000", "Spectrum Scan Error", `File '${url}' ${what}`);
}
