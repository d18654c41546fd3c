import type { Column, NewRows, SqlRow } from "../../core/index.ts";
import { asSubquery } from "../../sql/index.ts";
import type { Session } from "./session.ts";

/**
 * Rows of a query with every value as DuckDB's own text. As a subquery it can be nothing but one SELECT: it changes no
 * data and ends no transaction.
 */
export async function textRows(session: Session, sql: string): Promise<readonly SqlRow[]> {
	const rows = await session.query(`SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (${asSubquery(sql)}) AS rows`);
	return rows as Record<string, string | null>[];
}

/** The same, some rows at a time. */
export async function* streamTextRows(
	session: Session,
	sql: string,
	signal?: AbortSignal,
): AsyncGenerator<readonly SqlRow[], void, undefined> {
	const text = `SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (${asSubquery(sql)}) AS rows`;
	const { batches } = await session.connection.stream(text, signal === undefined ? {} : { signal });
	for await (const batch of batches) {
		const rows = Array.from({ length: batch.rowCount }, (_, row) =>
			Object.fromEntries(batch.columns.map((column) => [column.name, textOf(column, row)])),
		);
		batch.release();
		yield rows;
	}
}

function textOf(column: Column, row: number): string | null {
	return column.isNull(row) ? null : Buffer.from(column.bytes(row)).toString("utf8");
}

/** New rows for who verifies them, in the transaction of the session. */
export function newRows(session: Session, relation: string): NewRows {
	return { relation, query: (sql) => textRows(session, sql) };
}
