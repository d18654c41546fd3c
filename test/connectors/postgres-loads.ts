/** Loads into a database of a real PostgreSQL server, for cases of its own. */
import { Loader } from "../../src/conformance/destination-fixture.ts";
import type { TextRow } from "../../src/conformance/index.ts";
import { createPostgresDestination } from "../../src/connectors/postgres/index.ts";
import type { Destination, Field, LoadRequest, LoadResult, TargetColumn, TargetTable } from "../../src/core/index.ts";
import type { TextClient } from "../support/client.ts";
import type { ServerName, TestServer } from "../support/server.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { fieldsOf } from "./duckdb-support.ts";
import { optionsOf } from "./postgres-support.ts";

export interface LoadOptions extends Partial<LoadRequest> {
	/** `id int64, name text`. */
	readonly columns?: string;
	readonly key?: readonly string[];
	readonly table?: string;
	readonly column?: Readonly<Record<string, Partial<TargetColumn>>>;
}

/** A destination with a client that looks at it from outside. */
export class Loads implements AsyncDisposable {
	readonly server: TestServer;
	readonly database: TestDatabase;
	readonly destination: Destination;
	readonly client: TextClient;
	readonly #loaders = new Map<string, Loader>();

	private constructor(server: TestServer, database: TestDatabase, destination: Destination, client: TextClient) {
		this.server = server;
		this.database = database;
		this.destination = destination;
		this.client = client;
	}

	static async open(name: ServerName, account?: { user: string; password: string }): Promise<Loads> {
		const server = await sharedServer(name);
		const database = await freshDatabase(server);
		const destination = await createPostgresDestination(optionsOf(server, database.name, account));
		return new Loads(server, database, destination, await database.connect());
	}

	target(options: LoadOptions = {}): TargetTable {
		const fields: Field[] = fieldsOf(options.columns ?? "id int64, name text");
		return {
			name: { schema: "raw", name: options.table ?? "t" },
			columns: fields.map((field) => ({
				...field,
				destinationType: this.destination.mapType(field.type).destinationType,
				...options.column?.[field.name],
			})),
			key: options.key ?? ["id"],
		};
	}

	async load(rows: readonly TextRow[], options: LoadOptions = {}): Promise<LoadResult> {
		const { columns: _columns, key: _key, table: _table, column: _column, ...change } = options;
		const target = this.target(options);
		const name = target.name.name;
		const loader = this.#loaders.get(name) ?? (await Loader.takeOver(this.destination, target));
		this.#loaders.set(name, loader);
		return loader.load(rows, { target, ...change });
	}

	/** Rows of a query as lines: `1|text|∅`. */
	async lines(sql = "select * from raw.t order by 1"): Promise<string[]> {
		return (await this.client.arrays(sql)).map((row) => row.map((value) => value ?? "∅").join("|"));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.destination[Symbol.asyncDispose]();
		await this.client.close();
		await this.database.drop();
	}
}

/** What a promise fails with. */
export async function errorOf(work: Promise<unknown>): Promise<Error & { code?: string; hint?: string }> {
	try {
		await work;
	} catch (error) {
		return error as Error;
	}
	throw new Error("it did not fail");
}
