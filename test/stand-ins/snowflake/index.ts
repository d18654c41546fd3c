/**
 * A stand-in of Snowflake on 127.0.0.1 over the embedded DuckDB, written from Snowflake's public documents and from what
 * its driver for Node.js asks; each rule names its page. What it does not know it refuses with "Unsupported feature", and
 * never guesses. It is not Snowflake: what rests on documents only is listed in docs/tested-on.md.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Engine } from "../../../src/engine/index.ts";
import { Catalog, encodeName, type Table } from "./catalog.ts";
import { FaultPlan } from "./faults.ts";
import { WriteLock } from "./locks.ts";
import { SnowflakeServer } from "./server.ts";
import type { Integration, ReadObject, Role, User, World } from "./world.ts";

export type { Fault, FaultEffect } from "./faults.ts";
export type { Integration, ReadObject, Role, User } from "./world.ts";

export interface SnowflakeStandInOptions {
	/** Default a free one. */
	readonly port?: number;
	/** Default `standin`. */
	readonly account?: string;
	/** Users by name, in upper case; default LOADER with a password. */
	readonly users?: Readonly<Record<string, User>>;
	readonly roles?: Readonly<Record<string, Role>>;
	readonly integrations?: Readonly<Record<string, Integration>>;
	/** For external stages. */
	readonly readObject?: ReadObject;
	readonly memoryBytes?: number;
}

export interface SnowflakeStandIn extends AsyncDisposable {
	/** `http://127.0.0.1:<port>` */
	readonly endpoint: string;
	readonly account: string;
	readonly user: string;
	readonly password: string;
	readonly role: string;
	readonly warehouse: string;
	readonly database: string;
	readonly faults: FaultPlan;
	/** Statements as they came, with the session's query tag. */
	readonly log: World["log"];
	readonly world: World;
	/** A table as the catalog has it; null when there is none. */
	table(schema: string, name: string): Table | null;
	/** Committed rows by DuckDB: `select` gets the quoted name of each column by Snowflake's. */
	query(sql: string): Promise<Record<string, unknown>[]>;
	/** How many transactions are open. */
	openTransactions(): number;
}

export const STAND_IN_PASSWORD = "stand-in password";
const DATABASE = "ANALYTICS";
const WAREHOUSE = "LOAD_WH";
const ROLE = "LOADER_ROLE";

/** What Snowflake has and DuckDB does not, as macros: shared by all sessions. */
const MACROS = [
	"CREATE MACRO sf_add_micros(n, x) AS (x + to_microseconds(CAST(n AS BIGINT)))",
	"CREATE MACRO sf_varchar(x) AS CAST(x AS VARCHAR)",
];

export async function startSnowflakeStandIn(options: SnowflakeStandInOptions = {}): Promise<SnowflakeStandIn> {
	const folder = await mkdtemp(join(tmpdir(), "headrace-snowflake-stand-in-"));
	const engine = await Engine.open({
		memoryBytes: options.memoryBytes ?? 256 << 20,
		tempDirectory: join(folder, "spill"),
		allowedDirectories: [folder],
	});
	const setup = await engine.connect();
	for (const macro of MACROS) await setup.execute(macro);
	let next = 1_000;
	const world: World = {
		engine,
		catalog: new Catalog(DATABASE),
		account: options.account ?? "standin",
		users: new Map(
			Object.entries(options.users ?? { LOADER: { password: STAND_IN_PASSWORD, defaultRole: ROLE, roles: [ROLE] } }),
		),
		roles: new Map(
			Object.entries({
				[ROLE]: {
					database: ["USAGE", "CREATE SCHEMA"],
					warehouses: [WAREHOUSE],
					integrations: Object.keys(options.integrations ?? {}),
				},
				ACCOUNTADMIN: {
					database: ["OWNERSHIP"],
					warehouses: [WAREHOUSE],
					integrations: Object.keys(options.integrations ?? {}),
				},
				...options.roles,
			}),
		),
		integrations: new Map(Object.entries(options.integrations ?? {})),
		warehouses: new Set([WAREHOUSE]),
		sessions: new Map(),
		lock: new WriteLock(),
		faults: new FaultPlan(),
		folder,
		...(options.readObject === undefined ? {} : { readObject: options.readObject }),
		log: [],
		nextId: () => String(next++),
	};
	const server = new SnowflakeServer(world);
	const port = await server.listen(options.port);
	let closed = false;
	return {
		endpoint: `http://127.0.0.1:${port}`,
		account: world.account,
		user: "LOADER",
		password: STAND_IN_PASSWORD,
		role: ROLE,
		warehouse: WAREHOUSE,
		database: DATABASE,
		faults: world.faults,
		log: world.log,
		world,
		table: (schema, name) => world.catalog.tables.get(JSON.stringify([schema, name])) ?? null,
		query: (sql) => setup.query(sql),
		openTransactions: () => [...world.sessions.values()].filter(({ transaction }) => transaction !== null).length,
		async [Symbol.asyncDispose]() {
			if (closed) return;
			closed = true;
			await server.close();
			for (const session of [...world.sessions.values()]) await session.end();
			await engine[Symbol.asyncDispose]();
			await rm(folder, { recursive: true, force: true });
		},
	};
}

export { encodeName };
