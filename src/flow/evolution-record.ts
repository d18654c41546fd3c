import { type ColumnType, type RecordedColumn, typeName } from "../core/index.ts";
import type { CurrentColumn } from "./schema-diff.ts";

/** A column as a load records it that lands as `landed`. */
export function recordOf(
	column: CurrentColumn,
	key: readonly string[],
	landed: ColumnType,
	target = column.target,
): RecordedColumn {
	const place = key.indexOf(column.name);
	return {
		name: column.name,
		target,
		source_type: column.sourceType,
		type: typeName(column.type),
		landed: typeName(landed),
		nullable: column.nullable,
		...(place < 0 ? {} : { key: place + 1 }),
		...(column.defaultSql === undefined ? {} : { default: column.defaultSql }),
		...(column.identity === undefined ? {} : { identity: column.identity }),
		ordinal: column.ordinal,
		...(column.collation === undefined ? {} : { collation: column.collation }),
	};
}
