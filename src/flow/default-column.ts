import { Column, type Field } from "../core/index.ts";
import { setText } from "../formats/index.ts";

/** A field with the default that its source gives to rows which were there before it, as SourceColumn.defaultSql. */
export type DefaultField = Pick<Field, "name" | "type"> & { readonly defaultSql?: string };

/**
 * A column of which a batch has no values: the constant default in each row, NULL without one. `capacity` in rows, a
 * multiple of 64.
 */
export function defaultColumn({ name, type, defaultSql }: DefaultField, capacity: number, rowCount: number): Column {
	const column = new Column(name, type, capacity);
	const text = constantText(defaultSql);
	for (let row = 0; row < rowCount; row++) if (text === null || !setText(column, row, text)) column.setNull(row);
	return column;
}

/** The canonical text of a constant: `0`, `'it''s'`, `true`. */
function constantText(sql: string | undefined): string | null {
	if (sql === undefined || sql === "NULL") return null;
	return sql.startsWith("'") ? sql.slice(1, -1).replaceAll("''", "'") : sql;
}
