import { crashPoint, HeadraceError, type LoadResult, qualified } from "../../core/index.ts";
import { countKeys, postgresDialect } from "../../sql/index.ts";
import { copyRows } from "./copy-rows.ts";
import { readKeepsakes } from "./keepsakes.ts";
import { keptRows, type LoadContext, renameColumns, resultOf, tableFor, verify } from "./load.ts";
import { recordLoad } from "./positions.ts";
import { duplicateKey } from "./stage.ts";
import { buildPlace, createBuild, createIndexes, type Swap, swap } from "./swap.ts";
import type { Place } from "./target-names.ts";
import { evolveDdl, hasUniqueIndex, primaryKeyDdl, type Relation, readRelation } from "./target-table.ts";
import { exchange, replaceInPlace } from "./write-in-place.ts";

/**
 * The whole table, in one transaction with its position: built beside the old one with frozen rows, which every snapshot
 * sees once it sees the table, then put in its place together with all that the old one had. A transaction that ends
 * early leaves nothing. Where something holds on to the old table, rows are exchanged within it instead.
 */
export async function replace(context: LoadContext): Promise<LoadResult> {
	const { writer, place, request } = context;
	const relation = await renameColumns(context, await readRelation(writer.session, place));
	if (relation === null) return fillNew(context);
	const kept = await readKeepsakes(writer.session, writer.facts.version, relation.oid, place);
	if (kept.obstacles.length > 0) return replaceInPlace(context);
	const losesKey = relation.primaryKey.some((name) => !context.target.columns.some((column) => column.name === name));
	const parts: Swap = { writer, place, relation, kept, build: buildPlace(place, request.loadId), losesKey };
	return writer.transaction(() => buildBeside(context, parts));
}

/** Nobody sees a new table before the commit: it can be filled where it will be. */
async function fillNew(context: LoadContext): Promise<LoadResult> {
	const { writer, place, request } = context;
	return writer.transaction(async () => {
		const relation = await tableFor(context, null);
		const { received, copied } = await fill(context, place, relation);
		await ensureKey(context, place, relation);
		await verify(context, place.sql);
		const result = resultOf({ rowsReceived: received, rowsInserted: copied });
		await recordLoad(writer, request, result);
		return result;
	});
}

async function fill(context: LoadContext, build: Place, relation: Relation) {
	const { writer, request, target } = context;
	const key = target.key;
	const rejected = keptRows(context, relation);
	const filled = await copyRows(writer, {
		table: build.sql,
		relation,
		target,
		request,
		freeze: true,
		key,
		...rejected,
	});
	crashPoint("c08");
	return filled;
}

async function buildBeside(context: LoadContext, parts: Swap): Promise<LoadResult> {
	const { writer, place, request, target } = context;
	const { kept, build } = parts;
	const relation = parts.losesKey === true ? { ...parts.relation, primaryKey: [] } : parts.relation;
	await createBuild(parts);
	for (const statement of evolveDdl(build, relation, target, true)) await writer.execute(statement);
	const shaped = await readRelation(writer.session, build);
	if (shaped === null) throw new HeadraceError("E_INTERNAL", `${build.sql} was made and is not there`);
	const { received, copied } = await fill(context, build, shaped);
	await createIndexes(parts);
	if (!hasUniqueIndex(relation, target.key)) await ensureKey(context, build, relation);
	if (kept.analyzed) await writer.execute(`ANALYZE ${build.sql}`);
	const rowsDeleted = (await writer.counts(`SELECT count(*) AS n FROM ${place.sql}`))["n"]!;
	if (received === 0 && rowsDeleted > 0 && request.allowEmpty !== true)
		throw new HeadraceError("E_EMPTY", `no rows came for ${qualified(request.target.name)}, which has some`);
	await verify(context, build.sql);
	const result = (await swap(parts))
		? resultOf({ rowsReceived: received, rowsInserted: copied, rowsDeleted })
		: { ...(await exchangeFrom(context, relation, build)), rowsReceived: received };
	await recordLoad(writer, request, result);
	return result;
}

/**
 * The key as primary key, made after the rows; where it can't be one (a value is too long for an index, the table has
 * another) it is only looked at.
 */
async function ensureKey(context: LoadContext, build: Place, relation: Relation): Promise<void> {
	const { writer, target } = context;
	if (target.key.length === 0) return;
	if (relation.primaryKey.length === 0)
		try {
			await writer.part(() => writer.execute(primaryKeyDdl(build, target.key)));
			return;
		} catch (error) {
			if (!(error instanceof HeadraceError)) throw error;
			if (error.code === "E_DUPLICATE_KEY") throw duplicateKey(context);
			if (!["E_TOO_LARGE", "E_DESTINATION", "E_UNSUPPORTED"].includes(error.code)) throw error;
		}
	const { row_count, keys } = await writer.counts(countKeys(postgresDialect, build.sql, target.key));
	if (keys! < row_count!) throw duplicateKey(context);
}

/** The built rows into the old table, for which nobody needs to let go of it. */
async function exchangeFrom(context: LoadContext, relation: Relation, build: Place): Promise<LoadResult> {
	const { writer, place, target } = context;
	if (evolveDdl(place, relation, target).length > 0)
		throw new HeadraceError("E_TIMEOUT", `${qualified(place)} needs other columns, and other sessions hold it`, {
			hint: "See pg_locks for who does; the run is retried.",
		});
	const result = await exchange(context, relation, build.sql);
	await writer.execute(`DROP TABLE ${build.sql}`);
	return result;
}
