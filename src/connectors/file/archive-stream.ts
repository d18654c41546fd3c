import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import {
	type Batch,
	beforeImagesOf,
	type ChangedRows,
	type ChangeEvent,
	ChangeOperation,
	type ChangeRequest,
	type ChangeStream,
	type ChangeTransaction,
	type Column,
	HeadraceError,
	holdsType,
	qualified,
	type SourceTable,
} from "../../core/index.ts";
import type { EngineConnection } from "../../engine/index.ts";
import { type Archive, type ArchivedTable, pathOfFile } from "./archive.ts";
import { ADDED_COLUMNS } from "./archive-columns.ts";
import {
	type NumberedTransaction,
	numberedTransactions,
	readingPlace,
	tellAbsent,
	withTruncations,
} from "./archive-events.ts";
import { type ArchivePlace, comparePlaces, encodePlace } from "./archive-place.ts";
import { type ArchiveFiles, changesSql, readingRowsSql } from "./archive-rows.ts";
import type { JournalReading, JournalRecord } from "./change-journal.ts";
import { tableFolder } from "./layout.ts";
import { inspectParquet, type ParquetColumn } from "./parquet-file.ts";
import { PartOfBatch } from "./part-of-batch.ts";
import { compactedInto, type StoredColumn } from "./table-record.ts";
import type { CurrentTable } from "./table-versions.ts";

/** How often a stream without an end looks for new records. */
const LOOK_MS = 250;

export interface ArchiveStreamOptions {
	readonly archive: Archive;
	readonly connect: () => Promise<EngineConnection>;
	readonly request: ChangeRequest;
	readonly from: ArchivePlace;
	readonly until: ArchivePlace | null;
}

/** Records that are read at once are bounded: a transaction each, and files that are open. */
const RECORDS_MAX = 200;

/** What some records have of a table that is followed. */
interface TableFiles {
	readonly followed: Followed;
	readonly table: ArchivedTable;
	readonly files: ArchiveFiles;
}

/** A table that is asked for, as whoever asks knows it. */
interface Followed {
	known: SourceTable;
	/** What files of this form need not be looked at for again. */
	readonly seen: Set<string>;
}

/** Transactions after which a boundary may come. */
interface Group {
	readonly transactions: NumberedTransaction[];
	rows: number;
}

/** Reads the records of an archive in their order. */
export class ArchiveStream implements ChangeStream {
	readonly #options: ArchiveStreamOptions;
	/** By the table's folder. */
	readonly #followed: ReadonlyMap<string, Followed>;
	/** As they were found when the archive was looked at last. */
	readonly #tables = new Map<string, ArchivedTable | null>();
	readonly #close = new AbortController();
	/** What columns files have, by what their record says of them: asked once. */
	readonly #columns = new Map<string, readonly ParquetColumn[]>();
	#transactions: ChangeTransaction[] = [];
	#place: ArchivePlace;
	/** Of the last boundary. */
	#told: ArchivePlace | null = null;
	#rows = 0;
	#bytes = 0;

	constructor(options: ArchiveStreamOptions) {
		this.#options = options;
		this.#place = options.from;
		this.#followed = new Map(
			options.request.tables.map((known) => [tableFolder(known.name), { known, seen: new Set<string>() }]),
		);
	}

	/** An archive keeps everything. */
	async acknowledge(): Promise<void> {}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#close.abort();
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<ChangeEvent, void, undefined> {
		const { archive, connect, request, until } = this.#options;
		await using connection = await connect();
		this.#told = until === null ? this.#place : null;
		while (!this.#close.signal.aborted) {
			this.#checkSignal();
			const { head, journal } = await archive.end();
			if (head.journal !== this.#place.journal)
				throw new HeadraceError("E_HISTORY_MISMATCH", `the changes in ${archive.root} are no longer the same ones`);
			this.#tables.clear();
			const last = until === null ? head.number : Math.min(head.number, lastRecord(until));
			const some: JournalRecord[] = [];
			if (this.#place.record <= last)
				for await (const record of journal.records(head, this.#place.record)) {
					if (record.number > last) break;
					if (some.length > 0 && !this.#mayJoin(some, record)) yield* this.#read(connection, some.splice(0));
					some.push(record);
				}
			if (some.length > 0) yield* this.#read(connection, some);
			if (this.#hasMoved) yield this.#boundary();
			if (until !== null) return;
			await this.#wait(request.signal);
		}
	}

	/** Several small records are read as one: each costs a look at its files. */
	#mayJoin(some: readonly JournalRecord[], next: JournalRecord): boolean {
		const bytes = [...some, next].flatMap(({ parts }) => parts).reduce((sum, part) => sum + part.bytes, 0);
		const isOther = next.parts.some(({ folder, columns }) =>
			some.some(({ parts }) =>
				parts.some((part) => part.folder === folder && JSON.stringify(part.columns) !== JSON.stringify(columns)),
			),
		);
		const tellsAlike = (some[0]!.seq === undefined) === (next.seq === undefined);
		return (
			next.readings.length === 0 &&
			tellsAlike &&
			!isOther &&
			some.length < RECORDS_MAX &&
			bytes <= this.#options.request.flush.bytes
		);
	}

	async #wait(signal: AbortSignal | undefined): Promise<void> {
		const signals = [this.#close.signal, ...(signal === undefined ? [] : [signal])];
		await sleep(LOOK_MS, undefined, { signal: AbortSignal.any(signals) }).catch(() => undefined);
	}

	#checkSignal(): void {
		if (this.#options.request.signal?.aborted === true)
			throw new HeadraceError("E_STOPPED", "stopped while the archive was being read");
	}

	get #isFull(): boolean {
		const { flush } = this.#options.request;
		return this.#rows >= flush.rows || this.#bytes >= flush.bytes;
	}

	get #hasMoved(): boolean {
		return this.#told === null || this.#transactions.length > 0 || comparePlaces(this.#told, this.#place) !== 0;
	}

	#boundary(): ChangeEvent {
		const transactions = this.#transactions;
		this.#transactions = [];
		this.#rows = 0;
		this.#bytes = 0;
		this.#told = this.#place;
		return { kind: "boundary", position: encodePlace(this.#place), transactions };
	}

	/** Records of which only the first has readings. */
	async *#read(
		connection: EngineConnection,
		records: readonly JournalRecord[],
	): AsyncGenerator<ChangeEvent, void, undefined> {
		const [first] = records as [JournalRecord, ...JournalRecord[]];
		const done = this.#place.record === first.number ? this.#place.transaction : 0n;
		for (const [index, reading] of first.readings.entries())
			if (BigInt(index) >= done) yield* this.#reading(connection, first, reading, BigInt(index) + 1n);
		const tables = await this.#tablesOf(connection, records);
		for (const table of tables) yield* this.#learn(table);
		const paths = tables.flatMap(({ files }) => files.paths);
		const groups = await this.#groups(connection, paths, records, done);
		for (const [index, group] of groups.entries()) {
			this.#checkSignal();
			const begun = this.#transactions.length;
			for (const transaction of group.transactions) this.#addTransaction(transaction);
			for (const table of tables) yield* this.#changes(connection, table, group, begun);
			this.#rows += group.rows;
			if (this.#isFull && index < groups.length - 1) yield this.#boundary();
		}
		this.#place = { ...this.#place, record: records.at(-1)!.number + 1, transaction: 0n };
		if (this.#isFull) yield this.#boundary();
	}

	#addTransaction({ record, number, text, micros }: NumberedTransaction, more: { reading?: true } = {}): void {
		this.#place = { journal: this.#place.journal, record, transaction: number, text };
		this.#transactions.push({ position: encodePlace(this.#place), committedAt: micros, ...more });
	}

	/** The rows that a table had when it began to be followed, each as a change of its own kind. */
	async *#reading(
		connection: EngineConnection,
		{ number: record, committed_at }: JournalRecord,
		reading: JournalReading,
		number: bigint,
	): AsyncGenerator<ChangeEvent, void, undefined> {
		const found = await this.#followedIn(reading);
		if (found === null) return;
		const files = await this.#filesOf(connection, found.table, reading.columns, reading.files);
		yield* this.#learn({ ...found, files });
		const { known } = found.followed;
		const place = await readingPlace(connection, files.paths);
		if (place === null && !reading.replaces) {
			this.#place = { ...this.#place, record, transaction: number };
			return;
		}
		// Without rows nothing tells when it was read.
		const micros = place?.micros ?? BigInt(Date.parse(`${committed_at.slice(0, 19).replace(" ", "T")}Z`)) * 1000n;
		const transaction = this.#transactions.length;
		this.#addTransaction({ record, number, text: place?.text ?? this.#place.text, micros, rows: 0 }, { reading: true });
		if (reading.replaces) yield { kind: "truncate", table: known, transaction };
		const sql = readingRowsSql(files, known, defaultsOf(found.table));
		for await (const batch of this.#stream(connection, sql, files)) {
			this.#rows += batch.rowCount;
			this.#bytes += batch.byteLength;
			const operations = new Uint8Array(batch.rowCount).fill(ChangeOperation.snapshot);
			const transactions = new Uint32Array(batch.rowCount).fill(transaction);
			yield { kind: "rows", table: known, batch, operations, transactions };
		}
		if (this.#isFull) yield this.#boundary();
	}

	/** What records have of the tables that are followed, of each in one place. */
	async #tablesOf(connection: EngineConnection, records: readonly JournalRecord[]): Promise<TableFiles[]> {
		const parts = Map.groupBy(
			records.flatMap((record) => record.parts),
			({ folder, origin }) => JSON.stringify([folder, origin]),
		);
		const tables: TableFiles[] = [];
		for (const own of parts.values()) {
			const part = own[0]!;
			const found = await this.#followedIn(part);
			if (found === null) continue;
			const names = own.flatMap(({ files }) => files);
			tables.push({ ...found, files: await this.#filesOf(connection, found.table, part.columns, names) });
		}
		return tables;
	}

	/** Null when it is not followed, or of before the table was read anew. */
	async #followedIn({ folder, origin }: { readonly folder: string; readonly origin: string }) {
		const followed = this.#followed.get(folder);
		if (followed === undefined) return null;
		let table = this.#tables.get(folder);
		if (table === undefined) {
			table = await this.#options.archive.table(followed.known.name);
			this.#tables.set(folder, table);
		}
		return table?.origin === origin ? { followed, table } : null;
	}

	async #filesOf(
		connection: EngineConnection,
		{ current }: ArchivedTable,
		columns: readonly StoredColumn[],
		files: readonly { readonly name: string }[],
	): Promise<ArchiveFiles> {
		const names = new Set(files.map(({ name }) => compactedInto(current.record, name)?.name ?? name));
		const paths: string[] = [];
		for (const name of names) paths.push(await this.#pathOf(current, name));
		const signature = JSON.stringify(columns);
		const known = this.#columns.get(signature) ?? (await inspectParquet(connection, paths[0]!)).columns;
		this.#columns.set(signature, known);
		return { paths, columns: known };
	}

	/** @throws E_CONFLICT when the table has another version by now, whose files are elsewhere */
	async #pathOf({ record, dataFolder }: CurrentTable, name: string): Promise<string> {
		try {
			return await pathOfFile(dataFolder, name);
		} catch (error) {
			const now = await this.#options.archive.table(record.table);
			if (now === null || now.current.dataFolder === dataFolder) throw error;
			const table = qualified(record.table);
			throw new HeadraceError("E_CONFLICT", `${table} got other files while its changes were being read`, {
				table,
				cause: error,
			});
		}
	}

	/** Columns that came to a table after it was described, or got wider. */
	async *#learn({ followed, files }: TableFiles): AsyncGenerator<ChangeEvent, void, undefined> {
		const signature = JSON.stringify(files.columns);
		if (followed.seen.has(signature)) return;
		followed.seen.add(signature);
		const { known } = followed;
		const isKnown = files.columns.every(({ name, type }) => {
			const column = known.columns.find((other) => other.name === name);
			return ADDED_COLUMNS.has(name) || (column !== undefined && holdsType(column.type, type));
		});
		if (isKnown) return;
		const { archive, request } = this.#options;
		const after = await archive.describe(known.name, request.types(known.name));
		if (columnsText(after) === columnsText(known)) return;
		followed.known = after;
		yield { kind: "schema", before: known, after, rereads: false, statement: "alter" };
	}

	/** Transactions after one, in as many groups as there may be boundaries. */
	async #groups(
		connection: EngineConnection,
		paths: readonly string[],
		records: readonly JournalRecord[],
		after: bigint,
	): Promise<Group[]> {
		if (paths.length === 0) return [];
		const groups: Group[] = [];
		for (const transaction of await numberedTransactions(connection, paths, records)) {
			if (transaction.number <= after) continue;
			const last = groups.at(-1);
			if (last !== undefined && last.rows < this.#options.request.flush.rows) {
				last.transactions.push(transaction);
				last.rows += transaction.rows;
			} else groups.push({ transactions: [transaction], rows: transaction.rows });
		}
		return groups;
	}

	async *#changes(
		connection: EngineConnection,
		{ followed: { known }, table, files }: TableFiles,
		{ transactions }: Group,
		begun: number,
	): AsyncGenerator<ChangeEvent, void, undefined> {
		const sql = changesSql(files, known, defaultsOf(table), {
			keyChanges: beforeImagesOf(this.#options.request, known.name) === "key-changes",
			from: transactions[0]!.number,
			to: transactions.at(-1)!.number,
		});
		const places = known.columns.map((_, place) => place);
		let at = 0;
		for await (const batch of this.#stream(connection, sql, files)) {
			this.#bytes += batch.byteLength;
			const [codes, numbers, untold] = batch.columns.slice(places.length) as [Column, Column, Column];
			const indexes = new Uint32Array(batch.rowCount);
			for (let row = 0; row < batch.rowCount; row++) {
				while (transactions[at]!.number < numbers.i64[row]!) at++;
				indexes[row] = begun + at;
			}
			const event: ChangedRows = {
				kind: "rows",
				table: known,
				batch: new PartOfBatch(batch, places),
				operations: codes.u8.slice(0, batch.rowCount),
				transactions: indexes,
				...tellAbsent(known, untold, batch.rowCount),
			};
			yield* withTruncations(event);
		}
	}

	async *#stream(
		connection: EngineConnection,
		sql: string,
		{ paths }: ArchiveFiles,
	): AsyncGenerator<Batch, void, undefined> {
		const { signal } = this.#options.request;
		try {
			const { batches } = await connection.stream(sql, signal === undefined ? {} : { signal });
			yield* batches;
		} catch (error) {
			for (const path of paths)
				if ((await stat(path).catch(() => null)) === null)
					throw new HeadraceError("E_CONFLICT", `${path} got another place while it was being read`, { cause: error });
			throw error instanceof HeadraceError ? error.at({ file: paths[0]! }) : error;
		}
	}
}

/** The last record that has something before a place. */
function lastRecord({ record, transaction }: ArchivePlace): number {
	return transaction === 0n ? record - 1 : record;
}

function defaultsOf({ current }: ArchivedTable): Readonly<Record<string, string>> {
	return current.record.follows?.defaults ?? {};
}

function columnsText({ columns, primaryKey }: SourceTable): string {
	return JSON.stringify([primaryKey, columns.map(({ name, type }) => [name, type])]);
}
