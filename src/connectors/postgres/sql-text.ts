import { HeadraceError } from "../../core/index.ts";
import { quoteDouble, quoteSingle } from "../../sql/index.ts";

/**
 * An identifier, whatever it is made of.
 * @throws E_INVALID_VALUE for a NUL, which would end the statement for the server
 */
export function quoteIdentifier(name: string): string {
	refuseNul(name);
	return quoteDouble(name);
}

/** A literal that is right in every place; the session has standard_conforming_strings on. */
export function quoteLiteral(text: string): string {
	refuseNul(text);
	return quoteSingle(text);
}

export function quoteTable(table: { readonly schema: string; readonly name: string }): string {
	return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`;
}

function refuseNul(text: string): void {
	if (text.includes("\0"))
		throw new HeadraceError("E_INVALID_VALUE", "a name or value for PostgreSQL holds a NUL byte");
}

/** SQL of the pipeline file between brackets: a comment at its end must not swallow the bracket. */
export function bracketed(sql: string): string {
	return `(\n${sql.replace(/[\s;]+$/, "")}\n)`;
}
