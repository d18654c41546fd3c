import type { DestinationFixture } from "../../src/conformance/index.ts";
import { createRedshiftDestination, type RedshiftOptions } from "../../src/connectors/redshift/index.ts";
import { type Field, Secret, type TableName } from "../../src/core/index.ts";
import { type RedshiftStandIn, startRedshiftStandIn } from "../stand-ins/redshift/index.ts";
import { type S3StandIn, startS3StandIn } from "../stand-ins/s3/index.ts";
import type { TextClient } from "../support/client.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { available } from "../support/start.ts";

/** The real PostgreSQL behind the stand-in: the newest that can be started here. */
export const BACKEND = available("postgres18") === undefined ? "postgres18" : "postgres15";
export const BUCKET = "lake";

/** The stand-ins of Redshift and S3, over an empty database of a real PostgreSQL. */
export interface Warehouse extends AsyncDisposable {
	readonly s3: S3StandIn;
	readonly redshift: RedshiftStandIn;
	/** What is behind the stand-in. */
	readonly database: TestDatabase;
	readonly client: TextClient;
	readonly options: RedshiftOptions;
}

export async function openWarehouse(
	more: { readonly roles?: Readonly<Record<string, unknown>> } = {},
): Promise<Warehouse> {
	const server = await sharedServer(BACKEND);
	const database = await freshDatabase(server);
	const s3 = await startS3StandIn({ buckets: [BUCKET] });
	const redshift = await startRedshiftStandIn({ s3, server, database: database.name, ...more });
	const client = await database.connect();
	await client.query("set timezone = 'UTC'; set datestyle = ISO");
	return {
		s3,
		redshift,
		database,
		client,
		options: optionsOf(redshift),
		[Symbol.asyncDispose]: async () => {
			await client.close();
			await redshift[Symbol.asyncDispose]();
			await s3[Symbol.asyncDispose]();
			await database.drop();
		},
	};
}

export function optionsOf({ host, port, user, password, database, iamRole }: RedshiftStandIn): RedshiftOptions {
	return { host, port, user, password: new Secret(password), database, iamRole };
}

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

function canonical({ name, type }: Field): string {
	const column = quote(name);
	return type.kind === "binary" ? `encode(${column}, 'hex')` : `${column}::text`;
}

/** The committed rows as canonical text, asked of the backend itself; null when there is no table. */
export async function tableRows(
	client: TextClient,
	table: TableName,
	columns: readonly Field[],
): Promise<(string | null)[][] | null> {
	const [there] = await client.query("select to_regclass($1) as found", [
		`${quote(table.schema)}.${quote(table.name)}`,
	]);
	if (there?.["found"] === null) return null;
	const rows = await client.arrays(
		`select ${columns.map(canonical).join(", ")} from ${quote(table.schema)}.${quote(table.name)}`,
	);
	return rows.map((row) => row.map((value, at) => floatText(value, columns[at]!)));
}

/** PostgreSQL writes `1e+38` with other digits than JavaScript, of the same number. */
function floatText(value: string | null, { type }: Field): string | null {
	if (value === null || value === "-0") return value;
	if (type.kind === "float64") return String(Number(value));
	if (type.kind === "boolean") return value === "t" ? "true" : value === "f" ? "false" : value;
	return value;
}

/** An empty stand-in as a destination. */
export async function destinationFixture(): Promise<DestinationFixture> {
	const warehouse = await openWarehouse();
	const open = () => createRedshiftDestination(warehouse.options);
	const destination = await open();
	return {
		destination,
		schema: "raw",
		reopen: open,
		rows: (table, columns) => tableRows(warehouse.client, table, columns),
		[Symbol.asyncDispose]: async () => {
			await destination[Symbol.asyncDispose]();
			await warehouse[Symbol.asyncDispose]();
		},
	};
}
