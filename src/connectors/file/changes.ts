import { randomBytes } from "node:crypto";
import { readdir, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import {
	type ApplyRequest,
	type ApplyResult,
	acquireTurn,
	type ChangesPart,
	type ChangesWrite,
	committedLoad,
	crashPoint,
	type DestinationChanges,
	expectedRow,
	type FormatName,
	HeadraceError,
	type LoadResult,
	loadsOfApply,
	type RecordedSchema,
	timestampText,
} from "../../core/index.ts";
import { diskError, syncFolder } from "../../formats/index.ts";
import { AppendedTable, bytesOf } from "./appended-table.ts";
import { isArchive } from "./archive-columns.ts";
import { UNFINISHED_ENDING } from "./built-version.ts";
import { ChangeJournal, type JournalPart, type JournalReading, type JournalRecord } from "./change-journal.ts";
import type { FormatResources } from "./formats.ts";
import { tableFolder } from "./layout.ts";
import { type JournalHead, type StreamEntry, StreamLog, streamHeads } from "./stream-log.ts";
import { compactedInto } from "./table-record.ts";
import { type CurrentTable, originOf, TableVersions } from "./table-versions.ts";

/** What changes need of their destination. */
export interface FileChangesContext {
	readonly root: string;
	readonly hidden: string;
	readonly format: FormatName;
	readonly resources: FormatResources;
	readonly checkFormat: (current: CurrentTable) => void;
}

/**
 * Changes of a log as files that are added to their tables and never written again. A flush writes its files beside
 * those of its tables, under names that readers pass over, and a record of them; the commit is one entry of the stream's
 * log, which names the record; then the files get their names. So a commit costs what it brings, however much is there.
 */
export class FileChanges implements DestinationChanges {
	readonly writes: readonly ChangesWrite[] = ["append"];
	readonly #context: FileChangesContext;
	/** The last record whose files are known to have their names. */
	#shown: string | null = null;

	constructor(context: FileChangesContext) {
		this.#context = context;
	}

	async apply(request: ApplyRequest): Promise<ApplyResult> {
		// In the same order for all: two that wait for each other would wait for ever.
		const folders = [...new Set(request.parts.map(({ target }) => tableFolder(target.name)))].sort();
		const turns: (() => void)[] = [];
		try {
			for (const folder of folders) turns.push(await acquireTurn(join(this.#context.root, folder)));
			return await this.#apply(request);
		} finally {
			for (const endTurn of turns) endTurn();
		}
	}

	async #apply(request: ApplyRequest): Promise<ApplyResult> {
		const { root, hidden } = this.#context;
		const log = new StreamLog(hidden, request.pipeline, request.stream);
		const head = expectedRow(await log.head(), request);
		await this.show(head);
		const tables = new Map<string, AppendedTable>();
		try {
			const results = await this.#write(request, head, tables);
			crashPoint("c08");
			expectedRow(await log.head(), request);
			await this.#commit(request, { log, head, tables, results });
			return { parts: results };
		} catch (error) {
			if (error instanceof HeadraceError && error.reaction === "retry") throw error;
			// A run that is behind finds files gone that it builds on: say which it is.
			expectedRow(await log.head(), request);
			throw diskError(error, root);
		} finally {
			for (const table of tables.values()) await table.discard();
		}
	}

	async #write(
		request: ApplyRequest,
		head: StreamEntry,
		tables: Map<string, AppendedTable>,
	): Promise<readonly LoadResult[]> {
		const { root, format, resources } = this.#context;
		const number = (head.journal?.number ?? 0) + 1;
		const tag = randomBytes(6).toString("hex");
		for (const part of request.parts) {
			const folder = tableFolder(part.target.name);
			let table = tables.get(folder);
			if (table === undefined) {
				const versions = new TableVersions(root, folder);
				const current = await versions.current();
				if (current !== null) this.#context.checkFormat(current);
				const origin = current === null ? request.loadId : originOf(current);
				table = new AppendedTable({ root, format, resources, versions, current, origin, number, tag });
				tables.set(folder, table);
			}
			table.expect(part);
		}
		const results: LoadResult[] = [];
		for (const part of request.parts) {
			if (part.write !== "append")
				throw new HeadraceError("E_UNSUPPORTED", `a folder of files can't ${part.write} changes`, {
					hint: "Use write append, or load into a database.",
				});
			const rows = await tables.get(tableFolder(part.target.name))!.write(part, request);
			results.push({ rowsReceived: rows, rowsInserted: rows, rowsUpdated: 0, rowsDeleted: 0, rowsSuperseded: 0 });
		}
		return results;
	}

	async #commit(request: ApplyRequest, { log, head, tables, results }: CommitParts): Promise<void> {
		const { hidden } = this.#context;
		const { pipeline, stream, epoch, seq, loadId, fromPosition, toPosition, schemaVersion } = request;
		const committed = { ...head.tables };
		for (const table of tables.values()) {
			const version = await table.place(request);
			if (version !== null) committed[table.folder] = { version, load_id: loadId };
		}
		const committedAt = timestampText(BigInt(Date.now()) * 1000n);
		const journal = new ChangeJournal(hidden, pipeline, stream);
		const readings = await this.#readings(request, head.journal, tables);
		const parts = [...tables.values()].flatMap((table) => table.parts);
		const record =
			readings.length + parts.length === 0
				? null
				: await journal.write(head.journal, {
						pipeline,
						stream,
						epoch,
						seq,
						load_id: loadId,
						from_position: fromPosition,
						to_position: toPosition,
						committed_at: committedAt,
						readings,
						parts,
					});
		crashPoint("c09");
		for (const table of tables.values()) table.offer();
		let entry: StreamEntry;
		try {
			entry = await log.append(head, {
				epoch,
				seq: seq + 1,
				position: toPosition,
				loadId,
				schemaVersion,
				committedAt,
				tables: committed,
				loads: loadsOfApply(request, { parts: results }).map((load) => committedLoad(request, load, committedAt)),
				schemas: { ...head.schemas, ...schemasOf(request.parts, committedAt) },
				...(record === null ? {} : { journal: headOf(record, head.journal) }),
			});
		} catch (error) {
			if (error instanceof HeadraceError && error.code === "E_FENCED") {
				if (record !== null) await journal.withdraw(record);
				for (const table of tables.values()) await table.withdraw();
			}
			throw error;
		}
		crashPoint("c10");
		for (const table of tables.values()) await table.publish();
		await this.show(entry);
	}

	/** Tables of the pipeline that begin to be followed with this commit, or anew. */
	async #readings(
		{ pipeline, parts }: ApplyRequest,
		head: JournalHead | undefined,
		tables: ReadonlyMap<string, AppendedTable>,
	): Promise<JournalReading[]> {
		const readings: JournalReading[] = [];
		const folders = parts.length > 0 ? tables.keys() : await this.#loadedFolders(pipeline);
		for (const folder of folders) {
			const current =
				tables.get(folder)?.current ??
				(tables.has(folder) ? null : await new TableVersions(this.#context.root, folder).current());
			if (current === null || !isArchive(current.record)) continue;
			const origin = originOf(current);
			const known = head?.origins[folder];
			if (known === origin) continue;
			const { files, columns } = current.record;
			const bytes = await bytesOf(files.map(({ name }) => join(current.dataFolder, name)));
			readings.push({ folder, origin, replaces: known !== undefined, columns, files, bytes });
		}
		return readings;
	}

	async #loadedFolders(pipeline: string): Promise<Set<string>> {
		const heads = await streamHeads(this.#context.hidden, pipeline);
		return new Set(heads.flatMap((head) => Object.keys(head.tables)));
	}

	/** Gives the files of a stream's last commit their names, where a run died, or failed, before it could. */
	async show(head: StreamEntry): Promise<void> {
		const { journal, pipeline, stream } = head;
		if (journal === undefined || journal.id === this.#shown) return;
		const { root, hidden } = this.#context;
		const record = await new ChangeJournal(hidden, pipeline, stream).read(journal);
		for (const { folder, origin, files } of record.parts) {
			const current = await new TableVersions(root, folder).current();
			// The table was read anew since.
			if (current === null || originOf(current) !== origin) continue;
			let isChanged = false;
			for (const { name } of files) {
				if (compactedInto(current.record, name) !== undefined) continue;
				const path = join(current.dataFolder, name);
				isChanged = (await renamed(path + UNFINISHED_ENDING, path)) || isChanged;
			}
			if (isChanged) {
				crashPoint("file-shown");
				await syncFolder(current.dataFolder);
			}
		}
		this.#shown = journal.id;
	}

	/** Removes what runs of the stream left that died before their commit. */
	async sweep(head: StreamEntry): Promise<void> {
		const { root, hidden } = this.#context;
		await new ChangeJournal(hidden, head.pipeline, head.stream).sweep(head.journal);
		for (const folder of Object.keys(head.journal?.origins ?? {})) {
			const current = await new TableVersions(root, folder).current();
			if (current?.record.follows === undefined) continue;
			for (const name of await readdir(current.dataFolder))
				if (name.endsWith(UNFINISHED_ENDING)) await unlink(join(current.dataFolder, name)).catch(() => {});
		}
	}
}

interface CommitParts {
	readonly log: StreamLog;
	readonly head: StreamEntry;
	readonly tables: ReadonlyMap<string, AppendedTable>;
	readonly results: readonly LoadResult[];
}

function headOf(record: JournalRecord, before: JournalHead | undefined): JournalHead {
	const { journal, number, id, readings, parts } = record;
	const origins = [...readings, ...parts].map(({ folder, origin }: JournalReading | JournalPart) => [folder, origin]);
	return { journal, number, id, origins: { ...before?.origins, ...Object.fromEntries(origins) } };
}

function schemasOf(parts: readonly ChangesPart[], committedAt: string): Record<string, RecordedSchema> {
	const schemas: Record<string, RecordedSchema> = {};
	for (const { schema, schemaVersion } of parts)
		if (schema !== undefined) schemas[schema.stream] = { ...schema, version: schemaVersion, committedAt };
	return schemas;
}

/** Whether there was something to rename. */
async function renamed(from: string, to: string): Promise<boolean> {
	try {
		await rename(from, to);
		return true;
	} catch (error) {
		const isThere = (error as NodeJS.ErrnoException).code === "ENOENT" && (await stat(to).catch(() => null)) !== null;
		if (isThere) return false;
		throw diskError(error, to);
	}
}
