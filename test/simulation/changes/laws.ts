import { tableId } from "../../../src/connectors/memory/database.ts";
import type { LoggedEntry, WarehouseState, WarehouseTable } from "../../../src/connectors/memory/index.ts";
import type { Row, Value } from "../../../src/connectors/memory/values.ts";
import {
	CHANGED_AT_COLUMN,
	type ChangesPosition,
	DELETED_AT_COLUMN,
	decodePosition,
	type FullPosition,
	HISTORY_COLUMNS,
	type PositionRow,
} from "../../../src/core/index.ts";
import { CHANGES_STREAM } from "../../../src/flow/index.ts";
import { Violation } from "../invariants.ts";
import { type ChangeWorld, type Followed, PIPELINE, targetName } from "./world.ts";
import type { ChangeWriter } from "./writer.ts";

function refuse(law: string, detail: string): never {
	throw new Violation(`${law}: ${detail}`);
}

function sameRows(law: string, found: readonly string[], wanted: readonly string[]): void {
	const [a, b] = [found.toSorted(), wanted.toSorted()];
	if (a.length !== b.length || a.some((row, i) => row !== b[i]))
		refuse(law, `\n  destination ${a.join(" ")}\n  source      ${b.join(" ")}`);
}

const text = (row: Row) => [0, 1, 2, 3].map((place) => row[place] ?? "~").join("|");

/** Looks at every state that a reader of the destination could see, and at what the source was told. */
export class ChangeLaws {
	readonly #world: ChangeWorld;
	readonly #writer: ChangeWriter;
	#seen: WarehouseState;
	/** The log's entries, also those that the source has forgotten. */
	readonly #entries: LoggedEntry[] = [];
	/** The latest place that was ever committed. */
	#highest = 0;
	#acknowledged: number | null = null;

	constructor(world: ChangeWorld, writer: ChangeWriter) {
		this.#world = world;
		this.#writer = writer;
		this.#seen = world.warehouse.state;
	}

	/** @throws Violation */
	check(): void {
		this.noteLog();
		const before = this.#seen;
		const after = this.#world.warehouse.state;
		if (before !== after) {
			this.#seen = after;
			this.#checkChain(before, after);
			const position = positionOf(after);
			if (position !== null) {
				this.#checkPlaces(positionOf(before), position);
				for (const followed of this.#world.tables) this.#checkTable(after, followed, position);
			}
		}
		const acknowledged = this.#world.database.log.acknowledged(PIPELINE);
		if (before !== after || acknowledged !== this.#acknowledged) this.#checkAcknowledged(after);
		this.#acknowledged = acknowledged;
	}

	/** To be called before the source forgets entries. */
	noteLog(): void {
		const { log } = this.#world.database;
		for (let number = this.#entries.length; number < log.end; number++) this.#entries.push(log.next(number)!);
	}

	/** At the end, when all is at rest and a run has succeeded. @throws Violation */
	checkConverged(): void {
		const state = this.#world.warehouse.state;
		const position = positionOf(state);
		const { end, readers } = this.#world.database.log;
		const others = readers.filter((reader) => reader !== PIPELINE);
		if (others.length > 0) refuse("in the end the source keeps its log for nobody else", others.join(", "));
		for (const followed of this.#world.tables) {
			const entry = position?.tables[`main.${followed.name.name}`];
			if (position === null || entry === undefined || entry.state !== undefined)
				refuse("in the end every table follows", followed.name.name);
			if (reached(position, entry) < end) refuse("in the end the position is the log's end", position.at);
			if (followed.write === "history" && this.#world.options.stamps === "commit")
				this.#checkVersions(state, followed, position);
		}
	}

	#checkChain(before: WarehouseState, after: WarehouseState): void {
		let moved = 0;
		for (const [id, row] of after.positions) {
			const old = before.positions.get(id);
			if (old === row) continue;
			if (old !== undefined && row.epoch < old.epoch) refuse("I6 an epoch never goes back", row.stream);
			if (row.seq === (old?.seq ?? 0)) {
				if (row.position !== (old?.position ?? null)) refuse("I3 a position moves only with its seq", row.stream);
				continue;
			}
			moved++;
			if (row.seq !== (old?.seq ?? 0) + 1) refuse("I3 the chain of positions has no gap", `${old?.seq} → ${row.seq}`);
			const load = row.loadId === null ? undefined : after.loads.get(row.loadId);
			if (load === undefined || before.loads.has(load.loadId)) refuse("I3 a position has its load row", row.stream);
			if (load.fromPosition !== old?.position) refuse("I3 a load begins where the last one ended", row.stream);
		}
		if (moved === 0 && before.tables !== after.tables) refuse("I1 data changes only with a position", "it did not");
	}

	/** A table that goes on following goes on from where it is: neither back nor over what was not applied. */
	#checkPlaces(before: ChangesPosition | null, after: ChangesPosition): void {
		for (const [name, entry] of Object.entries(after.tables)) {
			const old = before?.tables[name];
			if (before === null || old === undefined || old.state === "loading" || entry.state === "loading") continue;
			const [from, to] = [reached(before, old), reached(after, entry)];
			if (to < from) refuse("I3 a table never goes back", `${name} from ${from} to ${to}`);
		}
	}

	/** I4: a table that is past its cuts is the source, replayed to the table's place. */
	#checkTable(state: WarehouseState, followed: Followed, position: ChangesPosition): void {
		const entry = position.tables[`main.${followed.name.name}`];
		if (entry === undefined || entry.state === "loading") return;
		const place = reached(position, entry);
		if (entry.until !== undefined && place < placeOf(entry.until)) return;
		const table = state.tables.get(tableId(followed.target));
		if (table === undefined) refuse("I4 a table that follows is there", followed.name.name);
		const law = `I4 ${followed.name.name} equals the source at ${place}`;
		if (followed.write === "append") {
			this.#checkAppended(law, state, table, followed, place);
			return;
		}
		const wanted = this.#source(followed, place).map(text);
		if (followed.write === "merge") {
			const isThere = flag(table, DELETED_AT_COLUMN);
			sameRows(law, projected(table, isThere).map(text), wanted);
			return;
		}
		sameRows(law, projected(table, flag(table, HISTORY_COLUMNS.validTo)).map(text), wanted);
		this.#checkOnce(table, followed);
		this.#checkTimes(state, followed, place);
	}

	/** Rows of the cut, then each change of the log once. */
	#checkAppended(law: string, state: WarehouseState, table: WarehouseTable, followed: Followed, place: number): void {
		const cut = cutOf(state, followed);
		const operation = columnOf(table, HISTORY_COLUMNS.operation);
		const isRead = (row: Row) => row[operation] === "snapshot";
		sameRows(`${law}, the rows of its cut`, projected(table, isRead).map(text), this.#source(followed, cut).map(text));
		const changes = this.#entries.slice(cut, place).flatMap(({ changes }) =>
			changes.flatMap((change) => {
				if (change.table.name.name !== followed.name.name || change.kind !== "row") return [];
				const { before, after } = change.change;
				const word = before === null ? "insert" : after === null ? "delete" : "update";
				return [`${word} ${text((after ?? before)!)}`];
			}),
		);
		const found = table.rows.flatMap((row, i) =>
			isRead(row) ? [] : [`${row[operation]} ${text(projected(table)[i]!)}`],
		);
		sameRows(`${law}, the changes after it`, found, changes);
		if (table.rows.some((row) => row[columnOf(table, CHANGED_AT_COLUMN)] === null))
			refuse("a change has its time", followed.name.name);
		this.#checkOnce(table, followed);
	}

	/** G2: a change has one effect. */
	#checkOnce(table: WarehouseTable, { name }: Followed): void {
		const operation = columnOf(table, HISTORY_COLUMNS.operation);
		const place = columnOf(table, HISTORY_COLUMNS.position);
		const places = table.rows.filter((row) => row[operation] !== "snapshot").map((row) => row[place]);
		if (new Set(places).size !== places.length) refuse("G2 a change takes effect once", name.name);
	}

	/** As of each of its times, the first included, a history is the table after some transaction, and later ones later. */
	#checkTimes(state: WarehouseState, followed: Followed, end: number): void {
		const table = state.tables.get(tableId(followed.target))!;
		const ends = [HISTORY_COLUMNS.validFrom, HISTORY_COLUMNS.validTo].map((name) => columnOf(table, name));
		const [from, to] = ends as [number, number];
		const inOrder = (a: bigint, b: bigint) => (a < b ? -1 : 1);
		const [first] = table.rows.map((row) => micros(row[from]!)).sort(inOrder);
		const times = new Set(table.rows.flatMap((row) => ends.flatMap((end) => row[end] ?? [])).map(micros));
		let place = cutOf(state, followed);
		for (const at of [...times].filter((time) => time >= first!).sort(inOrder)) {
			const holds = (row: Row) => micros(row[from]!) <= at && (row[to] === null || micros(row[to]!) > at);
			const held = projected(table, holds).map(text).sort().join(" ");
			const isThen = () => this.#source(followed, place).map(text).sort().join(" ") === held;
			while (place < end && !isThen()) place++;
			if (!isThen()) refuse(`the history of ${followed.name.name} as of ${at} is the source at some time`, held);
		}
	}

	/** The table as of each commit since its cut. */
	#checkVersions(state: WarehouseState, followed: Followed, position: ChangesPosition): void {
		const table = state.tables.get(tableId(followed.target))!;
		const [from, to] = [columnOf(table, HISTORY_COLUMNS.validFrom), columnOf(table, HISTORY_COLUMNS.validTo)];
		const end = reached(position, position.tables[`main.${followed.name.name}`]!);
		// The rows of the cut are told to be as old as the reading.
		for (let place = cutOf(state, followed) + 1; place <= end; place++) {
			const at = this.#entries[place - 1]!.committedAt;
			const holds = (row: Row) => micros(row[from]!) <= at && (row[to] === null || micros(row[to]!) > at);
			sameRows(
				`the history of ${followed.name.name} as of ${place} is the source then`,
				projected(table, holds).map(text),
				this.#source(followed, place).map(text),
			);
		}
	}

	/** What the source may forget is committed, for every table that still needs it. */
	#checkAcknowledged(state: WarehouseState): void {
		const acknowledged = this.#world.database.log.acknowledged(PIPELINE);
		if (acknowledged === null) return;
		const position = positionOf(state);
		if (position === null) refuse("I2 nothing is acknowledged before it is committed", `${acknowledged} is`);
		// It may be set back for the sake of a table; what was committed stays committed.
		this.#highest = Math.max(this.#highest, placeOf(position.at));
		if (acknowledged > this.#highest)
			refuse("I2 nothing is acknowledged before it is committed", `${acknowledged}, committed ${this.#highest}`);
		if (this.#world.options.cuts !== "slots") return;
		for (const [name, { state: reading, from }] of Object.entries(position.tables))
			if (reading !== undefined && acknowledged > placeOf(from!))
				refuse(
					"I2 what a table that is being read needs is kept",
					`${name} needs ${from}, acknowledged ${acknowledged}`,
				);
	}

	#source({ name }: Followed, place: number): readonly Row[] {
		return this.#writer.states.get(place)!.get(tableId(name))!.rows;
	}
}

function positionOf(state: WarehouseState): ChangesPosition | null {
	const row = [...state.positions.values()].find(({ stream }: PositionRow) => stream === CHANGES_STREAM);
	return row === undefined || row.position === null ? null : (decodePosition(row.position) as ChangesPosition);
}

function placeOf(position: string): number {
	return Number(position.split(":")[1]);
}

/** Where a table stands: its own place when it is ahead of the log's, or paused. */
function reached(position: ChangesPosition, { from, state }: ChangesPosition["tables"][string]): number {
	if (state === "paused") return placeOf(from!);
	return Math.max(placeOf(position.at), from === undefined ? 0 : placeOf(from));
}

/** The place of the cut at which a table was read. */
function cutOf(state: WarehouseState, { name }: Followed): number {
	const row = [...state.positions.values()].find(({ stream }) => stream === `main.${name.name}`)!;
	return placeOf((decodePosition(row.position!) as FullPosition).log!);
}

function columnOf(table: WarehouseTable, name: string): number {
	return table.columns.findIndex((column) => column.name === name);
}

/** Rows whose column is NULL; all when there is no such column. */
function flag(table: WarehouseTable, name: string): (row: Row) => boolean {
	const column = columnOf(table, name);
	return (row) => column < 0 || row[column] === null;
}

/** Rows with the columns of the source, in its order. Those that were added later are NULL before. */
function projected(table: WarehouseTable, holds: (row: Row) => boolean = () => true): Row[] {
	const places = ["id", "v", "big", "extra"].map((name) => columnOf(table, targetName(name)));
	return table.rows.filter(holds).map((row) => places.map((place) => row[place] ?? null));
}

function micros(value: Value): bigint {
	const [, date, time, fraction = ""] = /^(\S+) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(value!)!;
	return BigInt(Date.parse(`${date}T${time}Z`)) * 1000n + BigInt(fraction.padEnd(6, "0"));
}
