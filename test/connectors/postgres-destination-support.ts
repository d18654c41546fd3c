import type { DestinationFixture } from "../../src/conformance/index.ts";
import { createPostgresDestination } from "../../src/connectors/postgres/index.ts";
import type { Field, TableName } from "../../src/core/index.ts";
import type { TextClient } from "../support/client.ts";
import type { ServerName } from "../support/server.ts";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { optionsOf, quote } from "./postgres-support.ts";

function canonical({ name, type }: Field): string {
	const column = quote(name);
	if (type.kind === "binary") return `encode(${column}, 'hex')`;
	return type.kind === "list" ? `to_json(${column}::text[])::text` : `${column}::text`;
}

/** The committed rows as canonical text, as one plain SELECT of another session sees them; null when there is no table. */
export async function tableRows(
	client: TextClient,
	table: TableName,
	columns: readonly Field[],
): Promise<(string | null)[][] | null> {
	try {
		return await client.arrays(
			`select ${columns.map(canonical).join(", ")} from ${quote(table.schema)}.${quote(table.name)}`,
		);
	} catch (error) {
		if ((error as { code?: string }).code === "42P01") return null;
		throw error;
	}
}

/** An empty database of a real server as a destination. */
export async function destinationFixture(server: ServerName): Promise<DestinationFixture> {
	const shared = await sharedServer(server);
	const database = await freshDatabase(shared);
	const open = () => createPostgresDestination(optionsOf(shared, database.name));
	const destination = await open();
	const client = await database.connect();
	await client.query("set intervalstyle = iso_8601; set timezone = 'UTC'; set datestyle = ISO");
	return {
		destination,
		schema: "raw",
		reopen: open,
		rows: (table, columns) => tableRows(client, table, columns),
		[Symbol.asyncDispose]: async () => {
			await destination[Symbol.asyncDispose]();
			await client.close();
			await database.drop();
		},
	};
}
