import type { NewRows, SqlRow } from "../../core/index.ts";
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

/** New rows for who verifies them, in the transaction of the session. */
export function newRows(session: Session, relation: string): NewRows {
	return { relation, query: (sql) => textRows(session, sql) };
}
