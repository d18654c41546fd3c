import type { PositionRow } from "../../core/destination.ts";
import { HeadraceError } from "../../core/errors.ts";
import type { RecordedSchema } from "../../core/schema.ts";
import type { TableName } from "../../core/table.ts";
import { type MemoryColumn, tableId } from "./database.ts";
import type { Row, Value } from "./values.ts";

/** One committed version of a destination's table. */
export interface WarehouseTable {
	readonly name: TableName;
	readonly columns: readonly MemoryColumn[];
	readonly key: readonly string[];
	readonly rows: readonly Row[];
}

/** A row of `_headrace.loads`. */
export interface LoadRow {
	readonly loadId: string;
	readonly pipeline: string;
	readonly table: TableName;
	readonly fromPosition: string | null;
	readonly toPosition: string;
	readonly rowsInserted: number;
	readonly rowsUpdated: number;
	readonly rowsDeleted: number;
	readonly committedAt: string;
}

/** Everything a warehouse holds at one moment. */
export interface WarehouseState {
	/** By `tableId`. */
	readonly tables: ReadonlyMap<string, WarehouseTable>;
	/** By pipeline and stream, see `streamId`. */
	readonly positions: ReadonlyMap<string, PositionRow>;
	readonly loads: ReadonlyMap<string, LoadRow>;
	/** The last recorded columns, by pipeline and stream. */
	readonly schemas: ReadonlyMap<string, RecordedSchema>;
	/** Loads that are brought in parts, by `streamId`. */
	readonly unfinished: ReadonlyMap<string, Unfinished>;
}

export interface Unfinished {
	readonly pipeline: string;
	readonly seq: number;
	readonly plan: string;
	readonly begunAt: number;
	readonly parts: ReadonlyMap<number, { readonly rows: readonly Row[]; readonly record: string }>;
}

export function streamId(pipeline: string, stream: string): string {
	return JSON.stringify([pipeline, stream]);
}

/** What destinations in memory write to. It outlives them, as a server outlives its clients. */
export class MemoryWarehouse {
	#state: WarehouseState = {
		tables: new Map(),
		positions: new Map(),
		loads: new Map(),
		unfinished: new Map(),
		schemas: new Map(),
	};

	/** The committed state; it never changes, so whoever holds it holds a cut. */
	get state(): WarehouseState {
		return this.#state;
	}

	/**
	 * Makes a new state visible at once, if nothing was committed since `before`.
	 * @throws E_CONFLICT when something was
	 */
	commit(before: WarehouseState, after: WarehouseState): void {
		if (before !== this.#state)
			throw new HeadraceError(
				"E_CONFLICT",
				"another transaction was committed between this one's reads and its writes",
			);
		this.#state = after;
	}

	/** The committed rows of a table as objects of canonical text; null when there is no such table. */
	rows(name: TableName): Record<string, Value>[] | null {
		const table = this.#state.tables.get(tableId(name));
		if (table === undefined) return null;
		return table.rows.map((row) => Object.fromEntries(table.columns.map((column, i) => [column.name, row[i]!])));
	}
}
