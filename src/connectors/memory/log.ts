import { HeadraceError } from "../../core/errors.ts";
import type { TableName } from "../../core/table.ts";
import type { MemoryColumn } from "./database.ts";
import type { Row } from "./values.ts";

/** A row as it was, null for none, and as it is then. */
export interface RowChange {
	readonly before: Row | null;
	readonly after: Row | null;
}

/** A table without its rows. */
export interface TableShape {
	readonly name: TableName;
	readonly columns: readonly MemoryColumn[];
	readonly primaryKey: readonly string[];
}

export type LoggedChange =
	| { readonly kind: "row"; readonly table: TableShape; readonly change: RowChange }
	| { readonly kind: "truncate"; readonly table: TableShape }
	| {
			readonly kind: "schema";
			readonly table: TableShape;
			/** Null when the table is gone. */
			readonly after: TableShape | null;
			readonly rereads: boolean;
			readonly statement: string;
	  };

/** A transaction, or a statement that changes columns. */
export interface LoggedEntry {
	/** From 1 on, without gaps. The position after it is its number. */
	readonly number: number;
	/** Microseconds since 1970. */
	readonly committedAt: bigint;
	/** Null for a statement that is no transaction. */
	readonly id: bigint | null;
	readonly changes: readonly LoggedChange[];
}

/** What is kept for a reader. */
interface Slot {
	confirmed: number;
}

/**
 * The log of a database in memory: what was committed, in the order in which it was written here. Others may see it in
 * another order, and later: see `MemoryTransaction.log`.
 */
export class MemoryLog {
	/** Names this log: after a reset positions of the old one are of another log. */
	#id = 1;
	#entries: LoggedEntry[] = [];
	/** Entries that were purged. */
	#purged = 0;
	readonly #slots = new Map<string, Slot>();
	readonly #acknowledged = new Map<string, number>();
	#waiting: (() => void)[] = [];

	get id(): number {
		return this.#id;
	}

	/** The number of the last entry, 0 when there was none. */
	get end(): number {
		return this.#purged + this.#entries.length;
	}

	/** The oldest place that can be read from. */
	get beginning(): number {
		return this.#purged;
	}

	append(entry: Omit<LoggedEntry, "number">): number {
		const number = this.end + 1;
		this.#entries.push({ ...entry, number });
		const waiting = this.#waiting;
		this.#waiting = [];
		for (const wake of waiting) wake();
		return number;
	}

	/** The entry that follows a place; undefined at the end. @throws E_HISTORY_GONE when it was purged */
	next(after: number): LoggedEntry | undefined {
		if (after < this.#purged)
			throw new HeadraceError("E_HISTORY_GONE", `the log begins at ${this.#purged}, after the place ${after}`);
		return this.#entries[after - this.#purged];
	}

	/** Ends when the log is longer than that, or a signal aborts. */
	async longerThan(length: number, signals: readonly (AbortSignal | undefined)[]): Promise<void> {
		if (this.end > length || signals.some((signal) => signal?.aborted === true)) return;
		const ended = new AbortController();
		await new Promise<void>((resolve) => {
			this.#waiting.push(resolve);
			for (const signal of signals) signal?.addEventListener("abort", () => resolve(), { signal: ended.signal });
		});
		ended.abort();
	}

	/** Forgets the entries up to a place, whoever wanted them. */
	purge(upTo: number): void {
		const count = Math.min(upTo, this.end) - this.#purged;
		if (count <= 0) return;
		this.#entries = this.#entries.slice(count);
		this.#purged += count;
	}

	/** Begins another log, as RESET MASTER does: positions of this one are of no use any more. */
	reset(): void {
		this.#id++;
		this.#entries = [];
		this.#purged = 0;
		this.#slots.clear();
	}

	/** How far a reader said that it needs the log no more; null when it never did. */
	acknowledged(reader: string): number | null {
		return this.#acknowledged.get(reader) ?? null;
	}

	acknowledge(reader: string, place: number): void {
		this.#acknowledged.set(reader, Math.max(place, this.#acknowledged.get(reader) ?? 0));
		const slot = this.#slots.get(reader);
		if (slot !== undefined) slot.confirmed = Math.max(slot.confirmed, place);
	}

	/** Readers that something is kept for. */
	get readers(): readonly string[] {
		return [...this.#slots.keys()];
	}

	/** The place up to which the source has let go of a reader's changes; null without a slot. */
	confirmed(reader: string): number | null {
		return this.#slots.get(reader)?.confirmed ?? null;
	}

	/** What the reader had is replaced. */
	createSlot(reader: string): void {
		this.#slots.set(reader, { confirmed: this.end });
	}

	dropSlot(reader: string): void {
		this.#slots.delete(reader);
	}
}
