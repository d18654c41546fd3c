/** Runs killed at random moments over tables that change meanwhile. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Warehouse } from "../connectors/redshift-support.ts";
import type { S3StandIn } from "../stand-ins/s3/index.ts";
import type { SnowflakeStandIn } from "../stand-ins/snowflake/index.ts";
import type { TextClient } from "../support/client.ts";
import type { TestDatabase } from "../support/shared.ts";
import { IN_DAY, ShopCopy } from "./crash-support.ts";
import { Random } from "./random.ts";
import { Shop } from "./shop.ts";
import type { Contents } from "./warehouse.ts";

/** Rows of `orders` at the start, each with an amount of 100: every transaction keeps their sum. */
const ORDERS = 2000;

/** A writer whose transactions move money between orders and add pairs of rows; some of them commit late. */
class Writer {
	readonly #shop: Shop;
	readonly #random: Random;
	readonly #open: TextClient[] = [];
	#id = 10_000;
	#stopped: Promise<void> = Promise.resolve();
	#running = false;

	constructor(shop: Shop, random: Random) {
		this.#shop = shop;
		this.#random = random;
	}

	#nextId(): number {
		this.#id += 2;
		return this.#id;
	}

	async #work(client: TextClient): Promise<void> {
		const random = this.#random;
		const amount = 1 + random.integer(50);
		const [from, to] = [1 + random.integer(ORDERS / 2), 1 + ORDERS / 2 + random.integer(ORDERS / 2)];
		const id = this.#nextId();
		const { now } = this.#shop;
		await client.query(`update orders set amount = amount - ${amount}, modified = ${now} where id = ${from}`);
		await client.query(`insert into journal (note) values ('line ${id}'), ('same'), ('same')`);
		await client.query(`update orders set amount = amount + ${amount}, modified = ${now} where id = ${to}`);
		await client.query(
			`insert into orders values (${id}, 'plus', ${amount}, ${now}, 0), (${id + 1}, 'minus', -${amount}, ${now}, 0)`,
		);
		await client.query(`update accounts set amount = amount - ${amount} where id = ${1 + random.integer(50)}`);
		await client.query(`update accounts set amount = amount + ${amount} where id = ${51 + random.integer(50)}`);
		await client.query(
			`insert into visits values (${id}, '/a', '2026-01-02 10:00:00'), (${id + 1}, '/b', '2026-01-02 11:00:00')`,
		);
	}

	/** Writes until `stop`, on connections of its own. */
	start(): void {
		this.#running = true;
		const loop = async () => {
			await using client = await this.#shop.database.connect();
			while (this.#running) {
				await client.query("start transaction");
				await this.#work(client);
				await client.query(this.#random.chance(0.1) ? "rollback" : "commit");
				await sleep(this.#random.integer(8));
			}
		};
		this.#stopped = loop();
	}

	/** Begins a transaction that stays open: its rows get their cursor values now and are seen later. */
	async leaveOpen(): Promise<void> {
		const client = await this.#shop.database.connect();
		await client.query("start transaction");
		const id = this.#nextId();
		const { now } = this.#shop;
		await client.query(`insert into journal (note) values ('late ${id}')`);
		await client.query(`insert into orders values (${id}, 'late', 5, ${now}, 0), (${id + 1}, 'late', -5, ${now}, 0)`);
		this.#open.push(client);
	}

	/** Ends what was left open, by commit mostly. */
	async closeOpen(): Promise<void> {
		for (const client of this.#open.splice(0)) {
			await client.query(this.#random.chance(0.8) ? "commit" : "rollback");
			await client.close();
		}
	}

	async stop(): Promise<void> {
		this.#running = false;
		await this.#stopped;
	}
}

/** Whole source transactions only: none of them changes these sums. */
function expectWholeTransactions(copy: ShopCopy, contents: Contents): void {
	const { schema } = copy.shop;
	const column = (table: string, index: number) =>
		(contents.tables.get(`${schema}.${table}`) ?? []).map((line) => line.split("|")[index]!);
	const sum = (texts: readonly string[]) => texts.reduce((total, text) => total + Number(text), 0);
	const orders = column("orders", 2);
	if (orders.length > 0) {
		expect(sum(orders)).toBe(ORDERS * 100);
		expect(orders.length % 2).toBe(0);
	}
	const accounts = column("accounts", 2);
	if (accounts.length > 0) expect(sum(accounts)).toBe(100 * ORDERS);
	expect(column("visits", 0).length % 2).toBe(0);
}

export interface Killing {
	readonly seed: number;
	readonly kills: number;
	readonly staging: boolean;
	/** Staged files go there, in place of a folder of the project. */
	readonly s3?: S3StandIn;
	/** A PostgreSQL database to copy into, in place of a DuckDB file. */
	readonly target?: TestDatabase;
	/** A folder of Parquet files to copy into. */
	readonly folder?: true;
	/** The Snowflake stand-in to copy into. */
	readonly snowflake?: SnowflakeStandIn;
	/** Stand-ins of Redshift and S3 to copy into. */
	readonly warehouse?: Warehouse;
	/** Called when the first run has made the tables, before the first kill. */
	readonly copied?: () => void;
}

/** Other than a test's own, by the environment: `KILLS=100 SEED=17 npx vitest run test/faults/kill-into-postgres.test.ts`. */
const CHOSEN_KILLS = process.env["KILLS"];
const CHOSEN_SEED = process.env["SEED"];

/** How long a test of so many kills may take. */
export const killTimeoutMs = (kills: number): number => 180_000 + Number(CHOSEN_KILLS ?? kills) * 8_000;

/**
 * Kills runs until `kills` of them were hit before their end; after each the destination is whole, and after the next
 * plain run equal to the source. Gives how many chunks of killed runs the next ones kept.
 */
export async function killAtRandom(
	shop: Shop,
	killing: Killing,
): Promise<{ readonly killed: number; readonly chunksReused: number }> {
	const { staging, target, folder, snowflake, s3, warehouse } = killing;
	const kills = Number(CHOSEN_KILLS ?? killing.kills);
	const random = new Random(Number(CHOSEN_SEED ?? killing.seed));
	const files = folder === undefined ? {} : ({ into: "folder" } as const);
	const database = target === undefined ? files : ({ into: "postgres", target } as const);
	const cloud = snowflake === undefined ? database : ({ into: "snowflake", snowflake } as const);
	const into = warehouse === undefined ? cloud : ({ into: "redshift", warehouse } as const);
	await using copy = new ShopCopy(shop, {
		staging,
		keys: "concurrency: 2\n",
		...into,
		...(s3 === undefined ? {} : { s3 }),
	});
	const writer = new Writer(shop, random);
	const usual = await copy.project.start(["run", "shop", "--interval", "2026-01-02"]).ended;
	expect(usual.code, usual.stdout).toBe(0);
	killing.copied?.();
	let usualMs = usual.milliseconds;
	let [killed, chunksReused] = [0, 0];
	try {
		// A run that was over before its kill is no round: how often that is, is the machine's affair.
		for (let round = 0; killed < kills && round < 4 * kills + 10; round++) {
			const words = random.chance(0.25)
				? ["backfill", "shop", "-s", "2026-01-01", "-e", "2026-01-04", "--max-active-runs", "2"]
				: ["run", "shop", "--interval", "2026-01-02", ...(random.chance(0.1) ? ["--full-refresh"] : [])];
			writer.start();
			if (random.chance(0.4)) await writer.leaveOpen();
			const run = copy.project.start(words);
			// The first quarter is start-up, where nothing can break.
			await Promise.race([sleep(usualMs * (0.25 + random.next() * 0.65)), run.ended]);
			run.kill("SIGKILL");
			const { signal, code, stderr, milliseconds } = await run.ended;
			if (signal === "SIGKILL") killed++;
			else {
				expect(code, stderr).toBe(0);
				usualMs = Math.min(usualMs, milliseconds);
			}
			await writer.stop();
			expectWholeTransactions(copy, await copy.read());

			if (random.chance(0.7)) await writer.closeOpen();
			// What a killed backfill sealed for other days is its own to finish.
			if (words[0] === "backfill") await copy.project.succeed(...words);
			const [next] = await copy.project.succeed("run", "shop", "--interval", "2026-01-02");
			for (const { chunks_reused = 0 } of next!.tables) chunksReused += chunks_reused;
			const contents = await copy.read();
			expectWholeTransactions(copy, contents);
			for (const table of ["accounts", "orders", "journal"] as const)
				expect(contents.tables.get(`${shop.schema}.${table}`), `${table} in round ${round}`).toEqual(
					await shop.lines(table),
				);
			const days = (contents.tables.get(`${shop.schema}.visits`) ?? []).filter((line) => line.includes("|2026-01-02"));
			expect(days, `visits in round ${round}`).toEqual(await shop.lines("visits", IN_DAY));
			await copy.expectClean(contents);
		}
		await writer.closeOpen();
		await copy.project.succeed("run", "shop", "--interval", "2026-01-02");
		expect(await copy.rows("orders")).toEqual(await shop.lines("orders"));
		expect(await copy.rows("journal")).toEqual(await shop.lines("journal"));
	} finally {
		await writer.stop();
		await writer.closeOpen();
	}
	expect(killed).toBe(kills);
	return { killed, chunksReused };
}

/** A shop whose orders all have the same amount. */
export async function killShop(server: "mariadb" | "postgres15"): Promise<Shop> {
	const shop = await Shop.open(server);
	await shop.fill(ORDERS);
	await shop.sql("update orders set amount = 100");
	return shop;
}
