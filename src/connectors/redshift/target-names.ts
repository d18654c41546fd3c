import { createHash } from "node:crypto";
import type { LoadRequest, TableName, TargetTable } from "../../core/index.ts";
import { redshiftDialect } from "../../sql/index.ts";
import { quoteIdentifier, quoteTable } from "./sql-text.ts";

const HASH_DIGITS = 8;
/** Schema of a table whose name has none. */
const SCHEMA_DEFAULT = "public";

/**
 * The name as Redshift keeps it: ASCII letters in lower case, in quotes too, at most 127 bytes, and no percent sign. A
 * name that loses more than its case is told apart by a hash of the whole.
 * https://docs.aws.amazon.com/redshift/latest/dg/r_names.html
 */
export function foldName(name: string): string {
	const folded = name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()).replaceAll("%", "_");
	const bytesMax = redshiftDialect.identifierBytesMax!;
	if (Buffer.byteLength(folded) <= bytesMax && !name.includes("%")) return folded;
	const hash = createHash("sha256").update(name).digest("hex").slice(0, HASH_DIGITS);
	let cut = "";
	for (const character of folded) {
		if (Buffer.byteLength(cut + character) > bytesMax - HASH_DIGITS - 1) break;
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

	/** Quoted, without its schema. */
	get quotedName(): string {
		return quoteIdentifier(this.name);
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
		...(target.distKey === undefined ? {} : { distKey: foldName(target.distKey) }),
		...(target.sortKey === undefined ? {} : { sortKey: target.sortKey.map(foldName) }),
	};
}

/** A request that names columns as they are kept. */
export function foldRequest(request: LoadRequest): LoadRequest {
	const { orderColumn, deletedColumn, interval, overlap } = request;
	return {
		...request,
		target: foldTarget(request.target),
		...(orderColumn === undefined ? {} : { orderColumn: foldName(orderColumn) }),
		...(deletedColumn === undefined ? {} : { deletedColumn: foldName(deletedColumn) }),
		...(interval?.column === undefined ? {} : { interval: { ...interval, column: foldName(interval.column) } }),
		...(overlap === undefined
			? {}
			: { overlap: { ...overlap, column: foldName(overlap.column), added: (overlap.added ?? []).map(foldName) } }),
	};
}
