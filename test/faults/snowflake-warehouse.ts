/** What the Snowflake stand-in holds, read past its SQL from the engine behind it. */
import { encodeName, type SnowflakeStandIn } from "../stand-ins/snowflake/index.ts";
import type { Contents } from "./warehouse.ts";

/** Names that Snowflake keeps in upper case as people write them. */
const written = (name: string): string => (/^[A-Z_][A-Z0-9_$]*$/.test(name) ? name.toLowerCase() : name);

/** All committed rows; there may be no control tables. */
export async function readSnowflake(standIn: SnowflakeStandIn): Promise<Contents> {
	const control = (name: string, columns: string) => {
		const table = standIn.table("_HEADRACE", name);
		return table === null ? [] : standIn.query(`SELECT ${columns} FROM ${table.physical} ORDER BY ALL`);
	};
	const positions = await control("POSITIONS", "PIPELINE, STREAM, SEQ, POSITION, LOAD_ID");
	const loads = await control("LOADS", "LOAD_ID, PIPELINE, TO_POSITION");
	const tables = new Map<string, readonly string[]>();
	for (const [key, table] of [...standIn.world.catalog.tables]) {
		const [schema, name] = JSON.parse(key) as [string, string];
		if (schema === "_HEADRACE") continue;
		const line = table.columns.map((column) => `coalesce(CAST(${encodeName(column.name)} AS VARCHAR), '∅')`).join(", ");
		const rows = await standIn.query(`SELECT concat_ws('|', ${line}) AS line FROM ${table.physical}`);
		tables.set(`${written(schema)}.${written(name)}`, rows.map((row) => String(row["line"])).sort());
	}
	return {
		tables,
		positions: positions.map((row) => ({
			pipeline: String(row["PIPELINE"]),
			stream: String(row["STREAM"]),
			seq: Number(row["SEQ"]),
			position: row["POSITION"] as string | null,
			load_id: row["LOAD_ID"] as string | null,
		})),
		loads: loads.map((row) => ({
			load_id: String(row["LOAD_ID"]),
			pipeline: String(row["PIPELINE"]),
			to_position: String(row["TO_POSITION"]),
		})),
	};
}

/** The stand-in as a connection of connections.yaml. */
export function snowflakeConnection(standIn: SnowflakeStandIn): string {
	const { account, user, password, role, warehouse, database, endpoint } = standIn;
	const [integration] = standIn.world.integrations.keys();
	const stage = integration === undefined ? {} : { storage_integration: integration };
	return JSON.stringify({ type: "snowflake", account, user, password, role, warehouse, database, endpoint, ...stage });
}
