import { HeadraceError } from "../../core/index.ts";
import { redshiftDialect } from "../../sql/index.ts";

/** @throws E_INVALID_VALUE for a NUL, which would end the statement for the server */
export function quoteIdentifier(name: string): string {
	refuseNul(name);
	return redshiftDialect.quoteIdentifier(name);
}

/** A text expression, whatever the text is made of. @throws E_INVALID_VALUE for a NUL */
export function quoteLiteral(text: string): string {
	refuseNul(text);
	return redshiftDialect.quoteLiteral(text);
}

/**
 * A literal where the grammar takes no expression: the options of COPY.
 * @throws E_INVALID_VALUE for a NUL or a backslash, which may escape there
 */
export function quoteOption(text: string): string {
	refuseNul(text);
	if (text.includes("\\"))
		throw new HeadraceError("E_INVALID_VALUE", "an address or role for Redshift's COPY holds a backslash");
	return redshiftDialect.quoteLiteral(text);
}

export function quoteTable(table: { readonly schema: string; readonly name: string }): string {
	return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`;
}

/** SQL of the pipeline file between brackets: a comment at its end must not swallow the bracket. */
export function bracketed(sql: string): string {
	return `(\n${sql.replace(/[\s;]+$/, "")}\n)`;
}

function refuseNul(text: string): void {
	if (text.includes("\0")) throw new HeadraceError("E_INVALID_VALUE", "a name or value for Redshift holds a NUL byte");
}
