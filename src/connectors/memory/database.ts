import { timestampText } from "../../core/calendar.ts";
import type { ColumnType } from "../../core/column-type.ts";
import { HeadraceError } from "../../core/errors.ts";
import { qualified, type TableName } from "../../core/table.ts";
import { canonicalValue, type Row, type RowInput, type Value } from "./values.ts";

export interface MemoryColumn {
	readonly name: string;
	readonly type: ColumnType;
	readonly nullable: boolean;
}

/** One committed version of a table; it never changes, so whoever holds it holds a cut. */
export interface MemoryTable {
	readonly name: TableName;
	readonly columns: readonly MemoryColumn[];
	readonly primaryKey: readonly string[];
	readonly rows: readonly Row[];
}

/** All tables of one moment, by `tableId`. */
export type MemoryTables = ReadonlyMap<string, MemoryTable>;

export function tableId(name: TableName): string {
	return JSON.stringify([name.schema, name.name]);
}

type Change = (table: MemoryTable) => readonly Row[];

/** Rows that were written and are not visible yet. */
export interface MemoryTransaction {
	/** Microseconds since 1970 at its beginning. */
	readonly startedAt: bigint;
	readonly id: bigint;
	insert(table: TableName, ...rows: readonly RowInput[]): void;
	/** Changes every row whose columns equal those of `where`, as it is when the transaction commits. */
	update(table: TableName, where: RowInput, changes: RowInput): void;
	delete(table: TableName, where: RowInput): void;
	/** Makes all of it visible at once. */
	commit(): void;
	rollback(): void;
}

/** What a snapshot of the database stands for. */
export interface MemoryCut {
	readonly tables: MemoryTables;
	/** Microseconds since 1970. */
	readonly clock: bigint;
	/** Transactions that were open: their beginnings and ids. */
	readonly open: readonly { readonly startedAt: bigint; readonly id: bigint }[];
	readonly nextId: bigint;
}

/**
 * A database in memory with committed versions and open transactions, as the source of tests and examples. A row gets
 * its values when it is written and is seen when its transaction commits: so late commits can be played.
 */
export class MemoryDatabase {
	#tables: MemoryTables = new Map();
	#open = new Set<{ readonly startedAt: bigint; readonly id: bigint }>();
	#nextId = 1n;
	#lastTick = 0n;
	readonly #noted: MemoryTable[] = [];
	readonly #clock: () => bigint;

	/** `clock` gives microseconds since 1970; without it the machine's clock is taken. */
	constructor(clock: () => bigint = () => BigInt(Date.now()) * 1000n) {
		this.#clock = clock;
	}

	/** A time that is later than all that were given before, microseconds since 1970: events never tie. */
	tick(): bigint {
		const now = this.#clock();
		this.#lastTick = now > this.#lastTick ? now : this.#lastTick + 1n;
		return this.#lastTick;
	}

	/** The time now as canonical text of a timestamp, for a row's cursor column. */
	now(): string {
		return timestampText(this.tick());
	}

	/** @throws E_NAME_COLLISION when there is one of that name */
	createTable(name: TableName, columns: readonly MemoryColumn[], primaryKey: readonly string[] = []): void {
		if (this.#tables.has(tableId(name)))
			throw new HeadraceError("E_NAME_COLLISION", `table ${qualified(name)} exists already`);
		this.#replace({ name, columns: [...columns], primaryKey: [...primaryKey], rows: [] });
	}

	dropTable(name: TableName): void {
		const tables = new Map(this.#tables);
		tables.delete(tableId(name));
		this.#tables = tables;
	}

	/** Gives the table another list of columns: values are kept by name, new columns get `defaults` or NULL. */
	alterTable(name: TableName, columns: readonly MemoryColumn[], defaults: RowInput = {}): void {
		const table = this.table(name);
		const indexes = columns.map((column) => table.columns.findIndex((c) => c.name === column.name));
		const filling = columns.map((column) => canonicalValue(column.type, defaults[column.name]));
		const rows = table.rows.map((row) => indexes.map((from, to) => (from < 0 ? filling[to]! : row[from]!)));
		this.#replace({ ...table, columns: [...columns], rows });
	}

	/** The committed version. @throws E_UNKNOWN_TABLE */
	table(name: TableName): MemoryTable {
		const table = this.#tables.get(tableId(name));
		if (table === undefined) throw new HeadraceError("E_UNKNOWN_TABLE", `there is no table ${qualified(name)}`);
		return table;
	}

	/** Keeps a version of a table, so that a later one can be compared with it; gives its number. */
	note(table: MemoryTable): number {
		const known = this.#noted.lastIndexOf(table);
		return known >= 0 ? known : this.#noted.push(table) - 1;
	}

	/** A version that was noted. */
	noted(number: number): MemoryTable | undefined {
		return this.#noted[number];
	}

	/** Everything committed and everything open, of this moment. */
	cut(): MemoryCut {
		return { tables: this.#tables, clock: this.tick(), open: [...this.#open], nextId: this.#nextId };
	}

	/** Inserts and commits. */
	insert(table: TableName, ...rows: readonly RowInput[]): void {
		const transaction = this.begin();
		transaction.insert(table, ...rows);
		transaction.commit();
	}

	/** Updates and commits. */
	update(table: TableName, where: RowInput, changes: RowInput): void {
		const transaction = this.begin();
		transaction.update(table, where, changes);
		transaction.commit();
	}

	/** Deletes and commits. */
	delete(table: TableName, where: RowInput): void {
		const transaction = this.begin();
		transaction.delete(table, where);
		transaction.commit();
	}

	begin(): MemoryTransaction {
		const handle = { startedAt: this.tick(), id: this.#nextId++ };
		this.#open.add(handle);
		const changes: { readonly name: TableName; readonly change: Change }[] = [];
		const end = (): void => {
			if (!this.#open.delete(handle)) throw new HeadraceError("E_INTERNAL", "the transaction has ended already");
		};
		return {
			...handle,
			insert: (name, ...rows) => {
				const { columns } = this.table(name);
				const written = rows.map((row) => new Map(Object.entries(namedValues(columns, row))));
				changes.push({
					name,
					change: (table) => [...table.rows, ...written.map((row) => rowOf(table, (column) => row.get(column.name)))],
				});
			},
			update: (name, where, assignments) => {
				const { columns } = this.table(name);
				const matches = matcher(columns, where);
				const values = new Map(Object.entries(namedValues(columns, assignments)));
				changes.push({
					name,
					change: (table) =>
						table.rows.map((row) => {
							if (!matches(table, row)) return row;
							return table.columns.map(({ name: column }, i) => (values.has(column) ? values.get(column)! : row[i]!));
						}),
				});
			},
			delete: (name, where) => {
				const matches = matcher(this.table(name).columns, where);
				changes.push({ name, change: (table) => table.rows.filter((row) => !matches(table, row)) });
			},
			commit: () => {
				end();
				for (const { name, change } of changes) {
					const table = this.table(name);
					this.#replace({ ...table, rows: change(table) });
				}
			},
			rollback: end,
		};
	}

	#replace(table: MemoryTable): void {
		this.#tables = new Map(this.#tables).set(tableId(table.name), table);
	}
}

/** Values by column name, each as its column's canonical text. @throws E_UNKNOWN_COLUMN, E_VALUE */
function namedValues(columns: readonly MemoryColumn[], input: RowInput): Record<string, Value> {
	const values: Record<string, Value> = Object.create(null);
	for (const name of Object.keys(input)) {
		const column = columns.find((c) => c.name === name);
		if (column === undefined) throw new HeadraceError("E_UNKNOWN_COLUMN", `there is no column ${name}`);
		values[name] = canonicalValue(column.type, input[name]);
	}
	return values;
}

function rowOf(table: MemoryTable, value: (column: MemoryColumn) => Value | undefined): Row {
	return table.columns.map((column) => {
		const given = value(column) ?? null;
		if (given === null && !column.nullable)
			throw new HeadraceError("E_VALUE", `column ${column.name} of ${qualified(table.name)} can't be NULL`);
		return given;
	});
}

function matcher(columns: readonly MemoryColumn[], where: RowInput): (table: MemoryTable, row: Row) => boolean {
	const wanted = Object.entries(namedValues(columns, where));
	return (table, row) =>
		wanted.every(([name, value]) => row[table.columns.findIndex((column) => column.name === name)] === value);
}
