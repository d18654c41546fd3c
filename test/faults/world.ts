/**
 * A database whose tables change while many clients write them. `amount` of all tables adds up to the same at every
 * commit, whatever else happens: what a reader of the copy can check at any time.
 */
import type { TextClient } from "../support/client.ts";
import type { ServerName, TestServer } from "../support/server.ts";
import { freshDatabase, type TestDatabase } from "../support/shared.ts";
import type { Random } from "./random.ts";
import {
	type Dialect,
	definitionSql,
	KIND_NAMES,
	mayHaveDefault,
	valueSql,
	type WorldColumn,
} from "./world-columns.ts";

/** A table as the clients believe it to be. */
export interface WorldTable {
	name: string;
	/** Beside `id` and `amount`. */
	columns: WorldColumn[];
	/** `id`, and what else the key has. */
	key: readonly string[];
	/** Whether its amounts are other than zero: not in tables that come and go, which a copy may not know yet. */
	readonly hasAmounts: boolean;
	/** It was there from the start, if by its name only: what a copy has of its amounts counts. */
	readonly isLasting: boolean;
}

/** Rows of each table at the start. */
const ROWS = 60;
/** What it all adds up to. */
export const TOTAL = "100000";
/** The table whose columns stay. */
export const VAULT = "w_vault";

export class World implements AsyncDisposable {
	readonly database: TestDatabase;
	readonly dialect: Dialect;
	readonly schema: string;
	readonly random: Random;
	readonly tables: WorldTable[] = [];
	/** Statements that changed tables, with the time: what there is to know when a copy differs. */
	readonly changes: string[] = [];
	readonly vault: WorldTable = { name: VAULT, columns: [], key: ["id"], hasAmounts: true, isLasting: true };
	#next = 1_000_000;
	#columns = 0;
	#writers = 0;
	#waiting: (() => void)[] = [];
	#holding = 0;

	private constructor(database: TestDatabase, server: ServerName, random: Random) {
		this.database = database;
		this.random = random;
		this.dialect = server.startsWith("postgres") ? "postgres" : "mysql";
		this.schema = this.dialect === "mysql" ? database.name : "public";
	}

	static async open(server: TestServer, random: Random): Promise<World> {
		const world = new World(await freshDatabase(server, "world"), server.name, random);
		await world.database.query(
			`create table ${VAULT} (id bigint primary key, amount bigint not null)${world.engine};
			 insert into ${VAULT} values ${Array.from({ length: 20 }, (_, index) => `(${index + 1}, 5000)`).join(", ")}`,
		);
		for (let count = 2 + random.integer(3); count > 0; count--) await world.create(world.database, true);
		return world;
	}

	/** A connection for a client. @throws as `database.connect` does */
	async connect(): Promise<TextClient> {
		const client = await this.database.connect();
		// A row's lock and a table's in a circle is a deadlock that MySQL does not see: it would be waited for 50 s.
		if (this.dialect === "mysql")
			await client.query("set session innodb_lock_wait_timeout = 2; set session lock_wait_timeout = 2");
		return client;
	}

	get engine(): string {
		return this.dialect === "mysql" ? " engine=innodb" : "";
	}

	/** A number that was not given before: of a row, a table or a change. */
	next(): number {
		return this.#next++;
	}

	/** How many numbers were given. */
	get rowsGiven(): number {
		return this.#next - 1_000_000;
	}

	value(column: WorldColumn): string {
		return valueSql(column, this.random, this.dialect);
	}

	newColumn(): WorldColumn {
		const kind = KIND_NAMES[this.random.integer(KIND_NAMES.length)]!;
		return { name: `c${++this.#columns}`, kind, isRequired: mayHaveDefault(kind) && this.random.chance(0.4) };
	}

	definition(column: WorldColumn): string {
		return definitionSql(column, this.dialect, this.random);
	}

	/** Makes a table with rows. */
	async create(
		client: Pick<TextClient, "query">,
		hasAmounts: boolean,
		name = `w_${this.next()}`,
		isLasting = hasAmounts,
	): Promise<WorldTable> {
		const columns = Array.from({ length: 1 + this.random.integer(5) }, () => this.newColumn());
		const table: WorldTable = { name, columns, key: ["id"], hasAmounts, isLasting };
		await client.query(
			`create table ${name} (id bigint primary key, amount bigint not null${columns.map((column) => `, ${this.definition(column)}`).join("")})${this.engine}`,
		);
		await this.fill(client, table, ROWS);
		this.tables.push(table);
		return table;
	}

	/** Adds rows with an amount of zero. */
	async fill(client: Pick<TextClient, "query">, { name, columns }: WorldTable, count: number): Promise<void> {
		const names = ["id", "amount", ...columns.map((column) => column.name)];
		const rows = Array.from({ length: count }, () => {
			const values = columns.map((column) => this.value(column));
			return `(${[this.next(), 0, ...values].join(", ")})`;
		});
		await client.query(`insert into ${name} (${names.join(", ")}) values ${rows.join(", ")}`);
	}

	/** What every client does within it, no change that needs them all to stand still interrupts. */
	async transaction<T>(work: () => Promise<T>): Promise<T> {
		while (this.#holding > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
		this.#writers++;
		try {
			return await work();
		} finally {
			this.#writers--;
			this.#wake();
		}
	}

	/** Runs when no client is in a transaction, and none begins one. */
	async standstill<T>(work: () => Promise<T>): Promise<T> {
		this.#holding++;
		try {
			while (this.#writers > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
			return await work();
		} finally {
			this.#holding--;
			this.#wake();
		}
	}

	#wake(): void {
		for (const resolve of this.#waiting.splice(0)) resolve();
	}

	/** Rows of every table as sorted lines, in one snapshot, by the columns that the server names. */
	async contents(): Promise<Map<string, { readonly columns: readonly string[]; readonly lines: readonly string[] }>> {
		await using client = await this.database.connect();
		await client.query(
			this.dialect === "mysql" ? "start transaction with consistent snapshot" : "begin isolation level repeatable read",
		);
		const result = new Map<string, { columns: readonly string[]; lines: string[] }>();
		for (const [table, names] of await this.columns(client)) {
			const values = await client.arrays(`select ${names.join(", ")} from ${table}`);
			result.set(table, { columns: names, lines: values.map(line).sort() });
		}
		return result;
	}

	/** The columns of every table, as the server names them. */
	async columns(client: TextClient): Promise<ReadonlyMap<string, readonly string[]>> {
		const schema = this.dialect === "mysql" ? "database()" : "current_schema()";
		const named = await client.arrays(
			`select table_name, column_name from information_schema.columns where table_schema = ${schema} order by table_name, ordinal_position`,
		);
		const byTable = Map.groupBy(named, ([table]) => table!);
		return new Map([...byTable].map(([table, rows]) => [table, rows.map(([, column]) => column!)]));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.database[Symbol.asyncDispose]();
	}
}

/** A row as one line. */
export function line(values: readonly (string | null)[]): string {
	return values.map((value) => value ?? "∅").join("|");
}
