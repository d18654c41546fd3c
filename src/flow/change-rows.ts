import {
	ARCHIVE_COLUMNS,
	Batch,
	CHANGE_ABSENT_COLUMN,
	CHANGE_BASE_COLUMN,
	CHANGE_DELETED_COLUMN,
	CHANGED_AT_COLUMN,
	type ChangedRows,
	ChangeOperation,
	Column,
	DELETED_AT_COLUMN,
	type Field,
	HeadraceError,
	HISTORY_COLUMNS,
	isTold,
	qualified,
} from "../core/index.ts";
import { defaultColumn } from "./default-column.ts";
import { type ExtractCounter, rowsToLand } from "./extract.ts";
import { canFold, foldKeys } from "./fold-keys.ts";
import { type Base, resolveAbsent, tellsPart } from "./partial-rows.ts";
import type { TableTask } from "./task.ts";

/** What a set of transactions says of its own. */
export interface ChangeTimes {
	/** Microseconds since 1970, by the index of a transaction. */
	readonly committedAt: (transaction: number) => bigint;
	/** A transaction's position as people write it. */
	readonly position: (transaction: number) => string;
	/** Grows with every transaction that is applied, from one flush to the next too. */
	readonly number: (transaction: number) => bigint;
}

/** Changes of one table between two boundaries, in the order of the log. */
export interface ChangedTable {
	readonly task: TableTask;
	readonly rows: readonly ChangedRows[];
	/** Whether a transaction's changes are left out: the table has them already. */
	readonly isPassed: (transaction: number) => boolean;
	/** Whether a transaction's changes may be in the table already, and later ones too. */
	readonly isOverlap: (transaction: number) => boolean;
	readonly times: ChangeTimes;
	/** The place of the next change in its transaction, among those of the table. */
	readonly next: { transaction: number; place: number };
}

const OPERATIONS = {
	[ChangeOperation.insert]: "insert",
	[ChangeOperation.update]: "update",
	[ChangeOperation.delete]: "delete",
	// Of a key that a row no longer has.
	[ChangeOperation.before]: "delete",
	[ChangeOperation.snapshot]: "snapshot",
} as const;

/** How an archive calls a row before an update, and that all rows of a table went. */
const BEFORE = "before";
const TRUNCATE = "truncate";

/** Rows of a log as a destination takes them: see ChangesPart.input. */
export class ChangeRows {
	readonly fields: readonly Field[];
	/** Some rows don't tell all their columns. */
	readonly partial: boolean;
	/** See ChangesPart. */
	readonly isFolded: boolean;
	/** Rows that the destination does not get, because a later one of their key comes; known once all were taken. */
	superseded = 0;
	readonly #table: ChangedTable;
	readonly #kept: readonly Uint32Array[];
	readonly #bases: readonly (readonly (Base | null)[])[] | null;
	readonly counter: ExtractCounter;

	/** `partial`: the destination is told to look for rows that don't tell all, whether there are some or not. */
	constructor(table: ChangedTable, counter: ExtractCounter, { partial = false } = {}) {
		this.#table = table;
		this.counter = counter;
		const { task, rows } = table;
		this.#kept = rows.map((event) => keptRows(table, event));
		if (task.write === "append" && task.beforeImages !== true) refusePartial(task, rows, this.#kept);
		const bases = task.write === "append" ? null : resolveAbsent(task, rows, this.#kept);
		if (bases !== null) refuseMoved(table, bases);
		this.#bases = bases ?? (partial ? rows.map(() => []) : null);
		this.partial = this.#bases !== null;
		this.isFolded = !this.partial && foldsRows(task);
		this.fields = changeFields(task, this.partial);
	}

	/** Rows that count, those that are superseded among them. */
	get rowCount(): number {
		return this.#kept.reduce((sum, rows) => sum + rows.length, 0);
	}

	/** Each batch is released by whoever takes it. Once only. */
	async *batches(): AsyncGenerator<Batch, void, undefined> {
		const { rows, task } = this.#table;
		const land = rowsToLand(task, this.counter);
		const landed: Batch[] = [];
		// A row's base may lie in any batch before it, and a key's last row in any behind.
		const holds = this.#bases !== null || this.isFolded;
		try {
			for (const [index, event] of rows.entries()) {
				if (this.#kept[index]!.length === 0) {
					event.batch.release();
					continue;
				}
				const batch = land(project(task, event));
				this.counter.add(batch);
				if (holds) landed[index] = batch;
				else yield this.#given(index, this.#kept[index]!, batch, batch);
			}
			const kept = this.isFolded ? this.#fold(landed) : this.#kept;
			for (const [index, batch] of landed.entries()) {
				if (batch === undefined) continue;
				if (this.#bases !== null) {
					yield this.#given(index, kept[index]!, batch, new Batch([], null), landed);
					continue;
				}
				delete landed[index];
				if (kept[index]!.length === 0) batch.release();
				else yield this.#given(index, kept[index]!, batch, batch);
			}
		} finally {
			for (const batch of landed) batch?.release();
		}
	}

	#fold(landed: readonly (Batch | undefined)[]): readonly Uint32Array[] {
		const { columns, key } = this.#table.task.target;
		const places = key.map((name) => columns.findIndex((column) => column.name === name));
		const kept = foldKeys(landed, this.#kept, places);
		this.superseded = this.rowCount - kept.reduce((sum, rows) => sum + rows.length, 0);
		return kept;
	}

	/** `held` is released with what is given. */
	#given(
		index: number,
		kept: Uint32Array,
		{ columns, rowCount }: Batch,
		held: Batch,
		landed: readonly Batch[] = [],
	): Batch {
		const event = this.#table.rows[index]!;
		const { task } = this.#table;
		const own = columns.filter(
			(_, place) => !(task.write === "history" && task.target.columns[place]!.name === HISTORY_COLUMNS.validTo),
		);
		const capacity = capacityOf(columns[0]!);
		const added = this.fields
			.slice(own.length)
			.map((field) => new Column(field.name, field.type, Math.ceil(capacity / 64) * 64));
		const named = new Map(this.fields.map(({ name }, place) => [name, own[place] ?? added[place - own.length]!]));
		if (task.write === "merge") this.#flag(event, kept, named);
		for (const row of task.write === "merge" && this.#bases === null ? [] : kept) {
			if (task.write !== "merge") this.#describe(event, row, named);
			if (this.#bases !== null) this.#tellAbsent(this.#bases[index]![row] ?? null, row, named, landed);
		}
		const whole = new ChangeBatch([...own, ...added], held);
		whole.rowCount = rowCount;
		return kept.length === rowCount ? whole : selected(whole, kept, this.fields);
	}

	/** What `merge` is told of the rows. */
	#flag({ operations, transactions }: ChangedRows, kept: Uint32Array, named: ReadonlyMap<string, Column>): void {
		const { task, times } = this.#table;
		const isSoft = task.deletes === "soft";
		const flags = named.get(CHANGE_DELETED_COLUMN)!.u8;
		for (let index = 0; index < kept.length; index++) {
			const row = kept[index]!;
			const operation = operations[row];
			const isDelete = operation === ChangeOperation.delete;
			flags[row] = (isDelete && !isSoft) || operation === ChangeOperation.before ? 1 : 0;
			if (isDelete && isSoft) setTime(named.get(DELETED_AT_COLUMN)!, row, times.committedAt(transactions[row]!));
		}
	}

	/** What a version, or an appended change, is told with. */
	#describe(event: ChangedRows, row: number, named: ReadonlyMap<string, Column>): void {
		const { task, times } = this.#table;
		const { operations, transactions } = event;
		const operation = operations[row] as ChangeOperation;
		const transaction = transactions[row]!;
		const { next } = this.#table;
		if (transaction !== next.transaction) next.place = 0;
		next.transaction = transaction;
		const at = task.write === "history" ? HISTORY_COLUMNS.validFrom : CHANGED_AT_COLUMN;
		setTime(named.get(at)!, row, times.committedAt(transaction));
		const isImage = task.beforeImages === true && operation === ChangeOperation.before;
		setText(named.get(HISTORY_COLUMNS.operation)!, row, isImage ? BEFORE : OPERATIONS[operation]);
		// A reading has one place for all of its rows.
		const place = operation === ChangeOperation.snapshot ? "" : `/${next.place++}`;
		setText(named.get(HISTORY_COLUMNS.position)!, row, times.position(transaction) + place);
		if (task.beforeImages === true) this.#archive(event, row, named);
	}

	#archive(event: ChangedRows, row: number, named: ReadonlyMap<string, Column>): void {
		const { task, times } = this.#table;
		const number = named.get(ARCHIVE_COLUMNS.transaction)!;
		number.unsetNull(row);
		number.i64[row] = times.number(event.transactions[row]!);
		const untold = named.get(ARCHIVE_COLUMNS.untold)!;
		const names = event.absent === undefined ? [] : untoldColumns(task, event, row);
		if (names.length > 0) setText(untold, row, JSON.stringify(names));
		else if (!untold.isNull(row)) untold.setNull(row);
	}

	#tellAbsent(base: Base | null, row: number, named: ReadonlyMap<string, Column>, landed: readonly Batch[]): void {
		const { columns, key } = this.#table.task.target;
		const absent = named.get(CHANGE_ABSENT_COLUMN)!;
		if (base === null) absent.setNull(row);
		else setText(absent, row, columns.map((_, place) => (base.absent.has(place) ? "1" : "0")).join(""));
		for (const [index, name] of key.entries()) {
			const column = named.get(`${CHANGE_BASE_COLUMN}${index}`)!;
			const place = columns.findIndex((candidate) => candidate.name === name);
			if (base === null) column.setNull(row);
			else column.copyValue(row, landed[base.batch]!.columns[place]!, base.row);
		}
	}
}

/** That all rows of an archived table went, as a row of their own. */
export function truncationRow(of: Omit<ChangedTable, "rows">, transaction: number): Batch {
	const { task, times } = of;
	const columns = changeFields(task, false).map(({ name, type }) => {
		const column = new Column(name, type, 64);
		column.setNull(0);
		return column;
	});
	const named = new Map(columns.map((column) => [column.name, column]));
	setTime(named.get(CHANGED_AT_COLUMN)!, 0, times.committedAt(transaction));
	setText(named.get(HISTORY_COLUMNS.operation)!, 0, TRUNCATE);
	setText(named.get(HISTORY_COLUMNS.position)!, 0, times.position(transaction));
	const number = named.get(ARCHIVE_COLUMNS.transaction)!;
	number.unsetNull(0);
	number.i64[0] = times.number(transaction);
	const batch = new Batch(columns, null);
	batch.rowCount = 1;
	return batch;
}

/** Columns that a row does not tell, by their names in the target. */
function untoldColumns({ columns, target }: TableTask, event: ChangedRows, row: number): string[] {
	return columns.flatMap(({ name }, place) => {
		const found = event.batch.columns.findIndex((column) => column.name === name);
		const landed = target.columns[place]!.name;
		return found < 0 || isTold(event, found, row) ? [] : [landed];
	});
}

/** Rows that are kept as they come have no row before them to complete them from. Of a delete, the key is enough. */
function refusePartial(task: TableTask, rows: readonly ChangedRows[], kept: readonly Uint32Array[]): void {
	for (const [index, event] of rows.entries())
		if (tellsPart(task, event, kept[index]!, (row) => event.operations[row] !== ChangeOperation.delete))
			throw new HeadraceError(
				"E_BASE_MISSING",
				`${task.stream}: the log tells only some columns of an updated row, and write append has nothing to complete it from`,
				{ table: task.stream, hint: "Use write merge or history, or make the log tell whole rows." },
			);
}

/** Rows that the destination gets, in their order. */
function keptRows({ task, isPassed }: ChangedTable, { batch, operations, transactions }: ChangedRows): Uint32Array {
	const kept = new Uint32Array(batch.rowCount);
	let length = 0;
	for (let row = 0; row < batch.rowCount; row++) {
		if (isPassed(transactions[row]!)) continue;
		if (task.beforeImages === true) {
			kept[length++] = row;
			continue;
		}
		if (task.write === "append" && operations[row] === ChangeOperation.before) continue;
		if (task.deletes === "ignore" && operations[row] === ChangeOperation.delete) continue;
		kept[length++] = row;
	}
	return kept.subarray(0, length);
}

/**
 * Where the table may be newer than the log, it may have another row under a key that a row had before: what the row
 * does not tell can't be taken from there. Found by the model of test/simulation/hand-over.
 */
function refuseMoved({ task, rows, isOverlap }: ChangedTable, bases: readonly (readonly (Base | null)[])[]): void {
	for (const [index, { transactions }] of rows.entries())
		for (const [row, base] of bases[index]!.entries()) {
			if (base?.isMoved !== true || !isOverlap(transactions[row]!)) continue;
			const table = qualified(task.table.name);
			throw new HeadraceError(
				"E_BASE_MISSING",
				`${table}: while it was read, the key of a row changed, and the log does not tell all columns of the row`,
				{ table },
			);
		}
}

/** Whether rows that tell all are folded by key before a destination gets them. */
export function foldsRows({ write, target }: TableTask): boolean {
	const typeOf = (name: string) => target.columns.find((column) => column.name === name)!.type;
	return write === "merge" && canFold(target.key.map(typeOf));
}

/** See ChangesPart.input. */
export function changeFields({ target, write }: TableTask, partial: boolean): Field[] {
	const own = target.columns.filter(({ name }) => !(write === "history" && name === HISTORY_COLUMNS.validTo));
	const fields: Field[] = own.map(({ name, type, nullable }) => ({ name, type, nullable }));
	if (write === "merge") fields.push({ name: CHANGE_DELETED_COLUMN, type: { kind: "boolean" }, nullable: false });
	if (!partial) return fields;
	fields.push({ name: CHANGE_ABSENT_COLUMN, type: { kind: "text" }, nullable: true });
	for (const [index, name] of target.key.entries()) {
		const { type } = target.columns.find((column) => column.name === name)!;
		fields.push({ name: `${CHANGE_BASE_COLUMN}${index}`, type, nullable: true });
	}
	return fields;
}

/**
 * The columns that are read, by their names. Those that the log's rows do not have are NULL; where versions are kept they
 * have the default, as versions have that the table holds already.
 */
function project({ columns, write }: TableTask, { batch }: ChangedRows): Batch {
	const same =
		columns.length === batch.columns.length && columns.every(({ name }, i) => batch.columns[i]!.name === name);
	if (same) return batch;
	const capacity = capacityOf(batch.columns[0]!);
	const projected = new ChangeBatch(
		columns.map(({ name, type, defaultSql }) => {
			const found = batch.columns.find((column) => column.name === name);
			const filled = write === "history" && defaultSql !== undefined ? { name, type, defaultSql } : { name, type };
			return found ?? defaultColumn(filled, Math.ceil(capacity / 64) * 64, batch.rowCount);
		}),
		batch,
	);
	projected.rowCount = batch.rowCount;
	return projected;
}

function capacityOf(column: Column): number {
	return column.validity.length * 8;
}

/** Some rows of a batch as one of its own; the other is released. */
function selected(batch: Batch, rows: Uint32Array, fields: readonly Field[]): Batch {
	const capacity = Math.ceil(Math.max(1, rows.length) / 64) * 64;
	const columns = fields.map(({ name, type }, place) => {
		const from = batch.columns[place]!;
		const column = new Column(name, type, capacity);
		for (let row = 0; row < rows.length; row++) column.copyValue(row, from, rows[row]!);
		return column;
	});
	const own = new Batch(columns, null);
	own.rowCount = rows.length;
	batch.release();
	return own;
}

function setTime(column: Column, row: number, micros: bigint): void {
	column.unsetNull(row);
	column.i64[row] = micros;
}

function setText(column: Column, row: number, text: string): void {
	column.unsetNull(row);
	const bytes = Buffer.from(text);
	column.setBytes(row, bytes, 0, bytes.length);
}

/** Columns over another batch, which is released with it. */
class ChangeBatch extends Batch {
	readonly #of: Batch;

	constructor(columns: readonly Column[], of: Batch) {
		super(columns, null);
		this.#of = of;
	}

	override release(): void {
		this.#of.release();
	}
}
