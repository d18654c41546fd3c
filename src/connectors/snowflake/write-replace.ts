import { crashPoint, HeadraceError, type LoadResult, qualified } from "../../core/index.ts";
import { quoteEscaped, snowflakeDeleteFlagged, snowflakeInsert } from "../../sql/index.ts";
import { recordLoad } from "./control.ts";
import { copyRows, countKeys, type LoadContext, resultOf, transaction, verify } from "./load.ts";
import type { Place } from "./names.ts";
import type { Session } from "./session.ts";
import { buildMark, buildPlace, finishSwap } from "./swap.ts";
import { createDdl, evolveDdl, type Relation, readRelation } from "./table.ts";

/**
 * The whole table: built beside the old one, verified, then put in its place by SWAP WITH, or by its name where there is
 * none. A table of another role's can't be swapped: its rows are exchanged in one transaction instead.
 */
export async function replace(context: LoadContext): Promise<LoadResult> {
	const { session, request, place } = context;
	const relation = await readRelation(session, place);
	const build = buildPlace(place, request);
	const shaped = await createBuild(context, relation, build);
	const { received, rowsInserted } = await fill(context, build, shaped);
	const rowsDeleted = relation === null ? 0 : (await session.counts(`SELECT count(*) AS N FROM ${place.sql}`))["n"]!;
	if (received === 0 && rowsDeleted > 0 && request.allowEmpty !== true)
		throw new HeadraceError("E_EMPTY", `no rows came for ${qualified(request.target.name)}, which has some`);
	await verify(context, build.sql);
	const result = resultOf({ rowsReceived: received, rowsInserted, rowsDeleted });
	if (relation !== null && !(await owns(session, relation))) await exchangeRows(context, relation, build, result);
	else await commitAndSwap(context, build, result);
	return result;
}

/**
 * The empty table: LIKE keeps columns, defaults, keys and clustering of the old one, COPY GRANTS who may see it, which
 * goes with a table when it is swapped. https://docs.snowflake.com/en/sql-reference/sql/create-table (COPY GRANTS)
 */
export async function createBuild(context: LoadContext, relation: Relation | null, build: Place): Promise<Relation> {
	const { session, place, target } = context;
	const about = { table: place };
	if (relation === null) await session.run(createDdl(build, target), [], about);
	else {
		await session.run(`CREATE TABLE ${build.sql} LIKE ${place.sql} COPY GRANTS`, [], about);
		for (const statement of evolveDdl(build, relation, target, true)) await session.run(statement, [], about);
	}
	const { request } = context;
	await session.run(`COMMENT ON TABLE ${build.sql} IS ${quoteEscaped(buildMark(request.loadId))}`);
	const shaped = await readRelation(session, build);
	if (shaped === null) throw new HeadraceError("E_INTERNAL", `${build.sql} was made and is not there`);
	return shaped;
}

async function fill(context: LoadContext, build: Place, shaped: Relation) {
	const { session, request, target } = context;
	return transaction(context, async () => {
		const received = await copyRows(context, build.sql, shaped, false);
		const { deletedColumn } = request;
		if (target.key.length > 0) {
			const { rows, keys } = await countKeys(context, build.sql);
			if (keys < rows)
				throw new HeadraceError(
					"E_DUPLICATE_KEY",
					`the key (${target.key.join(", ")}) of ${qualified(request.target.name)} is not unique: ${rows - keys} of ${rows} rows repeat one`,
					{ table: qualified(request.target.name) },
				);
		}
		// Rows that the source flags as deleted are not in a merged table, so neither in a replaced one.
		const flagged =
			deletedColumn === undefined
				? 0
				: (await session.change(snowflakeDeleteFlagged(build.sql, deletedColumn))).deleted;
		return { received, rowsInserted: received - flagged };
	});
}

/** Whether the session's role, or one that it has, owns the table: SWAP WITH needs that of both. */
async function owns(session: Session, relation: Relation): Promise<boolean> {
	const [row] = await session.rows("SELECT CURRENT_ROLE()");
	return row?.[0] === relation.owner;
}

async function commitAndSwap(context: LoadContext, build: Place, result: LoadResult): Promise<void> {
	const { session, request, place } = context;
	try {
		await transaction(context, () => recordLoad(session, request, result, place));
	} catch (error) {
		// What is not committed never takes the table's place; a lost answer is asked for by who finishes the swap.
		if (!(error instanceof HeadraceError) || error.code !== "E_CONNECTION_LOST") await dropBuild(session, build);
		throw error;
	}
	crashPoint("c10");
	const { loadId, pipeline, stream } = request;
	await finishSwap(session, { loadId, pipeline, stream, schema: place.schema, name: place.name });
}

/** DELETE, not TRUNCATE, which would commit: readers see the old rows until the new ones are there. */
async function exchangeRows(context: LoadContext, relation: Relation, build: Place, result: LoadResult): Promise<void> {
	const { session, request, place, target } = context;
	for (const statement of evolveDdl(place, relation, target)) await session.run(statement, [], { table: place });
	const columns = target.columns.map(({ name }) => name);
	await transaction(context, async () => {
		await session.run(`DELETE FROM ${place.sql}`, [], { table: place });
		await session.run(snowflakeInsert(place.sql, build.sql, columns), [], { table: place });
		await recordLoad(session, request, result);
	});
	crashPoint("c10");
	await dropBuild(session, build);
}

async function dropBuild(session: Session, build: Place): Promise<void> {
	try {
		await session.run(`DROP TABLE IF EXISTS ${build.sql}`);
	} catch {
		// The error of the load is the one to tell; the next load of these rows removes what is left.
	}
}
