import type { Batch, Field } from "./batch.ts";
import type { Port } from "./port.ts";

/** Where files lie between extract and load. Paths are relative, `/`-separated, and never leave the root. */
export interface Staging extends Port {
	/** Shown in reports: a folder or an address without secrets. */
	readonly location: string;
	/** How other systems reach its files by themselves; absent when only this machine can. */
	readonly address?: StagingAddress;
	/** How long files stay after their load is committed, milliseconds; absent: they go at once. */
	readonly retentionMs?: number;
	/** Begins a file: write it at `localPath`, then commit. Nothing has its final name before. */
	create(path: string): Promise<StagedWrite>;
	/**
	 * Writes a small file that must not exist yet, durably.
	 * @throws E_FENCED when it exists with other content; equal content is fine, since an answer may have been lost.
	 */
	writeOnce(path: string, content: Uint8Array): Promise<void>;
	/** Null when there is no such file. */
	read(path: string): Promise<Uint8Array | null>;
	list(prefix: string): Promise<StagedEntry[]>;
	/** Removing what is gone already is fine. */
	remove(paths: readonly string[]): Promise<void>;
	/** A copy on the local disk, checked against `sha256` when given; disposing it removes what was made for it. */
	fetch(path: string, sha256?: string): Promise<LocalCopy>;
}

export interface StagingAddress {
	/** `s3` */
	readonly scheme: string;
	readonly region?: string;
	/** `s3://bucket/prefix/path` of a path as the other methods take it. */
	uriOf(path: string): string;
	/**
	 * Looks that what lies there is what was staged: Redshift and its like read it without a checksum of ours.
	 * @throws E_CONFLICT when the file is gone, E_CORRUPT_FILE when it is another
	 */
	confirm(file: ManifestFile): Promise<void>;
}

export interface StagedEntry {
	readonly path: string;
	readonly bytes: number;
	readonly modifiedAt: Date;
}

export interface StagedWrite {
	readonly localPath: string;
	/** Makes the file durable under its final name. */
	commit(): Promise<{ readonly bytes: number; readonly sha256: string }>;
	abort(): Promise<void>;
}

export interface LocalCopy extends AsyncDisposable {
	readonly localPath: string;
}

export type FormatName = "parquet" | "csv" | "jsonl";

/** A file format: batches to files on the local disk and back. */
export interface FileFormat {
	readonly name: FormatName;
	/** With the compression's ending: `parquet`, `csv.gz`. */
	readonly extension: string;
	/** Writes batches (and releases them) into files of a good size; each file's path comes from `nextPath`. */
	write(request: WriteFilesRequest): Promise<void>;
	/** Reads a file that `write` made; every value is equal to what was written. */
	read(localPath: string, fields: readonly Field[]): AsyncIterable<Batch>;
}

export interface WriteFilesRequest {
	readonly fields: readonly Field[];
	readonly batches: AsyncIterable<Batch>;
	/** Asked before a file is begun; others may be open still. */
	readonly nextPath: () => Promise<string>;
	/** Told after each file is whole and closed. */
	readonly written: (localPath: string, rows: number) => Promise<void>;
	readonly bufferBytesMax: number;
	/** Types of the values in the files, one for each of `fields`, when they are not the same; each holds all values. */
	readonly stored?: readonly Field[];
	/** What stands for NULL in files of text, never in quotes; a value that equals it stops the write. */
	readonly nullText?: string;
}

/** A sealed file. */
export interface ManifestFile {
	readonly path: string;
	readonly rows: number;
	readonly bytes: number;
	readonly sha256: string;
}
