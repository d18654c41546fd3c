import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { Ledger, LedgerWriters } from "./ledger.ts";
import { LedgerCopy } from "./ledger-copy.ts";
import { Random } from "./random.ts";

/** While the tables are read for the first time, and while the log is applied. */
const READING = ["cdc-reading", "cdc-read"];
const FOLLOWING = ["cdc-apply", "cdc-applied", "cdc-acknowledged"];

describe.each([
	["postgres15", "duckdb"],
	["mariadb", "postgres18"],
] as const)("a run that follows a log killed at a crash point, %s to %s", (from, into) => {
	test.skipIf(missing(from) || (into !== "duckdb" && missing(into)))(
		"whole transactions only, and the next run makes both sides equal",
		async () => {
			await using ledger = await Ledger.open(from, 40);
			await using target = into === "duckdb" ? null : await freshDatabase(await sharedServer(into), "copy");
			using copy = new LedgerCopy(ledger, target === null ? {} : { target });
			const total = String(ledger.size * 100);
			const killAt = async (point: string) => {
				const killed = await copy.project.start(["run", "ledger"], { env: { HEADRACE_CRASH: point } }).ended;
				expect(killed.signal, `${point}: ${killed.stdout}${killed.stderr}`).toBe("SIGKILL");
			};
			for (const point of READING) await killAt(point);
			await copy.project.succeed("run", "ledger");
			await copy.expectEqual();

			const writers = new LedgerWriters(ledger, new Random(1), 2);
			await using _writing = { [Symbol.asyncDispose]: () => writers.stop() };
			for (const point of FOLLOWING) {
				writers.start();
				await sleep(100);
				await writers.stop();
				// However slow the writers were, there is a change.
				await ledger.database.query(`update accounts set owner = '${point}' where id = 1`);
				await killAt(point);
				expect(await copy.sum(), `after a kill at ${point}`).toBe(total);
				await copy.project.succeed("run", "ledger");
				await copy.expectEqual();
			}
		},
	);
});
