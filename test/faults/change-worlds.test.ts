/**
 * Worlds that up to eight clients write while runs are killed: key swaps, savepoints, big transactions, rows that go and
 * come. `SEEDS=200 SEED=1 npx vitest run test/faults/change-worlds -t "of mariadb"` tries as many as are asked for, with
 * tables and columns that change, come, go and change names meanwhile; without `SEEDS` one world each, whose tables stay.
 */
import { describe, expect, test } from "vitest";
import type { ServerName } from "../support/server.ts";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { Random } from "./random.ts";
import { TOTAL, World } from "./world.ts";
import { WorldCopy } from "./world-copy.ts";
import { WorldWriters } from "./world-writers.ts";

const first = Number(process.env["SEED"] ?? 1);
const seeds = Array.from({ length: Number(process.env["SEEDS"] ?? 1) }, (_, index) => first + index);
const kills = Number(process.env["KILLS"] ?? 2);

/** Where a run is killed by itself, when it comes there. */
const POINTS = ["c08", "c09", "c10", "c11", "chunk-sealed", "cdc-reading", "cdc-read", "cdc-apply", "cdc-applied"];

/** What the documentation says a run may stop for, with the cure that it prints. */
const MAY_STOP: Record<ServerName, readonly string[]> = {
	mariadb: [],
	mysql56: [],
	postgres15: [],
	postgres18: [],
};

describe.each(["mariadb", "mysql56", "postgres15", "postgres18"] as const)("a world of %s", (from) => {
	test.skipIf(missing(from)).concurrent.for(seeds)(
		"seed %i: whole transactions only, and in the end both are equal",
		async (seed, { onTestFailed }) => {
			// Of hundreds of seeds the first that fails is to be seen at once.
			const random = new Random(seed);
			await using world = await World.open(await sharedServer(from), random);
			onTestFailed(({ task }) => {
				const message = String(task.result?.errors?.[0]?.message);
				const [table = ""] = /w_\d+/.exec(message) ?? [];
				const changes = world.changes.filter((statement) => statement.includes(table));
				const runs = copy.project.output.filter((text) => / started$/m.test(text));
				console.log([`seed ${seed} of ${from} failed: ${message}`, ...changes, ...runs].join("\n"));
			});
			const into = seed % 4 === 0 && !missing("postgres18") ? await sharedServer("postgres18") : null;
			await using target = into === null ? null : await freshDatabase(into, "copy");
			const flush = `flush: { seconds: ${0.1 + random.integer(4) / 10}, rows: ${20 + random.integer(400)} }`;
			using copy = new WorldCopy(world, target, `concurrency: ${1 + random.integer(3)}\n${flush}\n`);
			const changeMs = random.chance(0.15) || process.env["SEEDS"] === undefined ? 0 : 60 + random.integer(400);
			const writers = new WorldWriters(world, { clients: 1 + random.integer(8), changeMs });
			await using _writing = { [Symbol.asyncDispose]: () => writers.stop() };
			const allowed = MAY_STOP[from];
			const stops: string[] = [];
			let sums = 0;
			// Some are killed while they read the tables for the first time, others follow the log already.
			if (random.chance(0.6)) stops.push(...(await copy.settle(allowed)));
			for (let round = 0; round < kills; round++) {
				writers.start();
				const crash = random.chance(0.5)
					? `${POINTS[random.integer(POINTS.length)]}#${1 + random.integer(4)}`
					: undefined;
				const env = { HEADRACE_CRASH: crash, HEADRACE_CHUNK_ROWS: "25" };
				const stopped = await copy.killed(100 + random.integer(2500), env, allowed);
				await writers.stop();
				if (stopped !== null) stops.push(stopped);
				const sum = await copy.sum();
				if (sum !== null) expect(sum, `after kill ${round}`).toBe(TOTAL);
				sums += sum === null ? 0 : 1;
			}
			stops.push(...(await copy.settle(allowed)));
			await copy.expectEqual("in the end");
			expect(await copy.sum()).toBe(TOTAL);
			const [again] = await copy.project.succeed("run", "world");
			expect(again!.tables.map(({ rows_read }) => rows_read)).toEqual(again!.tables.map(() => 0));
			await copy.expectEqual("after one more run");
			if (process.env["SEEDS"] !== undefined)
				console.log(
					`seed ${seed} of ${from}: ${kills - stops.length} kills, ${sums} sums, ${writers.committed} transactions, ${writers.changed} changes of tables${stops.length === 0 ? "" : `, ${stops.join(" ")}`}`,
				);
		},
	);
});
