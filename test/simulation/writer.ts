import type { MemoryTransaction } from "../../src/connectors/memory/index.ts";
import type { Random } from "./random.ts";
import { TABLE, TRANSACTION_AGE_MAX, type World } from "./world.ts";

interface Open {
	readonly transaction: MemoryTransaction;
	/** Keys that it holds locked. */
	readonly locked: Set<number>;
}

/** Rows that are written and may yet become visible. */
export interface PendingWrite {
	readonly cursor: string;
	readonly text: string;
}

/** The application whose database the source is: its transactions overlap, take their time, and may be rolled back. */
export class Writer {
	readonly #world: World;
	readonly #random: Random;
	readonly #open: Open[] = [];
	readonly #keys: number[] = [];
	#count = 0;
	#nextKey = 0;

	constructor(world: World, random: Random) {
		this.#world = world;
		this.#random = random;
		const transaction = world.database.begin();
		for (let i = random.integer(1, 4); i > 0; i--) this.#insert({ transaction, locked: new Set() });
		transaction.commit();
	}

	/** The earliest that a transaction which is open now can stamp a row with. */
	get earliestStamp(): bigint | null {
		const starts = this.#open.map((open) => open.transaction.startedAt);
		return starts.sort((a, b) => Number(a - b))[0] ?? null;
	}

	/** One thing that the application does. */
	act(): string {
		const random = this.#random;
		if (this.#open.length < 3 && random.chance(0.3)) {
			this.#open.push({ transaction: this.#world.database.begin(), locked: new Set() });
			return "begins a transaction";
		}
		// Short transactions overtake the long ones: that is what makes a late commit late.
		if (this.#open.length === 0 || random.chance(0.35)) {
			const transaction = this.#world.database.begin();
			const done = this.#change({ transaction, locked: new Set() });
			transaction.commit();
			return `${done} and commits`;
		}
		const open = random.pick(this.#open);
		return random.chance(0.6) ? this.#change(open) : this.#end(open);
	}

	/** Ends a transaction that took too long; null when there is none. */
	endOverdue(): string | null {
		const old = this.#open.find((open) => this.#world.clock - open.transaction.startedAt > TRANSACTION_AGE_MAX);
		return old === undefined ? null : this.#end(old);
	}

	/** Ends what is open: the application comes to rest. */
	rest(): void {
		while (this.#open.length > 0) this.#end(this.#open[0] as Open);
	}

	#end(open: Open): string {
		this.#open.splice(this.#open.indexOf(open), 1);
		if (this.#random.chance(0.15)) {
			open.transaction.rollback();
			return `rolls back the transaction of ${open.transaction.startedAt}`;
		}
		open.transaction.commit();
		return `commits the transaction of ${open.transaction.startedAt}`;
	}

	#change(open: Open): string {
		const { kind, flagged } = this.#world.options;
		const free = this.#keys.filter((key) => !this.#open.some((other) => other !== open && other.locked.has(key)));
		if (kind.endsWith("append") || free.length === 0 || this.#random.chance(0.4)) return this.#insert(open);
		const key = this.#random.pick(free);
		open.locked.add(key);
		// The first row stays, so that the table never becomes empty.
		if (key !== 0 && kind !== "merge" && this.#random.chance(0.25)) {
			open.transaction.delete(TABLE, { id: key });
			return `deletes ${key}`;
		}
		// A key that changes is lower than all before: of a range that may be read already.
		if (kind === "full" && key !== 0 && this.#random.chance(0.2)) {
			const id = -++this.#count;
			this.#keys.push(id);
			open.locked.add(id);
			open.transaction.update(TABLE, { id: key }, { id });
			return `moves ${key} to ${id}`;
		}
		const gone = flagged && key !== 0 && this.#random.chance(0.3);
		const values = { v: this.#value(), gone, ...(kind.startsWith("interval") ? {} : this.#stamp(open)) };
		open.transaction.update(TABLE, { id: key }, values);
		return `updates ${key} to ${JSON.stringify(values)}`;
	}

	#insert(open: Open): string {
		const append = this.#world.options.kind.endsWith("append");
		const id = append ? this.#random.integer(0, 2) : this.#nextKey++;
		// Equal rows without a key are two rows.
		const v = append ? this.#random.pick(["a", "b"]) : this.#value();
		const values = { id, v, gone: false, ...this.#stamp(open) };
		open.transaction.insert(TABLE, values);
		if (!append) {
			this.#keys.push(id);
			open.locked.add(id);
		}
		return `inserts ${JSON.stringify(values)}`;
	}

	#value(): string {
		this.#count++;
		return `v${this.#count}`;
	}

	#stamp(open: Open): { readonly updated_at: string } {
		const { cursorType, stamped } = this.#world.options;
		if (cursorType === "int64") return { updated_at: String(++this.#count) };
		const at = stamped === "at-start" ? open.transaction.startedAt : this.#world.database.tick();
		return { updated_at: this.#world.cursorAt(at) };
	}
}
