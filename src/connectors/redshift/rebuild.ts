import { randomBytes } from "node:crypto";
import type { RebuildRequest } from "../../core/index.ts";
import type { RedshiftOptions } from "./connect.ts";
import type { ControlConnection } from "./control.ts";
import { ensureSchema } from "./load.ts";
import { bracketed, quoteIdentifier, quoteLiteral } from "./sql-text.ts";
import { Place } from "./target-names.ts";
import { readRelation } from "./target-table.ts";
import { Writer } from "./writer.ts";

/**
 * The rows of a SELECT instead of those of a table, in one transaction: into a temporary table first, since the SELECT
 * may read the table, then exchanged within it, so that grants, views and its order stay.
 */
export async function rebuild(
	options: RedshiftOptions,
	control: ControlConnection,
	request: RebuildRequest,
): Promise<{ readonly rows: number }> {
	const place = new Place(request.table);
	await using writer = await Writer.open(options, control, request.table, request.signal);
	await ensureSchema({ writer, place });
	const show = () => request.verify?.({ relation: place.sql, query: (sql) => writer.userQuery(sql) });
	const select = `SELECT * FROM ${bracketed(request.select)} AS headrace_query`;
	return await writer.transaction(async () => {
		const rows = quoteIdentifier(`_headrace_rows_${randomBytes(6).toString("hex")}`);
		if ((await readRelation(writer.session, place)) === null) {
			await writer.userStatement(`CREATE TABLE ${place.sql} AS ${select}`);
			await show();
			return { rows: (await writer.counts(`SELECT count(*) AS n FROM ${place.sql}`))["n"]! };
		}
		await writer.userStatement(`CREATE TEMPORARY TABLE ${rows} AS ${select}`);
		const names = await columnsOf(writer, rows);
		await writer.execute(`DELETE FROM ${place.sql}`);
		const count = await writer.execute(`INSERT INTO ${place.sql} (${names}) SELECT ${names} FROM ${rows}`);
		await writer.execute(`DROP TABLE ${rows}`);
		await show();
		return { rows: count };
	});
}

/** Columns of a table of this session's, quoted. */
async function columnsOf(writer: Writer, table: string): Promise<string> {
	const rows = await writer.rows(
		`SELECT a.attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.relname = ${quoteLiteral(table.slice(1, -1))} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
	);
	return rows.map(([name]) => quoteIdentifier(name!)).join(", ");
}
