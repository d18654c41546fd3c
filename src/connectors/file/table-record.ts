import type { TableName } from "../../core/index.ts";

/** What a version of a table is: `_headrace.json` beside its folder of files. */
export interface TableRecord {
	readonly format_version: 1;
	readonly table: TableName;
	readonly version: number;
	readonly format: string;
	readonly columns: readonly StoredColumn[];
	readonly key: readonly string[];
	readonly rows: number;
	readonly files: readonly StoredFile[];
	/** The load that made it; the version counts from when the stream's log says so. */
	readonly pipeline: string;
	readonly stream: string;
	readonly epoch: number;
	readonly load_id: string;
	readonly from_position: string | null;
	readonly to_position: string;
	/** The process that wrote it. */
	readonly writer: string;
}

export interface StoredColumn {
	readonly name: string;
	/** Canonical name: see `typeName`. */
	readonly type: string;
	readonly nullable: boolean;
}

export interface StoredFile {
	readonly name: string;
	readonly rows: number;
}
