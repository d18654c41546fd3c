import type { LoadRequest, TargetColumn, TargetTable } from "../../core/index.ts";
import type { RedshiftOptions } from "./connect.ts";
import type { Place } from "./target-names.ts";
import type { Relation } from "./target-table.ts";
import type { Writer } from "./writer.ts";

/** What each write works with. */
export interface LoadContext {
	readonly writer: Writer;
	readonly options: RedshiftOptions;
	readonly place: Place;
	/** The target, with the column that tags an interval when the load tags. */
	readonly target: TargetTable;
	readonly request: LoadRequest;
	/** Quoted name of the temporary table that the rows wait in. */
	readonly stage: string;
}

/** The table as it takes the rows. */
export interface Shape {
	/** Null when it must be made. */
	readonly relation: Relation | null;
	/** Columns that only a table built beside can have; for a load that replaces all rows. */
	readonly rebuilt: readonly TargetColumn[];
	/** Types of the table's columns, by name. */
	readonly typeOf: (name: string) => string;
}
