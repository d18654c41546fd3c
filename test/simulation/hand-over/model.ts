import { Random } from "../random.ts";
import { KEYS, type ModelChange, type ModelRow, ModelSource, type ModelTable, TABLES } from "./model-source.ts";

/** What a reader that opened a snapshot knows. */
export interface ModelCut {
	/** All up to here is in the view. */
	readonly place: number;
	/** Nothing after it is. */
	readonly until: number;
	readonly view: readonly ModelTable[];
}

/** How a table stands to the log: it was read at cuts from the place `from` to the place `until`. */
export interface Standing {
	readonly from: number;
	readonly until: number;
}

/** Whether a change is in the table already, may be, or is not. */
export type Verdict = "passed" | "overlaps" | "exact";

/** What becomes of a row that does not tell all its columns. */
export type Filled = ModelRow | "left out" | "dropped" | "read again";

/** The hand-over from snapshots to the log, as functions of nothing but what is known: src/flow/change-reading.ts does the same. */
export interface HandOver {
	/** Opens a snapshot. `elapse`: meanwhile the source goes on. */
	cut(source: ModelSource, exact: boolean, elapse: () => void): ModelCut;
	/** Where the log is opened, of the places that tables need. */
	begin(standings: readonly Standing[]): number;
	verdict(place: number, standing: Standing): Verdict;
	fill(change: ModelChange, base: ModelRow | undefined, verdict: Verdict): Filled;
}

export const HAND_OVER: HandOver = {
	cut: (source, exact, elapse) => {
		const end = source.log.length;
		if (exact) return { place: end, until: end, view: source.at(end) };
		const place = source.visibleUpTo;
		elapse();
		const view = source.visible();
		elapse();
		return { place, until: source.log.length, view };
	},
	begin: (standings) => Math.min(...standings.map(({ from }) => from)),
	verdict: (place, { from, until }) => (place <= from ? "passed" : place <= until ? "overlaps" : "exact"),
	fill: ({ before, after }, base, verdict) => {
		if (after!.b !== undefined) return { a: after!.a, b: after!.b };
		// The table may be newer than the change: by the row's old key it has another row, or none.
		if (verdict === "overlaps" && before !== after!.key) return "read again";
		if (base !== undefined) return { a: after!.a, b: base.b };
		return verdict === "overlaps" ? "left out" : "read again";
	},
};

/** Found to be wrong; `read again` is the error that stops a table in place of a guess. */
export type Wrong = string;

interface Copy {
	readonly rows: ModelTable;
	standing: Standing;
	readAgain: boolean;
}

export interface WorldEnd {
	readonly wrong: Wrong | null;
	/** Tables that had to be read again. */
	readonly readAgain: number;
}

/** One random world: tables are read in chunks by runs that are killed, the log is applied, another table joins. */
export function runWorld(seed: number, rule: HandOver = HAND_OVER): WorldEnd {
	const world = new World(seed, rule);
	const wrong = world.run();
	return { wrong, readAgain: wrong === null ? world.readAgain : 0 };
}

class World {
	readonly #random: Random;
	readonly #rule: HandOver;
	readonly #source: ModelSource;
	readonly #exact: boolean;
	readonly #copies = new Map<number, Copy>();
	/** Where the log is read on. */
	#at = 0;

	constructor(seed: number, rule: HandOver) {
		this.#random = new Random(seed);
		this.#rule = rule;
		this.#source = new ModelSource(this.#random);
		this.#exact = this.#random.chance(0.4);
	}

	get readAgain(): number {
		return [...this.#copies.values()].filter((copy) => copy.readAgain).length;
	}

	run(): Wrong | null {
		const random = this.#random;
		const source = this.#source;
		const tables = Array.from({ length: TABLES }, (_, table) => table);
		const joiner = random.chance(0.5) ? TABLES - 1 : null;
		this.#elapse();
		this.#read(tables.filter((table) => table !== joiner));
		if (joiner !== null) {
			this.#elapse();
			const wrong = this.#apply(random.integer(Math.min(this.#at, source.log.length), source.log.length));
			if (wrong !== null) return wrong;
			this.#read([joiner]);
		}
		this.#elapse();
		source.rest();
		return this.#apply(source.log.length) ?? this.#settled();
	}

	#elapse(): void {
		for (let i = this.#random.integer(0, 3); i > 0; i--) this.#source.act();
	}

	/** Reads tables, and finds the place from which the log then comes. */
	#read(tables: readonly number[]): void {
		const others = [...this.#copies.values()];
		for (const [table, copy] of this.#readChunks(tables)) this.#copies.set(table, copy);
		const begin = this.#rule.begin(tables.map((table) => this.#copies.get(table)!.standing));
		// When the log is read from an older place for these tables' sake, the others pass over what they have.
		for (const copy of others) copy.standing = { from: this.#at, until: Math.max(this.#at, copy.standing.until) };
		this.#at = others.length === 0 ? begin : Math.min(this.#at, begin);
	}

	/** Two chunks each, by ranges of the key; a run that is killed leaves its chunks to the next one. */
	#readChunks(tables: readonly number[]): Map<number, Copy> {
		const copies = new Map<number, Copy>();
		const waiting = tables.flatMap((table) => [0, 1].map((chunk) => ({ table, chunk })));
		const act = () => this.#source.act();
		let first: number | null = null;
		while (waiting.length > 0) {
			const { place, until, view } = this.#rule.cut(this.#source, this.#exact, act);
			first ??= place;
			do {
				act();
				const { table, chunk } = waiting.shift()!;
				const rows = copies.get(table)?.rows ?? new Map<number, ModelRow>();
				for (const [key, row] of view[table]!) if (Math.floor((key * 2) / KEYS) === chunk) rows.set(key, row);
				copies.set(table, { rows, standing: { from: first, until }, readAgain: false });
			} while (waiting.length > 0 && !this.#random.chance(0.3));
			act();
		}
		return copies;
	}

	/** Applies the log. What is past its last cut is the source at each place from then on. */
	#apply(to: number): Wrong | null {
		while (this.#at < to) {
			const place = ++this.#at;
			for (const [table, copy] of this.#copies) {
				if (copy.readAgain) continue;
				const verdict = this.#rule.verdict(place, copy.standing);
				const { changes } = this.#source.log[place - 1]!;
				if (verdict !== "passed")
					for (const change of changes) if (change.table === table) applyChange(copy, change, verdict, this.#rule);
				if (copy.readAgain && verdict === "exact") return `table ${table} lacks the base of a row at ${place}`;
				if (copy.readAgain || place < copy.standing.until) continue;
				const difference = differs(copy.rows, this.#source.at(place)[table]!);
				if (difference !== null) return `table ${table} at ${place} ${difference}`;
			}
		}
		return null;
	}

	/** At the log's end the tables are the source, whatever was applied last. */
	#settled(): Wrong | null {
		const tables = this.#source.at(this.#source.log.length);
		for (const [table, copy] of this.#copies) {
			const difference = copy.readAgain ? null : differs(copy.rows, tables[table]!);
			if (difference !== null) return `table ${table} in the end ${difference}`;
		}
		return null;
	}
}

function applyChange(copy: Copy, change: ModelChange, verdict: Verdict, rule: HandOver): void {
	const { before, after } = change;
	const base = before === null ? undefined : copy.rows.get(before);
	if (before !== null) copy.rows.delete(before);
	if (after === null) return;
	const filled = rule.fill(change, base, verdict);
	if (filled === "read again") copy.readAgain = true;
	else if (filled === "dropped") copy.rows.delete(after.key);
	else if (filled !== "left out") copy.rows.set(after.key, filled);
}

function differs(found: ModelTable, wanted: ModelTable): string | null {
	const text = (table: ModelTable) =>
		[...table]
			.sort(([a], [b]) => a - b)
			.map(([key, { a, b }]) => `${key}=${a},${b}`)
			.join(" ");
	const [left, right] = [text(found), text(wanted)];
	return left === right ? null : `has ${left || "no rows"}, the source ${right || "none"}`;
}
