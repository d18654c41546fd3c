import {
	type ApplyRequest,
	type ApplyResult,
	type ChangesPosition,
	crashPoint,
	type DestinationChanges,
	eachOf,
	encodePosition,
	HeadraceError,
	loadId as loadIdOf,
	type PositionRow,
	qualified,
	type TableName,
} from "../core/index.ts";
import type { CaptureContext } from "./change-context.ts";
import type { Flushed } from "./change-flush.ts";
import { CHANGES_STREAM, changesPosition } from "./change-state.ts";
import { type ChangesStaging, changesStaging, cleanChanges, stageChanges } from "./staged-changes.ts";

/** Tables that the destination is asked about at once. */
const LOOKS_AT_ONCE = 8;

/** Where a pipeline that follows a log stands, and what moves it: position and rows in one transaction. */
export class ChangeCommits {
	/** Rows of the tables' streams. */
	readonly rows: Map<string, PositionRow>;
	/** As it was committed last, or is being committed; null before any table was read. */
	position: ChangesPosition | null;
	/** Milliseconds since 1970; 0 before the first. */
	committedMs = 0;
	readonly #context: CaptureContext;
	readonly #staging: ChangesStaging | null;
	/** Tables that the destination was seen to have. */
	readonly #there = new Set<string>();
	#row: PositionRow;

	constructor(context: CaptureContext, rows: ReadonlyMap<string, PositionRow>) {
		this.#context = context;
		this.#staging = changesStaging(context);
		this.rows = new Map(rows);
		const row = rows.get(CHANGES_STREAM);
		if (row === undefined) throw new HeadraceError("E_INTERNAL", "the destination gave no position row for changes");
		this.#row = row;
		this.position = changesPosition(row);
	}

	/** How many commits the destination has of the stream: another number for each. */
	get seq(): number {
		return this.#row.seq;
	}

	/** What the destination has. */
	get committed(): ChangesPosition | null {
		return changesPosition(this.#row);
	}

	/** What runs that were killed have left of changes in the staging. */
	async clean(): Promise<void> {
		if (this.#staging !== null) await cleanChanges(this.#staging, this.#row);
	}

	/**
	 * Looks for the tables that changes are about to come to. One that was there and is not any more was dropped or renamed:
	 * it would be made anew, with what changes from now on as its only rows. Who drops one in the moment between this look
	 * and the commit is not noticed.
	 * @throws E_BASE_MISSING
	 */
	async expectTables(names: Iterable<TableName>): Promise<void> {
		const tables = new Map([...names].map((name) => [qualified(name), name]));
		await eachOf(LOOKS_AT_ONCE, [...tables], async ([table, name]) => {
			if ((await this.#context.destination.describe(name)) !== null) this.#there.add(table);
			else if (this.#there.delete(table)) throw tableDropped(table);
		});
	}

	/** Moves the position, with the rows of a flush, in one transaction. @throws E_FENCED */
	async commit(position: ChangesPosition, flushed: Flushed | null = null): Promise<void> {
		this.position = position;
		this.committedMs = Date.now();
		if (encodePosition(position) === this.#row.position && flushed === null) return;
		await this.expectTables((flushed?.parts ?? []).map(({ task }) => task.target.name));
		const { pipeline, runId, bufferBytesMax, signal, changes } = this.#context;
		const toPosition = encodePosition(position);
		const { seq, epoch, position: fromPosition } = this.#row;
		const idOf = (stream: string, schemaVersion: string) =>
			loadIdOf({ pipeline, stream, seq, from: fromPosition, to: toPosition, schemaVersion });
		const loadId = idOf(CHANGES_STREAM, "");
		const given = (flushed?.parts ?? []).map((of, index) => {
			return { of, part: of.request(idOf(`${of.task.stream}#${index}`, of.task.schemaVersion)) };
		});
		const isStaged = this.#staging !== null && given.length > 0;
		const parts = isStaged ? await stageChanges(this.#staging, this.#row, given) : given.map(({ part }) => part);
		const request: ApplyRequest = {
			pipeline,
			runId,
			stream: CHANGES_STREAM,
			loadId,
			epoch,
			seq,
			fromPosition,
			toPosition,
			schemaVersion: "",
			parts,
			bufferBytesMax,
			...(signal === undefined ? {} : { signal }),
		};
		crashPoint("cdc-apply");
		const result = await this.#applyOnce(changes, request);
		crashPoint("cdc-applied");
		this.#row = { ...this.#row, seq: seq + 1, position: toPosition, loadId };
		for (const [index, part] of (flushed?.parts ?? []).entries())
			this.#context.onOutcome(
				part.task.stream,
				part.outcome(result?.parts[index], this.rows.get(part.task.stream)!, this.#context.log.format(position.at)),
			);
		if (isStaged) await cleanChanges(this.#staging, this.#row);
		await this.#context.onCommit?.(position);
	}

	/** Applies, and settles an answer that was lost: null when the destination has it. */
	async #applyOnce(changes: DestinationChanges, request: ApplyRequest): Promise<ApplyResult | null> {
		try {
			return await changes.apply(request);
		} catch (error) {
			const settled = error instanceof HeadraceError && (error.reaction === "retry" || error.code === "E_FENCED");
			if (!settled || !(await this.#context.destination.committed(request.loadId).catch(() => false))) throw error;
			return null;
		}
	}
}

function tableDropped(table: string): HeadraceError {
	return new HeadraceError(
		"E_BASE_MISSING",
		`${table} is not in the destination any more: it was dropped or renamed while changes came to it`,
		{ table, hint: "Nothing is lost: the next run reads the table anew, `headrace run <pipeline>`." },
	);
}
