import type { Field } from "../core/index.ts";
import { duckdbDialect, quotedList } from "../sql/index.ts";

/**
 * The rows that are there but for those of the overlap that an incoming row replaces, each one: equal in all columns but
 * those that are added. `kept` and `incoming` are relations with the table's columns, `range` the overlap's condition.
 */
export function rowsNotReplaced(parts: {
	readonly kept: string;
	readonly incoming: string;
	readonly fields: readonly Field[];
	readonly added: readonly string[];
	readonly range: string;
}): string {
	const names = parts.fields.map((field) => field.name);
	const compared = names.filter((name) => !parts.added.includes(name));
	const all = quotedList(duckdbDialect, names);
	const inRange = `coalesce(${parts.range}, false)`;
	// How many rows of a relation are equal to this one and come before it.
	const numbered = (relation: string, where: string) =>
		`(SELECT ${all}, row_number() OVER (PARTITION BY ${quotedList(duckdbDialect, compared)}) AS _headrace_place FROM ${relation} AS rows WHERE ${where})`;
	const same = compared.map((name) => {
		const column = duckdbDialect.quoteIdentifier(name);
		return `t.${column} IS NOT DISTINCT FROM s.${column}`;
	});
	return `SELECT ${all} FROM ${parts.kept} AS rows WHERE NOT ${inRange}
		UNION ALL SELECT ${quotedList(duckdbDialect, names, "t")} FROM ${numbered(parts.kept, inRange)} AS t
		WHERE NOT EXISTS (SELECT 1 FROM ${numbered(parts.incoming, "true")} AS s
			WHERE ${["t._headrace_place = s._headrace_place", ...same].join(" AND ")})`;
}
