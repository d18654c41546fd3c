import { type ExistingTable, HeadraceError, qualified, type TableName } from "../../core/index.ts";
import { addColumn, dropNotNull, duckdbDialect, renameColumn, setNotNull } from "../../sql/index.ts";
import type { Retype, TableChange } from "./alter.ts";
import { findColumn, type Place, type WantedColumn } from "./schema.ts";
import { foldName, holds } from "./types.ts";

/**
 * What makes an existing table take the columns: new ones are added or renamed from old ones, types widened where every
 * old value stays what it is, and NOT NULL goes where NULL may come. A table's wider type is kept.
 * @throws E_SCHEMA naming both types when neither holds the other
 */
export function evolveDdl(
	place: Place,
	existing: ExistingTable,
	columns: readonly WantedColumn[],
	table: TableName,
): TableChange {
	const ddl: string[] = [];
	const retypes: Retype[] = [];
	const renamed = new Map<string, string>();
	for (const column of columns) {
		let found = findColumn(existing.columns, column.name);
		const before = found === undefined ? oldNameOf(column, existing, columns) : undefined;
		if (before !== undefined) {
			ddl.push(renameColumn(duckdbDialect, place.sql, before.name, column.name));
			renamed.set(before.name, column.name);
			found = { ...before, name: column.name };
		}
		if (found === undefined) {
			const fill = column.fill === true && column.defaultSql !== undefined;
			ddl.push(addColumn(duckdbDialect, place.sql, column, fill));
			if (fill && !column.nullable && column.defaultSql !== "NULL")
				ddl.push(setNotNull(duckdbDialect, place.sql, column.name));
			continue;
		}
		if (column.nullable && !found.nullable && !isKeyOf(existing, found.name))
			ddl.push(dropNotNull(duckdbDialect, place.sql, found.name));
		if (holds(found.destinationType, column.type)) continue;
		if (!holds(column.type, found.destinationType))
			throw new HeadraceError(
				"E_SCHEMA",
				`column ${found.name} of ${qualified(table)} is ${found.destinationType} and the rows have ${column.type}`,
				{
					table: qualified(table),
					hint: `Fix the type by \`columns: { ${found.name}: { type: … } }\`, or rebuild the table with --full-refresh.`,
				},
			);
		retypes.push({ name: found.name, type: column.type });
	}
	for (const found of existing.columns) {
		const comes = columns.some((column) => foldName(column.name) === foldName(found.name));
		// A column that the source dropped stays, and new rows have NULL in it.
		if (!comes && !renamed.has(found.name) && !found.nullable && !isKeyOf(existing, found.name))
			ddl.push(dropNotNull(duckdbDialect, place.sql, found.name));
	}
	return { ddl, retypes, renamed };
}

/** The column that the table still has under its old name, when no column of the rows has that name. */
function oldNameOf(column: WantedColumn, existing: ExistingTable, columns: readonly WantedColumn[]) {
	const { renamedFrom } = column;
	if (renamedFrom === undefined) return undefined;
	const taken = columns.some((other) => foldName(other.name) === foldName(renamedFrom));
	return taken ? undefined : findColumn(existing.columns, renamedFrom);
}

function isKeyOf(existing: ExistingTable, name: string): boolean {
	return existing.key.some((key) => foldName(key) === foldName(name));
}
