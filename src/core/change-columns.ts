import type { ColumnType } from "./column-type.ts";
import {
	CHANGE_ABSENT_COLUMN,
	CHANGE_BASE_COLUMN,
	CHANGE_DELETED_COLUMN,
	type ChangesPart,
	HISTORY_COLUMNS,
} from "./destination.ts";
import type { TargetColumn } from "./table.ts";

/**
 * The columns that the rows of a part of changes have, in their order: see `ChangesPart.input`. Any but the key's may be
 * NULL, since a delete need tell no more. `typeOf` names a type in the destination's DDL.
 */
export function changeColumns(
	{ target, write, partial }: Pick<ChangesPart, "target" | "write" | "partial">,
	typeOf: (type: ColumnType) => string,
): TargetColumn[] {
	const more = (name: string, type: ColumnType): TargetColumn => ({
		name,
		type,
		nullable: true,
		destinationType: typeOf(type),
	});
	const columns = target.columns
		.filter(({ name }) => write !== "history" || name !== HISTORY_COLUMNS.validTo)
		.map((column) => ({ ...column, nullable: column.nullable || !target.key.includes(column.name) }));
	if (write === "merge") columns.push(more(CHANGE_DELETED_COLUMN, { kind: "boolean" }));
	if (!partial) return columns;
	const bases = target.key.flatMap((name, place) => {
		const column = target.columns.find((other) => other.name === name);
		return column === undefined ? [] : [{ ...column, name: `${CHANGE_BASE_COLUMN}${place}`, nullable: true }];
	});
	return [...columns, more(CHANGE_ABSENT_COLUMN, { kind: "text" }), ...bases];
}
