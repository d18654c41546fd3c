/** A ledger that many clients write, whose sums no transaction changes: what a reader of the copy can check at any time. */
import { setTimeout as sleep } from "node:timers/promises";
import type { TextClient } from "../support/client.ts";
import type { ServerName } from "../support/server.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import type { Random } from "./random.ts";

/** Columns of each table in the order in which they are compared. */
export const LEDGER_COLUMNS = {
	/** Merged by its key; `note` is long enough that PostgreSQL keeps it outside the row and leaves it out of updates. */
	accounts: ["id", "owner", "amount", "note"],
	/** Its key changes. */
	entries: ["account", "no", "amount"],
	/** Every version is kept. */
	book: ["id", "amount", "label"],
	/** Rows that are deleted stay, marked. */
	people: ["id", "name"],
	/** No key: every change is kept. */
	events: ["seq", "note"],
} as const;
export type LedgerTable = keyof typeof LEDGER_COLUMNS;

export const DDL = (dialect: "mysql" | "postgres") => {
	const text = dialect === "mysql" ? "mediumtext" : "text";
	return `
	create table accounts (id bigint primary key, owner varchar(80) not null, amount bigint not null, note ${text});
	create table entries (account bigint not null, no integer not null, amount bigint not null, primary key (account, no));
	create table book (id bigint primary key, amount bigint not null, label varchar(40));
	create table people (id bigint primary key, name varchar(80));
	create table events (seq bigint not null, note varchar(40));
	${dialect === "postgres" ? "alter table events replica identity full;" : ""}`;
};

/** `exact`: the source tells the exact place of a snapshot in its log, which histories and tables without a key need. */
export const LEDGER_TABLES = (schema: string, exact: boolean): string => `
  ${schema}.accounts: { mode: cdc }
  ${schema}.entries:  { mode: cdc }
  ${schema}.book:     { mode: cdc${exact ? ", write: history" : ""} }
  ${schema}.people:   { mode: cdc, deletes: soft }
  ${schema}.events:   ${exact ? "{ mode: cdc, write: append }" : "skip"}
`;

export class Ledger implements AsyncDisposable {
	readonly database: TestDatabase;
	readonly dialect: "mysql" | "postgres";
	readonly schema: string;
	/** Accounts at the start, each with an amount of 100. */
	readonly size: number;
	/** See LEDGER_TABLES. */
	readonly exact: boolean;

	private constructor(database: TestDatabase, server: ServerName, size: number) {
		const dialect = server.startsWith("postgres") ? "postgres" : "mysql";
		this.exact = server !== "mysql56";
		this.database = database;
		this.dialect = dialect;
		this.schema = dialect === "mysql" ? database.name : "public";
		this.size = size;
	}

	static async open(server: ServerName, size: number): Promise<Ledger> {
		const database = await freshDatabase(await sharedServer(server), "ledger");
		const ledger = new Ledger(database, server, size);
		await database.query(DDL(ledger.dialect));
		const rows = Array.from({ length: size }, (_, index) => index + 1);
		for (let start = 0; start < size; start += 1000) {
			const some = rows.slice(start, start + 1000);
			await database.query(
				`insert into accounts values ${some.map((id) => `(${id}, 'owner ${id}', 100, ${longText(ledger.dialect, id)})`).join(", ")}`,
			);
			await database.query(`insert into people values ${some.map((id) => `(${id}, 'person ${id}')`).join(", ")}`);
			await database.query(`insert into book values ${some.map((id) => `(${id}, 0, 'page ${id}')`).join(", ")}`);
		}
		return ledger;
	}

	/** Rows as sorted lines, of the whole source in one snapshot. */
	async lines(): Promise<Map<LedgerTable, string[]>> {
		await using client = await this.database.connect();
		await client.query(
			this.dialect === "mysql" ? "start transaction with consistent snapshot" : "begin isolation level repeatable read",
		);
		const result = new Map<LedgerTable, string[]>();
		for (const [table, columns] of Object.entries(LEDGER_COLUMNS)) {
			const rows = await client.arrays(`select ${columns.join(", ")} from ${table}`);
			result.set(table as LedgerTable, rows.map((row) => row.map((value) => value ?? "∅").join("|")).sort());
		}
		return result;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.database[Symbol.asyncDispose]();
	}
}

/** SQL of a text that is longer than a page of PostgreSQL lets a row be, and does not compress. */
function longText(dialect: "mysql" | "postgres", seed: number): string {
	if (dialect === "mysql") return `repeat(md5('${seed}'), 20)`;
	return `(select string_agg(md5('${seed} ' || i), '') from generate_series(1, 90) as i)`;
}

/** Clients whose transactions keep the sum over accounts, entries and the current book at `100 * size`. */
export class LedgerWriters {
	readonly #ledger: Pick<Ledger, "database" | "dialect" | "size">;
	readonly #random: Random;
	readonly #clients: number;
	readonly #pauseMs: number;
	#next = 1_000_000;
	#running = false;
	#done: Promise<unknown> = Promise.resolve();
	/** Transactions that were committed. */
	committed = 0;

	constructor(ledger: Pick<Ledger, "database" | "dialect" | "size">, random: Random, clients: number, pauseMs = 6) {
		this.#ledger = ledger;
		this.#random = random;
		this.#clients = clients;
		this.#pauseMs = pauseMs;
	}

	start(): void {
		this.#running = true;
		this.#done = Promise.all(Array.from({ length: this.#clients }, () => this.#loop()));
	}

	async stop(): Promise<void> {
		this.#running = false;
		await this.#done;
	}

	async #loop(): Promise<void> {
		await using client = await this.#ledger.database.connect();
		while (this.#running) {
			try {
				await client.query("start transaction");
				for (let count = 1 + this.#random.integer(3); count > 0; count--) await this.#step(client);
				const isKept = !this.#random.chance(0.1);
				await client.query(isKept ? "commit" : "rollback");
				if (isKept) this.committed++;
			} catch (error) {
				// Clients that wait for each other, or add the same row: the server ends one of them.
				if (!/deadlock|could not serialize|lock wait|duplicate/i.test((error as Error).message)) throw error;
				await client.query("rollback");
			}
			await sleep(this.#random.integer(this.#pauseMs));
		}
	}

	async #step(client: TextClient): Promise<void> {
		const random = this.#random;
		const { size } = this.#ledger;
		const [first, second] = [1 + random.integer(size), 1 + random.integer(size)];
		const amount = 1 + random.integer(20);
		const id = this.#next++;
		const run = (...statements: string[]) => client.query(statements.join("; "));
		switch (random.integer(11)) {
			case 0:
				return void (await run(
					`update accounts set amount = amount - ${amount} where id = ${first}`,
					`update accounts set amount = amount + ${amount} where id = ${first}`,
				));
			case 1:
				return void (await run(
					`insert into entries values (${first}, ${id}, ${amount})`,
					`insert into book values (${id}, ${-amount}, 'new')`,
				));
			case 2: {
				// Entries go, and what they held goes to the book.
				const rows = await client.arrays(
					`select account, no, amount from entries where account = ${first} order by no limit 1 for update`,
				);
				const [row] = rows;
				if (row === undefined) return;
				return void (await run(
					`delete from entries where account = ${row[0]} and no = ${row[1]}`,
					`insert into book values (${id}, ${row[2]}, 'of an entry')`,
				));
			}
			case 3:
				return void (await run(`update entries set no = no + 1000000 where account = ${first} and no < 500000000`));
			case 4:
				if (first === second) return;
				return void (await run(
					`update people set id = ${-id} where id = ${first}`,
					`update people set id = ${first} where id = ${second}`,
					`update people set id = ${second} where id = ${-id}`,
				));
			case 5:
				return void (await run(`update accounts set note = ${longText(this.#ledger.dialect, id)} where id = ${first}`));
			case 6:
				return void (await run(
					`update accounts set owner = 'owner ${id}' where id = ${first}`,
					`insert into events values (${id}, 'one'), (${id}, 'two')`,
				));
			case 7: {
				const [row] = await client.arrays(`select id, amount from book where id = ${first} for update`);
				if (row === undefined) return void (await run(`insert into book values (${first}, 0, 'again')`));
				return void (await run(
					`delete from book where id = ${first}`,
					`insert into book values (${id}, ${row[1]}, 'moved')`,
				));
			}
			case 8:
				return void (await run(
					`update book set label = 'label ${id}' where id = ${first}`,
					`insert into events values (${id}, null)`,
				));
			case 9: {
				const [row] = await client.arrays(`select 1 from people where id = ${first} for update`);
				return void (await run(
					row === undefined
						? `insert into people values (${first}, 'back ${id}')`
						: `delete from people where id = ${first}`,
				));
			}
			default:
				return void (await run(
					"savepoint before_it",
					`update accounts set amount = amount + 1000 where id = ${first}`,
					"rollback to savepoint before_it",
					`insert into book values (${id}, 0, 'after a savepoint')`,
				));
		}
	}
}
