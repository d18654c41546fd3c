/**
 * A history answers for every moment what the source held then: worlds that clients write and whose columns change,
 * followed by runs that are killed, beside an oracle that looks at the source after each commit.
 * `SEEDS=50 SEED=1 npx vitest run test/faults/history-as-of -t "of postgres18"` tries more of them.
 */
import { describe, expect, test } from "vitest";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { Random } from "./random.ts";
import { VAULT, World } from "./world.ts";
import { WorldCopy } from "./world-copy.ts";
import { changeHistory } from "./world-ddl.ts";
import { WorldHistory } from "./world-history.ts";
import { WorldOracle } from "./world-oracle.ts";
import { WorldWriters } from "./world-writers.ts";

const first = Number(process.env["SEED"] ?? 1);
const seeds = Array.from({ length: Number(process.env["SEEDS"] ?? 1) }, (_, index) => first + index);
const kills = Number(process.env["KILLS"] ?? (process.env["SEEDS"] === undefined ? 1 : 2));

const ONE_OF_EACH = ["mariadb", "postgres18"] as const;

/** A change that rows may have changed by: its cure begins the history of the table anew. */
const MAY_STOP = ["E_SCHEMA"];

const ENGINES = process.env["SEEDS"] === undefined ? ONE_OF_EACH : ([...ONE_OF_EACH, "postgres15"] as const);

describe.each(ENGINES)("a history of %s", (from) => {
	test.skipIf(missing(from)).for(seeds)(
		"seed %i: as of any moment it is what the source was",
		async (seed, { onTestFailed }) => {
			onTestFailed(({ task }) => {
				const message = String(task.result?.errors?.[0]?.message);
				const [table = "w_"] = /w_\d+/.exec(message) ?? [];
				const changes = world.changes.filter((statement) => statement.includes(table));
				const runs = copy.project.output.filter((text) => / started$/m.test(text));
				console.log([`seed ${seed} of ${from} failed: ${message}`, ...changes, ...runs].join("\n"));
			});
			const random = new Random(seed);
			await using world = await World.open(await sharedServer(from), random);
			const into = seed % 4 === 0 && !missing("postgres18") ? await sharedServer("postgres18") : null;
			await using target = into === null ? null : await freshDatabase(into, "copy");
			const flush = `flush: { seconds: 0.1, rows: ${20 + random.integer(400)} }`;
			using copy = new WorldCopy(world, target, `concurrency: ${1 + random.integer(3)}\n${flush}\n`, "history");
			await using oracle = await WorldOracle.open(world);
			const history = new WorldHistory(copy, oracle);
			const writers = new WorldWriters(world, {
				clients: 1 + random.integer(4),
				changeMs: 150,
				change: (_world, client) => world.standstill(() => changeHistory(world, oracle.recording(client))),
				commit: (client) => oracle.commit(() => client.query("commit")),
			});
			await using _writing = { [Symbol.asyncDispose]: () => writers.stop() };
			const stops: string[] = [];
			if (random.chance(0.85)) stops.push(...(await copy.settle(MAY_STOP)));
			for (let round = 0; round < kills; round++) {
				writers.start();
				const stopped = await copy.killed(500 + random.integer(1500), { HEADRACE_CHUNK_ROWS: "25" }, MAY_STOP);
				await writers.stop();
				if (stopped !== null) stops.push(stopped);
				await history.expectAsOf(await copy.committedAt(), `after kill ${round}`);
			}
			stops.push(...(await copy.settle(MAY_STOP)));
			const { moments, tables } = await history.expectAsOf(null, "in the end");
			expect(tables).toBeGreaterThan(0);
			await history.expectCommand(VAULT);
			if (process.env["SEEDS"] !== undefined)
				console.log(
					`seed ${seed} of ${from}: ${oracle.states.length} states, ${moments} moments, ${tables} tables, ${stops.join(" ")}`,
				);
		},
	);
});
