import {
	type ApplyResult,
	ARCHIVE_TRANSACTIONS_MAX,
	type Batch,
	type ChangeBoundary,
	type ChangedRows,
	type ChangedSchema,
	type ChangeEvent,
	type ChangeLog,
	ChangeOperation,
	type ChangesPart,
	type ChangesPosition,
	type ChangesWrite,
	type Field,
	type FollowedTable,
	HeadraceError,
	type PositionRow,
	qualified,
	type Truncated,
	timestampText,
} from "../core/index.ts";
import { isRepeatable, refuseToLose } from "./change-context.ts";
import {
	type ChangedTable,
	ChangeRows,
	type ChangeTimes,
	changeFields,
	foldsRows,
	truncationRow,
} from "./change-rows.ts";
import { isOtherShape, type LoggedShape, noteShape, withKept } from "./change-shape.ts";
import { ChangeSpool, type Spooled } from "./change-spool.ts";
import { ExtractCounter } from "./extract.ts";
import { renamed, unbalanced } from "./outcome.ts";
import type { TableOutcome, TableTask } from "./task.ts";

/** Changes of a table, one after the other, until its rows go all at once or memory is full. */
interface Segment {
	/** The transaction that took all rows away before these came. */
	readonly truncated: number | null;
	rows: ChangedRows[];
	/** Where they are when they are no longer in memory. */
	readonly spooled: Spooled[];
}

/** What came of one table. */
interface TableDraft {
	readonly segments: Segment[];
	/** Its columns changed; what comes after is left for a plan that knows them. */
	schema: ChangedSchema | null;
	/** The first transaction with changes of the table after that. */
	firstAfter: number | null;
	/** A change of its columns was passed over. */
	isPassed: boolean;
	/** The columns of its rows, as often as they changed. */
	readonly shapes: LoggedShape[];
}

export interface Flushed {
	readonly at: string;
	/** When the last transaction was committed; null when none ever was. */
	readonly committedAt: bigint | null;
	readonly parts: readonly FlushPart[];
	/** Tables that have to be read anew. */
	readonly left: readonly string[];
	/** Those of them whose rows have other columns than they are planned with. */
	readonly otherShapes: readonly string[];
	/** Tables whose changes are applied up to an earlier position only: where, and when, each goes on. */
	readonly cut: ReadonlyMap<string, Required<Pick<FollowedTable, "from">> & Pick<FollowedTable, "since">>;
	/** The oldest of these: the log is read again from there. */
	readonly readAgainFrom: string | null;
	/** Columns of some table changed: tasks have to be planned anew. */
	readonly isChanged: boolean;
}

interface Settling {
	/** Tables that were read anew for the shape of their rows already, as they are planned now: it did not help. */
	readonly isAsRead: (name: string) => boolean;
	readonly log: Pick<ChangeLog, "compare" | "format">;
	readonly boundary: ChangeBoundary;
	/** As it was before these changes. */
	readonly position: ChangesPosition;
	/** Which commit this is of those that the destination has of the stream. */
	readonly seq: number;
	readonly tasks: ReadonlyMap<string, TableTask>;
}

/** Collects what a log tells between two boundaries: in memory, and beyond a bound on the disk. */
export class ChangeFlush implements AsyncDisposable {
	readonly #tables = new Map<string, TableDraft>();
	readonly #spool: ChangeSpool;
	readonly #bytesMax: number;
	readonly #planned: ReadonlyMap<string, TableTask>;
	#bytes = 0;

	/**
	 * `planned`: tables that were planned for what comes now already. A change of their columns tells how they were once;
	 * rows are taken by the names of their columns.
	 */
	constructor(options: {
		readonly folder: string;
		readonly bytesMax: number;
		readonly planned: ReadonlyMap<string, TableTask>;
	}) {
		this.#planned = options.planned;
		this.#spool = new ChangeSpool(options.folder);
		this.#bytesMax = options.bytesMax;
	}

	async add(event: Exclude<ChangeEvent, ChangeBoundary>): Promise<void> {
		const name = qualified((event.kind === "schema" ? event.before : event.table).name);
		const draft = this.#draftOf(name);
		const planned = this.#planned.get(name);
		if (event.kind === "schema" && planned !== undefined && event.after !== null && !readsAgain(event, planned))
			draft.isPassed = true;
		else if (event.kind === "schema") draft.schema ??= event;
		else if (draft.schema !== null) {
			draft.firstAfter ??= firstTransaction(event);
			if (event.kind === "rows") event.batch.release();
		} else if (event.kind === "truncate") draft.segments.push(segment(event.transaction));
		else {
			noteShape(draft.shapes, event);
			draft.segments.at(-1)!.rows.push(event);
			this.#bytes += event.batch.heldBytes;
			if (this.#bytes > this.#bytesMax) await this.#spoolAll();
		}
	}

	/**
	 * What comes after is applied after it: a part each time keeps the memory of the destination's side bounded too. A row as
	 * it was stays with what became of it, which takes from it what it does not tell.
	 */
	async #spoolAll(): Promise<void> {
		this.#bytes = 0;
		for (const { segments } of this.#tables.values()) {
			const last = segments.at(-1)!;
			const isWhole = last.rows.findLastIndex((rows) => !endsBefore(rows));
			const next = last.rows.slice(isWhole + 1);
			for (const { batch } of next) this.#bytes += batch.heldBytes;
			if (isWhole < 0) continue;
			for (const rows of last.rows.splice(0, isWhole + 1)) last.spooled.push(await this.#spool.write(rows));
			last.rows = [];
			segments.push({ ...segment(null), rows: next });
		}
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.#spool[Symbol.asyncDispose]();
	}

	#partsOf({ segments }: TableDraft, of: Omit<ChangedTable, "rows">, overlaps: boolean): FlushPart[] {
		const parts: FlushPart[] = [];
		for (const { truncated, rows, spooled } of segments) {
			const isArchive = of.task.beforeImages === true;
			const goes = truncated !== null && !of.isPassed(truncated) && (isArchive || of.task.deletes !== "ignore");
			const how = {
				overlaps,
				truncatedAt: goes && !isArchive ? of.times.committedAt(truncated) : null,
				truncation: goes && isArchive ? () => truncationRow(of, truncated) : null,
			};
			if (spooled.length > 0) parts.push(new FlushPart(of.task, new SpooledRows(of, this.#spool, spooled), how));
			else {
				const changed = new ChangeRows({ ...of, rows }, new ExtractCounter());
				if (goes || changed.rowCount > 0) parts.push(new FlushPart(of.task, changed, how));
				else for (const { batch } of rows) batch.release();
			}
		}
		return parts;
	}

	#draftOf(name: string): TableDraft {
		let draft = this.#tables.get(name);
		if (draft === undefined) {
			draft = { segments: [segment(null)], schema: null, firstAfter: null, isPassed: false, shapes: [] };
			this.#tables.set(name, draft);
		}
		return draft;
	}

	/** Everything is there: what it means for the tables, as they stand. */
	settle(settling: Settling): Flushed {
		const { log, boundary, position, tasks } = settling;
		const { raised, last } = raisedTimes(boundary, position);
		const firstNumber = BigInt(settling.seq) * ARCHIVE_TRANSACTIONS_MAX;
		const parts: FlushPart[] = [];
		const left: string[] = [];
		const otherShapes: string[] = [];
		const cut = new Map<string, Required<Pick<FollowedTable, "from">> & Pick<FollowedTable, "since">>();
		let isChanged = false;
		for (const [name, draft] of this.#tables) {
			const task = tasks.get(name);
			const entry = position.tables[name];
			const isFollowed = task !== undefined && entry !== undefined && entry.state === undefined;
			const place = (transaction: number) =>
				transaction < 0 ? position.at : boundary.transactions[transaction]!.position;
			if (!isFollowed || (entry.from !== undefined && log.compare(boundary.position, entry.from) <= 0)) {
				releaseRows(draft);
				continue;
			}
			const overlaps = entry.until !== undefined && log.compare(position.at, entry.until) < 0;
			let end = boundary.transactions.length;
			isChanged ||= draft.isPassed;
			const isKnown = (at: string) => entry.from !== undefined && log.compare(at, entry.from) <= 0;
			if (draft.schema !== null) {
				isChanged = true;
				// Before the table was read: it has the columns, and what it has is passed over.
				const isOld = draft.firstAfter !== null && isKnown(place(draft.firstAfter));
				if (!isOld && (readsAgain(draft.schema, task) || overlaps)) left.push(name);
				else if (draft.firstAfter !== null) {
					end = draft.firstAfter;
					const at = place(end - 1);
					const before = laterTime(entry.since, end === 0 ? position.committedAt : raised[end - 1]);
					const { from = "", since } = entry;
					cut.set(
						name,
						isKnown(at)
							? { from, ...(since === undefined ? {} : { since }) }
							: { from: at, ...(before === null ? {} : { since: String(before) }) },
					);
				}
			}
			let first = 0;
			while (first < end && isKnown(place(first))) first++;
			const isOther = draft.shapes.some((shape) => shape.last >= first && isOtherShape(shape, task, overlaps));
			if (isOther && isRepeatable(task) && !settling.isAsRead(name)) {
				// The plan is newer than these rows: what a column that was renamed or added since has is not in them.
				releaseRows(draft);
				cut.delete(name);
				if (!left.includes(name)) left.push(name);
				otherShapes.push(name);
				isChanged = true;
				continue;
			}
			const isPassed = (transaction: number) => transaction < first || transaction >= end;
			const { until, since } = entry;
			const times: ChangeTimes = {
				committedAt: (transaction) => {
					const { reading, committedAt } = boundary.transactions[transaction]!;
					return reading === true ? committedAt : (laterTime(since, raised[transaction]) ?? committedAt);
				},
				position: (transaction) => log.format(boundary.transactions[transaction]!.position),
				number: (transaction) => firstNumber + BigInt(transaction),
			};
			const isOverlap = (transaction: number) => until !== undefined && log.compare(place(transaction), until) <= 0;
			// Versions can't be read anew: what rows from before a change of columns have goes where the table has kept it.
			const shapes = task.write === "history" ? draft.shapes.filter(({ last }) => last >= first) : [];
			const whole = withKept(task, shapes);
			if (whole === null) {
				refuseToLose(task, name, "rows of the log are from before a column of it was renamed");
				continue;
			}
			const of = { task: whole, isPassed, isOverlap, times, next: { transaction: -1, place: 0 } };
			try {
				parts.push(...this.#partsOf(draft, of, overlaps));
			} catch (error) {
				// What a table that is being read can't be completed from, a new reading has.
				if (!overlaps || !(error instanceof HeadraceError) || error.code !== "E_BASE_MISSING") throw error;
				left.push(name);
				isChanged = true;
			}
		}
		const places = [...cut.values()].map(({ from }) => from);
		return {
			at: boundary.position,
			committedAt: last,
			parts,
			left,
			otherShapes,
			cut,
			readAgainFrom: places.length === 0 ? null : places.reduce((a, b) => (log.compare(b, a) < 0 ? b : a)),
			isChanged,
		};
	}
}

/**
 * Whether a table has to be read anew after a change of its columns. One that keeps versions or changes would lose them:
 * where columns were only added, the rows that are there get the defaults that the source gave.
 */
function readsAgain({ rereads, onlyAdds, before, after }: ChangedSchema, { write }: TableTask): boolean {
	if (!rereads || write === "merge" || after === null) return rereads;
	// A plan that is newer than the statement has what came with it already: nothing would seem to have changed.
	if (onlyAdds === false) return true;
	const kept = before.columns.every(({ name, nativeType }) =>
		after.columns.some((column) => column.name === name && column.nativeType === nativeType),
	);
	const added = after.columns.filter(({ name }) => !before.columns.some((column) => column.name === name));
	return !kept || !added.every(({ nullable, defaultSql }) => nullable || defaultSql !== undefined);
}

/** Whether the last row is one as it was: the first of the table's next batch is what became of it. */
function endsBefore({ batch, operations }: ChangedRows): boolean {
	return operations[batch.rowCount - 1] === ChangeOperation.before;
}

function releaseRows({ segments }: TableDraft): void {
	for (const { rows } of segments) for (const { batch } of rows) batch.release();
}

function segment(truncated: number | null): Segment {
	return { truncated, rows: [], spooled: [] };
}

/** What a part is made of. */
type PartRows = Pick<ChangeRows, "fields" | "partial" | "isFolded" | "rowCount" | "superseded" | "counter"> & {
	batches(): AsyncIterable<Batch>;
};

/** Changes that are on the disk until the destination takes them. */
class SpooledRows implements PartRows {
	readonly fields: readonly Field[];
	readonly partial: boolean;
	readonly isFolded: boolean;
	readonly counter = new ExtractCounter();
	rowCount = 0;
	superseded = 0;
	readonly #of: Omit<ChangedTable, "rows">;
	readonly #spool: ChangeSpool;
	readonly #spooled: readonly Spooled[];

	constructor(of: Omit<ChangedTable, "rows">, spool: ChangeSpool, spooled: readonly Spooled[]) {
		this.#of = of;
		this.#spool = spool;
		this.#spooled = spooled;
		this.partial = of.task.write !== "append" && spooled.some(({ absent }) => absent?.includes(true) === true);
		this.isFolded = !this.partial && foldsRows(of.task);
		this.fields = changeFields(of.task, this.partial);
	}

	async *batches(): AsyncGenerator<Batch, void, undefined> {
		// Rows that don't tell all are completed from those before them, and keys are folded, in memory.
		const isWhole = this.partial || this.isFolded;
		const groups = isWhole ? [this.#spooled] : this.#spooled.map((spooled) => [spooled]);
		for (const group of groups) {
			const rows: ChangedRows[] = [];
			for await (const read of this.#spool.read(group)) rows.push(read);
			const changed = new ChangeRows({ ...this.#of, rows }, this.counter, { partial: this.partial });
			this.rowCount += changed.rowCount;
			yield* changed.batches();
			this.superseded += changed.superseded;
		}
	}
}

function firstTransaction(event: ChangedRows | Truncated): number {
	return event.kind === "truncate" ? event.transaction : event.transactions[0]!;
}

/**
 * Commit times that never go back: a version ends when the next one begins. Of a reading it is the last one before it.
 * `last`: null when nothing was committed.
 */
function raisedTimes({ transactions }: ChangeBoundary, { committedAt }: ChangesPosition) {
	let last = committedAt === undefined ? null : BigInt(committedAt);
	let hasCommitted = false;
	const raised = transactions.map((transaction) => {
		if (transaction.reading === true) return last;
		hasCommitted = true;
		last = laterTime(last, transaction.committedAt);
		return last;
	});
	return { raised, last: hasCommitted ? last : null };
}

/** Microseconds since 1970. */
function laterTime(a: bigint | string | null | undefined, b: bigint | string | null | undefined): bigint | null {
	if (a == null) return b == null ? null : BigInt(b);
	return b == null || BigInt(a) > BigInt(b) ? BigInt(a) : BigInt(b);
}

interface PartHow {
	readonly overlaps: boolean;
	/** Microseconds since 1970. */
	readonly truncatedAt: bigint | null;
	/** Makes the row that says so where truncations are rows. */
	readonly truncation: (() => Batch) | null;
}

/** The changes of one table in one transaction of the destination. */
export class FlushPart {
	readonly task: TableTask;
	readonly #rows: PartRows;
	readonly #how: PartHow;

	constructor(task: TableTask, rows: PartRows, how: PartHow) {
		this.task = task;
		this.#rows = rows;
		this.#how = how;
	}

	/** Rows that its batches have had; known once they were taken. */
	get rowsGiven(): number {
		const truncation = this.#how.truncation === null ? 0 : 1;
		return truncation + this.#rows.rowCount - this.#rows.superseded;
	}

	/** Its batches can be taken once. */
	request(loadId: string): ChangesPart {
		const { target, write, schemaVersion, schema } = this.task;
		const { overlaps, truncatedAt } = this.#how;
		return {
			loadId,
			target,
			write: write as ChangesWrite,
			schemaVersion,
			...(schema === undefined ? {} : { schema }),
			...(truncatedAt === null ? {} : { truncatedAt: `${timestampText(truncatedAt)}+00` }),
			...(overlaps ? { overlaps } : {}),
			input: { kind: "batches", fields: this.#rows.fields, batches: this.#batches() },
			partial: this.#rows.partial,
			...(this.#rows.isFolded ? { isFolded: true } : {}),
		};
	}

	async *#batches(): AsyncGenerator<Batch, void, undefined> {
		const { truncation } = this.#how;
		if (truncation !== null) yield truncation();
		yield* this.#rows.batches();
	}

	/** What became of it; without a result the destination's answer was lost. */
	outcome(result: ApplyResult["parts"][number] | undefined, row: PositionRow, position: string): TableOutcome {
		const { counter, superseded } = this.#rows;
		const { rowsGiven } = this;
		const rowCount = rowsGiven + superseded;
		const received = result?.rowsReceived ?? rowsGiven;
		if (received !== rowsGiven) throw unbalanced("read", rowsGiven, "applied", received);
		return {
			rowsRead: rowCount,
			rowsStaged: rowCount,
			rowsLoaded: rowCount,
			rowsRejected: 0,
			rowsInserted: result?.rowsInserted ?? 0,
			rowsUpdated: result?.rowsUpdated ?? 0,
			rowsDeleted: result?.rowsDeleted ?? 0,
			bytes: counter.bytes,
			valuesChanged: renamed(this.task, counter.valuesChanged),
			position,
			row,
		};
	}
}
