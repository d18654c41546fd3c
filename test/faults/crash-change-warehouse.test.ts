import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { missing } from "../support/start.ts";
import { Ledger, LedgerWriters } from "./ledger.ts";
import { LedgerCopy } from "./ledger-copy.ts";
import { lacksTarget, openTarget } from "./ledger-target.ts";
import { Random } from "./random.ts";

/** At this one the changes are committed, and their files are still there. */
const COMMITTED = "c10";

describe.each([
	["mariadb", "redshift", [COMMITTED]],
	["postgres15", "snowflake", ["c09"]],
] as const)("changes by staged files killed at a crash point, %s to %s", (from, into, points) => {
	test.skipIf(missing(from) || lacksTarget(into))(
		"whole transactions only, and the next run makes both sides equal and leaves no file",
		async () => {
			await using ledger = await Ledger.open(from, 40);
			await using target = await openTarget(into);
			using copy = new LedgerCopy(ledger, target.copy);
			const total = String(ledger.size * 100);
			await copy.project.succeed("run", "ledger");
			const writers = new LedgerWriters(ledger, new Random(1), 2);
			await using _writing = { [Symbol.asyncDispose]: () => writers.stop() };
			for (const point of points) {
				writers.start();
				await sleep(100);
				await writers.stop();
				// However slow the writers were, there is a change.
				await ledger.database.query(`update accounts set owner = '${point}' where id = 1`);
				const killed = await copy.project.start(["run", "ledger"], { env: { HEADRACE_CRASH: point } }).ended;
				expect(killed.signal, `${point}: ${killed.stdout}${killed.stderr}`).toBe("SIGKILL");
				expect(copy.staged(), `files after a kill at ${point}`).not.toEqual([]);
				expect(await copy.sum(), `after a kill at ${point}`).toBe(total);
				const [row] = await copy.rows("accounts", "id = 1");
				expect(row?.split("|")[1] === point, `committed at ${point}`).toBe(point === COMMITTED);
				await copy.project.succeed("run", "ledger");
				await copy.expectEqual();
				expect(copy.staged()).toEqual([]);
			}
			const later = new Date(Date.now() + 60_000).toISOString();
			const words = ["history", "ledger", `${ledger.schema}.book`, "--as-of", later];
			const { stdout, stderr } = await copy.project.start(words, { plain: true }).ended;
			const book = (await ledger.lines()).get("book")!;
			const firstTwo = (lines: readonly string[], separator: string) =>
				lines.map((line) => line.split(separator).slice(0, 2).join()).sort();
			expect(firstTwo(stdout.trim().split("\n").slice(1), ","), stderr).toEqual(firstTwo(book, "|"));
		},
		120_000,
	);
});
