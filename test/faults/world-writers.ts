/** Clients that write a world: transactions of every shape, and one client that changes its tables. */
import { setTimeout as sleep } from "node:timers/promises";
import type { TextClient } from "../support/client.ts";
import type { Random } from "./random.ts";
import { VAULT, type World, type WorldTable } from "./world.ts";
import { changeTables } from "./world-ddl.ts";

/** What clients do to each other, and a change of a table to who did not see it coming: the transaction is given up. */
const GIVEN_UP = [
	/deadlock|could not serialize|lock wait|lock timeout|duplicate|due to concurrent|definition has changed|cached plan/i,
	/doesn't exist|does not exist|unknown column|column count|out of range|too long|of type .* but expression/i,
	/cannot be null|null value|violates not-null|invalid input|default value|incorrect .* value|data truncat/i,
];

/** @throws an error that no client causes */
function expectGivenUp(error: unknown): void {
	if (!GIVEN_UP.some((pattern) => pattern.test((error as Error).message))) throw error;
}

export class WorldWriters {
	readonly #world: World;
	readonly #random: Random;
	readonly #clients: number;
	readonly #changeMs: number;
	readonly #change: (world: World, client: TextClient) => Promise<void>;
	readonly #commit: (client: TextClient) => Promise<unknown>;
	#running = false;
	#done: Promise<unknown> = Promise.resolve();
	/** Transactions that were committed. */
	committed = 0;
	/** Changes of tables. */
	changed = 0;

	/** `changeMs`: how often a table changes, about; 0 for never. `change` and `commit`: how, where somebody looks on. */
	constructor(
		world: World,
		options: {
			readonly clients: number;
			readonly changeMs: number;
			readonly change?: (world: World, client: TextClient) => Promise<void>;
			readonly commit?: (client: TextClient) => Promise<unknown>;
		},
	) {
		this.#change = options.change ?? changeTables;
		this.#commit = options.commit ?? ((client) => client.query("commit"));
		this.#world = world;
		this.#random = world.random;
		this.#clients = options.clients;
		this.#changeMs = options.changeMs;
	}

	start(): void {
		this.#running = true;
		this.#done = Promise.all([
			...Array.from({ length: this.#clients }, () => this.#write()),
			...(this.#changeMs === 0 ? [] : [this.#changeAll()]),
		]);
		// Who waits for a run that is killed asks for it later.
		this.#done.catch(() => undefined);
	}

	/** @throws what a client did not expect */
	async stop(): Promise<void> {
		this.#running = false;
		await this.#done;
	}

	async #write(): Promise<void> {
		await using client = await this.#world.connect();
		while (this.#running) {
			await this.#world.transaction(async () => {
				try {
					await client.query("start transaction");
					for (let count = 1 + this.#random.integer(4); count > 0; count--) await this.#step(client);
					const isKept = !this.#random.chance(0.1);
					await (isKept ? this.#commit(client) : client.query("rollback"));
					if (isKept) this.committed++;
				} catch (error) {
					await client.query("rollback");
					expectGivenUp(error);
				}
			});
			await sleep(this.#random.integer(12));
		}
	}

	async #changeAll(): Promise<void> {
		await using client = await this.#world.connect();
		const { changes } = this.#world;
		const told: TextClient = {
			...client,
			query(sql) {
				if (/\b(?:alter|truncate|drop|create|rename)\b/.test(sql)) changes.push(`${new Date().toISOString()} ${sql}`);
				return client.query(sql);
			},
		};
		while (this.#running) {
			await sleep(this.#random.integer(2 * this.#changeMs));
			try {
				await this.#change(this.#world, told);
				this.changed++;
			} catch (error) {
				await client.query("rollback");
				expectGivenUp(error);
			}
		}
	}

	async #step(client: TextClient): Promise<void> {
		const { tables, vault } = this.#world;
		const table = tables[this.#random.integer(tables.length + 1)] ?? vault;
		const place = this.#random.integer(12);
		if (place < 2) return this.#insert(client, table);
		if (place < 5) return this.#update(client, table);
		// The vault keeps its rows: amounts come and go there.
		if (table === vault) return this.#move(client, table);
		const step = [this.#move, this.#delete, this.#changeKey, this.#swapKeys, this.#insertAgain, this.#savepoint][
			place - 5
		];
		await (step ?? this.#many).call(this, client, table);
	}

	/** Rows of a table, locked, of anywhere in it. */
	async #rows(client: TextClient, { name }: WorldTable, count: number): Promise<{ id: string; amount: number }[]> {
		const least = this.#random.chance(0.2) ? -1e12 : 1_000_000 + this.#random.integer(this.#world.rowsGiven);
		const rows = await client.arrays(
			`select id, amount from ${name} where id >= ${least} order by id limit ${count} for update`,
		);
		return rows.map(([id, amount]) => ({ id: id!, amount: Number(amount) }));
	}

	async #intoVault(client: TextClient, amount: number): Promise<void> {
		if (amount === 0) return;
		await client.query(`update ${VAULT} set amount = amount + ${amount} where id = ${1 + this.#random.integer(20)}`);
	}

	#amount({ hasAmounts }: WorldTable): number {
		return hasAmounts ? 1 + this.#random.integer(50) : 0;
	}

	#insertSql({ name, columns }: WorldTable, rows: readonly (readonly [id: number | string, amount: number])[]): string {
		const names = ["id", "amount", ...columns.map((column) => column.name)];
		const values = rows.map((row) => `(${[...row, ...columns.map((column) => this.#world.value(column))].join(", ")})`);
		return `insert into ${name} (${names.join(", ")}) values ${values.join(", ")}`;
	}

	async #insert(client: TextClient, table: WorldTable): Promise<void> {
		const amount = this.#amount(table);
		await client.query(this.#insertSql(table, [[this.#world.next(), amount]]));
		await this.#intoVault(client, -amount);
	}

	/** Some columns of one row, or of several. */
	async #update(client: TextClient, table: WorldTable): Promise<void> {
		const columns = table.columns.filter(() => this.#random.chance(0.6));
		const rows = await this.#rows(client, table, this.#random.chance(0.2) ? 15 : 1);
		if (rows.length === 0 || columns.length === 0) return;
		const set = columns.map((column) => `${column.name} = ${this.#world.value(column)}`);
		await client.query(
			`update ${table.name} set ${set.join(", ")} where id in (${rows.map(({ id }) => id).join(", ")})`,
		);
	}

	async #move(client: TextClient, table: WorldTable): Promise<void> {
		const amount = this.#amount(table);
		const rows = await this.#rows(client, table, 1 + this.#random.integer(3));
		for (const { id } of rows)
			await client.query(`update ${table.name} set amount = amount + ${amount} where id = ${id}`);
		await this.#intoVault(client, -amount * rows.length);
	}

	async #delete(client: TextClient, table: WorldTable): Promise<void> {
		for (const { id, amount } of await this.#rows(client, table, 1 + this.#random.integer(2))) {
			await client.query(`delete from ${table.name} where id = ${id}`);
			await this.#intoVault(client, amount);
		}
	}

	async #changeKey(client: TextClient, table: WorldTable): Promise<void> {
		for (const { id } of await this.#rows(client, table, 1 + this.#random.integer(2)))
			await client.query(`update ${table.name} set id = ${this.#world.next()} where id = ${id}`);
	}

	async #swapKeys(client: TextClient, table: WorldTable): Promise<void> {
		const [first, second] = await this.#rows(client, table, 2);
		if (first === undefined || second === undefined) return;
		const aside = -this.#world.next();
		for (const [from, to] of [
			[first.id, aside],
			[second.id, first.id],
			[aside, second.id],
		] as const)
			await client.query(`update ${table.name} set id = ${to} where id = ${from}`);
	}

	/** The same key goes and comes within a transaction. */
	async #insertAgain(client: TextClient, table: WorldTable): Promise<void> {
		const [row] = await this.#rows(client, table, 1);
		if (row === undefined) return;
		await client.query(`delete from ${table.name} where id = ${row.id}`);
		await client.query(this.#insertSql(table, [[row.id, row.amount]]));
	}

	/** What comes after a savepoint, and a savepoint within it, is taken back; some of it is done again. */
	async #savepoint(client: TextClient, table: WorldTable): Promise<void> {
		const [row] = await this.#rows(client, table, 1);
		await client.query("savepoint one");
		await client.query(this.#insertSql(table, [[this.#world.next(), 77]]));
		await client.query("savepoint two");
		if (row !== undefined) await client.query(`update ${table.name} set amount = amount + 1000 where id = ${row.id}`);
		if (this.#random.chance(0.5)) await client.query("release savepoint two");
		await client.query("rollback to savepoint one");
		if (this.#random.chance(0.5)) await this.#insert(client, table);
	}

	/** Many rows at once, more than a flush takes now and then; or the first of them go. */
	async #many(client: TextClient, table: WorldTable): Promise<void> {
		if (this.#random.chance(0.5)) {
			const count = this.#random.chance(0.1) ? 1500 : 60;
			const amount = this.#amount(table);
			const rows = Array.from({ length: count }, () => [this.#world.next(), amount] as const);
			await client.query(this.#insertSql(table, rows));
			return this.#intoVault(client, -amount * count);
		}
		const rows = await this.#rows(client, table, 100);
		if (rows.length === 0) return;
		await client.query(`delete from ${table.name} where id in (${rows.map(({ id }) => id).join(", ")})`);
		await this.#intoVault(
			client,
			rows.reduce((sum, { amount }) => sum + amount, 0),
		);
	}
}
