import type { Field } from "./batch.ts";
import type { LoadOverlap, LoadRequest } from "./destination.ts";
import type { FormatName, ManifestFile } from "./staging.ts";
import type { TableName, TargetTable, Write } from "./table.ts";

export const MANIFEST_VERSION = 1;

/** What one extract of one table sealed; the only thing that load reads. */
export interface Manifest {
	readonly version: typeof MANIFEST_VERSION;
	readonly pipeline: string;
	readonly stream: string;
	readonly runId: string;
	readonly loadId: string;
	readonly table: TableName;
	readonly epoch: number;
	/** The position row's seq that this extract follows. */
	readonly seq: number;
	readonly fromPosition: string | null;
	readonly toPosition: string;
	readonly schemaVersion: string;
	readonly write: Write;
	/** See LoadRequest.overlap. */
	readonly overlap?: LoadOverlap;
	readonly interval?: { readonly start: string; readonly end: string };
	readonly format: FormatName;
	/** As in the files. */
	readonly fields: readonly Field[];
	/** What stands for NULL in files of text that the destination reads by itself. */
	readonly nullText?: string;
	/** The table as these rows need it: the source's columns may have changed again before they are loaded. */
	readonly target?: TargetTable;
	/** The table is built anew of them, though its mode is not `full`. */
	readonly reading?: "again" | "anew";
	/** See LoadRequest.schema. */
	readonly schema?: LoadRequest["schema"];
	readonly files: readonly ManifestFile[];
	readonly rows: number;
	readonly bytes: number;
	/** Values per column that a stated policy altered. */
	readonly valuesChanged: Readonly<Record<string, number>>;
	readonly sealedAt: string;
	/** When the table was read in chunks. */
	readonly chunks?: ChunkCounts;
}

/** How much of a table that is read in chunks an earlier run had read, and what rows of several cuts are together. */
export interface ChunkCounts {
	readonly total: number;
	readonly reused: number;
	readonly rowsReused: number;
	readonly consistency: "exact" | "cursor" | "mixed" | null;
}
