import { HeadraceError, type SourceColumn, type Window } from "../../core/index.ts";
import { decoderOf } from "./row-decoder.ts";
import { textLiteral } from "./sql.ts";

const NUMBER = /^-?\d+(?:\.\d+)?$/;
const REAL = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i;
const TIME_OF_DAY = /^-?\d{2,3}:\d{2}:\d{2}(?:\.\d{1,6})?$/;
const MOMENT = /^(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)(?:Z|\+00(?::?00)?)?)?$/;

/**
 * A canonical value as a literal of the column's own type, so that the server compares it as it compares its rows.
 * @throws E_INVALID_VALUE when the text is none of the type, E_UNSUPPORTED for types that have no order
 */
export function literal(column: SourceColumn, text: string): string {
	const decoder = decoderOf(column);
	const checked = (pattern: RegExp, sql = text) => {
		if (pattern.test(text)) return sql;
		throw new HeadraceError("E_INVALID_VALUE", `the bound given for column ${column.name} is no ${column.nativeType}`);
	};
	switch (decoder.wire) {
		case "integer":
		case "decimal":
			return checked(NUMBER);
		case "real":
			return checked(REAL, /e/i.test(text) ? text : `${text}e0`);
		case "time":
			return checked(TIME_OF_DAY, `'${text}'`);
		case "date":
		case "datetime":
			return checked(MOMENT, momentLiteral(text));
		case "text":
			if (!/^(?:enum|set)\b/i.test(column.nativeType)) return textLiteral(text);
	}
	throw new HeadraceError("E_UNSUPPORTED", `column ${column.name} (${column.nativeType}) has no order to read by`);
}

function momentLiteral(text: string): string {
	const [, day = "", time] = MOMENT.exec(text) ?? [];
	// 0000-00-00 is no literal of these types; as a string it still compares as the date.
	if (/^0000|-00/.test(day)) return time === undefined ? `'${day}'` : `'${day} ${time}'`;
	return time === undefined ? `DATE'${day}'` : `TIMESTAMP'${day} ${time}'`;
}

/** The rows of a window; undefined when it has no bound. */
export function windowCondition(columns: readonly SourceColumn[], window: Window | undefined): string | undefined {
	if (window === undefined) return undefined;
	const column = columns.find((candidate) => candidate.name === window.column);
	if (column === undefined)
		throw new HeadraceError("E_UNKNOWN_COLUMN", `there is no column ${window.column} to read by`);
	const name = decoderOf(column).column;
	const conditions: string[] = [];
	const { from = null, to = null } = window;
	if (from !== null) conditions.push(`${name} >= ${literal(column, from)}`);
	if (to !== null) conditions.push(`${name} ${window.toIncluded ? "<=" : "<"} ${literal(column, to)}`);
	return conditions.length === 0 ? undefined : conditions.join(" AND ");
}
