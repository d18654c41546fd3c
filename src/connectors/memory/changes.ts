import { changeColumns } from "../../core/change-columns.ts";
import { typeName } from "../../core/column-type.ts";
import {
	type ApplyRequest,
	type ApplyResult,
	CHANGE_ABSENT_COLUMN,
	CHANGE_BASE_COLUMN,
	CHANGE_DELETED_COLUMN,
	type ChangesPart,
	DELETED_AT_COLUMN,
	HISTORY_COLUMNS,
	type LoadRequest,
	type LoadResult,
} from "../../core/destination.ts";
import { HeadraceError } from "../../core/errors.ts";
import { qualified } from "../../core/table.ts";
import { type Applied, applyLoad } from "./apply.ts";
import { tableId } from "./database.ts";
import { checkPosition, rowsOf } from "./incoming.ts";
import { canonicalValue, type Row, tupleText, type Value } from "./values.ts";
import type { MemoryWarehouse, WarehouseState, WarehouseTable } from "./warehouse.ts";

/** What changes do to a warehouse, before anything of it is visible. */
export interface ChangedTables extends ApplyResult {
	readonly before: WarehouseState;
	readonly tables: WarehouseState["tables"];
}

/**
 * All rows are read before anything is looked at.
 * @throws E_FENCED, E_BASE_MISSING, E_KEY_REQUIRED, E_NULL_KEY, E_SCHEMA, E_VALUE
 */
export async function changedTables(warehouse: MemoryWarehouse, request: ApplyRequest): Promise<ChangedTables> {
	checkPosition(warehouse, request);
	const incoming: Row[][] = [];
	for (const part of request.parts) {
		const target = { ...part.target, columns: changeColumns(part, typeName) };
		const { input } = part;
		incoming.push(await rowsOf({ target, input, ...(request.signal === undefined ? {} : { signal: request.signal }) }));
	}
	checkPosition(warehouse, request);
	const before = warehouse.state;
	const tables = new Map(before.tables);
	const parts = request.parts.map((part, index): LoadResult => {
		const id = tableId(part.target.name);
		const { table, result } = new Part(request, part).applyTo(tables.get(id), incoming[index]!);
		tables.set(id, table);
		return result;
	});
	return { before, tables, parts };
}

/** A row of a part with what it says beside its values. */
interface Change {
	/** In the order of the target's columns. */
	readonly values: Value[];
	readonly key: string;
	readonly isDelete: boolean;
	/** Of CHANGE_ABSENT_COLUMN. */
	readonly mask: string | null;
	readonly base: string;
}

class Part {
	readonly #request: ApplyRequest;
	readonly #part: ChangesPart;

	constructor(request: ApplyRequest, part: ChangesPart) {
		this.#request = request;
		this.#part = part;
	}

	applyTo(old: WarehouseTable | undefined, rows: readonly Row[]): Applied {
		const { target, write, truncatedAt } = this.#part;
		const name = qualified(target.name);
		if (write !== "append" && target.key.length === 0)
			throw new HeadraceError("E_KEY_REQUIRED", `${write} into ${name} needs a key`);
		const changes = this.#changesOf(rows);
		const { table } = this.#load(old, "append", []);
		const place = new Map(table.columns.map((column, index) => [column.name, index]));
		const keyOf = (row: Row) => tupleText(target.key.map((column) => row[place.get(column)!]!));
		if (write === "append") {
			if (changes.some((change) => change.mask !== null)) throw this.#baseMissing();
			return this.#load(
				table,
				"append",
				changes.map((change) => change.values),
			);
		}

		const validTo = place.get(HISTORY_COLUMNS.validTo);
		const at = truncatedAt === undefined ? null : canonicalValue({ kind: "timestamptz" }, truncatedAt);
		const truncated =
			at === null ? table : truncate(table, write === "merge" ? place.get(DELETED_AT_COLUMN) : validTo, at);
		const kept = write === "merge" ? [...new Map(changes.map((change) => [change.key, change])).values()] : changes;
		const bases = new Map(
			truncated.rows.filter((row) => write === "merge" || row[validTo!] === null).map((row) => [keyOf(row), row]),
		);
		const whole = kept.filter((change) => this.#fill(change, bases.get(change.base), place));
		const counts = { rowsReceived: rows.length, rowsSuperseded: rows.length - whole.length };
		if (write === "history") {
			const { rows: versions, ended } = this.#versions(truncated, whole, validTo!, keyOf);
			const rowsUpdated = at === null ? ended : table.rows.filter((row) => row[validTo!] === null).length;
			return {
				table: { ...truncated, rows: versions },
				result: { ...counts, rowsUpdated, rowsInserted: versions.length - table.rows.length, rowsDeleted: 0 },
			};
		}
		const gone = new Set(whole.flatMap((change) => (change.isDelete ? [change.key] : [])));
		const left = truncated.rows.filter((row) => !gone.has(keyOf(row)));
		const upserts = whole.filter((change) => !change.isDelete).map((change) => change.values);
		const applied = this.#load({ ...truncated, rows: left }, "merge", upserts);
		const rowsDeleted = table.rows.length - left.length;
		return { ...applied, result: { ...applied.result, ...counts, rowsDeleted } };
	}

	#changesOf(rows: readonly Row[]): Change[] {
		const { target, write } = this.#part;
		const names = changeColumns(this.#part, typeName).map((column) => column.name);
		const value = (row: Row, name: string): Value => row[names.indexOf(name)] ?? null;
		return rows.map((row) => {
			const key = target.key.map((name) => value(row, name));
			if (write !== "append" && key.includes(null))
				throw new HeadraceError("E_NULL_KEY", `a change of ${qualified(target.name)} has NULL in its key`);
			return {
				values: target.columns.map((column) => value(row, column.name)),
				key: tupleText(key),
				isDelete:
					write === "merge"
						? value(row, CHANGE_DELETED_COLUMN) === "true"
						: write === "history" && value(row, HISTORY_COLUMNS.operation) === "delete",
				mask: value(row, CHANGE_ABSENT_COLUMN),
				base: tupleText(target.key.map((_name, index) => value(row, `${CHANGE_BASE_COLUMN}${index}`))),
			};
		});
	}

	/** Takes from the base what the change does not tell; false when it is to be left out. */
	#fill({ values, isDelete, mask }: Change, base: Row | undefined, place: ReadonlyMap<string, number>): boolean {
		if (isDelete || mask === null) return true;
		if (base === undefined) {
			if (this.#part.overlaps === true) return false;
			throw this.#baseMissing();
		}
		for (const [index, { name }] of this.#part.target.columns.entries())
			if (mask[index] === "1") values[index] = base[place.get(name)!]!;
		return true;
	}

	/** The versions after the changes, and how many of those that were there got an end. */
	#versions(table: WarehouseTable, changes: readonly Change[], validTo: number, keyOf: (row: Row) => string) {
		const { target } = this.#part;
		const from = target.columns.findIndex((column) => column.name === HISTORY_COLUMNS.validFrom);
		const to = target.columns.findIndex((column) => column.name === HISTORY_COLUMNS.validTo);
		const first = new Map<string, Value>();
		const next = new Map<string, Value>();
		const ends = changes.map(() => null as Value);
		for (const [index, change] of [...changes.entries()].reverse()) {
			ends[index] = next.get(change.key) ?? null;
			next.set(change.key, change.values[from]!);
			first.set(change.key, change.values[from]!);
		}
		let ended = 0;
		const rows = table.rows.map((row) => {
			const end = row[validTo] === null ? first.get(keyOf(row)) : undefined;
			if (end === undefined) return row;
			ended++;
			return row.with(validTo, end);
		});
		const fresh = changes.flatMap(({ values, isDelete }, index) => (isDelete ? [] : [values.with(to, ends[index]!)]));
		return { rows: this.#load({ ...table, rows }, "append", fresh).table.rows, ended };
	}

	#load(table: WarehouseTable | undefined, write: "merge" | "append", rows: readonly Row[]): Applied {
		const { target } = this.#part;
		const request: Omit<LoadRequest, "input"> = { ...this.#request, target, write };
		return applyLoad(table, request, rows);
	}

	#baseMissing(): HeadraceError {
		const table = qualified(this.#part.target.name);
		return new HeadraceError(
			"E_BASE_MISSING",
			`a change of ${table} does not tell all its columns, and the table does not have the row that has the others`,
			{ table },
		);
	}
}

/** The table after all its rows went. `end`: the column that says when a row ended; without one the rows go. */
function truncate(table: WarehouseTable, end: number | undefined, at: Value): WarehouseTable {
	if (end === undefined) return { ...table, rows: [] };
	return { ...table, rows: table.rows.map((row) => (row[end] === null ? row.with(end, at) : row)) };
}
