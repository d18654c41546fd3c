import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TextClient } from "../support/client.ts";
import { missing } from "../support/start.ts";
import { errorOf, Loads } from "./postgres-loads.ts";
import { SERVERS } from "./postgres-support.ts";

const rows = (count: number, name: string) => Array.from({ length: count }, (_, i) => [String(i), name]);

/** Asks again and again what it can see, until it is stopped; fails when a statement does. */
class Poller {
	readonly counts = new Map<string, number>();
	longestMs = 0;
	#stopped = false;
	readonly #done: Promise<void>;

	constructor(client: TextClient, sql: string, parameters?: readonly unknown[]) {
		this.#done = (async () => {
			// Once more after `stop`: what was committed before it is seen.
			for (let isLast = false; !isLast; ) {
				isLast = this.#stopped;
				const started = performance.now();
				const [row] = await client.arrays(sql, parameters);
				this.longestMs = Math.max(this.longestMs, performance.now() - started);
				const line = row!.join("|");
				this.counts.set(line, (this.counts.get(line) ?? 0) + 1);
				await delay(10);
			}
		})();
	}

	async stop(): Promise<string[]> {
		this.#stopped = true;
		await this.#done;
		return [...this.counts.keys()].sort();
	}
}

describe.each(SERVERS)("readers of %s while a table is loaded", (server) => {
	describe.skipIf(missing(server))("readers", () => {
		let loads: Loads;
		let reader: TextClient;
		beforeEach(async () => {
			loads = await Loads.open(server);
			reader = await loads.database.connect();
		});
		afterEach(async () => {
			await reader.close();
			await loads[Symbol.asyncDispose]();
		});

		test("see all of one state or all of another, with plain and with prepared statements", async () => {
			await loads.load(rows(3000, "state 0"));
			await loads.client.query(`create function public.look() returns text language plpgsql stable as $$ begin
				return (select count(*) || '|' || coalesce(max(name), 'none') || '|' || min(name) from raw.t); end $$`);
			const plain = new Poller(await loads.database.connect(), "select count(*), min(name), max(name) from raw.t");
			const prepared = await loads.database.connect();
			await prepared.query("prepare p as select count(*), min(name), max(name) from raw.t where id >= 0");
			const withPlan = new Poller(prepared, "execute p");
			const inFunction = new Poller(await loads.database.connect(), "select public.look()");
			const wanted: string[] = ["3000|state 0|state 0"];
			for (let state = 1; state <= 6; state++) {
				const count = 3000 + state;
				await loads.load(rows(count, `state ${state}`), { write: state % 3 === 0 ? "merge" : "replace" });
				wanted.push(`${count}|state ${state}|state ${state}`);
			}
			for (const line of [...(await plain.stop()), ...(await withPlan.stop()), ...(await inFunction.stop())])
				expect(wanted).toContain(line);
			expect(plain.counts.size).toBeGreaterThan(1);
		});

		test("in a transaction with an older snapshot never see an empty table", async () => {
			await loads.load(rows(10, "old"));
			await reader.query("begin isolation level repeatable read; select 1 from pg_class limit 1");
			await loads.load(rows(20, "new"));
			expect(await reader.arrays("select count(*), max(name) from raw.t")).toEqual([["20", "new"]]);
			await reader.query("commit");
		});

		test("that hold the table for a second let the swap wait, and others in", async () => {
			await loads.load(rows(10, "old"));
			await reader.query("begin; select * from raw.t");
			const oid = await loads.lines("select 'raw.t'::regclass::oid");
			const others = new Poller(await loads.database.connect(), "select count(*), max(name) from raw.t");
			const loading = loads.load(rows(20, "new"));
			await delay(1200);
			expect(await reader.arrays("select count(*) from raw.t")).toEqual([["10"]]);
			await reader.query("commit");
			await loading;
			expect(await others.stop()).toEqual(["10|old", "20|new"]);
			expect(others.longestMs).toBeLessThan(900);
			expect(await loads.lines("select 'raw.t'::regclass::oid")).not.toEqual(oid);
		});

		test("are not locked out while a load that adds a column goes on", async () => {
			await loads.load(rows(10, "old"));
			let during: string[] = [];
			await loads.load([["100", "new", "5"]], {
				write: "append",
				key: [],
				columns: "id int64, name text, more int32",
				verify: async () => {
					during = await loads.lines("select count(*), count(more) from raw.t");
				},
			});
			expect(during).toEqual(["10|0"]);
			expect(await loads.lines("select count(*), count(more) from raw.t")).toEqual(["11|1"]);
		});

		// Fifteen seconds of patience each, and a lock_timeout is the same in every version: one server.
		if (server !== SERVERS[0]) return;

		test("that never let go neither stop the load nor others: the rows are exchanged within the table", async () => {
			await loads.load(rows(10, "old"));
			await reader.query("begin isolation level repeatable read; select * from raw.t");
			const oid = await loads.lines("select 'raw.t'::regclass::oid");
			const others = new Poller(await loads.database.connect(), "select count(*), max(name) from raw.t");
			const result = await loads.load([...rows(5, "old"), ["77", "new"]]);
			expect(result).toMatchObject({ rowsReceived: 6, rowsInserted: 1, rowsDeleted: 5 });
			expect(await reader.arrays("select count(*) from raw.t")).toEqual([["10"]]);
			await reader.query("commit");
			expect(await others.stop()).toEqual(["10|old", "6|old"]);
			expect(others.longestMs).toBeLessThan(900);
			expect(await loads.lines("select 'raw.t'::regclass::oid")).toEqual(oid);
			expect(await loads.lines("select count(*) from pg_class where relname ~ '^_headrace_new'")).toEqual(["0"]);
			await loads.load(rows(3, "last"));
			expect(await loads.lines("select count(*) from raw.t")).toEqual(["3"]);
		}, 180_000);

		test("that hold a table which needs a column more: the load gives up and can be repeated", async () => {
			await loads.load(rows(2, "old"));
			await reader.query("begin; select * from raw.t");
			const change = { columns: "id int64, name text, more int32" };
			const error = await errorOf(loads.load([["5", "new", "5"]], { ...change, write: "merge" }));
			expect(error).toMatchObject({ code: "E_TIMEOUT", message: expect.stringContaining("raw.t") });
			await reader.query("commit");
			await loads.load([["5", "new", "5"]], { ...change, write: "merge" });
			expect(await loads.lines("select count(*), count(more) from raw.t")).toEqual(["3|1"]);
		}, 180_000);
	});
});
