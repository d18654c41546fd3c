import { RedshiftError, unsupported } from "./errors.ts";
import { significant, type Token, textOf } from "./lexer.ts";

const IDENTIFIER_BYTES_MAX = 127;
/** What the backend tells apart. */
const BACKEND_BYTES_MAX = 63;
const FEATURES = "c_unsupported-postgresql-features.html";

/**
 * Functions of PostgreSQL that Redshift has not, or that run on the leader node only and so not on a table's rows:
 * https://docs.aws.amazon.com/redshift/latest/dg/c_unsupported-postgresql-functions.html
 * https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_functions_leader_node_only.html
 */
const NO_FUNCTIONS = new Set(
	`string_agg array_agg unnest generate_series to_json to_jsonb row_to_json json_agg json_build_object jsonb_build_object
	gen_random_uuid now clock_timestamp statement_timestamp transaction_timestamp localtime localtimestamp
	hashtext hashtextextended pg_advisory_lock pg_advisory_xact_lock pg_sleep regexp_matches regexp_split_to_table
	signbit float4send float8send interval_send encode decode convert_from convert_to quote_literal format
	xmlelement make_date make_timestamp num_nulls num_nonnulls to_regclass pg_relation_size txid_current`.split(/\s+/),
);

/** Words that begin a statement which the stand-in passes on as a query or a change of rows. */
const ROWS = new Set(["select", "with", "insert", "update", "delete"]);

export function isRowStatement(tokens: readonly Token[]): boolean {
	return ROWS.has(tokens[0]!.value);
}

/** Refuses what Redshift's SQL has not, wherever it stands in a statement. */
export function refuseUnsupported(tokens: readonly Token[]): void {
	const found = significant(tokens);
	const next = (at: number, ...words: string[]) =>
		words.every((word, i) => found[at + i]?.kind === "word" && found[at + i]!.value === word);
	for (let at = 0; at < found.length; at++) {
		const { kind, value, text } = found[at]!;
		if (kind === "symbol" && text === "[") throw unsupported("a subscript or an array", FEATURES);
		if (kind !== "word") continue;
		if (next(at, "on", "conflict")) throw new RedshiftError("42601", 'syntax error at or near "conflict"');
		if (value === "returning") throw new RedshiftError("42601", 'syntax error at or near "returning"');
		if (next(at, "is", "distinct", "from") || next(at, "is", "not", "distinct", "from"))
			throw new RedshiftError("42601", 'syntax error at or near "distinct"');
		if (value === "filter" && found[at + 1]?.text === "(" && found[at + 2]?.value === "where")
			throw new RedshiftError("42601", 'syntax error at or near "filter"');
		// https://docs.aws.amazon.com/redshift/latest/dg/r_UNION.html: UNION ALL is the only set operator with ALL.
		if (next(at, "except", "all") || next(at, "intersect", "all"))
			throw unsupported(`${value.toUpperCase()} ALL`, "r_UNION.html");
		if (value === "lateral") throw unsupported("LATERAL", FEATURES);
		if (value === "array" && found[at + 1]?.text === "(")
			throw new RedshiftError("42883", "function array does not exist for rows");
		if (next(at, "nulls", "first") || next(at, "nulls", "last"))
			throw unsupported("the NULLS clause of a window function", FEATURES);
		if (value === "values" && at > 0 && (found[at - 1]!.text === "(" || found[at - 1]!.value === "from"))
			throw unsupported("a VALUES list as a table", FEATURES);
		if (["ctid", "xmin", "xmax", "tableoid"].includes(value)) throw unsupported(`the system column ${value}`, FEATURES);
		if (value === "collate") throw unsupported("COLLATE", FEATURES);
		if (found[at + 1]?.text === "(" && NO_FUNCTIONS.has(value) && found[at - 1]?.value !== "into")
			throw new RedshiftError("42883", `function ${value} does not exist`);
		if (["uuid", "jsonb", "bytea", "money", "inet", "cidr", "xml", "bit"].includes(value) && isType(found, at))
			throw new RedshiftError("42704", `type "${value}" does not exist: c_unsupported-postgresql-datatypes.html`);
	}
	// The target of a DELETE has no alias: https://docs.aws.amazon.com/redshift/latest/dg/r_DELETE.html
	if (found[0]?.value === "delete") {
		let at = found[1]?.value === "from" ? 2 : 1;
		at += found[at + 1]?.text === "." ? 3 : 1;
		const after = found[at];
		if (after !== undefined && !["using", "where"].includes(after.value))
			throw new RedshiftError("42601", `syntax error at or near "${after.text}"`);
	}
}

function isType(found: readonly Token[], at: number): boolean {
	const before = found[at - 1];
	return before?.text === "::" || before?.value === "as";
}

const SYSDATE = "(pg_catalog.transaction_timestamp() AT TIME ZONE 'UTC')";
const RENAMED: Readonly<Record<string, string>> = { format_type: "rs_format_type", version: "rs_version" };

/** A statement for the backend: names folded and checked, and words that only Redshift has in the backend's. */
export function rewritten(tokens: readonly Token[], words: Readonly<Record<string, string>> = {}): string {
	return textOf(
		tokens.map((token, at) => {
			if (token.kind === "quoted") return { ...token, text: backendName(token.value) };
			if (token.kind !== "word") return token;
			checkName(token.value);
			const replaced = words[token.value];
			if (replaced !== undefined) return { ...token, text: replaced };
			if (token.value === "sysdate") return { ...token, text: SYSDATE };
			const isCall = tokens.slice(at + 1).find(({ kind }) => kind !== "space")?.text === "(";
			if (isCall && RENAMED[token.value] !== undefined) return { ...token, text: RENAMED[token.value]! };
			return token;
		}),
	);
}

/**
 * A delimited identifier as the backend has it: folded to lower case as well, 127 bytes, no percent sign.
 * https://docs.aws.amazon.com/redshift/latest/dg/r_names.html
 */
export function backendName(name: string): string {
	const folded = foldedName(name);
	return `"${folded.replaceAll('"', '""')}"`;
}

export function foldedName(name: string): string {
	const folded = name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
	if (folded === "") throw new RedshiftError("42601", "zero-length delimited identifier");
	if (folded.includes("%")) throw new RedshiftError("42602", "an identifier can't hold a percent sign");
	checkName(folded);
	return folded;
}

function checkName(name: string): void {
	const bytes = Buffer.byteLength(name);
	if (bytes > IDENTIFIER_BYTES_MAX) throw new RedshiftError("42622", "an identifier is at most 127 bytes");
	if (bytes > BACKEND_BYTES_MAX)
		throw new RedshiftError("0A000", "the stand-in holds names of up to 63 bytes: those of its backend");
}
