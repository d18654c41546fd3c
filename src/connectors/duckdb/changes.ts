import {
	type ApplyRequest,
	type ApplyResult,
	type ChangesPart,
	type ChangesWrite,
	changeColumns,
	crashPoint,
	type DestinationChanges,
	type ExistingTable,
	HeadraceError,
	type LoadResult,
	type PositionExpected,
	qualified,
	requireKey,
} from "../../core/index.ts";
import {
	applyFolded,
	applyStaged,
	type Engine,
	isDirect,
	renameStaged,
	type StagedChanges,
	settleStaged,
} from "../../engine/index.ts";
import { duckdbDialect, quotedPath } from "../../sql/index.ts";
import { alterTable } from "./alter.ts";
import type { ControlTables } from "./control.ts";
import { createSchema, loadSuffix, tableChange } from "./load.ts";
import { enter, type Turn } from "./locks.ts";
import { describeTable, Place } from "./schema.ts";
import { Session } from "./session.ts";
import { foldName, mapType } from "./types.ts";
import type { UnfinishedBuilds } from "./unfinished.ts";
import { hasMoreColumns, stageInput } from "./write-merge.ts";

/** What changes need of their destination. */
export interface ChangesContext {
	/** Control tables are there. */
	readonly opened: () => Promise<{
		readonly engine: Engine;
		readonly catalog: string;
		readonly control: ControlTables;
		readonly unfinished: UnfinishedBuilds;
	}>;
	/** What an error means, once the position is known. */
	readonly settled: (error: unknown, request: PositionExpected) => Promise<unknown>;
	readonly readableDirectories: readonly string[];
}

interface StagedPart extends StagedChanges {
	readonly place: Place;
}

/** A part whose rows come in the transaction. */
interface DirectPart {
	readonly part: ChangesPart;
	readonly place: Place;
	readonly tables: null;
}

/**
 * Changes of a log. Rows of which nothing is known are staged in temporary tables first, in the order of the parts; then
 * one transaction brings all of them into their tables and moves the position: so the source is waited for outside of it.
 * Those of which each key comes once, and which are all here, go into their tables directly.
 */
export class DuckdbChanges implements DestinationChanges {
	readonly writes: readonly ChangesWrite[] = ["merge", "append", "history"];
	readonly #context: ChangesContext;

	constructor(context: ChangesContext) {
		this.#context = context;
	}

	async apply(request: ApplyRequest): Promise<ApplyResult> {
		const { engine, catalog, control, unfinished } = await this.#context.opened();
		try {
			await using session = await Session.open(engine, request.signal);
			await control.expectPosition(session, request);
			const staged: (StagedPart | DirectPart)[] = [];
			for (const part of request.parts) {
				const place = new Place(catalog, part.target.name);
				await createSchema(session, place);
				if (await goesDirectly(session, place, part, request)) staged.push({ part, place, tables: null });
				else staged.push(await this.#stage(session, place, part, request));
			}
			crashPoint("c08");
			const parts = await this.#commit(session, control, request, staged);
			crashPoint("c10");
			await unfinished.removeEnded(session);
			return { parts };
		} catch (error) {
			throw await this.#context.settled(error, request);
		}
	}

	async #stage(session: Session, place: Place, part: ChangesPart, request: ApplyRequest): Promise<StagedPart> {
		const { target, input } = part;
		requireKey(part);
		const columns = changeColumns(part, (type) => mapType(type).destinationType);
		const names = new Set(target.columns.map((column) => column.name));
		const tables = {
			target: place.sql,
			stage: quotedPath(duckdbDialect, ["temp", "main", `stage_${loadSuffix(part)}`]),
			key: target.key,
			columns: columns.map((column) => column.name).filter((name) => names.has(name)),
		};
		const { bufferBytesMax, signal } = request;
		const rowsReceived = await stageInput(session, tables.stage, columns, {
			request: { input, target: { ...target, columns }, bufferBytesMax, ...(signal === undefined ? {} : { signal }) },
			readableDirectories: this.#context.readableDirectories,
		});
		return { ...(await settleStaged(session, part, tables, rowsReceived)), place };
	}

	async #commit(
		session: Session,
		control: ControlTables,
		request: ApplyRequest,
		staged: readonly (StagedPart | DirectPart)[],
	): Promise<LoadResult[]> {
		const turns = new Map<string, Turn>();
		try {
			// In the same order for all: two that wait for each other would wait for ever.
			for (const table of [...new Set(staged.map(({ place }) => place.sql))].sort())
				turns.set(table, await enter(table));
			return await session.transaction(async () => {
				const results: LoadResult[] = [];
				const ready = await changeTables(session, staged, turns);
				for (const [one, existing] of ready)
					results.push(
						one.tables === null
							? await applyDirectly(session, one, existing, request.signal)
							: await applyStaged(session, one, hasMoreColumns(existing, one.tables)),
					);
				await control.recordChanges(session, request, results);
				for (const { tables } of staged) if (tables !== null) await session.execute(`DROP TABLE ${tables.stage}`);
				return results;
			});
		} finally {
			for (const turn of turns.values()) turn.leave();
		}
	}
}

/** Whether a part's rows need no stage: nothing is to be kept of those that are there, and no later part renames columns. */
async function goesDirectly(
	session: Session,
	place: Place,
	part: ChangesPart,
	{ parts }: ApplyRequest,
): Promise<boolean> {
	if (!isDirect(part)) return false;
	const shape = ({ target }: ChangesPart) => JSON.stringify([target.columns, target.key]);
	const isAlike = (other: ChangesPart) =>
		qualified(other.target.name) !== qualified(part.target.name) || shape(other) === shape(part);
	if (!parts.every(isAlike)) return false;
	const existing = await describeTable(session, place);
	return existing === null || !hasMoreColumns(existing, columnsOf(part));
}

function columnsOf({ target }: ChangesPart) {
	return { columns: target.columns.map(({ name }) => name) };
}

/** @throws E_CONFLICT when somebody gave the table columns that its rows would lose */
async function applyDirectly(
	session: Session,
	{ part, place }: DirectPart,
	existing: ExistingTable,
	signal: AbortSignal | undefined,
): Promise<LoadResult> {
	if (hasMoreColumns(existing, columnsOf(part)))
		throw new HeadraceError("E_CONFLICT", `${qualified(part.target.name)} got other columns while it was changed`);
	return applyFolded(session.connection, session, {
		part,
		target: place.sql,
		suffix: loadSuffix(part),
		...(signal === undefined ? {} : { signal }),
	});
}

/**
 * Gives the tables the columns that all parts want, before any row comes: DuckDB alters no table whose rows the same
 * transaction has changed (1.5.5). Parts of before a column was renamed take its new name.
 */
async function changeTables(
	session: Session,
	staged: readonly (StagedPart | DirectPart)[],
	turns: ReadonlyMap<string, Turn>,
): Promise<(readonly [StagedPart | DirectPart, ExistingTable])[]> {
	const ready: (StagedPart | DirectPart)[] = [];
	for (const one of staged) {
		const { place, part } = one;
		const change = await tableChange(session, place, part.target);
		await alterTable(session, place, change, turns.get(place.sql)!.alone);
		if (change.renamed.size > 0) {
			const byName = new Map([...change.renamed].map(([from, to]) => [foldName(from), to]));
			const nameOf = (name: string) => byName.get(foldName(name)) ?? name;
			for (const [index, earlier] of ready.entries())
				if (earlier.place.sql === place.sql && earlier.tables !== null)
					ready[index] = await renameStaged(session, earlier, nameOf);
		}
		ready.push(one);
	}
	const existing = new Map<string, ExistingTable>();
	for (const { place } of ready)
		if (!existing.has(place.sql)) existing.set(place.sql, (await describeTable(session, place))!);
	return ready.map((one) => [one, existing.get(one.place.sql)!]);
}
