import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { createDuckdbDestination } from "../../src/connectors/duckdb/index.ts";
import type { Write } from "../../src/core/index.ts";
import { Engine } from "../../src/engine/index.ts";
import { changesOf, NEW_ROWS, requestOf } from "./duckdb-loads.ts";

const folder = mkdtempSync(join(tmpdir(), "headrace-crash-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the child as a process of its own; gives what ended it. */
async function run(path: string, write: Write | "changes", crashPoint: string, shell = ""): Promise<string> {
	const child = join(import.meta.dirname, "duckdb-crash-child.ts");
	const command = `${shell} exec "$0" "$@"`;
	const running = spawn("bash", ["-c", command, process.execPath, child, path, write, crashPoint], {
		stdio: ["ignore", "pipe", "pipe"],
	});
	let output = "";
	for (const stream of [running.stdout, running.stderr]) stream.on("data", (data: Buffer) => (output += String(data)));
	const [, signal] = (await once(running, "close")) as [number | null, NodeJS.Signals | null];
	return signal ?? output;
}

async function look(path: string) {
	await using engine = await Engine.open({ path });
	await using connection = await engine.connect();
	const [rows] = await connection.query(
		`SELECT count(*) AS n, count(*) FILTER (WHERE name LIKE 'the old%') AS old,
		count(*) FILTER (WHERE name LIKE 'the new%') AS new, count(DISTINCT id) AS ids FROM raw.t`,
	);
	const [position] = await connection.query("SELECT seq, load_id FROM _headrace.positions");
	const loads = await connection.query("SELECT load_id FROM _headrace.loads");
	const tables = await connection.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'");
	return { rows: rows!, position: position!, loads, tables: tables.map((row) => row["table_name"]) };
}

const BEFORE = { n: 5000n, old: 5000n, new: 0n, ids: 5000n };
const AFTER: Record<string, typeof BEFORE> = {
	replace: { n: 5000n, old: 0n, new: 5000n, ids: 5000n },
	merge: { n: 7500n, old: 2500n, new: 5000n, ids: 7500n },
	append: { n: 10000n, old: 5000n, new: 5000n, ids: 7500n },
};

describe("a run that is killed leaves data and position in agreement, and can be repeated", () => {
	const cases = [
		["replace", "c08"],
		["replace", "c15"],
		["replace", "c09"],
		["replace", "c10"],
		["merge", "c08"],
		["merge", "c09"],
		["merge", "c10"],
		["append", "c08"],
		["append", "c09"],
		["append", "c10"],
	] as const;
	test.each(cases)("%s at %s", async (write, crashPoint) => {
		const path = join(folder, `${write}-${crashPoint}.duckdb`);
		expect(await run(path, write, crashPoint)).toBe("SIGKILL");
		const committed = crashPoint === "c10";
		const found = await look(path);
		expect(found.rows).toEqual(committed ? AFTER[write] : BEFORE);
		expect(found.position["seq"]).toBe(committed ? 2n : 1n);
		expect(found.loads.length).toBe(committed ? 2 : 1);

		await using destination = await createDuckdbDestination({ path });
		const row = (await destination.takeOver("crash", ["t"])).get("t")!;
		expect(await destination.committed(row.loadId!)).toBe(true);
		if (!committed) {
			const request = requestOf(row, NEW_ROWS, write);
			expect(await destination.committed(request.loadId)).toBe(false);
			await destination.load(request);
		}
		const repeated = await look(path);
		expect(repeated.rows).toEqual(AFTER[write]);
		expect(repeated.position["seq"]).toBe(2n);
		expect(repeated.tables).toEqual(["t"]);
	});
});

test.each(["c08", "c09", "c10"])("changes of two tables, killed at %s, are in both or in none", async (crashPoint) => {
	const path = join(folder, `changes-${crashPoint}.duckdb`);
	expect(await run(path, "changes", crashPoint)).toBe("SIGKILL");
	const committed = crashPoint === "c10";
	const found = await look(path);
	expect(found.rows).toEqual(committed ? AFTER["merge"] : BEFORE);
	expect(found.tables).toEqual(committed ? ["t", "u"] : ["t"]);
	expect(found.position["seq"]).toBe(committed ? 2n : 1n);
	expect(found.loads.length).toBe(committed ? 4 : 1);

	await using destination = await createDuckdbDestination({ path });
	const row = (await destination.takeOver("crash", ["t"])).get("t")!;
	expect(await destination.committed(row.loadId!)).toBe(true);
	if (!committed) await destination.changes!.apply(changesOf(row, NEW_ROWS));
	const repeated = await look(path);
	expect(repeated.rows).toEqual(AFTER["merge"]);
	expect(repeated.tables).toEqual(["t", "u"]);
	expect(repeated.loads.length).toBe(4);
});

test.each(["append", "replace", "merge"] as const)(
	"%s on a full disk leaves the old rows and position",
	async (write) => {
		const path = join(folder, `full-${write}.duckdb`);
		// No file may grow past 4 MiB: the first load fits, the second does not.
		expect(await run(path, write, "none", "ulimit -f 4096;")).toBe("E_NO_SPACE\n");
		const found = await look(path);
		expect(found.rows).toEqual(BEFORE);
		expect(found.position["seq"]).toBe(1n);
		await using destination = await createDuckdbDestination({ path });
		const row = (await destination.takeOver("crash", ["t"])).get("t")!;
		await destination.load(requestOf(row, NEW_ROWS, write));
		expect((await look(path)).rows).toEqual(AFTER[write]);
	},
);
