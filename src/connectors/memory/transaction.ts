import { HeadraceError } from "../../core/errors.ts";
import { qualified, type TableName } from "../../core/table.ts";
import type { MemoryColumn, MemoryTable } from "./database.ts";
import type { RowChange } from "./log.ts";
import { canonicalValue, type Row, type RowInput, type Value } from "./values.ts";

/** What a statement does to the rows that it finds when its transaction ends. */
export interface Statement {
	readonly name: TableName;
	readonly truncates: boolean;
	changes(table: MemoryTable): readonly RowChange[];
}

/** Values of the rows are fixed when the statement is made, as a clock's time is. @throws E_UNKNOWN_COLUMN, E_VALUE */
export function insertion(table: MemoryTable, rows: readonly RowInput[]): Statement {
	const written = rows.map((row) => new Map(Object.entries(namedValues(table.columns, row))));
	return {
		name: table.name,
		truncates: false,
		changes: (now) => written.map((row) => ({ before: null, after: rowOf(now, (column) => row.get(column.name)) })),
	};
}

/** @throws E_UNKNOWN_COLUMN, E_VALUE */
export function updating(table: MemoryTable, where: RowInput, assignments: RowInput): Statement {
	const matches = matcher(table.columns, where);
	const values = new Map(Object.entries(namedValues(table.columns, assignments)));
	return {
		name: table.name,
		truncates: false,
		changes: (now) =>
			now.rows
				.filter((row) => matches(now, row))
				.map((before) => ({
					before,
					after: now.columns.map(({ name }, i) => (values.has(name) ? values.get(name)! : before[i]!)),
				})),
	};
}

/** @throws E_UNKNOWN_COLUMN, E_VALUE */
export function deletion(table: MemoryTable, where: RowInput): Statement {
	const matches = matcher(table.columns, where);
	return {
		name: table.name,
		truncates: false,
		changes: (now) => now.rows.filter((row) => matches(now, row)).map((before) => ({ before, after: null })),
	};
}

/** All rows go, and the log says so in one word. */
export function truncation(table: MemoryTable): Statement {
	return {
		name: table.name,
		truncates: true,
		changes: (now) => now.rows.map((before) => ({ before, after: null })),
	};
}

/** The rows after the changes; rows are told apart by what they are, not by their values. */
export function changedRows(rows: readonly Row[], changes: readonly RowChange[]): readonly Row[] {
	const replaced = new Map<Row, Row | null>();
	const added: Row[] = [];
	for (const { before, after } of changes)
		if (before !== null) replaced.set(before, after);
		else if (after !== null) added.push(after);
	if (replaced.size === 0) return [...rows, ...added];
	const kept = rows.flatMap((row) => {
		const after = replaced.get(row);
		return after === undefined ? [row] : after === null ? [] : [after];
	});
	return [...kept, ...added];
}

/** Values by column name, each as its column's canonical text. @throws E_UNKNOWN_COLUMN, E_VALUE */
function namedValues(columns: readonly MemoryColumn[], input: RowInput): Record<string, Value> {
	const values: Record<string, Value> = Object.create(null);
	for (const name of Object.keys(input)) {
		const column = columns.find((c) => c.name === name);
		if (column === undefined) throw new HeadraceError("E_UNKNOWN_COLUMN", `there is no column ${name}`);
		values[name] = canonicalValue(column.type, input[name]);
	}
	return values;
}

function rowOf(table: MemoryTable, value: (column: MemoryColumn) => Value | undefined): Row {
	return table.columns.map((column) => {
		const given = value(column) ?? null;
		if (given === null && !column.nullable)
			throw new HeadraceError("E_VALUE", `column ${column.name} of ${qualified(table.name)} can't be NULL`);
		return given;
	});
}

function matcher(columns: readonly MemoryColumn[], where: RowInput): (table: MemoryTable, row: Row) => boolean {
	const wanted = Object.entries(namedValues(columns, where));
	return (table, row) =>
		wanted.every(([name, value]) => row[table.columns.findIndex((column) => column.name === name)] === value);
}
