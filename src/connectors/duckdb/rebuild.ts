import { randomBytes } from "node:crypto";
import { acquireTurn, type RebuildRequest } from "../../core/index.ts";
import type { Engine } from "../../engine/index.ts";
import { asSubquery, duckdbDialect, quotedList, swapTable } from "../../sql/index.ts";
import { createSchema } from "./load.ts";
import { describeTable, findColumn, keepsakesOf, type Place, tableLike } from "./schema.ts";
import { Session } from "./session.ts";
import { newRows } from "./statements.ts";
import type { UnfinishedBuilds } from "./unfinished.ts";
import { buildBeside, removeLeftovers } from "./write-replace.ts";

/** See `DestinationSql.rebuild`. Rebuilds of one table wait for each other. */
export async function rebuild(
	{ engine, unfinished }: { readonly engine: Engine; readonly unfinished: UnfinishedBuilds },
	place: Place,
	request: RebuildRequest,
): Promise<{ rows: number }> {
	const release = await acquireTurn(place.sql);
	try {
		await using session = await Session.open(engine, request.signal);
		await createSchema(session, place);
		await removeLeftovers(session, place, unfinished);
		return await buildBeside({ engine, place }, randomBytes(8).toString("hex"), async (build) => {
			const select = `SELECT * FROM (${asSubquery(request.select)}) AS new_rows`;
			const columns = await session.query(`SELECT column_name, column_type FROM (DESCRIBE ${select})`);
			const wanted = columns.map((row) => ({ name: String(row["column_name"]), type: String(row["column_type"]) }));
			await createLike(session, place, build, wanted);
			const names = quotedList(
				duckdbDialect,
				wanted.map((column) => column.name),
			);
			const rows = await session.execute(`INSERT INTO ${build.sql} (${names}) ${select}`, [], {
				columns: wanted.map((column) => column.name),
			});
			await request.verify?.(newRows(session, build.sql));
			await session.transaction(() => swap(session, place, build));
			return { rows };
		});
	} finally {
		release();
	}
}

interface SelectedColumn {
	readonly name: string;
	readonly type: string;
}

/** A table like the old one, with the columns that the SELECT has beside; a table of the SELECT's when there is none. */
async function createLike(
	session: Session,
	place: Place,
	build: Place,
	wanted: readonly SelectedColumn[],
): Promise<void> {
	const old = await describeTable(session, place);
	const added = wanted
		.filter((column) => findColumn(old?.columns ?? [], column.name) === undefined)
		.map(({ name, type }) => `${duckdbDialect.quoteIdentifier(name)} ${type}`);
	const kept = old === null ? { columns: [], constraints: [] } : await tableLike(session, place);
	const lines = [...kept.columns, ...added, ...kept.constraints];
	await session.execute(`CREATE TABLE ${build.sql} (\n\t${lines.join(",\n\t")}\n)`);
}

async function swap(session: Session, place: Place, build: Place): Promise<void> {
	const old = await describeTable(session, place);
	const keepsakes = old === null ? [] : await keepsakesOf(session, place, old.columns);
	const names = { fresh: build.sql, name: place.name, ...(old === null ? {} : { old: place.sql }) };
	for (const statement of swapTable(duckdbDialect, names)) await session.execute(statement);
	for (const statement of keepsakes) await session.execute(statement);
}
