import { createHash } from "node:crypto";
import type { LoadRequest, TableName, TargetTable } from "../../core/index.ts";
import { quoteTable } from "./sql-text.ts";

/** NAMEDATALEN less the byte at its end: the server would cut a longer name, and two may then be one. */
const NAME_BYTES_MAX = 63;
const HASH_DIGITS = 8;
/** Schema of a table whose name has none. */
const SCHEMA_DEFAULT = "public";

/** The name as PostgreSQL keeps it: a longer one is cut and told apart by a hash of the whole. */
export function foldName(name: string): string {
	if (Buffer.byteLength(name) <= NAME_BYTES_MAX) return name;
	const hash = createHash("sha256").update(name).digest("hex").slice(0, HASH_DIGITS);
	let cut = "";
	for (const character of name) {
		if (Buffer.byteLength(cut + character) > NAME_BYTES_MAX - HASH_DIGITS - 1) break;
		cut += character;
	}
	return `${cut}_${hash}`;
}

/** Where a table lies. */
export class Place {
	readonly schema: string;
	readonly name: string;

	constructor(table: TableName) {
		this.schema = foldName(table.schema === "" ? SCHEMA_DEFAULT : table.schema);
		this.name = foldName(table.name);
	}

	/** Quoted, with its schema. */
	get sql(): string {
		return quoteTable(this);
	}

	beside(name: string): Place {
		return new Place({ schema: this.schema, name });
	}
}

/** The target with its columns' names as they are kept. */
export function foldTarget(target: TargetTable): TargetTable {
	return {
		name: target.name,
		columns: target.columns.map((column) => ({
			...column,
			name: foldName(column.name),
			...(column.renamedFrom === undefined ? {} : { renamedFrom: foldName(column.renamedFrom) }),
		})),
		key: target.key.map(foldName),
	};
}

/** A request that names columns as they are kept. */
export function foldRequest(request: LoadRequest): LoadRequest {
	const { orderColumn, deletedColumn, interval, overlap, input } = request;
	return {
		...request,
		target: foldTarget(request.target),
		...(orderColumn === undefined ? {} : { orderColumn: foldName(orderColumn) }),
		...(deletedColumn === undefined ? {} : { deletedColumn: foldName(deletedColumn) }),
		...(interval?.column === undefined ? {} : { interval: { ...interval, column: foldName(interval.column) } }),
		...(overlap === undefined
			? {}
			: { overlap: { ...overlap, column: foldName(overlap.column), added: (overlap.added ?? []).map(foldName) } }),
		input: { ...input, fields: input.fields.map((field) => ({ ...field, name: foldName(field.name) })) },
	};
}
