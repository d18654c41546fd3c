import { timestampText } from "../../core/calendar.ts";
import type { ColumnType } from "../../core/column-type.ts";
import { HeadraceError } from "../../core/errors.ts";
import { qualified, type TableName } from "../../core/table.ts";
import { type LoggedChange, MemoryLog, type RowChange, type TableShape } from "./log.ts";
import { changedRows, deletion, insertion, type Statement, truncation, updating } from "./transaction.ts";
import { canonicalValue, type Row, type RowInput } from "./values.ts";

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

/** Rows that were written and are not visible yet. */
export interface MemoryTransaction {
	/** Microseconds since 1970 at its beginning. */
	readonly startedAt: bigint;
	readonly id: bigint;
	insert(table: TableName, ...rows: readonly RowInput[]): void;
	/** Changes every row whose columns equal those of `where`, as it is when the transaction commits. */
	update(table: TableName, where: RowInput, changes: RowInput): void;
	delete(table: TableName, where: RowInput): void;
	/** All rows go. */
	truncate(table: TableName): void;
	/**
	 * Writes it to the log, at whose end it then is: it can't be rolled back any more, and is not visible before
	 * `commit`. In between others may be logged and become visible; the rows that it changed are locked.
	 */
	log(): void;
	/** Makes all of it visible at once, having written it to the log if that was not done. */
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
	/** Everything in the log up to here is in the cut; more may be, unless it is a cut of the log. */
	readonly logPlace: number;
}

/** A transaction between its log and its visibility. */
interface InFlight {
	readonly number: number;
	readonly changed: readonly { readonly id: string; readonly changes: readonly RowChange[] }[];
}

/**
 * A database in memory with committed versions and open transactions, as the source of tests and examples. A row gets
 * its values when it is written and is seen when its transaction commits: so late commits can be played.
 */
export class MemoryDatabase {
	readonly log = new MemoryLog();
	#tables: MemoryTables = new Map();
	/** With everything that is in the log: the visible tables but for what is in flight. */
	#logged: MemoryTables = this.#tables;
	readonly #inFlight = new Set<InFlight>();
	readonly #dropped = new Map<string, TableShape>();
	#open = new Set<{ readonly startedAt: bigint; readonly id: bigint }>();
	#nextId = 1n;
	#lastTick = 0n;
	readonly #noted: MemoryTable[] = [];
	readonly #clock: () => bigint;
	readonly #stamps: "commit" | "begin";

	/**
	 * `clock` gives microseconds since 1970; without it the machine's clock is taken. `stamps`: the time that the log tells
	 * of a transaction; with `begin` times go back in the log, as in MariaDB's, which tells when a statement began.
	 */
	constructor(
		clock: () => bigint = () => BigInt(Date.now()) * 1000n,
		{ stamps = "commit" }: { readonly stamps?: "commit" | "begin" } = {},
	) {
		this.#clock = clock;
		this.#stamps = stamps;
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
		const id = tableId(name);
		if (this.#tables.has(id)) throw new HeadraceError("E_NAME_COLLISION", `table ${qualified(name)} exists already`);
		const table: MemoryTable = { name, columns: [...columns], primaryKey: [...primaryKey], rows: [] };
		this.#setBoth(id, table);
		const before = this.#dropped.get(id);
		this.#dropped.delete(id);
		if (before !== undefined) this.#logSchema(before, table, true, "create");
	}

	dropTable(name: TableName): void {
		const id = tableId(name);
		const table = this.#tables.get(id);
		if (table === undefined) return;
		this.#setBoth(id, null);
		this.#dropped.set(id, shapeOf(table));
		this.#logSchema(table, null, false, "drop");
	}

	/** Gives the table another list of columns: values are kept by name, new columns get `defaults` or NULL. */
	alterTable(name: TableName, columns: readonly MemoryColumn[], defaults: RowInput = {}): void {
		const table = this.table(name);
		const indexes = columns.map((column) => table.columns.findIndex((c) => c.name === column.name));
		const filling = columns.map((column) => canonicalValue(column.type, defaults[column.name]));
		const rows = table.rows.map((row) => indexes.map((from, to) => (from < 0 ? filling[to]! : row[from]!)));
		const after = { ...table, columns: [...columns], rows };
		this.#setBoth(tableId(name), after);
		this.#logSchema(table, after, Object.keys(defaults).length > 0, "alter");
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
		return { ...this.#moment(), tables: this.#tables, logPlace: this.visibleUpTo };
	}

	/** Everything that is in the log, and nothing else: also what others do not see yet. */
	logCut(): MemoryCut {
		return { ...this.#moment(), tables: this.#logged, logPlace: this.log.end };
	}

	#moment() {
		return { clock: this.tick(), open: [...this.#open], nextId: this.#nextId };
	}

	/** Everything in the log up to here is visible. */
	get visibleUpTo(): number {
		let place = this.log.end;
		for (const { number } of this.#inFlight) place = Math.min(place, number - 1);
		return place;
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
		const statements: Statement[] = [];
		let logged: InFlight | null = null;
		const end = (): void => {
			if (!this.#open.delete(handle)) throw new HeadraceError("E_INTERNAL", "the transaction has ended already");
		};
		const log = (): InFlight => {
			if (!this.#open.has(handle) || logged !== null)
				throw new HeadraceError("E_INTERNAL", "the transaction is in the log already");
			logged = this.#writeLog(handle, statements);
			return logged;
		};
		return {
			...handle,
			insert: (name, ...rows) => {
				statements.push(insertion(this.table(name), rows));
			},
			update: (name, where, assignments) => {
				statements.push(updating(this.table(name), where, assignments));
			},
			delete: (name, where) => {
				statements.push(deletion(this.table(name), where));
			},
			truncate: (name) => {
				statements.push(truncation(this.table(name)));
			},
			log: () => {
				log();
			},
			commit: () => {
				let written = logged;
				try {
					written ??= log();
				} finally {
					end();
				}
				this.#show(written);
			},
			rollback: () => {
				if (logged !== null) throw new HeadraceError("E_INTERNAL", "what is in the log can't be rolled back");
				end();
			},
		};
	}

	/** All statements in one entry of the log, or none of them. @throws E_INTERNAL when a row is locked */
	#writeLog(
		{ id, startedAt }: Pick<MemoryTransaction, "id" | "startedAt">,
		statements: readonly Statement[],
	): InFlight {
		const tables = new Map(this.#logged);
		const changed: { readonly id: string; readonly changes: readonly RowChange[] }[] = [];
		const entry: LoggedChange[] = [];
		for (const statement of statements) {
			const table = tables.get(tableId(statement.name));
			if (table === undefined)
				throw new HeadraceError("E_UNKNOWN_TABLE", `there is no table ${qualified(statement.name)}`);
			const changes = statement.changes(table);
			const of = tableId(table.name);
			this.#checkLocks(of, changes, statement.truncates);
			tables.set(of, { ...table, rows: changedRows(table.rows, changes) });
			changed.push({ id: of, changes });
			const shape = shapeOf(table);
			if (statement.truncates) entry.push({ kind: "truncate", table: shape });
			else for (const change of changes) entry.push({ kind: "row", table: shape, change });
		}
		this.#logged = tables;
		const committedAt = this.#stamps === "begin" ? startedAt : this.tick();
		const written = { number: this.log.append({ committedAt, id, changes: entry }), changed };
		this.#inFlight.add(written);
		return written;
	}

	/** Rows that a transaction in flight has changed are its own until it is visible. */
	#checkLocks(id: string, changes: readonly RowChange[], whole: boolean): void {
		const others = [...this.#inFlight].flatMap(({ changed }) => changed.filter((change) => change.id === id));
		if (others.length === 0) return;
		const locked = new Set(others.flatMap((other) => other.changes.map(({ after }) => after)));
		if (whole || changes.some(({ before }) => before !== null && locked.has(before)))
			throw new HeadraceError("E_INTERNAL", "a row is locked by a transaction that is logged and not visible yet");
	}

	#show(written: InFlight): void {
		this.#inFlight.delete(written);
		if (this.#inFlight.size === 0) {
			this.#tables = this.#logged;
			return;
		}
		const tables = new Map(this.#tables);
		for (const { id, changes } of written.changed) {
			const table = tables.get(id);
			if (table !== undefined) tables.set(id, { ...table, rows: changedRows(table.rows, changes) });
		}
		this.#tables = tables;
	}

	/** For statements that change a table as a whole. @throws E_INTERNAL when a transaction in flight has changed it */
	#setBoth(id: string, table: MemoryTable | null): void {
		this.#checkLocks(id, [], true);
		const change = (tables: MemoryTables): MemoryTables => {
			const changed = new Map(tables);
			if (table === null) changed.delete(id);
			else changed.set(id, table);
			return changed;
		};
		const same = this.#tables === this.#logged;
		this.#tables = change(this.#tables);
		this.#logged = same ? this.#tables : change(this.#logged);
	}

	#logSchema(before: TableShape, after: TableShape | null, rereads: boolean, statement: string): void {
		const change: LoggedChange = {
			kind: "schema",
			table: shapeOf(before),
			after: after === null ? null : shapeOf(after),
			rereads,
			statement,
		};
		this.log.append({ committedAt: this.tick(), id: null, changes: [change] });
	}
}

function shapeOf({ name, columns, primaryKey }: TableShape): TableShape {
	return { name, columns, primaryKey };
}
