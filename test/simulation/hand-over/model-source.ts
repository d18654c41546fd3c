import type { Random } from "../random.ts";

/** `b` is big: an update that leaves it as it is does not tell it. */
export interface ModelRow {
	readonly a: number;
	readonly b: number | null;
}

/** One row of a transaction. A change of the key has both keys. */
export interface ModelChange {
	readonly table: number;
	/** The key that the row had; null for a new row. */
	readonly before: number | null;
	/** Null for a deleted row. `b` undefined: not told. */
	readonly after: { readonly key: number; readonly a: number; readonly b: number | undefined } | null;
}

export type ModelTable = Map<number, ModelRow>;

export const TABLES = 2;
export const KEYS = 4;

interface Logged {
	readonly changes: readonly ModelChange[];
	shown: boolean;
}

/**
 * A database whose transactions are written to its log first and are visible later, in another order perhaps: what
 * changes a row keeps it locked in between. PostgreSQL with a waiting standby and MySQL between two stages of its group
 * commit are like this.
 */
export class ModelSource {
	readonly log: Logged[] = [];
	readonly #random: Random;
	#values = 0;

	constructor(random: Random) {
		this.#random = random;
		for (let table = 0; table < TABLES; table++)
			for (let key = 0; key < KEYS; key++)
				if (random.chance(0.5)) this.#append([{ table, before: null, after: { key, a: 0, b: this.#value() } }], true);
	}

	/** Tables as of a place: everything in the log up to it, and nothing else. */
	at(place: number): ModelTable[] {
		return this.#fold((_, index) => index < place);
	}

	/** Tables as readers see them. */
	visible(): ModelTable[] {
		return this.#fold(({ shown }) => shown);
	}

	/** Everything up to here is visible. */
	get visibleUpTo(): number {
		const first = this.log.findIndex(({ shown }) => !shown);
		return first < 0 ? this.log.length : first;
	}

	/** Something happens, or nothing. */
	act(): void {
		if (this.#random.chance(0.4)) this.#write();
		const hidden = this.log.filter(({ shown }) => !shown);
		if (hidden.length > 0 && this.#random.chance(0.5)) this.#random.pick(hidden).shown = true;
	}

	rest(): void {
		for (const logged of this.log) logged.shown = true;
	}

	#write(): void {
		const changes: ModelChange[] = [];
		for (let i = this.#random.integer(1, 3); i > 0; i--) {
			const change = this.#draw(this.#random.integer(0, TABLES - 1), changes);
			if (change !== null) changes.push(change);
		}
		if (changes.length > 0) this.#append(changes, this.#random.chance(0.5));
	}

	#draw(table: number, own: readonly ModelChange[]): ModelChange | null {
		const locked = new Set(
			this.log
				.filter(({ shown }) => !shown)
				.flatMap(({ changes }) => changes.filter((c) => c.table === table).flatMap(keysOf)),
		);
		const now = this.at(this.log.length)[table]!;
		for (const change of own) if (change.table === table) applyWhole(now, change);
		const free = (key: number) => !locked.has(key);
		const key = this.#random.integer(0, KEYS - 1);
		if (!free(key)) return null;
		const row = now.get(key);
		if (row === undefined) return { table, before: null, after: { key, a: this.#value(), b: this.#value() } };
		if (this.#random.chance(0.2)) return { table, before: key, after: null };
		const b = this.#random.chance(0.3) ? this.#value() : undefined;
		const to = this.#random.integer(0, KEYS - 1);
		const moves = this.#random.chance(0.3) && free(to) && !now.has(to);
		return { table, before: key, after: { key: moves ? to : key, a: this.#value(), b } };
	}

	#append(changes: readonly ModelChange[], shown: boolean): void {
		this.log.push({ changes, shown });
	}

	#value(): number {
		return ++this.#values;
	}

	#fold(counts: (logged: Logged, index: number) => boolean): ModelTable[] {
		const tables: ModelTable[] = Array.from({ length: TABLES }, () => new Map());
		for (const [index, logged] of this.log.entries())
			if (counts(logged, index)) for (const change of logged.changes) applyWhole(tables[change.table]!, change);
		return tables;
	}
}

function keysOf({ before, after }: ModelChange): number[] {
	return [before, after?.key ?? null].filter((key) => key !== null);
}

/** At the source nothing is untold: a value that stays is there. */
function applyWhole(table: ModelTable, { before, after }: ModelChange): void {
	const known = before === null ? undefined : table.get(before);
	if (before !== null) table.delete(before);
	if (after !== null) table.set(after.key, { a: after.a, b: after.b ?? known?.b ?? null });
}
