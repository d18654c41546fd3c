import {
	foldedRequest,
	foldedTarget,
	type LoadRequest,
	nameHash,
	type TableName,
	type TargetTable,
} from "../../core/index.ts";
import { quoteDouble } from "../../sql/index.ts";

/** https://docs.snowflake.com/en/sql-reference/identifiers-syntax */
const NAME_LENGTH_MAX = 255;
const SCHEMA_DEFAULT = "PUBLIC";
/** A name that needs no quotes: Snowflake keeps it, and looks it up, in upper case. */
const REGULAR = /^[A-Za-z_][A-Za-z0-9_$]*$/;

/**
 * The name as Snowflake itself would keep it from `CREATE TABLE name`: in upper case when it needs no quotes, so that
 * queries need none; else as it is. What is longer than 255 characters is cut and told apart by a hash of the whole.
 */
export function foldName(name: string): string {
	const folded = REGULAR.test(name) ? name.toUpperCase() : name;
	const characters = [...folded];
	if (characters.length <= NAME_LENGTH_MAX) return folded;
	const hash = nameHash(name).toUpperCase();
	return `${characters.slice(0, NAME_LENGTH_MAX - hash.length - 1).join("")}_${hash}`;
}

/** A name as it is written without quotes: for people, and for results whose names nobody quoted. */
export function unfoldName(name: string): string {
	return /^[A-Z_][A-Z0-9_$]*$/.test(name) ? name.toLowerCase() : name;
}

/** A quoted object name of two parts; the database is the session's. */
export function quotePath(schema: string, name: string): string {
	return `${quoteDouble(schema)}.${quoteDouble(name)}`;
}

/** A name as a user writes it in the configuration: parts in quotes as they are, others folded. */
export function parsePath(text: string): string[] {
	const parts = text.match(/"(?:[^"]|"")*"|[^.]+/g) ?? [];
	return parts.map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.toUpperCase()));
}

/** Where a table lies. */
export class Place {
	readonly schema: string;
	readonly name: string;

	constructor(table: TableName, schemaDefault?: string) {
		this.schema = foldName(table.schema === "" ? (schemaDefault ?? SCHEMA_DEFAULT) : table.schema);
		this.name = foldName(table.name);
	}

	get sql(): string {
		return quotePath(this.schema, this.name);
	}

	get schemaSql(): string {
		return quoteDouble(this.schema);
	}

	beside(name: string): Place {
		return new Place({ schema: this.schema, name });
	}
}

/** The target with its columns' names as they are kept. */
export function foldTarget(target: TargetTable): TargetTable {
	return foldedTarget(target, foldName);
}

/** A request that names columns as they are kept; the fields of its files keep the names that they have there. */
export function foldRequest(request: LoadRequest): LoadRequest {
	return foldedRequest(request, foldName);
}
