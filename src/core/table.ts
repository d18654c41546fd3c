import type { Field } from "./batch.ts";
import type { ColumnType } from "./column-type.ts";

export interface TableName {
	/** Schema, or the database where an engine has no schemas inside one. */
	readonly schema: string;
	readonly name: string;
}

/** `schema.name`, for people and for messages. */
export function qualified(name: TableName): string {
	return name.schema === "" ? name.name : `${name.schema}.${name.name}`;
}

/** exact: every value arrives equal. lossy: some may change, `note` says how. refused: the plan stops. */
export type Fidelity = "exact" | "lossy" | "refused";

export interface SourceColumn extends Field {
	/** The type as the source's own DDL names it: `decimal(10,2) unsigned`. */
	readonly nativeType: string;
	/** How well `type` keeps the values of `nativeType`. */
	readonly fidelity: Fidelity;
	/** What is lost, or which policy applies: one sentence without a full stop. */
	readonly note?: string;
	/** A constant default, as SQL that every engine reads: `0`, `'new'`, `NULL`; absent when there is none or it is an expression. */
	readonly defaultSql?: string;
	/** Two values may be equal for the source and not for the destination (case-insensitive or padded collations). */
	readonly looseEquality?: string;
	/**
	 * Names the column whatever it is called, for as long as its table lives: two descriptions with the same one are of
	 * the same column, renamed or not. Absent where the source has nothing of the kind (MySQL).
	 */
	readonly identity?: string;
	/** How the source compares and encodes the column's text, as its own DDL names it. */
	readonly collation?: string;
	/** Connector's own: what `read` needs to decode this column. */
	readonly decoder?: unknown;
}

export interface SourceTable {
	readonly name: TableName;
	readonly kind: "table" | "view" | "query";
	/** The SQL text when `kind` is `query`, templates filled in. */
	readonly query?: string;
	readonly columns: readonly SourceColumn[];
	/** Names of the primary key's columns in key order; empty when there is none. */
	readonly primaryKey: readonly string[];
	/** An estimate; undefined when the source has none. */
	readonly estimatedRows?: number;
	/** Things a person should know before a run: `engine MyISAM: not part of the consistent snapshot`. */
	readonly warnings: readonly string[];
}

export interface TargetColumn extends Field {
	/** Type name in the destination's DDL. */
	readonly destinationType: string;
	readonly defaultSql?: string;
	/** The name that the table may still have the column under: it is renamed, when the new name is free. */
	readonly renamedFrom?: string;
	/** When the column is added, rows that are there get its `defaultSql`; without this they get NULL. */
	readonly fill?: true;
}

export interface TargetTable {
	readonly name: TableName;
	readonly columns: readonly TargetColumn[];
	/** Names of the key's columns; empty when rows have no key. */
	readonly key: readonly string[];
	/** Column by whose values rows are spread over the nodes, for destinations that have such. */
	readonly distKey?: string;
	/** Columns by which rows lie sorted, for destinations that have such. */
	readonly sortKey?: readonly string[];
}

/** What a stated policy does with a value that has no exact counterpart. */
export interface TypePolicy {
	readonly mode: "exact" | "lenient" | "string";
	/** MySQL's 0000-00-00 and dates that do not exist. */
	readonly zeroDate: "null" | "fail" | "string";
	/** NaN in a decimal column. */
	readonly nan: "null" | "fail";
	/** Infinity in a decimal, date or timestamp that the column's type cannot hold. */
	readonly infinity: "null" | "fail";
	readonly outOfRange: "null" | "fail";
	/** Bytes that are not valid in the text's encoding: `replace` puts U+FFFD. */
	readonly invalidText: "fail" | "replace";
	/** Types that the pipeline fixes, by column name. */
	readonly overrides?: Readonly<Record<string, ColumnType>>;
}

export const DEFAULT_TYPE_POLICY: TypePolicy = {
	mode: "exact",
	zeroDate: "null",
	nan: "fail",
	infinity: "fail",
	outOfRange: "fail",
	invalidText: "fail",
};

export type Mode = "full" | "incremental" | "interval" | "cdc";
export type Write = "replace" | "merge" | "append" | "history";
