import { randomBytes } from "node:crypto";
import { open, readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { HeadraceError } from "../../core/index.ts";
import { makeFolders, pathSegment, syncFolder } from "../../formats/index.ts";
import type { JournalHead } from "./stream-log.ts";
import type { StoredColumn, StoredFile } from "./table-record.ts";

/** What one commit of a change log brought, in the order in which it happened: readings of tables, then changes. */
export interface JournalRecord {
	readonly format_version: 1;
	readonly journal: string;
	/** From 1 on, without gaps. */
	readonly number: number;
	readonly id: string;
	readonly previous_id: string | null;
	readonly pipeline: string;
	readonly stream: string;
	readonly epoch: number;
	/** Of the position row before: numbers of its transactions tell it. Absent in records of an older version. */
	readonly seq?: number;
	readonly load_id: string;
	readonly from_position: string | null;
	readonly to_position: string;
	/** By this machine's clock. */
	readonly committed_at: string;
	readonly readings: readonly JournalReading[];
	readonly parts: readonly JournalPart[];
}

/** A table that begins to be followed: the rows that it had. */
export interface JournalReading {
	/** Of the table: see `tableFolder`. */
	readonly folder: string;
	readonly origin: string;
	/** The table had been followed before: what is in the journal of it ends here. */
	readonly replaces: boolean;
	readonly columns: readonly StoredColumn[];
	readonly files: readonly StoredFile[];
	readonly bytes: number;
}

export interface JournalPart {
	readonly folder: string;
	readonly origin: string;
	/** As they are in these files. */
	readonly columns: readonly StoredColumn[];
	readonly files: readonly StoredFile[];
	readonly bytes: number;
}

/**
 * The records of the changes that a stream brought: small files of JSON, numbered, that are only ever added. A record
 * counts when the stream's log names it or one that was built on it, so that writing one commits nothing.
 */
export class ChangeJournal {
	readonly folder: string;

	constructor(hidden: string, pipeline: string, stream: string) {
		this.folder = join(hidden, "changes", pathSegment(pipeline), pathSegment(stream));
	}

	/** Writes the record that follows `head`, durably. */
	async write(
		head: JournalHead | undefined,
		record: Omit<JournalRecord, "format_version" | "journal" | "number" | "id" | "previous_id">,
	): Promise<JournalRecord> {
		const id = randomBytes(12).toString("hex");
		const whole: JournalRecord = {
			format_version: 1,
			journal: head?.journal ?? id,
			number: (head?.number ?? 0) + 1,
			id,
			previous_id: head?.id ?? null,
			...record,
		};
		await makeFolders(this.folder, 0o777);
		const handle = await open(this.#path(whole), "wx", 0o666);
		try {
			await handle.writeFile(`${JSON.stringify(whole)}\n`);
			await handle.sync();
		} finally {
			await handle.close();
		}
		await syncFolder(this.folder);
		return whole;
	}

	/** @throws E_STATE when it is not there or can't be read */
	async read({ number, id }: Pick<JournalRecord, "number" | "id">): Promise<JournalRecord> {
		const path = this.#path({ number, id });
		const text = await readFile(path, "utf8").catch((cause: unknown) => {
			throw new HeadraceError("E_STATE", `${path} can't be read: a record of the archive is missing`, {
				file: path,
				cause,
			});
		});
		try {
			const record = JSON.parse(text) as JournalRecord;
			if (record.format_version === 1 && record.number === number && record.id === id) return record;
		} catch {
			// falls through to the error
		}
		throw new HeadraceError("E_STATE", `${path} can't be read, or is of a newer version`, { file: path });
	}

	/** The records that count, from number `from` on, oldest first. */
	async *records(head: JournalHead, from: number): AsyncGenerator<JournalRecord, void, undefined> {
		const ids = new Map<number, string[]>();
		for (const { number, id } of await this.#names())
			if (number >= from) ids.set(number, [...(ids.get(number) ?? []), id]);
		for (let number = from; number <= head.number; number++)
			yield await this.read({ number, id: await this.#committedId(head, ids, number) });
	}

	/** Of several records with one number, which dead runs left, the next record tells the one that it follows. */
	async #committedId(head: JournalHead, ids: ReadonlyMap<number, readonly string[]>, number: number): Promise<string> {
		if (number === head.number) return head.id;
		const [only, ...others] = ids.get(number) ?? [];
		if (only !== undefined && others.length === 0) return only;
		const next = await this.read({ number: number + 1, id: await this.#committedId(head, ids, number + 1) });
		return next.previous_id ?? "";
	}

	async #names(): Promise<{ readonly number: number; readonly id: string }[]> {
		return (await readdir(this.folder).catch(() => [])).flatMap((name) => {
			const [, digits, id] = /^(\d{12})-([0-9a-f]{24})\.json$/.exec(name) ?? [];
			return digits === undefined || id === undefined ? [] : [{ number: Number(digits), id }];
		});
	}

	/** Removes a record that could not be committed. */
	async withdraw(record: Pick<JournalRecord, "number" | "id">): Promise<void> {
		await unlink(this.#path(record)).catch(() => {});
	}

	/** Removes what runs left that died before their commit, or were fenced. */
	async sweep(head: JournalHead | undefined): Promise<void> {
		for (const record of await this.#names())
			if (record.number >= (head?.number ?? 0) && record.id !== head?.id) await this.withdraw(record);
	}

	#path({ number, id }: Pick<JournalRecord, "number" | "id">): string {
		return join(this.folder, `${recordNumber(number)}-${id}.json`);
	}
}

/** So that names are in the order of the numbers. */
export function recordNumber(number: number): string {
	return String(number).padStart(12, "0");
}
