import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { killAtRandom, killShop } from "./kill-support.ts";

/** Looks at a table every 10 ms; what it saw, and every error. */
function watch(target: TestDatabase, sql: string) {
	let stopped = false;
	const seen = new Set<string>();
	const errors: string[] = [];
	const done = (async () => {
		await using client = await target.connect();
		while (!stopped) {
			await client
				.arrays(sql)
				.then(([row]) => seen.add(row!.join("|")))
				.catch((error: Error) => errors.push(error.message));
			await delay(10);
		}
	})();
	return {
		seen,
		errors,
		stop: async () => {
			stopped = true;
			await done;
		},
	};
}

describe.skipIf(missing("postgres15") ?? missing("postgres18"))(
	"runs killed at random moments, PostgreSQL to PostgreSQL",
	() => {
		test("whole transactions only, readers never see less, and the next run makes both sides equal", async () => {
			await using shop = await killShop("postgres15");
			await using target = await freshDatabase(await sharedServer("postgres18"), "copy");
			// The tables are there from the first run on; before it there is nothing to see.
			const accounts = watch(target, "select count(*), sum(amount) from public.accounts");
			const orders = watch(target, "select count(*) >= 2000, count(*) % 2, sum(amount) from public.orders");
			const { killed } = await killAtRandom(shop, { seed: 5, kills: 12, staging: false, target });
			await accounts.stop();
			await orders.stop();
			expect(killed).toBe(12);
			expect([...accounts.seen]).toEqual(["100|200000"]);
			expect([...orders.seen]).toEqual(["t|0|200000.00"]);
			expect([...accounts.errors, ...orders.errors]).toEqual([]);
		}, 280_000);
	},
);
