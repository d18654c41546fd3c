import { type Field, HeadraceError, parseColumnType } from "../../core/index.ts";
import type { CurrentTable } from "./table-versions.ts";

/** The fields of a version's files. */
export function storedFields(table: CurrentTable): Field[] {
	return table.record.columns.map(({ name, type, nullable }) => {
		const parsed = parseColumnType(type);
		if (parsed === null)
			throw new HeadraceError("E_STATE", `the record of ${table.record.table.name} has the unknown type ${type}`);
		return { name, type: parsed, nullable };
	});
}
