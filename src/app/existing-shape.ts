import {
	type ColumnType,
	type Destination,
	type ExistingTable,
	parseColumnType,
	type SimpleKind,
} from "../core/index.ts";
import type { ExistingShape } from "../flow/index.ts";

const KINDS: readonly SimpleKind[] = [
	"boolean",
	...(["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"] as const),
	...(["float32", "float64", "date", "time", "timestamp", "timestamptz", "interval", "uuid"] as const),
	...(["text", "json", "binary"] as const),
];

/** A destination's table with its columns as canonical types, which the destination's own names stand for. */
export function existingShape(table: ExistingTable, destination: Destination): ExistingShape {
	const fold = (name: string) => destination.foldName(name);
	const columns = new Map(table.columns.map((column) => [fold(column.name), column]));
	const nameOf = (type: ColumnType) => destination.mapType(type).destinationType.toUpperCase();
	return {
		column: (name, candidates) => {
			const found = columns.get(fold(name));
			if (found === undefined) return null;
			const wanted = found.destinationType.toUpperCase();
			const all: ColumnType[] = [...candidates, ...KINDS.map((kind) => ({ kind })), ...decimalOf(wanted)];
			const { nullable } = found;
			const isKept = (type: ColumnType) => destination.keeps?.(wanted, type) ?? nameOf(type) === wanted;
			return { type: all.find(isKept) ?? listOf(wanted, KINDS, nameOf), nullable };
		},
	};
}

/** `DECIMAL(10,2)`, `NUMERIC(10,2)`. */
function decimalOf(destinationType: string): ColumnType[] {
	const match = /\((\d+),\s*(\d+)\)$/.exec(destinationType);
	const type = match === null ? null : parseColumnType(`decimal(${match[1]},${match[2]})`);
	return type === null ? [] : [type];
}

function listOf(
	destinationType: string,
	kinds: readonly SimpleKind[],
	nameOf: (type: ColumnType) => string,
): ColumnType | null {
	if (!destinationType.endsWith("[]")) return null;
	const lists = kinds.map((kind): ColumnType => ({ kind: "list", element: { kind } }));
	return lists.find((type) => nameOf(type) === destinationType) ?? null;
}
