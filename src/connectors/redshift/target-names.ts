import {
	cutName,
	foldedRequest,
	foldedTarget,
	type LoadRequest,
	type TableName,
	type TargetTable,
} from "../../core/index.ts";
import { redshiftDialect } from "../../sql/index.ts";
import { quoteIdentifier, quoteTable } from "./sql-text.ts";

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
	return cutName(name, folded, bytesMax);
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
	return foldedTarget(target, foldName);
}

/** A request that names columns as they are kept. */
export function foldRequest(request: LoadRequest): LoadRequest {
	return foldedRequest(request, foldName);
}
