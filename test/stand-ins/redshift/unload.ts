import { gzipSync } from "node:zlib";
import { RedshiftError } from "./errors.ts";
import { significant, statementsOf, type Token } from "./lexer.ts";

export interface UnloadTarget {
	readonly bucket: string;
	readonly key: string;
	readonly role: string;
	encode(rows: readonly (readonly (string | null)[])[]): Buffer;
}

/** UNLOAD to one file of CSV or text: https://docs.aws.amazon.com/redshift/latest/dg/r_UNLOAD.html */
export function unload(all: readonly Token[]): { readonly query: Token[]; readonly target: UnloadTarget } {
	const tokens = significant(all);
	const select = tokens[2];
	const place = /^s3:\/\/([^/]+)\/(.+)$/.exec(tokens[5]?.value ?? "");
	if (tokens[1]?.text !== "(" || select?.kind !== "string" || tokens[4]?.value !== "to" || place === null)
		throw new RedshiftError("42601", "syntax error in UNLOAD");
	const words = tokens.slice(6).map(({ value }) => value);
	const role = words[words.indexOf("iam_role") + 1];
	if (!words.includes("iam_role") || role === undefined)
		throw new RedshiftError("42601", "CREDENTIALS argument is required but not found");
	const csv = words.includes("csv");
	const field = (value: string | null) =>
		value === null ? "" : csv && /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
	const [query] = statementsOf(select.value);
	return {
		query: query!,
		target: {
			bucket: place[1]!,
			key: place[2]!,
			role,
			encode: (rows) => {
				const text = Buffer.from(rows.map((row) => `${row.map(field).join(csv ? "," : "|")}\n`).join(""));
				return words.includes("gzip") ? gzipSync(text) : text;
			},
		},
	};
}
