import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { Ledger, LedgerWriters } from "./ledger.ts";
import { LedgerCopy } from "./ledger-copy.ts";
import { type LedgerTarget, lacksTarget, openTarget } from "./ledger-target.ts";
import { Random } from "./random.ts";

/** Other than the test's own: `KILLS=200 SEED=7 npx vitest run test/faults/change-capture.test.ts`. */
const kills = Number(process.env["KILLS"] ?? 4);
const seed = Number(process.env["SEED"] ?? 1);

/** What all destinations share is tried into those that are quicker. */
const killsInto = (into: LedgerTarget) =>
	process.env["KILLS"] !== undefined
		? kills
		: (({ redshift: 1, snowflake: 1, lake: 2 } as Record<string, number>)[into] ?? kills);

describe.each([
	["postgres15", "duckdb"],
	["mariadb", "duckdb"],
	["mysql56", "duckdb"],
	["postgres18", "postgres15"],
	["mariadb", "postgres18"],
	["mariadb", "redshift"],
	["postgres15", "lake"],
	["postgres15", "snowflake"],
] as const)("a log followed by runs that are killed, %s to %s", (from, into) => {
	const lacks = missing(from) || lacksTarget(into);
	test.skipIf(lacks)(
		"whole transactions only, and in the end both sides are equal",
		async () => {
			const random = new Random(seed);
			await using ledger = await Ledger.open(from, 400);
			await using target = await openTarget(into);
			using copy = new LedgerCopy(ledger, {
				...target.copy,
				keys: "flush: { seconds: 0.2, rows: 200 }\n",
			});
			const writers = new LedgerWriters(ledger, random, 4);
			const total = String(ledger.size * 100);
			await using _writing = { [Symbol.asyncDispose]: () => writers.stop() };
			for (let killed = 0; killed < killsInto(into); killed++) {
				writers.start();
				const run = copy.project.start(["run", "ledger", "--follow"]);
				await Promise.race([sleep(500 + random.integer(1500)), run.ended]);
				run.kill("SIGKILL");
				const { signal, stderr, stdout } = await run.ended;
				expect(signal, `${stdout}${stderr}`).toBe("SIGKILL");
				await writers.stop();
				const sum = await copy.sum();
				if (sum !== null && (await isFollowing(copy))) expect(sum, `after kill ${killed}`).toBe(total);
			}
			await copy.project.succeed("run", "ledger");
			await copy.expectEqual();
			expect(await copy.sum()).toBe(total);
			expect(copy.staged()).toEqual([]);
			if (into === "lake") expect(await historyNow(copy)).toEqual((await ledger.lines()).get("book"));
		},
		60_000 + kills * 10_000,
	);
});

describe.each([
	["postgres18", "duckdb"],
	["mariadb", "postgres15"],
] as const)("a history by runs that are killed, %s to %s", (from, into) => {
	test.skipIf(missing(from) || (into !== "duckdb" && missing(into)))(
		"answers as of any moment what the single changes add up to",
		async () => {
			const random = new Random(seed);
			await using ledger = await Ledger.open(from, 40);
			await using target = into === "duckdb" ? null : await freshDatabase(await sharedServer(into), "copy");
			using copy = new LedgerCopy(ledger, {
				...(target === null ? {} : { target }),
				keys: "flush: { seconds: 0.1, rows: 50 }\n",
			});
			// The same log, change by change, by runs that nobody kills.
			copy.project.write(
				"pipelines/audit.yaml",
				`pipeline: audit\nfrom: source\nto: copy\ntables:\n  ${ledger.schema}.book: { mode: cdc, write: append, into: audit.book }\n`,
			);
			const writers = new LedgerWriters(ledger, random, 3, 30);
			await using _writing = { [Symbol.asyncDispose]: () => writers.stop() };
			await copy.project.succeed("run", "ledger");
			await copy.project.succeed("run", "audit");
			for (let killed = 0; killed < kills; killed++) {
				writers.start();
				const run = copy.project.start(["run", "ledger", "--follow"]);
				await sleep(800 + random.integer(1200));
				run.kill("SIGKILL");
				await run.ended;
				await writers.stop();
			}
			await copy.project.succeed("run", "ledger");
			await copy.project.succeed("run", "audit");
			await copy.expectEqual();
			const changes = await copy.query(
				`select cast(id as varchar) as id, cast(amount as varchar) as amount, label, _headrace_operation as operation,
				_headrace_position as position, cast(_headrace_changed_at as varchar) as at from audit.book`,
			);
			changes.sort((a, b) => inLog(a) - inLog(b));
			const moments = [...new Set(changes.map((change) => change["at"]!))].slice(1);
			// MariaDB tells whole seconds.
			expect(moments.length).toBeGreaterThan(3);
			for (let count = 0; count < 40; count++) {
				const moment = moments[random.integer(moments.length)]!;
				const state = new Map<string, string>();
				// In the order of the log: several have one time.
				for (const change of changes) {
					if (change["at"]! > moment) break;
					if (change["operation"] === "delete") state.delete(change["id"]!);
					else state.set(change["id"]!, `${change["id"]}|${change["amount"]}|${change["label"] ?? "∅"}`);
				}
				const asOf = `_headrace_valid_from <= '${moment}' and (_headrace_valid_to > '${moment}' or _headrace_valid_to is null)`;
				expect(await copy.rows("book", asOf), `as of ${moment}`).toEqual([...state.values()].sort());
			}
		},
		60_000 + kills * 10_000,
	);
});

/** Where a change lies in its log, as one number: rows of the first reading, then `file.3:8812/0` or `0/16B3748/0`. */
function inLog({ operation, position }: Readonly<Record<string, string | null>>): number {
	if (operation === "snapshot") return -1;
	const [, file, offset, high, low, place] = /^(?:.*\.(\d+):(\d+)|([0-9A-F]+)\/([0-9A-F]+))\/(\d+)$/.exec(position!)!;
	const at =
		file === undefined
			? Number.parseInt(high!, 16) * 2 ** 32 + Number.parseInt(low!, 16)
			: Number(file) * 2 ** 32 + Number(offset);
	return at * 1000 + Number(place);
}

/** The first reading is over: all tables are at one position. */
/** The rows of the table that keeps its history, by the verb. */
async function historyNow(copy: LedgerCopy): Promise<string[]> {
	const words = ["history", "ledger", "book", "--as-of", "2100-01-01T00:00:00Z", "--format", "jsonl"];
	const { code, stdout, stderr } = await copy.project.start(words).ended;
	expect(code, stderr).toBe(0);
	// The last line says how it ended.
	const lines = stdout.trim().split("\n").slice(0, -1);
	const rows = lines.map((line) => Object.values(JSON.parse(line) as Record<string, string | null>));
	return rows.map((values) => values.map((value) => value ?? "∅").join("|")).sort();
}

async function isFollowing(copy: LedgerCopy): Promise<boolean> {
	const { positions } = await copy.read();
	const position = positions.find(({ stream }) => stream === "changes")?.position;
	if (position === null || position === undefined) return false;
	const { tables } = JSON.parse(position) as { tables: Record<string, object> };
	return Object.values(tables).every((table) => Object.keys(table).length === 0);
}
