/** Small files of an archive become few, and whoever reads it finds the same, before and after. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bytesOf } from "../../src/connectors/file/appended-table.ts";
import { createFileDestination, createFileSource } from "../../src/connectors/file/index.ts";
import { MemoryDatabase, memorySource } from "../../src/connectors/memory/index.ts";
import {
	type CompactedTable,
	DEFAULT_TYPE_POLICY,
	type Destination,
	type Source,
	type TableName,
} from "../../src/core/index.ts";
import { Engine } from "../../src/engine/index.ts";
import { archive } from "./archive-support.ts";
import { follow } from "./log-support.ts";

const ORDERS: TableName = { schema: "main", name: "orders" };
const PEOPLE: TableName = { schema: "main", name: "people" };
const PLENTY = 64 << 20;

let root: string;
let folder: string;
let database: MemoryDatabase;
let source: Source;
let destination: Destination;
let clock = 1_705_363_180_000_000n;

beforeEach(async () => {
	root = await mkdtemp(join(tmpdir(), "headrace-compact-"));
	folder = join(root, "archive");
	database = new MemoryDatabase(() => clock);
	for (const name of [ORDERS, PEOPLE])
		database.createTable(
			name,
			[
				{ name: "id", type: { kind: "int64" }, nullable: false },
				{ name: "amount", type: { kind: "decimal", precision: 20, scale: 4 }, nullable: true },
				{ name: "text", type: { kind: "text" }, nullable: true },
			],
			["id"],
		);
	database.insert(ORDERS, { id: 1, amount: "1.5", text: "one" });
	source = memorySource(database, { log: { beforeImages: "key", toasted: ["text"] } });
	destination = await createFileDestination({ path: folder, temporaryDirectory: join(root, "tmp") });
});

afterEach(async () => {
	await destination[Symbol.asyncDispose]();
	await rm(root, { recursive: true, force: true });
});

/** A flush each: rows of two tables, keys that change, rows that don't tell all, truncations. */
async function flushes(count: number): Promise<void> {
	for (let flush = 0; flush < count; flush++) {
		clock += 1_000_000n;
		const id = Number((clock / 1_000_000n) % 100_000n) * 10;
		const one = database.begin();
		one.insert(ORDERS, { id, amount: "-0.0001", text: `"${id}', ∅ ü` }, { id: id + 1, amount: null, text: null });
		if (flush % 3 !== 1) one.insert(PEOPLE, { id, amount: "9999999999999999.9999", text: "" });
		one.commit();
		const two = database.begin();
		two.update(ORDERS, { id }, { amount: `${flush}` });
		two.update(ORDERS, { id: id + 1 }, { id: id + 2 });
		if (flush === 4) two.truncate(PEOPLE);
		two.delete(ORDERS, { id });
		two.commit();
		await archive(source, destination, [ORDERS, PEOPLE], root);
	}
}

async function compacted(targetBytes = PLENTY, dryRun = false): Promise<CompactedTable[]> {
	return destination.compact!({ pipeline: "keep", targetBytes, dryRun });
}

interface Told {
	/** Everything from the beginning, line by line. */
	readonly lines: readonly string[];
	/** What comes after some of the boundaries that small flushes make. */
	readonly after: ReadonlyMap<string, readonly string[]>;
}

/** What the archive says as a log, from its beginning and from places in it. */
async function told(known: readonly string[] = []): Promise<Told> {
	await using files = await createFileSource({ path: folder, temporaryDirectory: join(root, "engine") });
	const log = files.changeLog!;
	const tables = await files.describe(
		[ORDERS, PEOPLE].map((table) => ({ table, types: DEFAULT_TYPE_POLICY, forLog: true as const })),
	);
	const linesFrom = async (from: string, rows: number, places: string[] = []) => {
		const logged = await follow(files, tables, { from, flush: { seconds: 3600, rows, bytes: 1e9 } });
		const lines: string[] = [];
		let waiting: ((transactions: readonly { position: string; committedAt: bigint }[]) => string)[] = [];
		for (const event of logged.all)
			if (!("kind" in event))
				waiting.push((transactions) => {
					const { position, committedAt } = transactions[event.transaction]!;
					return `${event.operation} ${event.table} ${JSON.stringify(event.values)} ${position} ${committedAt}`;
				});
			else if (event.kind === "truncate")
				waiting.push((all) => `truncate ${event.table.name.name} ${all[event.transaction]!.position}`);
			else if (event.kind === "boundary") {
				// Of the tables of a set of transactions, which comes first is not told.
				lines.push(...waiting.map((line) => line(event.transactions)).sort());
				places.push(event.position);
				waiting = [];
			}
		return lines;
	};
	const places: string[] = [];
	const lines = await linesFrom(await log.beginning(), 5, places);
	const after = new Map<string, readonly string[]>();
	// Between two records, and in the middle of one.
	const some = known.length > 0 ? known : places.filter((_, index) => index % 3 === 1);
	for (const place of some) after.set(place, await linesFrom(place, 1_000_000));
	return { lines, after };
}

const filesOf = async (table: TableName) => (await readdir(join(folder, `${table.schema}.${table.name}`))).sort();

/** The rows as any reader of Parquet sees them, in the order of files and rows. */
async function rowsOf(table: TableName): Promise<string[]> {
	await using engine = await Engine.open({ allowedDirectories: [folder] });
	await using connection = await engine.connect();
	const rows = await connection.query(
		`SELECT * FROM read_parquet('${folder}/${table.schema}.${table.name}/*.parquet', union_by_name = true)`,
	);
	return rows.map((row) => JSON.stringify(row, (_key, value) => (typeof value === "bigint" ? String(value) : value)));
}

test("every file of a form becomes one; the log, from places in it, and the rows stay as they were", async () => {
	await flushes(7);
	const before = await told();
	const rows = { orders: await rowsOf(ORDERS), people: await rowsOf(PEOPLE) };
	const count = (await filesOf(ORDERS)).length;
	expect(count).toBe(7);
	const [planned] = await compacted(PLENTY, true);
	expect(planned).toMatchObject({ table: ORDERS, filesBefore: 7, filesAfter: 2 });
	expect(await filesOf(ORDERS)).toHaveLength(count);
	const done = await compacted();
	expect(done).toMatchObject([
		{ table: ORDERS, filesBefore: 7, filesAfter: 2, rows: 42 },
		{ table: PEOPLE, filesAfter: 2 },
	]);
	expect(await filesOf(ORDERS)).toEqual([
		expect.stringMatching(/^part-/),
		expect.stringMatching(/^since-000000000002-.*-compacted\.parquet$/),
	]);
	const after = await told([...before.after.keys()]);
	expect(after.lines).toEqual(before.lines);
	expect(after.after).toEqual(before.after);
	expect(before.lines.filter((line) => line.startsWith("truncate"))).toHaveLength(1);
	expect(await rowsOf(ORDERS)).toEqual(rows.orders);
	expect(await rowsOf(PEOPLE)).toEqual(rows.people);
	// Nothing is left to do.
	expect(await compacted()).toMatchObject([{ filesBefore: 2, filesAfter: 2, rows: 0 }, { rows: 0 }]);
});

test("what comes later joins it; other columns part the files; larger files stay", async () => {
	await flushes(3);
	await compacted();
	await flushes(3);
	const { columns } = database.table(ORDERS);
	database.alterTable(ORDERS, [...columns, { name: "extra", type: { kind: "text" }, nullable: true }]);
	await flushes(3);
	const before = await told();
	expect(await compacted()).toMatchObject([
		{ filesBefore: 8, filesAfter: 3 },
		{ filesBefore: 6, filesAfter: 2 },
	]);
	expect(await told([...before.after.keys()])).toEqual(before);
	// The version with other columns had links to the files of before: nothing of them is doubled.
	await flushes(4);
	const later = await told();
	const bytes = await bytesOf((await filesOf(ORDERS)).slice(-4).map((name) => join(folder, "main.orders", name)));
	const [orders] = await compacted((bytes / 4) * 2.5);
	expect(orders!.filesBefore - orders!.filesAfter).toBe(2);
	expect(await told([...later.after.keys()])).toEqual(later);
	await flushes(1);
	expect((await told()).lines.slice(0, later.lines.length)).toEqual(later.lines);
});

test("who follows the archive meanwhile goes on, and gets each change once", async () => {
	await flushes(3);
	await using files = await createFileSource({ path: folder, temporaryDirectory: join(root, "engine") });
	const tables = await files.describe([{ table: ORDERS, types: DEFAULT_TYPE_POLICY, forLog: true }]);
	await using stream = await files.changeLog!.open({
		reader: "test",
		from: await files.changeLog!.beginning(),
		tables,
		types: () => DEFAULT_TYPE_POLICY,
		before: "all",
		flush: { seconds: 1, rows: 5, bytes: 1e9 },
	});
	const places: string[] = [];
	for await (const event of stream) {
		if (event.kind === "rows") event.batch.release();
		if (event.kind !== "boundary") continue;
		places.push(...event.transactions.map(({ position }) => position));
		// Once it has all: what comes then lies beside what is no longer there.
		if (places.length === 5) {
			await compacted();
			await flushes(2);
			await compacted();
		}
		if (places.length >= 9) break;
	}
	expect(new Set(places).size).toBe(9);
});

test("a folder without an archive is refused; an archive of text is left as it is", async () => {
	await expect(compacted()).rejects.toMatchObject({ code: "E_UNSUPPORTED" });
	const text = await createFileDestination({ path: join(root, "text"), format: "csv" });
	await archive(source, text, [ORDERS], root);
	await expect(text.compact!({ pipeline: "keep", targetBytes: PLENTY })).rejects.toMatchObject({
		code: "E_UNSUPPORTED",
	});
});
