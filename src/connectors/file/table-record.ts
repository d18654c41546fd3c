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
	/**
	 * Changes of a log are added to this version's files: `files` and `rows` are those that it began with, and the journal
	 * names the others.
	 */
	readonly follows?: FollowedRecord;
}

/** What a version is that changes of a log are added to. */
export interface FollowedRecord {
	/** The load that the table's rows began with: a later version with the same one has all files of an earlier. */
	readonly origin: string;
	/** The stream whose recorded columns are the table's. */
	readonly stream: string;
	/** Columns that came later, and what rows of before have in them: SQL of a constant. */
	readonly defaults: Readonly<Record<string, string>>;
	/** Files that were put into one, in their order. */
	readonly compacted?: readonly CompactedFile[];
}

/** A file that holds what the records of the journal from one to another name for the table, in their order. */
export interface CompactedFile extends StoredFile {
	/** Numbers of records. */
	readonly from: number;
	readonly to: number;
	readonly columns: readonly StoredColumn[];
	readonly bytes: number;
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

/** The number of the record that names a file of changes; null for files of a reading. */
export function recordOfFile(name: string): number | null {
	const digits = /^since-(\d{12})-/.exec(name)?.[1];
	return digits === undefined ? null : Number(digits);
}

/** The file that now holds the rows of one that a record names, where it was put together with others. */
export function compactedInto({ follows }: Pick<TableRecord, "follows">, name: string): CompactedFile | undefined {
	const number = recordOfFile(name);
	if (number === null) return undefined;
	return follows?.compacted?.find(({ from, to }) => from <= number && number <= to);
}
