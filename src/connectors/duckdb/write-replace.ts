import { crashPoint, HeadraceError, type LoadResult, qualified } from "../../core/index.ts";
import type { Engine } from "../../engine/index.ts";
import { countKeys, deleteFlaggedFromStage, duckdbDialect, swapTable } from "../../sql/index.ts";
import { withoutConflict } from "./control.ts";
import { insertInput } from "./input.ts";
import { type LoadContext, loadSuffix, resultOf, verifyRows } from "./load.ts";
import { createDdl, definitionsOf, describeTable, keepsakesOf, type Place } from "./schema.ts";
import { Session } from "./session.ts";
import type { UnfinishedBuilds } from "./unfinished.ts";

export const BUILD_MARK = "__headrace_new_";
/** Connections that build at once: on two cores a second one makes it a quarter faster, a third does nothing. */
export const LANES_MAX = 2;

/** What it takes to end a build, however its rows came. */
export type BuildContext = Pick<LoadContext, "session" | "place" | "target" | "control"> & {
	readonly request: Omit<LoadContext["request"], "input">;
};

/** Tables that loads of this process are building, by the database's and the table's name. */
const building = new Set<string>();

/**
 * The whole table, built beside the old one and put in its place in the transaction that moves the position: a reader
 * sees all the old rows or all the new. What is built is committed on its own; a crash leaves it, and the next load of
 * the table removes it.
 */
export async function replace(context: LoadContext): Promise<LoadResult> {
	const { session, request, target, engine } = context;
	return buildBeside(context, loadSuffix(request), async (build) => {
		await session.execute(createDdl(build, definitionsOf(target)));
		const rows = await fill(context, build, Math.min(LANES_MAX, engine.threads));
		crashPoint("c08");
		await checkRows(context, build);
		const rowsFlagged = await deleteFlaggedRows(context, build);
		await verifyRows(context, build.sql);
		return await session.transaction(() => swap(context, build, rows, rows - rowsFlagged));
	});
}

/** Work on a table beside another, which is dropped when the work fails. `suffix` is the load's own. */
export async function buildBeside<T>(
	{ engine, place }: Pick<LoadContext, "engine" | "place">,
	suffix: string,
	work: (build: Place) => Promise<T>,
): Promise<T> {
	const build = place.beside(`${BUILD_MARK}${suffix}`);
	building.add(build.sql);
	try {
		return await work(build);
	} catch (error) {
		// Not by the session: it may be stopped.
		await dropBuild(engine, build);
		throw error;
	} finally {
		building.delete(build.sql);
	}
}

/** Puts a build in the table's place and moves the position; within the caller's transaction. */
export async function swap(
	{ session, place, request, target, control }: BuildContext,
	build: Place,
	rowsReceived: number,
	rowsInserted: number,
): Promise<LoadResult> {
	const old = await describeTable(session, place);
	const rowsDeleted = old === null ? 0 : (await session.counts(`SELECT count(*) AS n FROM ${place.sql}`))["n"]!;
	if (rowsReceived === 0 && rowsDeleted > 0 && request.allowEmpty !== true)
		throw new HeadraceError("E_EMPTY", `no rows came for ${qualified(request.target.name)}, which has some`);
	const keepsakes = old === null ? [] : await keepsakesOf(session, place, definitionsOf(target));
	const names = { fresh: build.sql, name: place.name, ...(old === null ? {} : { old: place.sql }) };
	for (const statement of swapTable(duckdbDialect, names)) {
		await session.execute(statement);
		crashPoint("c15");
	}
	for (const statement of keepsakes) await session.execute(statement);
	const result = resultOf({ rowsReceived, rowsInserted, rowsDeleted });
	await control.record(session, request, result);
	return result;
}

/** Rows that the source flags as deleted are not in a merged table, so neither in a replaced one. */
async function deleteFlaggedRows({ session, request }: LoadContext, build: Place): Promise<number> {
	if (request.deletedColumn === undefined) return 0;
	return session.execute(deleteFlaggedFromStage(duckdbDialect, { stage: build.sql }, request.deletedColumn));
}

/** Each lane in one transaction of its own: a lane's statements then append to the same growing row group. */
async function fill(context: LoadContext, build: Place, laneCount: number): Promise<number> {
	const { engine, request, readableDirectories } = context;
	await using stack = new AsyncDisposableStack();
	const lanes: Session[] = [];
	for (let index = 0; index < laneCount; index++) lanes.push(stack.use(await Session.open(engine, request.signal)));
	const inTransactions = (from: number): Promise<number> =>
		from === lanes.length
			? insertInput({ table: build.sql, lanes, request, readableDirectories })
			: lanes[from]!.transaction(() => inTransactions(from + 1));
	return await inTransactions(0);
}

/** @throws E_NULL_KEY, E_DUPLICATE_KEY */
export async function checkRows({ session, target, request }: BuildContext, build: Place): Promise<void> {
	if (target.key.length === 0) return;
	const { row_count, keys, nulls } = await session.counts(countKeys(duckdbDialect, build.sql, target.key));
	const table = qualified(request.target.name);
	if (nulls! > 0) throw new HeadraceError("E_NULL_KEY", `${nulls} rows for ${table} have NULL in the key`);
	if (keys! < row_count!)
		throw new HeadraceError(
			"E_DUPLICATE_KEY",
			`the key (${target.key.join(", ")}) of ${table} is not unique: ${row_count! - keys!} of ${row_count} rows repeat one`,
		);
}

/**
 * Drops what runs that died while they built have left beside this table. Every load begins with it, not only one that
 * builds anew, and before its own build counts as one: a repeated load has the name of the one that died.
 */
export async function removeLeftovers(session: Session, place: Place, unfinished: UnfinishedBuilds): Promise<void> {
	const rows = await session.query(
		`SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()
		AND lower(schema_name) = lower(?) AND starts_with(table_name, ?)`,
		[place.schema, `${place.name}${BUILD_MARK}`],
	);
	const kept = rows.length === 0 ? new Set<string>() : await unfinished.live(session);
	for (const row of rows) {
		const left = place.beside(String(row["table_name"]).slice(place.name.length));
		// Two loads of one table may both find it.
		if (!building.has(left.sql) && !kept.has(left.sql))
			await withoutConflict(() => session.execute(`DROP TABLE IF EXISTS ${left.sql}`));
	}
}

async function dropBuild(engine: Engine, build: Place): Promise<void> {
	try {
		await using session = await Session.open(engine);
		await session.execute(`DROP TABLE IF EXISTS ${build.sql}`);
	} catch {
		// The error of the load is the one to tell; the next load removes what is left.
	}
}
