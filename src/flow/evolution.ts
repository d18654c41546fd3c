import type { ColumnType, Mode, RecordedColumn, SchemaChange } from "../core/index.ts";
import type { CurrentColumn } from "./schema-diff.ts";
import type { ChangeKind, Does, SchemaPolicy } from "./schema-rules.ts";

/** What a change of type does to a table under `evolve`; the option `on_type_change`. */
export type OnTypeChange = "resnapshot" | "to_string" | "variant_column";

export interface EvolveInput {
	readonly policy: SchemaPolicy;
	readonly onTypeChange: OnTypeChange;
	readonly current: readonly CurrentColumn[];
	/** Names in the source, in key order. */
	readonly key: readonly string[];
	/** What the last load recorded; null when nothing is, as for a table that an earlier version made. */
	readonly recorded: readonly RecordedColumn[] | null;
	readonly existing: ExistingShape;
	/** The name as the destination compares names. */
	readonly fold: (name: string) => string;
	readonly mode: Mode;
	/** Rows are merged by a key and take new values: reading them again brings old rows up to date. */
	readonly updates: boolean;
	/** What was read before can be read again (null), or why not. */
	readonly noSecondReading: string | null;
	/** Names in the source of columns that the table can't do without: key, cursor, flag of deletes. */
	readonly needed: readonly string[];
}

/** The table that is there. */
export interface ExistingShape {
	/**
	 * Null when there is no such column. `candidates` are types that it may have; the type is null when the table's is
	 * none that Headrace makes.
	 */
	column(
		name: string,
		candidates: readonly ColumnType[],
	): { readonly type: ColumnType | null; readonly nullable: boolean } | null;
}

/** One column that is read, and how it lands. */
export interface LandingColumn {
	/** In the source. */
	readonly name: string;
	readonly target: string;
	readonly type: ColumnType;
	/** Values are read and counted, and don't land. */
	readonly discarded?: true;
	/** What becomes of a value that `type` can't hold; absent: the load stops. */
	readonly misfit?: "null";
	readonly renamedFrom?: string;
	readonly fill?: true;
	/** The table's column stays NOT NULL though the source's may be NULL. */
	readonly notNull?: true;
}

export interface Decision extends SchemaChange {
	readonly kind: ChangeKind;
	readonly does: Does;
	/** The change with its reason, for people. */
	readonly note: string;
}

/** What a run does about all changes of one table. */
export interface Evolution {
	readonly decisions: readonly Decision[];
	readonly landing: readonly LandingColumn[];
	/** Columns of the table that the source no longer has: a table that is built anew gets them too, empty. */
	readonly kept: readonly RecordedColumn[];
	/** `again`: all rows are read once more and merged. `anew`: the table is built anew from all rows. */
	readonly reading: "usual" | "again" | "anew";
	/** Columns that the table gets, by their names in it. */
	readonly added: readonly string[];
	/** Text columns of the table that get a type, by their names in it. */
	readonly fixes: readonly { readonly column: string; readonly type: ColumnType }[];
	/** What the load records. */
	readonly record: readonly RecordedColumn[];
}
