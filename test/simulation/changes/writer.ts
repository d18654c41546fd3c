import type { MemoryTable, MemoryTransaction } from "../../../src/connectors/memory/index.ts";
import type { Random } from "../random.ts";
import type { ChangeWorld, Followed } from "./world.ts";

const KEYS = 5;
const OPEN_MAX = 3;

interface Open {
	readonly transaction: MemoryTransaction;
	/** Whether a row of the key is there, as far as this transaction changed it: by table and key. */
	readonly touched: Map<string, boolean>;
	logged: boolean;
}

/**
 * The application. Its transactions change rows of several tables, are written to the log when they end, and become
 * visible some time after that; the rows that they changed are locked until then.
 */
export class ChangeWriter {
	readonly #world: ChangeWorld;
	readonly #random: Random;
	/** The tables as of each place in the log. */
	readonly states = new Map<number, ReadonlyMap<string, MemoryTable>>();
	#open: Open[] = [];
	#count = 0;

	constructor(world: ChangeWorld, random: Random) {
		this.#world = world;
		this.#random = random;
		this.#note();
		const open = this.#begin();
		for (let i = random.integer(3, 8); i > 0; i--) this.#change(open);
		this.#log(open);
		this.#show(open);
	}

	/** One thing that the application does. */
	act(): string {
		const random = this.#random;
		const unlogged = this.#open.filter((open) => !open.logged);
		const waiting = this.#open.filter((open) => open.logged);
		if (waiting.length > 0 && random.chance(0.3)) return this.#show(random.pick(waiting));
		if (unlogged.length > 0 && random.chance(0.3)) return this.#end(random.pick(unlogged));
		if (this.#open.length < OPEN_MAX && random.chance(0.4)) {
			const open = this.#begin();
			const done = this.#change(open);
			if (random.chance(0.6)) return `${done}; ${this.#end(open)}`;
			return done;
		}
		if (unlogged.length > 0) return this.#change(random.pick(unlogged));
		if (this.#open.length === 0 && random.chance(0.1)) return this.#truncate();
		if (this.#open.length === 0 && this.#world.options.alters && random.chance(0.2)) return this.#alter();
		return "does nothing";
	}

	/** Ends what is open. */
	rest(): void {
		for (const open of [...this.#open]) {
			if (!open.logged) this.#log(open);
			this.#show(open);
		}
	}

	#begin(): Open {
		const open = { transaction: this.#world.database.begin(), touched: new Map(), logged: false };
		this.#open.push(open);
		return open;
	}

	#end(open: Open): string {
		if (this.#random.chance(0.1)) {
			open.transaction.rollback();
			this.#open = this.#open.filter((other) => other !== open);
			return `rolls back ${open.transaction.id}`;
		}
		this.#log(open);
		return this.#random.chance(0.6)
			? this.#show(open)
			: `logs ${open.transaction.id} at ${this.#world.database.log.end}`;
	}

	#log(open: Open): void {
		open.transaction.log();
		open.logged = true;
		this.#note();
	}

	#show(open: Open): string {
		open.transaction.commit();
		this.#open = this.#open.filter((other) => other !== open);
		return `commits ${open.transaction.id} of ${this.#world.database.log.end}`;
	}

	#note(): void {
		this.states.set(this.#world.database.log.end, this.#world.database.logCut().tables);
	}

	#truncate(): string {
		const { name } = this.#random.pick(this.#world.tables);
		const open = this.#begin();
		open.transaction.truncate(name);
		this.#log(open);
		this.#show(open);
		return `truncates ${name.name}`;
	}

	#alter(): string {
		const { name } = this.#random.pick(this.#world.tables);
		const { columns } = this.#world.database.table(name);
		if (columns.length > 3) return "does nothing";
		this.#world.database.alterTable(name, [...columns, { name: "extra", type: { kind: "text" }, nullable: true }]);
		this.#note();
		return `adds a column to ${name.name}`;
	}

	#change(open: Open): string {
		const table = this.#random.pick(this.#world.tables);
		const key = this.#random.integer(0, KEYS - 1);
		if (this.#isLocked(open, table, key)) return "waits for a row";
		const { transaction } = open;
		const v = `v${++this.#count}`;
		const big = `b${this.#count}`;
		const isThere = this.#isThere(open, table, key);
		open.touched.set(lock(table, key), true);
		if (!isThere || (!table.keyed && this.#random.chance(0.5))) {
			transaction.insert(table.name, { id: key, v, big: this.#random.chance(0.2) ? null : big, ...this.#extra(table) });
			return `inserts ${key} ${v} into ${table.name.name}`;
		}
		if (this.#random.chance(0.25)) {
			transaction.delete(table.name, { id: key });
			open.touched.set(lock(table, key), false);
			return `deletes ${key} of ${table.name.name}`;
		}
		const to = this.#random.integer(0, KEYS - 1);
		const moves = this.#world.options.moves && table.keyed && to !== key && this.#random.chance(0.3);
		const isFree = moves && !this.#isLocked(open, table, to) && !this.#isThere(open, table, to);
		const values = {
			...(isFree ? { id: to } : {}),
			v,
			...(this.#random.chance(0.4) ? { big } : {}),
			...this.#extra(table),
		};
		transaction.update(table.name, { id: key }, values);
		if (isFree) {
			open.touched.set(lock(table, key), false);
			open.touched.set(lock(table, to), true);
		}
		return `updates ${key} of ${table.name.name} to ${JSON.stringify(values)}`;
	}

	#extra({ name }: Followed): { readonly extra?: string } {
		const has = this.#world.database.table(name).columns.length > 3;
		return has && this.#random.chance(0.5) ? { extra: `x${this.#count}` } : {};
	}

	#isLocked(own: Open, table: Followed, key: number): boolean {
		return this.#open.some((open) => open !== own && open.touched.has(lock(table, key)));
	}

	#isThere(open: Open, table: Followed, key: number): boolean {
		const own = open.touched.get(lock(table, key));
		if (own !== undefined) return own;
		const now = this.states.get(this.#world.database.log.end)!;
		const { rows } = [...now.values()].find(({ name }) => name.name === table.name.name)!;
		return rows.some((row) => row[0] === String(key));
	}
}

function lock(table: Followed, key: number): string {
	return `${table.name.name}/${key}`;
}
