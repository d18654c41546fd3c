/** What a PostgreSQL database holds, read by a session of its own: all of it in one snapshot. */
import type { TestDatabase } from "../support/shared.ts";
import { quoteDouble } from "./names.ts";
import type { Contents } from "./warehouse.ts";

/** All of a database; it may be without control tables. */
export async function readPostgres(database: TestDatabase): Promise<Contents> {
	await using client = await database.connect();
	await client.query("begin isolation level repeatable read");
	const names = await client.arrays(
		`select schemaname, tablename from pg_tables where schemaname !~ '^pg_' and schemaname <> 'information_schema' order by 1, 2`,
	);
	const tables = new Map<string, readonly string[]>();
	for (const [schema, name] of names) {
		if (schema === "_headrace") continue;
		const relation = `${quoteDouble(schema!)}.${quoteDouble(name!)}`;
		const columns = await client.arrays(
			"select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum",
			[relation],
		);
		const line = columns.map(([column]) => `coalesce(${quoteDouble(column!)}::text, '∅')`).join(", ");
		const rows = await client.arrays(`select concat_ws('|', ${line}) from ${relation}`);
		tables.set(`${schema}.${name}`, rows.map(([text]) => text!).sort());
	}
	const has = (table: string) => names.some(([schema, name]) => schema === "_headrace" && name === table);
	const positions = has("positions")
		? await client.arrays(
				"select pipeline, stream, seq, position, load_id from _headrace.positions order by pipeline, stream",
			)
		: [];
	const loads = has("loads") ? await client.arrays("select load_id, pipeline, to_position from _headrace.loads") : [];
	return {
		tables,
		positions: positions.map(([pipeline, stream, seq, position, loadId]) => ({
			pipeline: pipeline!,
			stream: stream!,
			seq: Number(seq),
			position: position ?? null,
			load_id: loadId ?? null,
		})),
		loads: loads.map(([loadId, pipeline, toPosition]) => ({
			load_id: loadId!,
			pipeline: pipeline!,
			to_position: toPosition!,
		})),
	};
}
