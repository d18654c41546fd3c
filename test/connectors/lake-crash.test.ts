import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Write } from "../../src/core/index.ts";
import { FIELDS, ROWS, requestOf, TARGET } from "./file-loads.ts";
import { currentOf, lakeRows, openLake } from "./lake-support.ts";

let folder: string;
let root: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "headrace-lake-crash-"));
	root = join(folder, "lake");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function start(write: Write, first: number, last: number, point = "none", every = 1000): ChildProcess {
	const child = join(import.meta.dirname, "lake-child.ts");
	return spawn(process.execPath, [child, root, write, String(first), String(last), String(every)], {
		stdio: ["ignore", "pipe", "inherit"],
		env: { ...process.env, HEADRACE_CRASH: point },
	});
}

async function ended(child: ChildProcess): Promise<string | null> {
	const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
	return signal ?? (code === 0 ? null : `exit ${code}`);
}

/** The last load that the position says is in. */
function loadOf(position: string | null): number {
	return position === null ? 0 : Number(/load (\d+)/.exec(position)![1]);
}

/** What the table holds, as the loads whose rows are there with how many; whole states have one such form each. */
async function seen(write: Write = "merge"): Promise<Map<number, number> | null> {
	const rows = await lakeRows(root, TARGET.name, FIELDS);
	if (rows === null) return null;
	const counts = new Map<number, number>();
	const ids = new Set<string>();
	for (const [id, load] of rows) {
		counts.set(Number(load), (counts.get(Number(load)) ?? 0) + 1);
		ids.add(write === "merge" ? id! : `${id} ${load}`);
	}
	expect(ids.size, "no row is there twice").toBe(rows.length);
	return counts;
}

/** After load `last`: all rows of it, and of those before half when it merged, all when it appended. */
function whole(last: number, write: Write = "merge"): Map<number, number> {
	const before = write === "merge" ? ROWS / 2 : ROWS;
	return new Map(Array.from({ length: last }, (_, index) => [index + 1, index + 1 === last ? ROWS : before]));
}

/** Reads the table over and over; each time it must be whole, and never older than before. */
function watch(write: Write) {
	const found: string[] = [];
	let reads = 0;
	let isOver = false;
	const reading = (async () => {
		let newest = 0;
		while (!isOver) {
			const counts = await seen(write);
			if (counts !== null && counts.size > 0) {
				const last = Math.max(...counts.keys());
				const text = (map: Map<number, number>) => JSON.stringify([...map].sort(([a], [b]) => a - b));
				if (text(counts) !== text(whole(last, write))) found.push(`not whole at ${last}: ${text(counts)}`);
				if (last < newest) found.push(`${last} after ${newest}`);
				newest = last;
				reads++;
			}
			await delay(20);
		}
	})();
	return {
		stop: async () => {
			isOver = true;
			await reading;
			return { found, reads };
		},
	};
}

const POINTS = [
	"lake-taken",
	"c08",
	"c09",
	"c10",
	"lake-current",
	"folder-once-written",
	"folder-once-linked",
	"folder-file-renamed",
];

describe("a run that is killed", () => {
	test.each(POINTS)("in a merge at %s leaves the rows of the position, and the next run goes on", async (point) => {
		expect(await ended(start("merge", 1, 2))).toBeNull();
		expect(await ended(start("merge", 3, 3, point))).toBe("SIGKILL");
		await using destination = openLake(root, { partitionBy: ["load"] });
		let row = (await destination.takeOver("crash", ["t"])).get("t")!;
		const last = loadOf(row.position);
		expect([2, 3]).toContain(last);
		expect(await seen()).toEqual(whole(last));
		for (let number = last + 1; number <= 4; number++) {
			const request = requestOf(row, number, "merge");
			await destination.load(request);
			row = { ...row, seq: row.seq + 1, position: request.toPosition };
		}
		expect(await seen()).toEqual(whole(4));
	});

	test.each(["lake-compact-built", "lake-compact-committed", "lake-current#2"])(
		"in a compaction at %s changes no row",
		async (point) => {
			expect(await ended(start("append", 1, 3))).toBeNull();
			expect(await ended(start("append", 4, 4, point, 4))).toBe("SIGKILL");
			expect(await seen("append")).toEqual(whole(4, "append"));
			await using destination = openLake(root);
			await destination.takeOver("crash", ["t"]);
			const [done] = await destination.compact!({ pipeline: "crash", targetBytes: 64 << 20 });
			expect(done).toMatchObject({ filesAfter: 1, givenUp: 0 });
			expect(await seen("append")).toEqual(whole(4, "append"));
			expect(currentOf(root, TARGET.name)).toMatchObject({ rows: 4 * ROWS, files: [{ rows: 4 * ROWS }] });
		},
	);

	test.each(["lake-cleaned", "lake-state"])(
		"at %s leaves commits that read the same",
		async (point) => {
			expect(await ended(start("merge", 1, 20, point))).toBe("SIGKILL");
			await using destination = openLake(root, { partitionBy: ["load"] });
			const row = (await destination.takeOver("crash", ["t"])).get("t")!;
			expect(await seen()).toEqual(whole(loadOf(row.position)));
			expect(await ended(start("merge", loadOf(row.position) + 1, 40))).toBeNull();
			expect(await seen()).toEqual(whole(40));
			const commits = readdirSync(join(root, "_headrace/commits/shop.orders"));
			expect(commits.length).toBeLessThan(60);
		},
		180_000,
	);
});

/** `KILLS=100 npx vitest run test/connectors/lake-crash.test.ts` */
const KILLS = Math.ceil(Number(process.env["KILLS"] ?? 8) / 2);

test.each(["merge", "append"] as const)(
	`${KILLS} kills at random moments of %s and compaction: readers see whole states, and no row is lost or doubled`,
	async (write) => {
		const watched = watch(write);
		let last = 0;
		for (let kill = 0; kill < KILLS; kill++) {
			const child = start(write, last + 1, last + 100, "none", 3);
			const over = ended(child);
			// The least that a kill must hit is a run that has begun to load.
			await Promise.race([once(child.stdout!, "data"), over]);
			await delay(Math.random() * 1500);
			child.kill("SIGKILL");
			await over;
			await using destination = openLake(root, {
				retentionMs: 2000,
				...(write === "merge" ? { partitionBy: ["load"] } : {}),
			});
			const row = (await destination.takeOver("crash", ["t"])).get("t")!;
			last = loadOf(row.position);
			expect(await seen(write)).toEqual(last === 0 ? null : whole(last, write));
		}
		const { found, reads } = await watched.stop();
		expect(found).toEqual([]);
		expect(last).toBeGreaterThan(1);
		expect(reads).toBeGreaterThan(1);
	},
	30_000 + KILLS * 10_000,
);

test("of two runs at once one wins, the other is fenced; loads of two streams and compactions do not lose rows", async () => {
	await using first = openLake(root);
	await using second = openLake(root);
	const rowOf = async (lake: typeof first, stream: string) => (await lake.takeOver("crash", [stream])).get(stream)!;
	const old = await rowOf(first, "t");
	const taken = await rowOf(second, "t");
	await expect(first.load(requestOf(old, 1, "append"))).rejects.toMatchObject({ code: "E_FENCED" });
	await second.load(requestOf(taken, 1, "append"));
	// Appends of two streams go on top of each other, a compaction between them.
	let [a, b] = [await rowOf(first, "a"), await rowOf(second, "b")];
	for (let number = 2; number < 6; number++) {
		const [forA, forB] = [requestOf(a, number, "append"), requestOf(b, number + 10, "append")];
		await Promise.all([
			first.load({ ...forA, stream: "a", loadId: `a${number}`.padEnd(26, "0") }),
			second.load({ ...forB, stream: "b", loadId: `b${number}`.padEnd(26, "0") }),
			number % 2 === 0 ? first.compact!({ pipeline: "crash", targetBytes: 64 << 20 }) : null,
		]);
		[a, b] = [a, b].map((row, index) => ({ ...row, seq: row.seq + 1, position: [forA, forB][index]!.toPosition })) as [
			typeof a,
			typeof b,
		];
	}
	const rows = (await lakeRows(root, TARGET.name, FIELDS))!;
	expect(rows.length).toBe(9 * ROWS);
	// Two merges at once: whoever comes second is told to try again, and nothing of it is seen.
	const merges = await Promise.allSettled([
		first.load({ ...requestOf(a, 20, "merge"), stream: "a", loadId: "a20".padEnd(26, "0") }),
		second.load({ ...requestOf(b, 21, "merge"), stream: "b", loadId: "b21".padEnd(26, "0") }),
	]);
	const lost = merges.filter((each) => each.status === "rejected");
	for (const each of lost) expect(each.reason).toMatchObject({ code: "E_CONFLICT" });
	expect(lost.length).toBeLessThan(2);
});
