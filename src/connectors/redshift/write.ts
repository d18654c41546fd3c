import { HeadraceError, type LoadResult, qualified, type TargetTable } from "../../core/index.ts";
import {
	quotedList,
	type RedshiftMerge,
	redshiftCountKeys,
	redshiftCountKnown,
	redshiftDeleteEqualStaged,
	redshiftDeleteFlagged,
	redshiftDeleteFlaggedStaged,
	redshiftDeleteKnown,
	redshiftDeleteKnownStaged,
	redshiftDeleteSuperseded,
	redshiftDialect,
	redshiftInsertBeyond,
	redshiftInsertStaged,
	redshiftKeepUnreplaced,
	redshiftUpdateKnown,
} from "../../sql/index.ts";
import { buildBeside, putInPlace } from "./beside.ts";
import { deleteInterval, ensureTable, isWhole, lockedShape, mergeOf, range, resultOf, verify } from "./load.ts";
import type { LoadContext, Shape } from "./load-context.ts";
import { LOCK_POSITIONS, recordLoad } from "./positions.ts";
import { quoteIdentifier } from "./sql-text.ts";
import { familyOf, stageType } from "./target-types.ts";

const UNREPLACED = quoteIdentifier("_headrace_unreplaced");

/**
 * The load's one transaction: the positions are locked, the stage counted, its rows written, and the position moved by
 * compare-and-set. TRUNCATE and ALTER TABLE APPEND would commit it, and are in none:
 * https://docs.aws.amazon.com/redshift/latest/dg/r_TRUNCATE.html
 */
export function writeStaged(context: LoadContext, shape: Shape, rowsReceived: number): Promise<LoadResult> {
	const { writer, request } = context;
	return writer.transaction(async () => {
		await writer.execute(LOCK_POSITIONS);
		await expectStaged(context, rowsReceived);
		const result = await write(context, await lockedShape(context, shape), rowsReceived);
		await recordLoad(writer, request, result);
		return result;
	});
}

/** @throws E_RECEIPT when the stage does not have the rows that came */
export async function expectStaged({ writer, request, stage }: LoadContext, rowsReceived: number): Promise<void> {
	const { staged } = await writer.counts(`SELECT count(*) AS staged FROM ${stage}`);
	if (staged === rowsReceived) return;
	throw new HeadraceError(
		"E_RECEIPT",
		`${rowsReceived} rows came for ${qualified(request.target.name)}, and the stage has ${staged}`,
	);
}

function write(context: LoadContext, shape: Shape, rowsReceived: number): Promise<LoadResult> {
	const { request } = context;
	if (request.write === "merge") return merge(context, shape, rowsReceived);
	if (isWhole(request)) return replace(context, shape, rowsReceived);
	// An interval is a part of the table, which is exchanged.
	return append(context, shape, rowsReceived);
}

/** The whole table: its rows exchanged within it, or a table with other columns put in its place. */
async function replace(context: LoadContext, shape: Shape, rowsReceived: number): Promise<LoadResult> {
	const { writer, request, place, target } = context;
	const { deletedColumn } = request;
	const mergeTables = mergeOf(context, shape);
	if (deletedColumn !== undefined)
		await writer.execute(
			redshiftDeleteFlaggedStaged(mergeTables, deletedColumn, isBoolean(context, shape, deletedColumn)),
		);
	if (target.key.length > 0) await expectUnique(context, mergeTables);
	const { relation, rebuilt } = shape;
	if (relation === null) {
		await ensureTable(context, shape);
		const rowsInserted = await writer.execute(redshiftInsertStaged(mergeTables));
		await verify(context, place.sql);
		return resultOf({ rowsReceived, rowsInserted });
	}
	const { n: old } = await writer.counts(`SELECT count(*) AS n FROM ${place.sql}`);
	if (rowsReceived === 0 && old! > 0 && request.allowEmpty !== true)
		throw new HeadraceError("E_EMPTY", `no rows came for ${qualified(request.target.name)}, which has some`);
	if (rebuilt.length > 0) {
		const build = await buildBeside(context, rebuilt, request.loadId);
		const rowsInserted = await writer.execute(redshiftInsertStaged(mergeTables, build.sql));
		await verify(context, build.sql);
		await putInPlace(context, build);
		return resultOf({ rowsReceived, rowsInserted, rowsDeleted: old! });
	}
	if (old! > 0) await writer.execute(`DELETE FROM ${place.sql}`);
	const rowsInserted = await writer.execute(redshiftInsertStaged(mergeTables));
	await verify(context, place.sql);
	return resultOf({ rowsReceived, rowsInserted, rowsDeleted: old! });
}

async function expectUnique({ writer, target }: LoadContext, tables: RedshiftMerge): Promise<void> {
	const { row_count, keys, nulls } = await writer.counts(redshiftCountKeys(tables));
	const table = qualified(target.name);
	if (nulls! > 0) throw nullKey(target, nulls!);
	if (keys! < row_count!)
		throw new HeadraceError("E_DUPLICATE_KEY", `the key (${target.key.join(", ")}) of ${table} is not unique`, {
			table,
		});
}

export function nullKey({ name, key }: TargetTable, count: number): HeadraceError {
	const table = qualified(name);
	return new HeadraceError("E_NULL_KEY", `${count} rows for ${table} have NULL in the key (${key.join(", ")})`, {
		table,
	});
}

/**
 * Rows by key: the newest of each key takes the place of the one that is there. Rows that are equal already are not
 * written, so a merge of what is known changes nothing but the position.
 */
async function merge(context: LoadContext, shape: Shape, rowsReceived: number): Promise<LoadResult> {
	const { writer, request, target, place } = context;
	await ensureTable(context, shape);
	const tables = mergeOf(context, shape);
	const { row_count, keys, nulls } = await writer.counts(redshiftCountKeys(tables));
	if (nulls! > 0) throw nullKey(target, nulls!);
	if (keys! < row_count!) await writer.execute(redshiftDeleteSuperseded(tables, request.orderColumn));
	let rowsDeleted = await deleteInterval(context, shape);
	const { deletedColumn } = request;
	let left = keys!;
	if (deletedColumn !== undefined) {
		const boolean = isBoolean(context, shape, deletedColumn);
		rowsDeleted += await writer.execute(redshiftDeleteFlagged(tables, deletedColumn, boolean));
		left -= await writer.execute(redshiftDeleteFlaggedStaged(tables, deletedColumn, boolean));
	}
	const counts = { rowsReceived, rowsSuperseded: row_count! - keys! };
	const { known, known_rows } = await writer.counts(redshiftCountKnown(tables));
	let rowsUpdated = 0;
	if (known! > 0 && request.onConflict === "ignore") left -= await writer.execute(redshiftDeleteKnownStaged(tables));
	else if (known! > 0) {
		let changed = known!;
		// A key that the table has several rows of becomes one row, though one of them is equal.
		if (known === known_rows) {
			const equal = await writer.execute(redshiftDeleteEqualStaged(tables));
			changed -= equal;
			left -= equal;
		}
		const others = shape.relation?.columns.some(({ name }) => !tables.columns.some((column) => column.name === name));
		if (others && known === known_rows) {
			if (changed > 0) rowsUpdated = await writer.execute(redshiftUpdateKnown(tables));
			left -= await writer.execute(redshiftDeleteKnownStaged(tables));
		} else if (changed > 0) {
			const gone = await writer.execute(redshiftDeleteKnown(tables));
			rowsUpdated = changed;
			rowsDeleted += gone - changed;
			left -= changed;
			await writer.execute(redshiftInsertStaged(tables));
			await verify(context, place.sql);
			return resultOf({ ...counts, rowsInserted: left, rowsUpdated, rowsDeleted });
		}
	}
	if (left > 0) await writer.execute(redshiftInsertStaged(tables));
	await verify(context, place.sql);
	return resultOf({ ...counts, rowsInserted: left, rowsUpdated, rowsDeleted });
}

function isBoolean({ request }: LoadContext, { typeOf }: Shape, name: string): boolean {
	const column = request.target.columns.find((other) => other.name === name);
	if (column === undefined)
		throw new HeadraceError("E_UNKNOWN_COLUMN", `${qualified(request.target.name)} has no column ${name}`);
	return familyOf(stageType(column.type, typeOf(name))) === "BOOLEAN";
}

/** Rows added to those that are there; an interval's own rows go first, and an overlap's are not added again. */
async function append(context: LoadContext, shape: Shape, rowsReceived: number): Promise<LoadResult> {
	const { writer, place, request } = context;
	await ensureTable(context, shape);
	const tables = mergeOf(context, shape);
	let result: LoadResult;
	if (request.overlap === undefined) {
		const rowsDeleted = await deleteInterval(context, shape);
		const rowsInserted = await writer.execute(redshiftInsertStaged(tables));
		result = resultOf({ rowsReceived, rowsInserted, rowsDeleted });
	} else {
		const rowsInserted = await appendBeyond(context, shape, tables, request.overlap);
		result = resultOf({ rowsReceived, rowsInserted, rowsSuperseded: rowsReceived - rowsInserted });
	}
	await verify(context, place.sql);
	return result;
}

/** Gives how many rows the table has more than before. */
async function appendBeyond(
	context: LoadContext,
	shape: Shape,
	tables: RedshiftMerge,
	overlap: NonNullable<LoadContext["request"]["overlap"]>,
): Promise<number> {
	const { writer, place } = context;
	const { column, from } = overlap;
	const condition = from === null ? "TRUE" : range(column, shape.typeOf(column), { from });
	const added = new Set(overlap.added);
	if (added.size === 0 || shape.relation === null) return writer.execute(redshiftInsertBeyond(tables, condition));
	const compared = new Set(tables.columns.map(({ name }) => name).filter((name) => !added.has(name)));
	const columns = shape.relation.columns.map(({ name }) => name);
	await writer.execute(redshiftKeepUnreplaced(tables, { table: UNREPLACED, columns }, compared, condition));
	const gone = await writer.execute(`DELETE FROM ${place.sql} WHERE ${condition}`);
	const names = quotedList(redshiftDialect, columns);
	const back = await writer.execute(`INSERT INTO ${place.sql} (${names}) SELECT ${names} FROM ${UNREPLACED}`);
	await writer.execute(`DROP TABLE ${UNREPLACED}`);
	const inserted = await writer.execute(redshiftInsertStaged(tables));
	return inserted - (gone - back);
}
