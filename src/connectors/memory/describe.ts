import { type ColumnType, lenientType, typeName } from "../../core/column-type.ts";
import { HeadraceError } from "../../core/errors.ts";
import type { DescribeRequest } from "../../core/source.ts";
import type { SourceColumn, SourceTable, TypePolicy } from "../../core/table.ts";
import type { MemoryColumn, MemoryDatabase } from "./database.ts";
import type { TableShape } from "./log.ts";

/** @throws E_UNKNOWN_TABLE, E_UNSUPPORTED for a query */
export function describeTable(database: MemoryDatabase, request: DescribeRequest): SourceTable {
	if ("query" in request.table)
		throw new HeadraceError("E_UNSUPPORTED", "a database in memory has no SQL, so it can't run a query");
	const table = database.table(request.table);
	return { ...describeShape(table, request.types), estimatedRows: table.rows.length };
}

/** A table as it is, or as the log says that it was. */
export function describeShape({ name, columns, primaryKey }: TableShape, types: TypePolicy): SourceTable {
	return {
		name,
		kind: "table",
		columns: columns.map((column) => sourceColumn(column, types)),
		primaryKey,
		warnings: [],
	};
}

function sourceColumn(column: MemoryColumn, types: TypePolicy): SourceColumn {
	const type = typeByPolicy(column, types);
	const lossy = (type.kind === "float64" && column.type.kind === "decimal") || type.kind === "float32";
	return {
		name: column.name,
		type,
		nullable: column.nullable,
		nativeType: typeName(column.type),
		...(lossy && typeName(type) !== typeName(column.type)
			? { fidelity: "lossy" as const, note: "a float has no exact decimals" }
			: { fidelity: "exact" as const }),
	};
}

function typeByPolicy(column: MemoryColumn, types: TypePolicy): ColumnType {
	const override = Object.hasOwn(types.overrides ?? {}, column.name) ? types.overrides?.[column.name] : undefined;
	if (override !== undefined) return override;
	if (types.mode === "string") return { kind: "text" };
	return types.mode === "lenient" ? lenientType(column.type) : column.type;
}
