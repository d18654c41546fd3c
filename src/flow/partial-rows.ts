import { type ChangedRows, ChangeOperation, type Column, isTold, isView } from "../core/index.ts";
import type { TableTask } from "./task.ts";

/** Where a row that does not tell all its columns gets them from: the table's row with the key of another row here. */
export interface Base {
	/** Places of the columns, in the order of the task's, that the row does not tell. */
	readonly absent: ReadonlySet<number>;
	/** The row whose key the table's row has. */
	readonly batch: number;
	readonly row: number;
	/** The key has changed since: the table's row has another one. */
	readonly isMoved: boolean;
}

/** The last that the log said of a key, as far as it was read. */
interface State {
	readonly batch: number;
	readonly row: number;
	readonly base: Base | null;
	readonly isGone: boolean;
}

/**
 * Gives rows the columns that they don't tell (an unchanged TOAST value, a partial image) from the row of the same key
 * before them, through changes of the key. What no row here tells is left to the table: a base per batch and row. Null
 * when every row tells every column. `kept`: the rows that count.
 */
export function resolveAbsent(
	task: TableTask,
	events: readonly ChangedRows[],
	kept: readonly Uint32Array[],
): readonly (readonly (Base | null)[])[] | null {
	const places = events.map((event) => placesOf(task, event));
	if (!events.some((event, index) => tellsPart(task, event, kept[index]!, (row) => tellsState(task, event, row))))
		return null;
	const states = new Map<string, State>();
	const bases = events.map((event): (Base | null)[] => new Array<Base | null>(event.batch.rowCount).fill(null));
	let before: State | null = null;
	for (const [batch, event] of events.entries()) {
		const keyOf = keyReader(task, event);
		for (const row of kept[batch]!) {
			const key = keyOf(row);
			const known = states.get(key);
			const gone: State = { batch, row, base: null, isGone: true };
			if (event.operations[row] === ChangeOperation.before) {
				before = known ?? { batch, row, base: { absent: ALL, batch, row, isMoved: true }, isGone: false };
				states.set(key, gone);
				continue;
			}
			if (!tellsState(task, event, row)) {
				states.set(key, gone);
				continue;
			}
			const origin = before ?? known;
			const filled = fill(events, places, { batch, row }, origin);
			const base = filled === null || before === null ? filled : { ...filled, isMoved: true };
			before = null;
			bases[batch]![row] = base;
			states.set(key, { batch, row, base, isGone: false });
		}
	}
	return bases;
}

/** Whether one of the rows that count does not tell all columns of the task. */
export function tellsPart(
	task: TableTask,
	event: ChangedRows,
	kept: Uint32Array,
	counts: (row: number) => boolean,
): boolean {
	if (event.absent === undefined) return false;
	const places = placesOf(task, event).filter((place) => (event.absent?.[place] ?? null) !== null);
	return places.length > 0 && kept.some((row) => counts(row) && places.some((place) => !isTold(event, place, row)));
}

/** Stands for all columns: of the row nothing is known but its key. */
const ALL: ReadonlySet<number> = new Set();

function fill(
	events: readonly ChangedRows[],
	places: readonly (readonly number[])[],
	{ batch, row }: { readonly batch: number; readonly row: number },
	origin: State | undefined,
): Base | null {
	const absent = absentOf(events[batch]!, places[batch]!, row);
	if (absent.size === 0) return null;
	if (origin === undefined || origin.isGone) return { absent, batch, row, isMoved: false };
	const { base } = origin;
	// Only its key is here: the table has the row.
	if (base?.absent === ALL) return { absent, batch: base.batch, row: base.row, isMoved: true };
	const still = new Set<number>();
	for (const place of absent) {
		const into = events[batch]!.batch.columns[places[batch]![place]!]!;
		const from = events[origin.batch]!.batch.columns[places[origin.batch]![place] ?? -1];
		if (base?.absent.has(place) === true) still.add(place);
		else if (from !== undefined) into.copyValue(row, from, origin.row);
	}
	return still.size === 0 || base === null
		? null
		: { absent: still, batch: base.batch, row: base.row, isMoved: base.isMoved };
}

/** Whether the table has a row by this key afterwards. */
function tellsState({ write, deletes }: TableTask, { operations }: ChangedRows, row: number): boolean {
	const operation = operations[row];
	if (operation === ChangeOperation.before) return false;
	return operation !== ChangeOperation.delete || (write === "merge" && deletes === "soft");
}

/** Where each of the task's columns lies in the event's batch; -1 where it does not. */
function placesOf({ columns }: TableTask, { batch }: ChangedRows): number[] {
	return columns.map(({ name }) => batch.columns.findIndex((column) => column.name === name));
}

function absentOf(event: ChangedRows, places: readonly number[], row: number): Set<number> {
	return new Set([...places.keys()].filter((place) => !isTold(event, places[place]!, row)));
}

/** A key as text that is equal for equal keys only. */
function keyReader({ target, columns }: TableTask, { batch }: ChangedRows): (row: number) => string {
	const keys = target.key.map((name) => {
		const { name: source } = columns[target.columns.findIndex((column) => column.name === name)]!;
		return batch.columns.find((column) => column.name === source)!;
	});
	return (row) => keys.map((column) => valueKey(column, row)).join("");
}

function valueKey(column: Column, row: number): string {
	if (column.isNull(row)) return "-";
	const bytes = isView(column.type)
		? column.bytes(row)
		: column.u8.subarray(row * column.width, (row + 1) * column.width);
	return `${bytes.length}:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")}`;
}
