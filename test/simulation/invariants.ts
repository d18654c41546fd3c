import { tableId } from "../../src/connectors/memory/database.ts";
import type { MemoryTable, WarehouseState, WarehouseTable } from "../../src/connectors/memory/index.ts";
import { compareValues, type Row } from "../../src/connectors/memory/values.ts";
import { type CursorPosition, decodePosition, type FullPosition, type PositionRow } from "../../src/core/index.ts";
import { TABLE, TARGET, targetName, type World } from "./world.ts";
import type { Writer } from "./writer.ts";

/** Something that must never be. */
export class Violation extends Error {}

function refuse(law: string, detail: string): never {
	throw new Violation(`${law}: ${detail}`);
}

/** Rows are kept as they are for their whole life, so their text is made once. */
const texts = new WeakMap<Row, string>();

function text(row: Row): string {
	let known = texts.get(row);
	if (known === undefined) {
		known = row.join("|");
		texts.set(row, known);
	}
	return known;
}

function sameRows(law: string, found: readonly Row[], wanted: readonly Row[]): void {
	const [a, b] = [found.map(text).sort(), wanted.map(text).sort()];
	if (a.length !== b.length || a.some((row, i) => row !== b[i]))
		refuse(law, `\n  destination ${a.join(" ")}\n  source      ${b.join(" ")}`);
}

/** What the laws need to know of the loads: which cut each one read, and under which epoch it was sent. */
export interface LoadFacts {
	/** The cut; for rows of several cuts that a cursor catches up with, just these rows. */
	readonly cut: Pick<MemoryTable, "rows">;
	readonly epoch: number;
	/** Index of the interval, null when there is none. */
	readonly interval: number | null;
}

/** Looks at every state that a reader of the destination could see. */
export class Invariants {
	readonly #world: World;
	readonly #writer: Writer;
	/** By load id. */
	readonly loads = new Map<string, LoadFacts>();
	#seen: WarehouseState;
	#positioned: {
		readonly state: WarehouseState | null;
		readonly source: MemoryTable | null;
		readonly value: string | null;
	} = {
		state: null,
		source: null,
		value: null,
	};

	constructor(world: World, writer: Writer) {
		this.#world = world;
		this.#writer = writer;
		this.#seen = world.warehouse.state;
	}

	/** @throws Violation */
	check(): void {
		const before = this.#seen;
		const after = this.#world.warehouse.state;
		if (before !== after) {
			this.#seen = after;
			this.#checkStep(before, after);
		}
		if (["merge", "append"].includes(this.#world.options.kind)) this.#checkPosition(after);
	}

	/** The rows that a destination should have for a cut of the source. */
	wanted(cut: Pick<MemoryTable, "rows">, interval: number | null = null): readonly Row[] {
		const { kind, flagged } = this.#world.options;
		let { rows } = cut;
		if (flagged) rows = rows.filter((row) => row[3] !== "true");
		if (kind.startsWith("interval"))
			rows = rows.filter((row) =>
				interval === null ? this.#intervalOf(row) !== null : this.#intervalOf(row) === interval,
			);
		return rows;
	}

	/** The destination's rows with the columns in the source's order. */
	rows(state: WarehouseState = this.#world.warehouse.state): readonly Row[] {
		const table = state.tables.get(tableId(TARGET));
		if (table === undefined) return [];
		const places = this.#world.database.table(TABLE).columns.map(({ name }) => placeOf(table, targetName(name)));
		return table.rows.map((row) => places.map((place) => row[place] ?? null));
	}

	/** At the end, when all is at rest and a run has succeeded. @throws Violation */
	checkConverged(): void {
		sameRows(
			"in the end the destination equals the source",
			this.rows(),
			this.wanted(this.#world.database.table(TABLE)),
		);
	}

	#intervalOf(row: Row): number | null {
		for (let index = 0; index < 3; index++) {
			const { start, end } = this.#world.interval(index);
			const type = this.#world.cursorType;
			const bound = (utc: string) =>
				type.kind === "date" ? utc.slice(0, 10) : type.kind === "timestamptz" ? `${utc}+00` : utc;
			if (compareValues(type, row[2]!, bound(start)) >= 0 && compareValues(type, row[2]!, bound(end)) < 0) return index;
		}
		return null;
	}

	/** One commit: I3 the chain of positions has no gap, I4 what is seen is a whole cut, I5 never empty, I6 one epoch. */
	#checkStep(before: WarehouseState, after: WarehouseState): void {
		const moved: PositionRow[] = [];
		for (const [id, row] of after.positions) {
			const old = before.positions.get(id);
			if (old === row) continue;
			if (old !== undefined && row.epoch < old.epoch) refuse("I6 an epoch never goes back", row.stream);
			if (row.seq === (old?.seq ?? 0)) {
				if (row.position !== (old?.position ?? null)) refuse("I3 a position moves only with its seq", row.stream);
				continue;
			}
			if (row.seq !== (old?.seq ?? 0) + 1) refuse("I3 the chain of positions has no gap", `${old?.seq} → ${row.seq}`);
			const load = row.loadId === null ? undefined : after.loads.get(row.loadId);
			if (load === undefined || before.loads.has(load.loadId)) refuse("I3 a position has its load row", row.stream);
			if (load.fromPosition !== old?.position) refuse("I3 a load begins where the last one ended", row.stream);
			moved.push(row);
		}
		const [oldRows, newRows] = [this.rows(before), this.rows(after)];
		if (moved.length === 0 && before.tables !== after.tables)
			refuse("I1 data changes only with a position", "it did not");
		if (oldRows.length > 0 && newRows.length === 0) refuse("I5 a reader never sees a table empty that is not", "it is");
		for (const row of moved) this.#checkLoad(row, newRows);
	}

	#checkLoad(row: PositionRow, rows: readonly Row[]): void {
		const facts = this.loads.get(row.loadId ?? "");
		if (facts === undefined) refuse("I4 a load has a cut that it read", row.stream);
		if (facts.epoch !== row.epoch) refuse("I6 only the newest epoch commits", `${facts.epoch}, not ${row.epoch}`);
		const position = decodePosition(row.position ?? "");
		if (position.kind === "full" && (position as FullPosition).at === "")
			refuse("I4 a full position has its time", row.stream);
		const own = facts.interval === null ? rows : rows.filter((r) => this.#intervalOf(r) === facts.interval);
		sameRows(
			"I4 after a load the destination equals the source at the load's cut",
			own,
			this.wanted(facts.cut, facts.interval),
		);
	}

	/**
	 * I1: what lies below the position is loaded, and nothing can appear there any more: neither rows that are visible
	 * nor what an open transaction may still stamp.
	 */
	#checkPosition(state: WarehouseState): void {
		const source = this.#world.database.table(TABLE);
		if (state !== this.#positioned.state || source !== this.#positioned.source) {
			this.#positioned = { state, source, value: this.#checkBelow(state, source) };
		}
		const { value } = this.#positioned;
		const { cursorType, options } = this.#world;
		const earliest = this.#writer.earliestStamp;
		if (value === null || earliest === null || cursorType.kind === "int64" || options.stamped === "at-statement")
			return;
		if (compareValues(cursorType, this.#world.cursorAt(earliest), value) < 0)
			refuse("I1 the position never passes an open transaction", `${this.#world.cursorAt(earliest)} is below ${value}`);
	}

	/** Gives the position's cursor value. */
	#checkBelow(state: WarehouseState, source: MemoryTable): string | null {
		const [position] = [...state.positions.values()].map((row) => row.position);
		if (position === undefined || position === null) return null;
		const { value } = decodePosition(position) as CursorPosition;
		if (value === null) return null;
		const loaded = new Map<string, number>();
		for (const row of this.rows(state)) loaded.set(text(row), (loaded.get(text(row)) ?? 0) + 1);
		for (const row of this.wanted(source)) {
			if (row[2] === null || compareValues(this.#world.cursorType, row[2]!, value) >= 0) continue;
			const count = loaded.get(text(row)) ?? 0;
			if (count === 0)
				refuse(
					"I1 the position never passes rows that are not loaded",
					`${text(row)} is below ${value} and not loaded`,
				);
			loaded.set(text(row), count - 1);
		}
		return value;
	}
}

function placeOf(table: WarehouseTable, name: string): number {
	return table.columns.findIndex((column) => column.name === name);
}
