import { readName } from "./ddl.ts";
import { RedshiftError } from "./errors.ts";
import { closing, significant, splitByComma, type Token } from "./lexer.ts";
import { foldedName } from "./rules.ts";

export interface CopyCommand {
	/** As the backend's SQL. */
	readonly table: string;
	readonly tableName: string;
	readonly columns: readonly string[] | null;
	readonly bucket: string;
	readonly key: string;
	/** ARN; `default`. */
	readonly role: string;
	readonly format: "parquet" | "csv" | "text";
	readonly compression: "gzip" | "zstd" | null;
	readonly manifest: boolean;
	readonly load: boolean;
	readonly delimiter: string;
	readonly nullText: string;
	readonly ignoreHeader: number;
	readonly emptyAsNull: boolean;
	readonly region: string | null;
}

/** The only ones of Parquet: https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html */
const COLUMNAR = new Set([
	"format",
	"iam_role",
	"manifest",
	"statupdate",
	"fillrecord",
	"acceptinvchars",
	"explicit_ids",
]);
/** https://docs.aws.amazon.com/redshift/latest/dg/r_COPY-alphabetical-parm-list.html */
const WITH_WORD = new Set(["compupdate", "statupdate"]);
const WITH_STRING = new Set([
	"delimiter",
	"null",
	"region",
	"dateformat",
	"timeformat",
	"quote",
	"iam_role",
	"credentials",
]);
const WITH_NUMBER = new Set(["ignoreheader", "maxerror", "comprows"]);
const ALONE = new Set([
	"manifest",
	"gzip",
	"zstd",
	"csv",
	"emptyasnull",
	"blanksasnull",
	"noload",
	"escape",
	"fillrecord",
	"truncatecolumns",
	"ignoreblanklines",
	"removequotes",
	"acceptanydate",
]);

/** COPY as https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html writes it, from S3 only. */
export function readCopy(all: readonly Token[]): CopyCommand {
	const tokens = significant(all);
	const name = readName(tokens, 1);
	let at = name.end;
	let columns: string[] | null = null;
	if (tokens[at]?.text === "(") {
		const end = closing(tokens, at);
		columns = splitByComma(tokens.slice(at + 1, end)).map(([token]) => foldedName(token!.value));
		at = end + 1;
	}
	const expect = (word: string) => {
		if (tokens[at]?.value !== word) throw syntax(tokens[at]);
		at++;
	};
	expect("from");
	const source = string(tokens[at++]);
	const place = /^s3:\/\/([^/]+)\/(.+)$/.exec(source);
	if (place === null) throw new RedshiftError("XX000", "CREDENTIALS argument is required, or the source is not s3://");
	const found = new Map<string, string>();
	while (at < tokens.length) {
		const word = tokens[at]!.value;
		at++;
		if (word === "format") {
			if (tokens[at]?.value === "as") at++;
			found.set("format", tokens[at++]?.value ?? "");
		} else if (word === "encoding") {
			if (tokens[at]?.value === "as") at++;
			if (tokens[at++]?.value !== "utf8") throw new RedshiftError("0A000", "the stand-in reads UTF-8");
			found.set(word, "utf8");
		} else if (ALONE.has(word)) found.set(word, "");
		else if (WITH_STRING.has(word) || WITH_NUMBER.has(word) || WITH_WORD.has(word)) {
			if (tokens[at]?.value === "as") at++;
			const token = tokens[at++];
			if (WITH_STRING.has(word) && !(word === "iam_role" && token?.value === "default")) string(token);
			if (WITH_NUMBER.has(word) && !/^\d+$/.test(token?.value ?? "")) throw syntax(token);
			if (WITH_WORD.has(word) && !["on", "off", "true", "false", "preset"].includes(token?.value ?? ""))
				throw syntax(token);
			found.set(word, token!.value);
		} else throw syntax(tokens[at - 1]);
	}
	const format = found.has("csv") ? "csv" : (found.get("format") ?? "text");
	if (format !== "parquet" && format !== "csv" && format !== "text")
		throw new RedshiftError("0A000", `the stand-in does not read ${format}`);
	if (format === "parquet")
		for (const option of found.keys())
			if (!COLUMNAR.has(option))
				throw new RedshiftError("0A000", `${option.toUpperCase()} argument is not supported for PARQUET based COPY`);
	const role = found.get("iam_role");
	if (role === undefined) throw new RedshiftError("42601", "CREDENTIALS argument is required but not found");
	if (role !== "default" && !/^arn:aws[\w-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/.test(role))
		throw new RedshiftError("XX000", "Invalid IAM role ARN");
	return {
		table: name.sql,
		tableName: name.key,
		columns,
		bucket: place[1]!,
		key: place[2]!,
		role,
		format,
		compression: found.has("gzip") ? "gzip" : found.has("zstd") ? "zstd" : null,
		manifest: found.has("manifest"),
		load: !found.has("noload"),
		delimiter: found.get("delimiter") ?? (format === "csv" ? "," : "|"),
		nullText: found.get("null") ?? "\\N",
		ignoreHeader: Number(found.get("ignoreheader") ?? 0),
		emptyAsNull: found.has("emptyasnull"),
		region: found.get("region") ?? null,
	};
}

function string(token: Token | undefined): string {
	if (token?.kind !== "string") throw syntax(token);
	return token.value;
}

function syntax(token: Token | undefined): RedshiftError {
	return new RedshiftError("42601", `syntax error at or near "${token?.text ?? "end of input"}"`);
}
