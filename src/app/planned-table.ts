import type { SelectedTable } from "../config/index.ts";
import type { ColumnType, HeadraceError, SourceTable, TableName, Write } from "../core/index.ts";
import type { Decision, TableTask } from "../flow/index.ts";
import type { PlanColumn } from "./api.ts";

/** One table, planned: what the flow gets, and what a person reads about it. */
export interface TablePlan {
	readonly source: string;
	readonly into: TableName;
	/** Absent when `errors` say why the table can't be copied. */
	readonly task: TableTask | null;
	readonly selected: SelectedTable;
	readonly table: SourceTable;
	readonly write: Write;
	readonly key: readonly string[];
	readonly columns: readonly PlanColumn[];
	readonly notes: readonly string[];
	readonly errors: readonly HeadraceError[];
	/** What changed in the source's columns since the last load, and what is done about it. */
	readonly changes?: readonly Decision[];
	/** The table was loaded before and is not in the destination any more: what is done about it. */
	readonly gone?: string;
	/** Text columns of the table that get a type before rows come. */
	readonly fixes?: readonly Fix[];
}

/** A text column of a table that is to have a type. */
export interface Fix {
	/** In the destination. */
	readonly column: string;
	readonly type: ColumnType;
}
