import {
	type ApplyRequest,
	type ApplyResult,
	CHANGE_DELETED_COLUMN,
	type ChangesPart,
	type ChangesWrite,
	changeColumns,
	crashPoint,
	type DestinationChanges,
	type ExistingTable,
	HeadraceError,
	keepsDeleted,
	type LoadResult,
	type PositionExpected,
	qualified,
} from "../../core/index.ts";
import type { Engine } from "../../engine/index.ts";
import {
	closeAllVersions,
	closeVersions,
	countBaseMissing,
	deleteAllRows,
	deleteBaseMissing,
	deleteSuperseded,
	duckdbDialect,
	fillAbsent,
	insertStaged,
	insertVersions,
	type KeyedChangesWrite,
	type MergeTables,
	markAllDeleted,
	maskedColumns,
	quotedPath,
	renameColumn,
	selectMasks,
	stageColumn,
} from "../../sql/index.ts";
import { alterTable } from "./alter.ts";
import type { ControlTables } from "./control.ts";
import { createSchema, loadSuffix, resultOf, tableChange } from "./load.ts";
import { enter, type Turn } from "./locks.ts";
import { describeTable, Place } from "./schema.ts";
import { Session } from "./session.ts";
import { foldName, mapType } from "./types.ts";
import type { UnfinishedBuilds } from "./unfinished.ts";
import { mergeStaged, stagedKeys, stageInput } from "./write-merge.ts";

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

/** A part whose rows are staged, one a key for `merge`. */
interface StagedPart {
	readonly part: ChangesPart;
	readonly place: Place;
	readonly tables: MergeTables;
	readonly rowsReceived: number;
	readonly rowsStaged: number;
}

/**
 * Changes of a log: the rows of all parts are staged in temporary tables first, in the order of the parts; then one
 * transaction brings all of them into their tables and moves the position. So the source is waited for outside of it.
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
			const staged: StagedPart[] = [];
			for (const part of request.parts) {
				const place = new Place(catalog, part.target.name);
				await createSchema(session, place);
				staged.push(await this.#stage(session, place, part, request));
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
		const { target, write, input } = part;
		if (write !== "append" && target.key.length === 0)
			throw new HeadraceError("E_KEY_REQUIRED", `${write} into ${qualified(target.name)} needs a key`);
		const columns = changeColumns(part, (type) => mapType(type).destinationType);
		const names = new Set(target.columns.map((column) => column.name));
		const tables: MergeTables = {
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
		if (write === "append" || rowsReceived === 0)
			return { part, place, tables, rowsReceived, rowsStaged: rowsReceived };
		const { row_count, keys } = await stagedKeys(session, tables, target);
		const superseded = write === "merge" ? row_count! - keys! : 0;
		if (superseded > 0) await session.execute(deleteSuperseded(duckdbDialect, tables, undefined));
		return { part, place, tables, rowsReceived, rowsStaged: rowsReceived - superseded };
	}

	async #commit(
		session: Session,
		control: ControlTables,
		request: ApplyRequest,
		staged: readonly StagedPart[],
	): Promise<LoadResult[]> {
		const turns = new Map<string, Turn>();
		try {
			// In the same order for all: two that wait for each other would wait for ever.
			for (const table of [...new Set(staged.map(({ place }) => place.sql))].sort())
				turns.set(table, await enter(table));
			return await session.transaction(async () => {
				const results: LoadResult[] = [];
				const ready = await changeTables(session, staged, turns);
				for (const [one, existing] of ready) results.push(await applyPart(session, one, existing));
				await control.recordChanges(session, request, results);
				for (const { tables } of staged) await session.execute(`DROP TABLE ${tables.stage}`);
				return results;
			});
		} finally {
			for (const turn of turns.values()) turn.leave();
		}
	}
}

/**
 * Gives the tables the columns that all parts want, before any row comes: DuckDB alters no table whose rows the same
 * transaction has changed (1.5.5). Parts of before a column was renamed take its new name.
 */
async function changeTables(
	session: Session,
	staged: readonly StagedPart[],
	turns: ReadonlyMap<string, Turn>,
): Promise<(readonly [StagedPart, ExistingTable])[]> {
	const ready: StagedPart[] = [];
	for (const one of staged) {
		const { place, part } = one;
		const change = await tableChange(session, place, part.target);
		await alterTable(session, place, change, turns.get(place.sql)!.alone);
		if (change.renamed.size > 0)
			for (const [index, earlier] of ready.entries())
				if (earlier.place.sql === place.sql) ready[index] = await renameStaged(session, earlier, change.renamed);
		ready.push(one);
	}
	const existing = new Map<string, ExistingTable>();
	for (const { place } of ready)
		if (!existing.has(place.sql)) existing.set(place.sql, (await describeTable(session, place))!);
	return ready.map((one) => [one, existing.get(one.place.sql)!]);
}

async function renameStaged(
	session: Session,
	staged: StagedPart,
	renamed: ReadonlyMap<string, string>,
): Promise<StagedPart> {
	const { part, tables } = staged;
	const byName = new Map([...renamed].map(([from, to]) => [foldName(from), to]));
	const nameOf = (name: string) => byName.get(foldName(name)) ?? name;
	for (const name of tables.columns)
		if (nameOf(name) !== name) {
			const [from, to] = [stageColumn(duckdbDialect, name), stageColumn(duckdbDialect, nameOf(name))];
			await session.execute(renameColumn(duckdbDialect, tables.stage, from, to));
		}
	const columns = part.target.columns.map((column) => ({ ...column, name: nameOf(column.name) }));
	const key = part.target.key.map(nameOf);
	return {
		...staged,
		part: { ...part, target: { ...part.target, columns, key } },
		tables: { ...tables, columns: tables.columns.map(nameOf), key },
	};
}

async function applyPart(session: Session, staged: StagedPart, existing: ExistingTable): Promise<LoadResult> {
	const { part, tables, rowsReceived, rowsStaged } = staged;
	const { write } = part;
	if (write === "append") {
		if (part.partial && (await masksOf(session, staged, "append")).length > 0) throw baseMissing(part);
		await session.execute(insertStaged(duckdbDialect, tables), [], { columns: tables.columns });
		return resultOf({ rowsReceived, rowsInserted: rowsReceived });
	}
	const truncated = await truncate(session, staged);
	const leftOut = part.partial && rowsStaged > 0 ? await fill(session, staged, write) : 0;
	const rows = rowsStaged - leftOut;
	const rowsSuperseded = rowsReceived - rows;
	if (write === "merge") {
		const merged = await mergeRows(session, staged, existing, rows);
		return resultOf({ rowsReceived, ...merged, rowsDeleted: truncated + merged.rowsDeleted, rowsSuperseded });
	}
	if (rows === 0) return resultOf({ rowsReceived, rowsUpdated: truncated, rowsSuperseded });
	const ended = await session.execute(closeVersions(duckdbDialect, tables));
	const rowsInserted = await session.execute(insertVersions(duckdbDialect, tables), [], { columns: tables.columns });
	return resultOf({ rowsReceived, rowsInserted, rowsUpdated: truncated + ended, rowsSuperseded });
}

async function mergeRows(session: Session, { part, tables }: StagedPart, existing: ExistingTable, rows: number) {
	if (rows === 0) return { rowsInserted: 0, rowsUpdated: 0, rowsDeleted: 0 };
	const { target } = part;
	// A log tells what changed: looking for rows that are as they were would cost more than writing them.
	const counted = { keys: rows, deletedColumn: CHANGE_DELETED_COLUMN, mayBeEqual: false };
	return mergeStaged({ session, target, request: { target } }, tables, existing, counted);
}

/** Gives how many rows went, or got an end. */
async function truncate(session: Session, { part, tables }: StagedPart): Promise<number> {
	const { truncatedAt, write } = part;
	if (truncatedAt === undefined) return 0;
	if (write === "merge")
		return session.execute(
			keepsDeleted(part) ? markAllDeleted(duckdbDialect, tables.target, truncatedAt) : deleteAllRows(tables.target),
		);
	return session.execute(closeAllVersions(duckdbDialect, tables.target, truncatedAt));
}

/**
 * Gives staged rows what they do not tell, from the table's rows; gives how many were left out for want of one.
 * @throws E_BASE_MISSING
 */
async function fill(session: Session, staged: StagedPart, write: KeyedChangesWrite): Promise<number> {
	const { part, tables } = staged;
	const masks = await masksOf(session, staged, write);
	if (masks.length === 0) return 0;
	const { missing } = await session.counts(countBaseMissing(duckdbDialect, tables, write));
	if (missing! > 0 && part.overlaps !== true) throw baseMissing(part, missing);
	if (missing! > 0) await session.execute(deleteBaseMissing(duckdbDialect, tables, write));
	const columns = maskedColumns(
		masks,
		part.target.columns.map((column) => column.name),
	);
	if (columns.length > 0) await session.execute(fillAbsent(duckdbDialect, tables, write, columns));
	return missing!;
}

async function masksOf(session: Session, { tables }: StagedPart, write: ChangesWrite): Promise<string[]> {
	const rows = await session.query(selectMasks(duckdbDialect, tables, write));
	return rows.map((row) => String(row["mask"]));
}

function baseMissing({ target, write }: ChangesPart, rows?: number): HeadraceError {
	const table = qualified(target.name);
	const message =
		write === "append"
			? `changes of ${table} do not tell all their columns, and append has no row that they could be taken from`
			: `${rows} changes of ${table} do not tell all their columns, and the table does not have the rows that have the others`;
	return new HeadraceError("E_BASE_MISSING", message, { table });
}
