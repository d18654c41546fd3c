import type { Column, SqlRow } from "../core/index.ts";
import { asSubquery } from "../sql/index.ts";
import type { EngineConnection } from "./connection.ts";
import type { Statements } from "./merge-staged.ts";

/**
 * Rows of a query with every value as DuckDB's own text. As a subquery it can be nothing but one SELECT: it changes no
 * data and ends no transaction.
 */
export async function textRows(statements: Pick<Statements, "query">, sql: string): Promise<readonly SqlRow[]> {
	const rows = await statements.query(`SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (${asSubquery(sql)}) AS rows`);
	return rows as Record<string, string | null>[];
}

/** The same, some rows at a time. */
export async function* streamTextRows(
	connection: EngineConnection,
	sql: string,
	signal?: AbortSignal,
): AsyncGenerator<readonly SqlRow[], void, undefined> {
	const text = `SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (${asSubquery(sql)}) AS rows`;
	const { batches } = await connection.stream(text, signal === undefined ? {} : { signal });
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
