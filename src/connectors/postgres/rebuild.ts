import { randomBytes } from "node:crypto";
import { HeadraceError, type RebuildRequest } from "../../core/index.ts";
import type { PostgresOptions } from "./connect.ts";
import type { ControlConnection } from "./control.ts";
import { readKeepsakes } from "./keepsakes.ts";
import { ensureSchema } from "./load.ts";
import { bracketed, quoteIdentifier } from "./sql-text.ts";
import { buildPlace, createBuild, createIndexes, type Swap, swap } from "./swap.ts";
import { Place } from "./target-names.ts";
import { readRelation } from "./target-table.ts";
import { WriteSession } from "./write-session.ts";

/**
 * The rows of a SELECT instead of those of a table, in one transaction: built beside and put in its place, or exchanged
 * within it where something holds on to it.
 */
export async function rebuild(
	options: PostgresOptions,
	control: ControlConnection,
	request: RebuildRequest,
): Promise<{ readonly rows: number }> {
	const place = new Place(request.table);
	await using writer = await WriteSession.open(options, control, place, request.signal);
	await ensureSchema({ writer, place });
	const relation = await readRelation(writer.session, place);
	const show = (table: string) => request.verify?.({ relation: table, query: (sql) => writer.userQuery(sql) });
	if (relation === null)
		return await writer.transaction(async () => {
			const rows = await asUser(writer, `CREATE TABLE ${place.sql} AS SELECT * FROM ${bracketed(request.select)} AS q`);
			await show(place.sql);
			return { rows };
		});
	const kept = await readKeepsakes(writer.session, writer.facts.version, relation.oid, place);
	const build = buildPlace(place, randomBytes(13).toString("hex"));
	const parts: Swap = { writer, place, relation, kept, build };
	return await writer.transaction(async () => {
		const columns = await columnsOf(writer, request.select);
		const insert = (into: string, from: string) => `INSERT INTO ${into} (${columns}) OVERRIDING SYSTEM VALUE ${from}`;
		const select = `SELECT * FROM ${bracketed(request.select)} AS q`;
		const exchange = async (from: string) => {
			// The SELECT may read the table: its rows are there until it is done.
			await writer.execute(`DELETE FROM ${place.sql}`);
			return writer.execute(insert(place.sql, `SELECT ${columns} FROM ${from}`));
		};
		if (kept.obstacles.length > 0) {
			await asUser(writer, `CREATE TEMPORARY TABLE _headrace_rows ON COMMIT DROP AS ${select}`);
			const rows = await exchange("pg_temp._headrace_rows");
			await show(place.sql);
			return { rows };
		}
		await createBuild(parts);
		const rows = await asUser(writer, insert(build.sql, select));
		await createIndexes(parts);
		await writer.execute(`ANALYZE ${build.sql}`);
		await show(build.sql);
		if (!(await swap(parts))) {
			await exchange(build.sql);
			await writer.execute(`DROP TABLE ${build.sql}`);
		}
		return { rows };
	});
}

/** Runs a statement with SQL of the pipeline's in it: names without a schema are looked up as the user's session would. */
async function asUser(writer: WriteSession, sql: string): Promise<number> {
	await writer.execute("SET LOCAL search_path TO DEFAULT");
	const rows = await writer.execute(sql);
	await writer.execute("SELECT pg_catalog.set_config('search_path', '', true)");
	return rows;
}

/** The SELECT's columns, quoted. */
async function columnsOf(writer: WriteSession, select: string): Promise<string> {
	await writer.execute("SET LOCAL search_path TO DEFAULT");
	const columns = await writer.session.describe(`SELECT * FROM ${bracketed(select)} AS q`, { ownSql: true });
	await writer.execute("SELECT pg_catalog.set_config('search_path', '', true)");
	if (columns.length === 0) throw new HeadraceError("E_INVALID_VALUE", "the SELECT gives no columns");
	return columns.map(({ name }) => quoteIdentifier(name)).join(", ");
}
