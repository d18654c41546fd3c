import type { Dialect } from "./dialect.ts";

/** All that a check's SQL needs of an engine; the rest is standard SQL. */
export type Quoting = Pick<Dialect, "quoteIdentifier" | "quoteLiteral">;

/** A row fails when its condition is true. Values are text; an engine reads a literal as the type it is compared with. */
export type RowCondition =
	| { readonly kind: "not_null"; readonly column: string }
	| { readonly kind: "accepted"; readonly column: string; readonly values: readonly string[] }
	| { readonly kind: "range"; readonly column: string; readonly min?: string; readonly max?: string };

export function failingCondition(sql: Quoting, condition: RowCondition): string {
	const column = sql.quoteIdentifier(condition.column);
	switch (condition.kind) {
		case "not_null":
			return `${column} IS NULL`;
		case "accepted":
			return `${column} NOT IN (${condition.values.map((value) => sql.quoteLiteral(value)).join(", ")})`;
		case "range": {
			const { min, max } = condition;
			return [
				...(min === undefined ? [] : [`${column} < ${sql.quoteLiteral(min)}`]),
				...(max === undefined ? [] : [`${column} > ${sql.quoteLiteral(max)}`]),
			].join(" OR ");
		}
	}
}

/** How many rows a table has, as `row_count`, and by each name of `counts` how many meet its condition: one scan. */
export function countFailing(
	sql: Quoting,
	relation: string,
	counts: ReadonlyMap<string, string>,
	aggregates: ReadonlyMap<string, string>,
): string {
	const items = [
		"count(*) AS row_count",
		...[...counts].map(
			([name, condition]) =>
				`coalesce(sum(CASE WHEN ${condition} THEN 1 ELSE 0 END), 0) AS ${sql.quoteIdentifier(name)}`,
		),
		...[...aggregates].map(([name, expression]) => `${expression} AS ${sql.quoteIdentifier(name)}`),
	];
	return `SELECT ${items.join(",\n\t")}\nFROM ${relation}`;
}

/** 1 when the newest value of a column is older than a moment (UTC, `YYYY-MM-DD HH:MM:SS`), or there is none; else 0. */
export function isStale(sql: Quoting, column: string, moment: string, hasZone: boolean): string {
	const newest = `max(${sql.quoteIdentifier(column)})`;
	const fresh = hasZone
		? `${newest} >= CAST(${sql.quoteLiteral(`${moment}+00`)} AS TIMESTAMP WITH TIME ZONE)`
		: `CAST(${newest} AS TIMESTAMP) >= CAST(${sql.quoteLiteral(moment)} AS TIMESTAMP)`;
	return `CASE WHEN ${fresh} THEN 0 ELSE 1 END`;
}

/** One value, `failing`: rows that share their values of some columns with another row. NULL is equal to nothing. */
export function countRepeated(sql: Quoting, relation: string, columns: readonly string[]): string {
	return `SELECT coalesce(sum(n), 0) AS failing FROM (${repeated(sql, relation, columns, "count(*) AS n")}) AS repeated`;
}

/** Condition of the rows that `countRepeated` counts. */
export function isRepeated(sql: Quoting, relation: string, columns: readonly string[]): string {
	const names = columns.map((column) => sql.quoteIdentifier(column)).join(", ");
	const row = columns.length === 1 ? names : `(${names})`;
	return `${row} IN (${repeated(sql, relation, columns, names)})`;
}

function repeated(sql: Quoting, relation: string, columns: readonly string[], items: string): string {
	const names = columns.map((column) => sql.quoteIdentifier(column));
	const known = names.map((name) => `${name} IS NOT NULL`).join(" AND ");
	return `SELECT ${items} FROM ${relation} WHERE ${known} GROUP BY ${names.join(", ")} HAVING count(*) > 1`;
}

/** One value, `n`: how many rows a SELECT returns. */
export function countRowsOf(select: string): string {
	return `SELECT count(*) AS n FROM (${asSubquery(select)}) AS counted`;
}

/** The first rows of a SELECT, all its columns. */
export function firstRowsOf(select: string, limit: number): string {
	return `SELECT * FROM (${asSubquery(select)}) AS first_rows LIMIT ${limit}`;
}

/** Columns of the first rows that meet a condition, by the order of the key when there is one. */
export function firstFailing(
	sql: Quoting,
	relation: string,
	condition: string,
	columns: { readonly key: readonly string[]; readonly others: readonly string[] },
	limit: number,
): string {
	const quoted = (names: readonly string[]) => names.map((name) => sql.quoteIdentifier(name));
	// An alias, so that the result has the name that was asked for and not the table's spelling of it.
	const items = quoted([...new Set([...columns.key, ...columns.others])]).map((name) => `${name} AS ${name}`);
	const order = columns.key.length === 0 ? "" : ` ORDER BY ${quoted(columns.key).join(", ")}`;
	return `SELECT ${items.join(", ")} FROM ${relation} WHERE ${condition}${order} LIMIT ${limit}`;
}

/**
 * The first rows of a table, in no order, as `c0`, `c1`, … in the order of the columns: texts, cut after so many
 * characters; of a column without a shape only whether there is a value.
 */
export function firstTexts(
	sql: Quoting,
	relation: string,
	columns: readonly { readonly name: string; readonly hasShape: boolean }[],
	{ rows, characters }: { readonly rows: number; readonly characters: number },
): string {
	const items = columns.map(({ name, hasShape }, index) => {
		const column = sql.quoteIdentifier(name);
		const text = hasShape
			? `substring(CAST(${column} AS VARCHAR), 1, ${characters})`
			: `CASE WHEN ${column} IS NOT NULL THEN 'x' END`;
		return `${text} AS ${sql.quoteIdentifier(`c${index}`)}`;
	});
	return `SELECT ${items.join(", ")} FROM ${relation} LIMIT ${rows}`;
}

/** A statement as a part of another: a comment at its end must not hide what follows, a semicolon not end it. */
export function asSubquery(select: string): string {
	return `${select.replace(/[\s;]+$/, "")}\n`;
}
