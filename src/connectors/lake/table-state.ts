import { createHash } from "node:crypto";
import {
	type CommittedLoad,
	type Field,
	HeadraceError,
	type PositionRow,
	parseColumnType,
	type RecordedSchema,
	type TableName,
	typeName,
} from "../../core/index.ts";
import type { LogEntry } from "./numbered-log.ts";

export interface StoredColumn {
	readonly name: string;
	/** Canonical name of the type that it has in the files: see `typeName`. */
	readonly type: string;
	readonly nullable: boolean;
}

/** A file of a table. It never changes. */
export interface LakeFile {
	/** From the lake's root. */
	readonly path: string;
	/** Values of the partition's columns as text; null is NULL. Empty for a table without partitions. */
	readonly partition: readonly (string | null)[];
	readonly rows: number;
	readonly bytes: number;
	readonly sha256: string;
	/** Name of the columns that it has: see `TableState.schemas`. */
	readonly schema: string;
	/** Least and greatest value of some columns as text, null when it has only NULLs. Tells which files a load concerns. */
	readonly ranges: Readonly<Record<string, readonly [least: string | null, greatest: string | null]>>;
}

/** A position row with the pipeline that it is of. */
export interface StreamRow extends PositionRow {
	readonly pipeline: string;
}

/** The form of a table: what its columns are, and how its files are laid out. */
export interface TableForm {
	readonly columns: readonly StoredColumn[];
	readonly key: readonly string[];
	/** As written: `country`, `day(created_at)`. */
	readonly partition_by: readonly string[];
	/** Columns whose ranges are kept of each file. */
	readonly ranged: readonly string[];
}

/** One commit of a table: the truth about it is what its commits say, in their order. */
export interface Commit extends LogEntry {
	readonly table: TableName;
	/** take-over: only epochs change. compact: the same rows in other files. */
	readonly kind: "load" | "take-over" | "compact";
	/** Whether the load only adds rows: then it agrees with any other load that does. */
	readonly adds_only?: boolean;
	/** UTC, `YYYY-MM-DD HH:MM:SS.ffffff`. */
	readonly committed_at: string;
	readonly writer: string;
	/** Absent: as before. */
	readonly form?: TableForm;
	readonly added: readonly LakeFile[];
	/** Paths. */
	readonly removed: readonly string[];
	/** Rows of the table after it. */
	readonly rows: number;
	/** Position rows as they are after it. */
	readonly streams: readonly StreamRow[];
	readonly load?: CommittedLoad;
	/** Of a transaction: one a part. */
	readonly loads?: readonly CommittedLoad[];
	/** It counts only when this entry of the stream's log says so: see `FollowedTables`. */
	readonly transaction?: TransactionReference;
	/** The commit before it was of a transaction that never became true. */
	readonly previous_void?: true;
	readonly recorded?: PipelineSchema;
}

export interface TransactionReference {
	readonly pipeline: string;
	readonly stream: string;
	readonly entry: number;
}

export interface PipelineSchema extends RecordedSchema {
	readonly pipeline: string;
}

/** What a table's commits up to one of them say. */
export interface TableState {
	readonly format_version: 1;
	readonly table: TableName;
	/** Number and id of the last commit. */
	readonly entry: number;
	readonly id: string;
	/** That commit was of a transaction that never became true. */
	readonly void?: true;
	/** Null when it was taken over before its first load. */
	readonly form: TableForm | null;
	/** Columns of the files by the name that the files give them. */
	readonly schemas: Readonly<Record<string, readonly StoredColumn[]>>;
	readonly files: readonly LakeFile[];
	readonly rows: number;
	/** The last commits that changed files, that changed rows, and that did more than add rows; 0 when none did. */
	readonly last: { readonly change: number; readonly load: number; readonly rewrite: number };
	/** The last commit that changed the files of each folder below `data/`. */
	readonly partitions: Readonly<Record<string, number>>;
	/** Files that no longer count; they stay for readers until they are old enough. */
	readonly removed: readonly { readonly path: string; readonly at: string }[];
	readonly streams: readonly StreamRow[];
	/** The latest loads, newest last. */
	readonly loads: readonly CommittedLoad[];
	readonly recorded: readonly PipelineSchema[];
}

/** Loads that a table remembers. */
const LOADS_MAX = 200;

/** The state after one more commit. */
export function afterCommit(before: TableState | null, commit: Commit): TableState {
	const gone = new Set(commit.removed);
	const files = [...(before?.files.filter((file) => !gone.has(file.path)) ?? []), ...commit.added];
	const form = commit.form ?? before?.form ?? null;
	const known = { ...before?.schemas, ...(form === null ? {} : { [schemaName(form.columns)]: form.columns }) };
	const used = new Set(files.map((file) => file.schema));
	const touched = [...commit.removed, ...commit.added.map(({ path }) => path)].map(folderOf);
	const streams = new Map((before?.streams ?? []).map((row) => [streamKey(row), row]));
	for (const row of commit.streams) streams.set(streamKey(row), row);
	const recorded = (before?.recorded ?? []).filter(
		(schema) => schema.pipeline !== commit.recorded?.pipeline || schema.stream !== commit.recorded.stream,
	);
	return {
		format_version: 1,
		table: commit.table,
		entry: commit.entry,
		id: commit.id,
		form,
		schemas: Object.fromEntries(Object.entries(known).filter(([name]) => used.has(name))),
		files,
		rows: commit.rows,
		last: {
			change: commit.kind === "take-over" ? (before?.last.change ?? 0) : commit.entry,
			load: commit.kind === "load" ? commit.entry : (before?.last.load ?? 0),
			rewrite: commit.kind === "load" && commit.adds_only !== true ? commit.entry : (before?.last.rewrite ?? 0),
		},
		partitions: { ...before?.partitions, ...Object.fromEntries(touched.map((folder) => [folder, commit.entry])) },
		removed: [...(before?.removed ?? []), ...commit.removed.map((path) => ({ path, at: commit.committed_at }))],
		streams: [...streams.values()],
		loads: [
			...(before?.loads ?? []),
			...(commit.load === undefined ? [] : [commit.load]),
			...(commit.loads ?? []),
		].slice(-LOADS_MAX),
		recorded: [...recorded, ...(commit.recorded === undefined ? [] : [commit.recorded])],
	};
}

/** The state after a commit whose transaction never became true. */
export function afterVoid(before: TableState | null, commit: Commit): TableState {
	const { format_version, table, entry, id, committed_at } = commit;
	const nothing: Commit = {
		...{ format_version, table, entry, id, committed_at, previous_id: commit.previous_id, writer: commit.writer },
		kind: "take-over",
		added: [],
		removed: [],
		rows: before?.rows ?? 0,
		streams: [],
	};
	return { ...afterCommit(before, nothing), void: true };
}

/** `country=DE/` of `shop.orders/data/country=DE/part.parquet`; empty for a table without partitions. */
const folderOf = (path: string) => path.slice(path.indexOf("/data/") + 6, path.lastIndexOf("/") + 1);

const streamKey = (row: StreamRow) => JSON.stringify([row.pipeline, row.stream]);

export function streamRow(state: TableState | null, pipeline: string, stream: string): StreamRow | undefined {
	return state?.streams.find((row) => row.pipeline === pipeline && row.stream === stream);
}

/** Files name the columns that they have by this: equal columns, equal name. */
export function schemaName(columns: readonly StoredColumn[]): string {
	return createHash("sha256")
		.update(JSON.stringify(columns.map(({ name, type }) => [name, type])))
		.digest("hex")
		.slice(0, 12);
}

export function storedColumns(fields: readonly Field[]): StoredColumn[] {
	return fields.map(({ name, type, nullable }) => ({ name, type: typeName(type), nullable }));
}

/** @throws E_STATE when a type is not known */
export function fieldsOf(columns: readonly StoredColumn[]): Field[] {
	return columns.map(({ name, type, nullable }) => {
		const parsed = parseColumnType(type);
		if (parsed === null) throw new HeadraceError("E_STATE", `a commit of the lake has the unknown type ${type}`);
		return { name, type: parsed, nullable };
	});
}
