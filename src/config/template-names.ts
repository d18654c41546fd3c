/** Variables of the run's interval. */
export const INTERVAL_VARIABLES = [
	"ds",
	"ds_nodash",
	"ts",
	"interval_start",
	"interval_end",
	"execution_date",
	"logical_date",
	"data_interval_start",
	"data_interval_end",
] as const;

/** Every variable of a template beside `params.x`. */
export const TEMPLATE_VARIABLES = [...INTERVAL_VARIABLES, "run_id"] as const;

/** Stands for the table itself in the SQL of its checks and of its hooks on the destination. */
export const TABLE_VARIABLE = "this";

/** Whether text has a `{{ … }}`. */
export function hasTemplate(text: string): boolean {
	return text.includes("{{");
}

/**
 * Offset of the `}}` that ends the template which begins at `start`; quotes inside it may hold braces. Undefined when
 * it is not closed.
 */
export function templateEnd(text: string, start: number): number | undefined {
	let quote = "";
	for (let at = start + 2; at < text.length; at++) {
		const character = text[at]!;
		if (quote !== "") quote = character === quote ? "" : quote;
		else if (character === '"' || character === "'") quote = character;
		else if (text.startsWith("}}", at)) return at;
	}
	return undefined;
}

/** Names that an expression reads, text in quotes and names after a dot aside. */
export function namesIn(expression: string): string[] {
	return expression.replace(/"[^"]*"|'[^']*'/g, "").match(/(?<![\w.])[A-Za-z_]\w*/g) ?? [];
}

/** Whether a query asks for the run's interval: then every interval gives other rows. */
export function hasInterval(sql: string): boolean {
	for (let start = sql.indexOf("{{"); start >= 0; ) {
		const end = templateEnd(sql, start);
		if (end === undefined) return false;
		const names = namesIn(sql.slice(start + 2, end));
		if (names.some((name) => INTERVAL_VARIABLES.some((known) => known === name))) return true;
		start = sql.indexOf("{{", end + 2);
	}
	return false;
}
