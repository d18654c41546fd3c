import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PipelineList } from "../../src/connectors/lake/pipeline-list.ts";
import { Engine } from "../../src/engine/index.ts";
import { FIELDS, follow, KEYS, PIPELINE, rowAt, STREAM, SUM, stepOf, TABLES, targetOf } from "./lake-changes-loads.ts";
import { committedRows, openLake, rowsOfFiles } from "./lake-support.ts";

let folder: string;
let root: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "headrace-lake-changes-"));
	root = join(folder, "lake");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function start(last: number, point = "none", every = 1000): ChildProcess {
	const child = join(import.meta.dirname, "lake-changes-child.ts");
	return spawn(process.execPath, [child, root, String(last), String(every)], {
		stdio: ["ignore", "pipe", "inherit"],
		env: { ...process.env, HEADRACE_CRASH: point },
	});
}

async function ended(child: ChildProcess): Promise<string | null> {
	const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
	return signal ?? (code === 0 ? null : `exit ${code}`);
}

/** What a table has to hold after so many transactions. */
function rowsAfter(table: (typeof TABLES)[number], last: number): string[][] {
	const rows = new Map<number, string[]>();
	for (let step = Math.max(1, last - KEYS + 1); step <= last; step++) {
		const { id, amount } = rowAt(table, step);
		rows.set(id, [String(id), String(amount), String(step)]);
	}
	return [...rows.entries()].sort(([a], [b]) => a - b).map(([, row]) => row);
}

const inOrder = (rows: readonly (readonly (string | null)[])[] | null) =>
	[...(rows ?? [])].sort(([a], [b]) => Number(a) - Number(b));

async function expectAt(last: number): Promise<void> {
	for (const table of TABLES) {
		const rows = await committedRows(root, targetOf(table).name, FIELDS);
		expect(inOrder(rows), `${table} after ${last}`).toEqual(rowsAfter(table, last));
	}
}

/** What somebody reads who takes all tables by the list of the pipeline: the transaction that both are of. */
async function listed(): Promise<number | null> {
	let list: PipelineList;
	try {
		list = JSON.parse(readFileSync(join(root, "_headrace/pipelines/shop.json"), "utf8")) as PipelineList;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
		throw error;
	}
	const last = stepOf(list.position);
	for (const table of TABLES) {
		const files = list.tables.find((one) => one.table === `shop.${table}`)!.files.map(({ path }) => join(root, path));
		expect(inOrder(await rowsOfFiles(files, FIELDS)), `${table} in the list of ${last}`).toEqual(
			rowsAfter(table, last),
		);
	}
	return last;
}

/** Asks again and again for the list; it must be whole each time, and never older than before. */
function watch() {
	let isOver = false;
	let reads = 0;
	const reading = (async () => {
		let newest = 0;
		while (!isOver) {
			const last = await listed();
			if (last !== null) {
				expect(last).toBeGreaterThanOrEqual(newest);
				newest = last;
				reads++;
			}
			await delay(20);
		}
	})();
	// Its error is thrown when it is stopped.
	reading.catch(() => undefined);
	return {
		stop: async () => {
			isOver = true;
			await reading;
			return reads;
		},
	};
}

async function followTo(last: number): Promise<void> {
	await using destination = openLake(root);
	await follow(destination, last);
}

const POINTS = ["c08", "lake-prepared#2", "c09", "c10", "lake-listed", "lake-current#2", "folder-once-linked#3"];

describe("changes of two tables whose run is killed", () => {
	test.each(POINTS)("at %s are in both or in none, as the position says, and the next run goes on", async (point) => {
		await followTo(3);
		expect(await ended(start(4, point))).toBe("SIGKILL");
		{
			await using reader = openLake(root);
			const [row] = await reader.positions(PIPELINE);
			const last = stepOf(row!.position);
			expect([3, 4]).toContain(last);
			await expectAt(last);
			expect(await listed()).toBeLessThanOrEqual(last);
		}
		await using destination = openLake(root);
		const row = (await destination.takeOver(PIPELINE, [STREAM])).get(STREAM)!;
		await expectAt(stepOf(row.position));
		expect(await listed()).toBe(stepOf(row.position));
		await follow(destination, 6);
		await expectAt(6);
		expect(await listed()).toBe(6);
	});

	test("leave no table to wait for them: a compaction refuses what was never settled", async () => {
		await followTo(3);
		expect(await ended(start(4, "lake-prepared#2"))).toBe("SIGKILL");
		await using other = openLake(root, { transactionWaitMs: 100 });
		const done = await other.compact!({ pipeline: PIPELINE, targetBytes: 64 << 20 });
		expect(done.map(({ table }) => table.name)).toEqual(["paid", "owed"]);
		await expectAt(3);
		await follow(other, 5);
		await expectAt(5);
	});
});

test("DuckDB reads all tables of one moment as the page on lakes says", async () => {
	await followTo(3);
	await using engine = await Engine.open({ allowedDirectories: [root] });
	await using connection = await engine.connect();
	const page = readFileSync(join(import.meta.dirname, "../../docs/lake-for-athena.md"), "utf8");
	const sql = /SET VARIABLE shop = [\s\S]*?(?=\n```)/.exec(page)![0];
	const ours = sql
		.replaceAll("lake/", `${root}/`)
		.replaceAll("shop_lake", PIPELINE)
		.replace("prod.orders", "shop.paid")
		.replace("prod.accounts", "shop.owed");
	await connection.execute(ours);
	const rows = await connection.query("SELECT id, p.amount + o.amount AS sum FROM orders p JOIN accounts o USING (id)");
	expect(rows.map((row) => Number(row["sum"]))).toEqual([SUM, SUM, SUM]);
});

/** `KILLS=100 npx vitest run test/connectors/lake-changes-crash.test.ts` */
const KILLS = Math.ceil(Number(process.env["KILLS"] ?? 2) / 2);

test(
	`${KILLS} kills at random moments of changes and compactions: whoever reads the list sees whole transactions`,
	async () => {
		const watched = watch();
		let last = 0;
		for (let kill = 0; kill < KILLS; kill++) {
			const child = start(last + 1000, "none", 20);
			const over = ended(child);
			// The least that a kill must hit is a run that has begun to apply.
			await Promise.race([once(child.stdout!, "data"), over]);
			await delay(Math.random() * 1500);
			child.kill("SIGKILL");
			await over;
			await using destination = openLake(root, { retentionMs: 2000 });
			const row = (await destination.takeOver(PIPELINE, [STREAM])).get(STREAM)!;
			expect(stepOf(row.position)).toBeGreaterThan(last);
			last = stepOf(row.position);
			await expectAt(last);
		}
		expect(await watched.stop()).toBeGreaterThan(1);
	},
	30_000 + KILLS * 10_000,
);
