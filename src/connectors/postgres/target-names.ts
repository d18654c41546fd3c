import {
	cutName,
	foldedRequest,
	foldedTarget,
	type LoadRequest,
	type TableName,
	type TargetTable,
} from "../../core/index.ts";
import { quoteTable } from "./sql-text.ts";

/** NAMEDATALEN less the byte at its end: the server would cut a longer name, and two may then be one. */
const NAME_BYTES_MAX = 63;
/** Schema of a table whose name has none. */
const SCHEMA_DEFAULT = "public";

/** The name as PostgreSQL keeps it: a longer one is cut and told apart by a hash of the whole. */
export function foldName(name: string): string {
	if (Buffer.byteLength(name) <= NAME_BYTES_MAX) return name;
	return cutName(name, name, NAME_BYTES_MAX);
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
	return foldedTarget(target, foldName);
}

/** A request that names columns as they are kept, those of its rows too. */
export function foldRequest(request: LoadRequest): LoadRequest {
	const folded = foldedRequest(request, foldName);
	const fields = request.input.fields.map((field) => ({ ...field, name: foldName(field.name) }));
	return { ...folded, input: { ...request.input, fields } };
}
