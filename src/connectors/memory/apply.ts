import { typeName } from "../../core/column-type.ts";
import {
	INTERVAL_TAG_COLUMN,
	type LoadInterval,
	type LoadOverlap,
	type LoadRequest,
	type LoadResult,
} from "../../core/destination.ts";
import { HeadraceError } from "../../core/errors.ts";
import { qualified } from "../../core/table.ts";
import type { MemoryColumn } from "./database.ts";
import { compareValues, orderKey, type Row, tupleText, type Value } from "./values.ts";
import type { WarehouseTable } from "./warehouse.ts";

/** What a load does to a table; the table it is given stays as it is. */
export interface Applied {
	readonly table: WarehouseTable;
	readonly result: LoadResult;
}

/** Columns a table has after a load: a replaced table has the target's, any other keeps its own and gets new ones. */
export function columnsAfter(old: WarehouseTable | undefined, request: LoadShape): MemoryColumn[] {
	const wanted: MemoryColumn[] = request.target.columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
	if (request.interval !== undefined && request.interval.column === undefined)
		wanted.push({ name: INTERVAL_TAG_COLUMN, type: { kind: "text" }, nullable: true });
	if (old === undefined || (request.write === "replace" && request.interval === undefined)) return wanted;
	const columns = old.columns.map((column) => {
		const successor = successorOf(column.name, old.columns, request);
		return successor === undefined ? column : { ...column, name: successor };
	});
	for (const column of wanted) {
		const known = columns.find((other) => other.name === column.name);
		// Rows that are there already have no value for a column that is new.
		if (known === undefined) columns.push({ ...column, nullable: true });
		else if (typeName(known.type) !== typeName(column.type))
			throw new HeadraceError(
				"E_SCHEMA",
				`column ${column.name} of ${qualified(request.target.name)} is ${typeName(known.type)} and the rows have ${typeName(column.type)}`,
			);
	}
	return columns;
}

/** The new name of a column that is renamed; undefined when it keeps its name. */
function successorOf(name: string, old: readonly MemoryColumn[], { target }: LoadShape): string | undefined {
	const to = target.columns.find((column) => column.renamedFrom === name)?.name;
	const taken = target.columns.some((column) => column.name === name) || old.some((column) => column.name === to);
	return taken ? undefined : to;
}

/** What rows that are there have in a column that is added: a constant default that is to fill them, else NULL. */
function fillOf({ target }: LoadShape): Record<string, Value> {
	return Object.fromEntries(
		target.columns.flatMap(({ name, fill, defaultSql }) =>
			fill !== true || defaultSql === undefined || defaultSql === "NULL"
				? []
				: [[name, defaultSql.startsWith("'") ? defaultSql.slice(1, -1).replaceAll("''", "'") : defaultSql]],
		),
	);
}

type WholeRequest = Omit<LoadRequest, "input">;

export type LoadShape = Pick<LoadRequest, "target" | "write" | "interval">;

/**
 * The table as the load leaves it. `incoming` rows are in the order of the target's columns.
 * @throws E_KEY_REQUIRED, E_NULL_KEY, E_DUPLICATE_KEY, E_EMPTY, E_SCHEMA, E_VALUE, E_UNKNOWN_COLUMN
 */
export function applyLoad(old: WarehouseTable | undefined, request: WholeRequest, incoming: readonly Row[]): Applied {
	const { target, write, interval } = request;
	checkNulls(request, incoming);
	const columns = columnsAfter(old, request);
	const place = (row: Row, from: readonly MemoryColumn[], more: Readonly<Record<string, Value>> = {}): Row =>
		columns.map(({ name }) => row[from.findIndex((column) => column.name === name)] ?? more[name] ?? null);
	const before = old?.columns.map((column) => ({
		...column,
		name: successorOf(column.name, old.columns, request) ?? column.name,
	}));
	const fill = fillOf(request);
	const existing = (old?.rows ?? []).map((row) =>
		columns.map(({ name }) => {
			const index = before!.findIndex((column) => column.name === name);
			return index < 0 ? (fill[name] ?? null) : row[index]!;
		}),
	);
	const tag = interval === undefined ? null : tagOf(interval);
	const fresh = incoming.map((row) => place(row, target.columns, { [INTERVAL_TAG_COLUMN]: tag }));
	const table: WarehouseTable = { name: target.name, columns, key: target.key, rows: existing };
	const gives = (rows: readonly Row[], counts: Partial<LoadResult>): Applied => ({
		table: { ...table, rows },
		result: {
			rowsReceived: incoming.length,
			rowsInserted: 0,
			rowsUpdated: 0,
			rowsDeleted: 0,
			rowsSuperseded: 0,
			...counts,
		},
	});

	const outside = interval === undefined ? existing : withoutInterval(table, interval);
	const rowsDeleted = existing.length - outside.length;
	if (write === "merge") {
		const merged = merge({ ...table, rows: outside }, request, fresh);
		return gives(merged.rows, { ...merged.counts, rowsDeleted: rowsDeleted + merged.counts.rowsDeleted });
	}
	if (interval !== undefined) return gives([...outside, ...fresh], { rowsInserted: fresh.length, rowsDeleted });
	if (write === "append") {
		if (request.overlap?.added !== undefined) {
			const left = withoutReplaced(table, request.overlap, fresh);
			const rowsInserted = left.length + fresh.length - existing.length;
			return gives([...left, ...fresh], { rowsInserted, rowsSuperseded: fresh.length - rowsInserted });
		}
		const added = request.overlap === undefined ? fresh : withoutOverlap(table, request.overlap, fresh);
		return gives([...existing, ...added], {
			rowsInserted: added.length,
			rowsSuperseded: fresh.length - added.length,
		});
	}
	if (fresh.length === 0 && existing.length > 0 && request.allowEmpty !== true)
		throw new HeadraceError("E_EMPTY", `no rows came for ${qualified(target.name)}, which has some`);
	checkUnique(table, fresh);
	const isDeleted = deletedFlag(table, request.deletedColumn);
	const kept = fresh.filter((row) => !isDeleted(row));
	return gives(kept, { rowsInserted: kept.length, rowsDeleted: existing.length });
}

export function tagOf(interval: LoadInterval): string {
	return `${interval.start}/${interval.end}`;
}

function indexOf(table: Pick<WarehouseTable, "name" | "columns">, name: string): number {
	const index = table.columns.findIndex((column) => column.name === name);
	if (index < 0) throw new HeadraceError("E_UNKNOWN_COLUMN", `${qualified(table.name)} has no column ${name}`);
	return index;
}

function checkNulls({ target }: WholeRequest, incoming: readonly Row[]): void {
	const strict = target.columns.flatMap((column, index) => {
		const isKey = target.key.includes(column.name);
		return isKey || !column.nullable ? [{ index, column, isKey }] : [];
	});
	for (const row of incoming)
		for (const { index, column, isKey } of strict)
			if (row[index] === null)
				throw new HeadraceError(
					isKey ? "E_NULL_KEY" : "E_VALUE",
					`column ${column.name} of ${qualified(target.name)} can't be NULL`,
				);
}

function keyReader(table: WarehouseTable): (row: Row) => string {
	const indexes = table.key.map((name) => indexOf(table, name));
	return (row) => tupleText(indexes.map((index) => row[index]!));
}

function checkUnique(table: WarehouseTable, rows: readonly Row[]): void {
	if (table.key.length === 0) return;
	const key = keyReader(table);
	if (new Set(rows.map(key)).size !== rows.length)
		throw new HeadraceError(
			"E_DUPLICATE_KEY",
			`the key of ${qualified(table.name)} is not unique in the rows that came`,
		);
}

function deletedFlag(table: WarehouseTable, column: string | undefined): (row: Row) => boolean {
	const flag = column === undefined ? null : indexOf(table, column);
	return (row) => flag !== null && row[flag] !== null && row[flag] !== "false" && row[flag] !== "0";
}

function merge(
	table: WarehouseTable,
	{ target, orderColumn, deletedColumn, onConflict }: WholeRequest,
	incoming: readonly Row[],
) {
	if (table.key.length === 0)
		throw new HeadraceError("E_KEY_REQUIRED", `merge into ${qualified(table.name)} needs a key`);
	const key = keyReader(table);
	const order = orderColumn === undefined ? null : indexOf(table, orderColumn);
	const newest = new Map<string, Row>();
	for (const row of incoming) {
		const known = newest.get(key(row));
		const isOlder =
			known !== undefined &&
			order !== null &&
			compareValues(table.columns[order]!.type, row[order]!, known[order]!) < 0;
		if (!isOlder) newest.set(key(row), row);
	}
	const isDeleted = deletedFlag(table, deletedColumn);
	const counts = { rowsInserted: 0, rowsUpdated: 0, rowsDeleted: 0, rowsSuperseded: incoming.length - newest.size };
	const loaded = new Set([INTERVAL_TAG_COLUMN, ...target.columns.map((column) => column.name)]);
	const isLoaded = table.columns.map((column) => loaded.has(column.name));
	const rows: Row[] = [];
	for (const row of table.rows) {
		const newer = newest.get(key(row));
		if (newer === undefined || onConflict === "ignore") rows.push(row);
		else if (isDeleted(newer)) counts.rowsDeleted++;
		else {
			// A column that the load doesn't have keeps its value.
			rows.push(newer.map((value, i) => (isLoaded[i] ? value : row[i]!)));
			counts.rowsUpdated++;
		}
		newest.delete(key(row));
	}
	for (const row of newest.values())
		if (!isDeleted(row)) {
			rows.push(row);
			counts.rowsInserted++;
		}
	return { rows, counts };
}

/** Rows that an earlier load of the interval did not bring and that do not lie in it. */
function withoutInterval(table: WarehouseTable, interval: LoadInterval): readonly Row[] {
	if (interval.column === undefined) {
		const tag = indexOf(table, INTERVAL_TAG_COLUMN);
		return table.rows.filter((row) => row[tag] !== tagOf(interval));
	}
	const index = indexOf(table, interval.column);
	const { type } = table.columns[index]!;
	const [start, end] = [orderKey(type, interval.start), orderKey(type, interval.end)];
	return table.rows.filter((row) => {
		if (row[index] === null) return true;
		const key = orderKey(type, row[index]!);
		return key < start || key >= end;
	});
}

/** The old rows but for those of the overlap that an incoming row replaces, each one: equal but in columns that are new. */
function withoutReplaced(table: WarehouseTable, overlap: LoadOverlap, incoming: readonly Row[]): readonly Row[] {
	const index = indexOf(table, overlap.column);
	const { type } = table.columns[index]!;
	const from = overlap.from === null ? null : orderKey(type, overlap.from);
	const compared = table.columns.map((column) => overlap.added?.includes(column.name) !== true);
	const text = (row: Row) => tupleText(row.filter((_value, i) => compared[i]));
	const counts = new Map<string, number>();
	for (const row of incoming) counts.set(text(row), (counts.get(text(row)) ?? 0) + 1);
	return table.rows.filter((row) => {
		const isIn = from === null || (row[index] !== null && orderKey(type, row[index]!) >= from);
		const count = counts.get(text(row)) ?? 0;
		if (!isIn || count === 0) return true;
		counts.set(text(row), count - 1);
		return false;
	});
}

/** A multiset difference: each row of the overlap keeps one equal row from being added again. */
function withoutOverlap(table: WarehouseTable, overlap: LoadOverlap, incoming: readonly Row[]): readonly Row[] {
	const index = indexOf(table, overlap.column);
	const { type } = table.columns[index]!;
	const from = overlap.from === null ? null : orderKey(type, overlap.from);
	const counts = new Map<string, number>();
	for (const row of table.rows)
		if (from === null || (row[index] !== null && orderKey(type, row[index]!) >= from))
			counts.set(tupleText(row), (counts.get(tupleText(row)) ?? 0) + 1);
	return incoming.filter((row) => {
		const count = counts.get(tupleText(row)) ?? 0;
		if (count > 0) counts.set(tupleText(row), count - 1);
		return count === 0;
	});
}
