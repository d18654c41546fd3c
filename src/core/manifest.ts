import type { Field } from "./batch.ts";
import type { FormatName } from "./staging.ts";
import type { TableName, Write } from "./table.ts";

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
	readonly overlap?: { readonly column: string; readonly from: string | null };
	readonly interval?: { readonly start: string; readonly end: string };
	readonly format: FormatName;
	readonly fields: readonly Field[];
	readonly files: readonly ManifestFile[];
	readonly rows: number;
	readonly bytes: number;
	/** Values per column that a stated policy altered. */
	readonly valuesChanged: Readonly<Record<string, number>>;
	readonly sealedAt: string;
}

export interface ManifestFile {
	readonly path: string;
	readonly rows: number;
	readonly bytes: number;
	readonly sha256: string;
}
