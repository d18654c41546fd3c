import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { killAtRandom, killShop, killTimeoutMs } from "./kill-support.ts";
import { quoteDouble } from "./names.ts";

/** Looks at a table every 10 ms; what it saw, and every error. */
class Reader {
	readonly seen = new Set<string>();
	readonly errors: string[] = [];
	looks = 0;
	#stopped = false;
	#done: Promise<void> = Promise.resolve();

	start(target: TestDatabase, sql: string): void {
		this.#done = this.#look(target, sql);
	}

	async #look(target: TestDatabase, sql: string): Promise<void> {
		await using client = await target.connect();
		while (!this.#stopped) {
			await client
				.arrays(sql)
				.then(([row]) => this.seen.add(row!.join("|")))
				.catch((error: Error) => this.errors.push(error.message));
			this.looks++;
			await delay(10);
		}
	}

	async stop(): Promise<void> {
		this.#stopped = true;
		await this.#done;
	}
}

describe.each([
	["MariaDB", "mariadb", "postgres15", { seed: 4, kills: 4, staging: true }],
	["PostgreSQL", "postgres15", "postgres18", { seed: 5, kills: 6, staging: false }],
] as const)("runs killed at random moments, %s to PostgreSQL", (_name, from, to, killing) => {
	test.skipIf(missing(from) ?? missing(to))(
		"whole transactions only, readers never see less, and the next run makes both sides equal",
		async () => {
			await using shop = await killShop(from);
			await using target = await freshDatabase(await sharedServer(to), "copy");
			const schema = quoteDouble(shop.schema);
			const accounts = new Reader();
			const orders = new Reader();
			const copied = () => {
				accounts.start(target, `select count(*), sum(amount) from ${schema}.accounts`);
				orders.start(target, `select count(*) >= 2000, count(*) % 2, sum(amount) from ${schema}.orders`);
			};
			try {
				await killAtRandom(shop, { ...killing, target, copied });
			} finally {
				await accounts.stop();
				await orders.stop();
			}
			expect([...accounts.errors, ...orders.errors]).toEqual([]);
			// Swapped whole, and merged: of both only states that the source has had.
			expect([...accounts.seen]).toEqual(["2000|200000"]);
			expect([...orders.seen]).toEqual(["t|0|200000.00"]);
			expect(Math.min(accounts.looks, orders.looks)).toBeGreaterThan(10 * killing.kills);
		},
		killTimeoutMs(killing.kills),
	);
});
