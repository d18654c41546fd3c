import {
	acquireTurn,
	type ExistingTable,
	HeadraceError,
	INTERVAL_TAG_COLUMN,
	type LoadRequest,
	type LoadResult,
	qualified,
	type TargetColumn,
	type TargetTable,
} from "../../core/index.ts";
import type { Engine } from "../../engine/index.ts";
import { deleteRange, deleteTagged, duckdbDialect } from "../../sql/index.ts";
import { alterTable, type TableChange } from "./alter.ts";
import { type ControlTables, withoutConflict } from "./control.ts";
import { evolveDdl } from "./evolve.ts";
import { enter } from "./locks.ts";
import { createDdl, definitionsOf, describeTable, findColumn, type Place, schemaExists } from "./schema.ts";
import type { Session } from "./session.ts";
import { newRows } from "./statements.ts";

/** What each write works with. */
export interface LoadContext {
	readonly engine: Engine;
	readonly control: ControlTables;
	/** The connection of the transaction that commits. */
	readonly session: Session;
	readonly place: Place;
	/** The target, with the column that tags an interval when the load tags. */
	readonly target: TargetTable;
	readonly request: LoadRequest;
	readonly readableDirectories: readonly string[];
}

/** The column and text that say which interval the rows came with; undefined when the interval has a column. */
export function tagOf(request: LoadRequest): { readonly column: string; readonly text: string } | undefined {
	const { interval } = request;
	if (interval === undefined || interval.column !== undefined) return undefined;
	return { column: INTERVAL_TAG_COLUMN, text: `${interval.start}/${interval.end}` };
}

export function targetOf(request: LoadRequest): TargetTable {
	if (tagOf(request) === undefined) return request.target;
	const tag: TargetColumn = {
		name: INTERVAL_TAG_COLUMN,
		type: { kind: "text" },
		nullable: true,
		destinationType: "VARCHAR",
	};
	return { ...request.target, columns: [...request.target.columns, tag] };
}

/** What gives the target's table its columns, in the caller's transaction. */
export async function tableChange(
	session: Session,
	place: Place,
	target: TargetTable,
): Promise<TableChange & { readonly existing: ExistingTable | null }> {
	const columns = definitionsOf(target);
	const existing = await describeTable(session, place);
	if (existing !== null) return { ...evolveDdl(place, existing, columns, target.name), existing };
	const ddl = [...(await schemaDdl(session, place)), createDdl(place, columns)];
	return { ddl, retypes: [], renamed: new Map(), existing };
}

export async function schemaDdl(session: Session, place: Place): Promise<string[]> {
	return (await schemaExists(session, place)) ? [] : [`CREATE SCHEMA ${place.schemaSql}`];
}

/** Schemas are made on their own: two loads that make the same one would be in each other's way until they end. */
export async function createSchema(session: Session, place: Place): Promise<void> {
	const release = await acquireTurn(place.schemaSql);
	try {
		await withoutConflict(async () => {
			for (const statement of await schemaDdl(session, place)) await session.execute(statement);
		});
	} finally {
		release();
	}
}

/**
 * A load's transaction on its table, made ready for the rows. Loads that change the table's columns, or make it, do so
 * one after another; the others go on side by side.
 * @throws E_SCHEMA
 */
export async function onTable<T>(context: LoadContext, work: (existing: ExistingTable) => Promise<T>): Promise<T> {
	const { session, place, target } = context;
	const turn = await enter(place.sql);
	try {
		return await session.transaction(async () => {
			const change = await tableChange(session, place, target);
			const isReady = change.ddl.length === 0 && change.retypes.length === 0;
			if (isReady) turn.pass();
			await alterTable(session, place, change, turn.alone);
			return work(isReady ? change.existing! : (await describeTable(session, place))!);
		});
	} finally {
		turn.leave();
	}
}

/** Shows the new rows to whoever asked to see them before the commit. */
export async function verifyRows(
	{ session, request }: { readonly session: Session; readonly request: Pick<LoadRequest, "verify"> },
	relation: string,
): Promise<void> {
	await request.verify?.(newRows(session, relation));
}

/** Takes away what an earlier load of the interval left; gives how many rows that were. */
export async function deleteInterval(context: LoadContext, existing: ExistingTable): Promise<number> {
	const { session, place, request } = context;
	const { interval } = request;
	if (interval === undefined) return 0;
	const tag = tagOf(request);
	if (tag !== undefined) return session.execute(deleteTagged(duckdbDialect, place.sql, tag.column, tag.text));
	const column = findColumn(existing.columns, interval.column!);
	if (column === undefined)
		throw new HeadraceError("E_UNKNOWN_COLUMN", `${qualified(request.target.name)} has no column ${interval.column}`);
	const range = { from: interval.start, to: interval.end };
	return session.execute(deleteRange(duckdbDialect, place.sql, column.name, column.destinationType, range));
}

export function resultOf(counts: Partial<LoadResult> & Pick<LoadResult, "rowsReceived">): LoadResult {
	return { rowsInserted: 0, rowsUpdated: 0, rowsDeleted: 0, rowsSuperseded: 0, ...counts };
}

/** A name for a table of this load only. */
export function loadSuffix(request: Pick<LoadRequest, "loadId">): string {
	return request.loadId.replace(/[^A-Za-z0-9_]/g, "_");
}
