import { RedshiftError } from "./errors.ts";
import { closing, type Token, textOf } from "./lexer.ts";

/** https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html */
const PLAIN: Readonly<Record<string, string>> = {
	smallint: "smallint",
	int2: "smallint",
	integer: "integer",
	int: "integer",
	int4: "integer",
	bigint: "bigint",
	int8: "bigint",
	real: "real",
	float4: "real",
	"double precision": "double precision",
	float8: "double precision",
	float: "double precision",
	boolean: "boolean",
	bool: "boolean",
	date: "date",
	time: "time",
	"time without time zone": "time",
	timetz: "timetz",
	"time with time zone": "timetz",
	timestamp: "timestamp",
	"timestamp without time zone": "timestamp",
	timestamptz: "timestamptz",
	"timestamp with time zone": "timestamptz",
	super: "pg_catalog.super",
};
const CHARACTERS = new Set(["varchar", "character varying", "nvarchar", "text"]);
const BYTES = new Set(["varbyte", "varbinary", "binary varying"]);

export interface ColumnType {
	/** The backend's type. */
	readonly backend: string;
	/** A domain that the backend must have: see `ensureDomain`. */
	readonly domain?: { readonly kind: "varchar" | "varbyte"; readonly bytes: number };
	/** `varchar`, for the rules of ALTER and sort keys. */
	readonly family: string;
	/** Tokens that it took. */
	readonly taken: number;
}

/**
 * Reads the type of a column's definition at `start` of tokens without spaces. Lengths are in bytes, and limits are
 * those of the pages of the types.
 */
export function readColumnType(tokens: readonly Token[], start: number): ColumnType {
	const words: string[] = [];
	let at = start;
	const names = new Set([
		...Object.keys(PLAIN),
		...CHARACTERS,
		...BYTES,
		"numeric",
		"decimal",
		"char",
		"character",
		"bpchar",
	]);
	for (let end = Math.min(start + 4, tokens.length); end > start; end--) {
		const candidate = tokens.slice(start, end);
		const name = candidate.map(({ value }) => value).join(" ");
		if (candidate.every(({ kind }) => kind === "word") && names.has(name)) {
			words.push(name);
			at = end;
			break;
		}
	}
	const name = words[0];
	if (name === undefined) throw new RedshiftError("42704", `type "${tokens[start]?.value ?? ""}" does not exist`);
	const sizes: string[] = [];
	if (tokens[at]?.text === "(") {
		const end = closing(tokens, at);
		sizes.push(
			...tokens
				.slice(at + 1, end)
				.filter(({ text }) => text !== ",")
				.map(({ value }) => value),
		);
		at = end + 1;
	}
	if (tokens[at]?.text === "[")
		throw new RedshiftError("0A000", "arrays are not supported: c_unsupported-postgresql-datatypes.html");
	const taken = at - start;
	// https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html: VARCHAR is VARCHAR(256), at most 65535 bytes.
	if (CHARACTERS.has(name)) {
		const bytes = sizes[0] === "max" ? 65_535 : Number(sizes[0] ?? 256);
		if (!(bytes >= 1 && bytes <= 65_535))
			throw new RedshiftError("22023", "length for type varchar cannot exceed 65535");
		return { backend: `pg_catalog.rs_varchar_${bytes}`, domain: { kind: "varchar", bytes }, family: "varchar", taken };
	}
	// https://docs.aws.amazon.com/redshift/latest/dg/r_VARBYTE_type.html
	if (BYTES.has(name)) {
		const bytes = Number(sizes[0] ?? 64_000);
		if (!(bytes >= 1 && bytes <= 16_777_216))
			throw new RedshiftError("22023", "length for type varbyte cannot exceed 16777216");
		return { backend: `pg_catalog.rs_varbyte_${bytes}`, domain: { kind: "varbyte", bytes }, family: "varbyte", taken };
	}
	// https://docs.aws.amazon.com/redshift/latest/dg/r_Numeric_types201.html: precision to 38, scale to 37, default 18,0.
	if (name === "numeric" || name === "decimal") {
		const precision = Number(sizes[0] ?? 18);
		const scale = Number(sizes[1] ?? 0);
		if (!(precision >= 1 && precision <= 38))
			throw new RedshiftError("22023", "NUMERIC precision must be between 1 and 38");
		if (!(scale >= 0 && scale <= Math.min(37, precision)))
			throw new RedshiftError("22023", "NUMERIC scale must be between 0 and 37");
		return { backend: `numeric(${precision},${scale})`, family: "numeric", taken };
	}
	if (name === "char" || name === "character" || name === "bpchar") {
		const bytes = Number(sizes[0] ?? 1);
		if (!(bytes >= 1 && bytes <= 4096)) throw new RedshiftError("22023", "length for type char cannot exceed 4096");
		return { backend: `char(${bytes})`, family: "char", taken };
	}
	// Times have microseconds and no precision of their own: https://docs.aws.amazon.com/redshift/latest/dg/r_Datetime_types.html
	if (sizes.length > 0)
		throw new RedshiftError("42601", `syntax error at or near "(": ${textOf(tokens.slice(start, at))}`);
	return { backend: PLAIN[name]!, family: name === "super" ? "super" : PLAIN[name]!, taken };
}
