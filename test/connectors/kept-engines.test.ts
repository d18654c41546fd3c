import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { batchesOf, collect } from "../../src/conformance/rows.ts";
import { writeEmptyFile } from "../../src/connectors/file/empty-file.ts";
import { Engine, keepEngines, openFileWriter, ParquetFormat } from "../../src/engine/index.ts";

const FIELDS = [{ name: "v", type: { kind: "text" }, nullable: true }] as const;

let root: string;
let kept: string;
let out: string;
beforeEach(() => {
	root = mkdtempSync(join(tmpdir(), "headrace-kept-"));
	kept = join(root, "kept");
	out = join(root, "out");
	mkdirSync(out);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function write(name: string, value: string): Promise<void> {
	await new ParquetFormat({ memoryBytes: 64 << 20, temporaryDirectory: join(root, `spill-${name}`) }).write({
		fields: FIELDS,
		batches: batchesOf(FIELDS, [[value]]),
		nextPath: async () => join(out, name),
		written: async () => {},
		bufferBytesMax: 1 << 24,
	});
}

const read = (name: string) => collect(new ParquetFormat().read(join(out, name), FIELDS));
/** Folders of engines that are kept or at work. */
const folders = () => readdirSync(kept).filter((name) => !name.endsWith(".tmp"));

test("writes that follow each other share an engine, and each file has its own rows", async () => {
	{
		await using _engines = await keepEngines({ folder: kept, countMax: 1 });
		await write("a.parquet", "first");
		const used = folders();
		expect(used).toHaveLength(1);
		await write("b.parquet", "second");
		expect(folders()).toEqual(used);
		expect(readdirSync(join(kept, used[0]!))).toEqual([]);
		expect([await read("a.parquet"), await read("b.parquet")]).toEqual([[["first"]], [["second"]]]);
	}
	expect(readdirSync(kept)).toEqual([]);
});

test("writes at the same time have an engine each, of which no more are kept than were asked for", async () => {
	await using _engines = await keepEngines({ folder: kept, countMax: 1 });
	const names = ["a.parquet", "b.parquet", "c.parquet"];
	await Promise.all(names.map((name) => write(name, name)));
	expect(folders()).toHaveLength(1);
	for (const name of names) expect(await read(name)).toEqual([[name]]);
});

test("a kept engine sees its own folder only, not the one that its files are meant for", async () => {
	await using _engines = await keepEngines({ folder: kept, countMax: 1 });
	await using writer = await openFileWriter(join(out, "a.parquet"));
	await using connection = await writer.engine.connect();
	const copy = (path: string) =>
		connection.execute(`COPY (SELECT 1 AS v) TO '${path}' (FORMAT parquet, USE_TMP_FILE false)`);
	await expect(copy(join(out, "a.parquet"))).rejects.toThrow(/disabled by configuration/);
	await copy(await writer.begin(join(out, "a.parquet")));
	await writer.deliver(join(out, "a.parquet"));
	expect(readdirSync(out)).toEqual(["a.parquet"]);
});

test("a file is made where it is meant to be: its folder gives it its group", async () => {
	const group = 4711;
	chownSync(out, process.getuid!(), process.getuid!() === 0 ? group : process.getgid!());
	chmodSync(out, 0o2775);
	await using _engines = await keepEngines({ folder: kept, countMax: 1 });
	for (const name of ["a.parquet", "b.parquet"]) {
		await write(name, name);
		expect(statSync(join(out, name)).gid).toBe(statSync(out).gid);
		expect(statSync(join(out, name)).nlink).toBe(1);
		expect(await read(name)).toEqual([[name]]);
	}
});

test("a file without rows is written by a kept engine too", async () => {
	await using _engines = await keepEngines({ folder: kept, countMax: 1 });
	await writeEmptyFile(join(out, "a.parquet"), FIELDS, "parquet");
	const used = folders();
	await writeEmptyFile(join(out, "b.parquet"), FIELDS, "parquet");
	expect(used).toHaveLength(1);
	expect(folders()).toEqual(used);
	expect([await read("a.parquet"), await read("b.parquet")]).toEqual([[], []]);
});

test("an engine whose work failed is not used again, and nothing of it is left", async () => {
	await using _engines = await keepEngines({ folder: kept, countMax: 1 });
	const failing = new ParquetFormat().write({
		fields: FIELDS,
		batches: batchesOf(FIELDS, [["x"]]),
		nextPath: async () => join(out, "a.parquet"),
		written: async () => {
			throw new Error("no");
		},
		bufferBytesMax: 1 << 24,
	});
	await expect(failing).rejects.toThrow("no");
	expect(readdirSync(kept)).toEqual([]);
});

test("what a killed process left a day ago is removed, what may be another's is not", async () => {
	for (const name of ["kept-old", "kept-new", "engine-1-1"]) mkdirSync(join(kept, name), { recursive: true });
	const before = new Date(Date.now() - 2 * 86_400_000);
	for (const name of ["kept-old", "engine-1-1"]) utimesSync(join(kept, name), before, before);
	await using _engines = await keepEngines({ folder: kept, countMax: 1 });
	expect(readdirSync(kept).sort()).toEqual(["engine-1-1", "kept-new"]);
});

test("where nobody keeps engines, the writer's engine is its own and writes where the file is meant to be", async () => {
	const path = join(out, "a.parquet");
	await using writer = await openFileWriter(path);
	expect(await writer.begin(path)).toBe(path);
	expect(writer.engine).toBeInstanceOf(Engine);
});
