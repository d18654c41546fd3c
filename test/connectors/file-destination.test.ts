import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFileDestination, createFileSource } from "../../src/connectors/file/index.ts";
import { tableFolder } from "../../src/connectors/file/layout.ts";
import {
	DEFAULT_TYPE_POLICY,
	type Destination,
	type FormatName,
	type LoadRequest,
	type PositionRow,
	type Write,
} from "../../src/core/index.ts";
import { Engine, type EngineConnection } from "../../src/engine/index.ts";
import { BatchBuilder } from "../../src/formats/index.ts";
import { FIELDS, ROWS, requestOf, TARGET } from "./file-loads.ts";
import { rowsOf } from "./file-support.ts";

let folder = "";
let root = "";
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "headrace-out-"));
	root = join(folder, "out");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function takeOver(destination: Destination): Promise<PositionRow> {
	return (await destination.takeOver("crash", ["t"])).get("t")!;
}

async function load(destination: Destination, number: number, write: Write, change: Partial<LoadRequest> = {}) {
	return destination.load(requestOf(await takeOver(destination), number, write, change));
}

/** Rows per load number. */
async function loads(format: FormatName = "parquet"): Promise<Record<string, number>> {
	const counts: Record<string, number> = {};
	for (const [number] of (await rowsOf(root, TARGET.name, [FIELDS[1]!], format)) ?? [])
		counts[number!] = (counts[number!] ?? 0) + 1;
	return counts;
}

const names = async (path: string) => (await readdir(path)).sort();

/** Every row of every Parquet file that a glob finds, counted by load; an error of the reader is null. */
async function counted(connection: EngineConnection, glob: string): Promise<string | null> {
	try {
		const rows = await connection.query(
			`SELECT load, count(*) AS n FROM read_parquet('${root}/${glob}') GROUP BY load ORDER BY load`,
		);
		return rows.map((row) => `${row["load"]}:${row["n"]}`).join(" ");
	} catch {
		return null;
	}
}

async function reader(): Promise<{ connection: EngineConnection; [Symbol.asyncDispose](): Promise<void> }> {
	const engine = await Engine.open({ allowedDirectories: [folder] });
	const connection = await engine.connect();
	return { connection, [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose]() };
}

describe("the layout", () => {
	it("shows each row once to every way of looking: a table's glob, */*, **, find and ls", async () => {
		await using destination = await createFileDestination({ path: root });
		await load(destination, 0, "append");
		await load(destination, 2, "append");
		await using read = await reader();
		const all = `0:${ROWS} 2:${ROWS}`;
		for (const glob of ["shop.orders/*.parquet", "*/*.parquet", "**/*.parquet", "shop.orders/**"])
			expect([glob, await counted(read.connection, glob)]).toEqual([glob, all]);
		const found = execFileSync("find", [root, "-name", "*.parquet"], { encoding: "utf8" }).trim().split("\n");
		expect(found).toHaveLength(2);
		expect(await names(root)).toEqual([".headrace", "shop.orders"]);
		expect(
			(await names(join(root, "shop.orders"))).every((name) => /^part-[0-9a-f]{26}-\d{5}\.parquet$/.test(name)),
		).toBe(true);
	});

	it("keeps one version, and nothing half-written", async () => {
		await using destination = await createFileDestination({ path: root });
		for (let number = 0; number < 4; number++) await load(destination, number, "replace");
		expect(await names(join(root, ".headrace"))).toEqual(["building", "streams", "tables"]);
		expect(await names(join(root, ".headrace/building"))).toEqual([]);
		expect(await names(join(root, ".headrace/tables/shop.orders"))).toEqual([String(4).padStart(20, "0")]);
		expect((await stat(join(root, "shop.orders"))).mode & 0o555).toBe(0o555);
	});

	it("appends without copying the files that are there", async () => {
		await using destination = await createFileDestination({ path: root });
		await load(destination, 0, "append");
		const [first] = await names(join(root, "shop.orders"));
		const before = (await stat(join(root, "shop.orders", first!))).ino;
		await load(destination, 2, "append");
		expect((await stat(join(root, "shop.orders", first!))).ino).toBe(before);
		expect(await loads()).toEqual({ 0: ROWS, 2: ROWS });
	});

	it("makes a table without rows, with its columns and types", async () => {
		for (const format of ["parquet", "csv"] as const) {
			await using destination = await createFileDestination({ path: join(root, format), format });
			const row = await takeOver(destination);
			async function* none() {}
			await destination.load(
				requestOf(row, 0, "replace", { input: { kind: "batches", fields: FIELDS, batches: none() } }),
			);
			const source = await createFileSource({ path: join(root, format) });
			const [table] = await source.describe([{ table: TARGET.name, types: DEFAULT_TYPE_POLICY }]);
			expect(table!.columns.map((column) => column.name)).toEqual(["id", "load", "text"]);
			if (format === "parquet")
				expect(table!.columns.map((column) => column.type.kind)).toEqual(["int64", "int64", "text"]);
			await source[Symbol.asyncDispose]();
			await load(destination, 0, "append", { target: { ...TARGET, key: [] } });
			expect(await names(join(root, format, "shop.orders"))).toHaveLength(1);
		}
	});

	it("gives odd names folders inside the root", () => {
		expect(tableFolder({ schema: "shop", name: "a.b/c" })).toBe("shop.a%2Eb%2Fc");
		expect(tableFolder({ schema: "", name: "..%2e" })).toBe("%2E%2E%252e");
		expect(tableFolder({ schema: "a.b", name: "c" })).not.toBe(tableFolder({ schema: "a", name: "b.c" }));
		expect(tableFolder({ schema: "", name: "_t" })).toBe("%5Ft");
		expect(tableFolder({ schema: "", name: "größe 😀" })).toBe("größe%20%F0%9F%98%80");
		const long = [`${"x".repeat(300)}a`, `${"x".repeat(300)}b`].map((name) => tableFolder({ schema: "s", name }));
		expect(long[0]).not.toBe(long[1]);
		expect(long.every((name) => Buffer.byteLength(name) < 255)).toBe(true);
	});

	it("is read back as the table that it was, by the source of files", async () => {
		await using destination = await createFileDestination({ path: root });
		await load(destination, 1, "replace");
		const source = await createFileSource({ path: root });
		expect(await source.listTables()).toEqual([TARGET.name]);
		await source[Symbol.asyncDispose]();
	});

	it("is read on by a source that began before the table was replaced, once it looks again", async () => {
		await using destination = await createFileDestination({ path: root });
		await load(destination, 1, "replace");
		for (const path of [root, join(root, "shop.orders")]) {
			const source = await createFileSource({ path });
			const describe = async () => (await source.describe([{ table: TARGET.name, types: DEFAULT_TYPE_POLICY }]))[0]!;
			const count = async (stale: boolean) => {
				const table = await describe();
				await using snapshot = await source.snapshot({ readers: 1 });
				if (stale) await load(destination, 2, "replace");
				let rows = 0;
				for await (const batch of snapshot.read({ table, columns: table.columns, types: DEFAULT_TYPE_POLICY })) {
					rows += batch.rowCount;
					batch.release();
				}
				return rows;
			};
			await expect(count(true)).rejects.toMatchObject({ code: "E_CONFLICT", reaction: "retry" });
			expect(await count(false)).toBe(ROWS);
			await source[Symbol.asyncDispose]();
		}
	});

	it("refuses to touch what it did not write, another format, and a file for a folder", async () => {
		await mkdir(join(root, "shop.orders"), { recursive: true });
		await writeFile(join(root, "shop.orders/mine.parquet"), "precious");
		await using destination = await createFileDestination({ path: root });
		await expect(load(destination, 0, "replace")).rejects.toMatchObject({ code: "E_UNSUPPORTED" });
		await expect(destination.describe(TARGET.name)).rejects.toMatchObject({ code: "E_UNSUPPORTED" });
		expect(await readFile(join(root, "shop.orders/mine.parquet"), "utf8")).toBe("precious");
		await rm(join(root, "shop.orders"), { recursive: true });
		await symlink("/etc", join(root, "shop.orders"));
		await expect(load(destination, 0, "replace")).rejects.toMatchObject({ code: "E_UNSUPPORTED" });
		await rm(join(root, "shop.orders"));
		await load(destination, 0, "replace");
		await using csv = await createFileDestination({ path: root, format: "csv" });
		await expect(load(csv, 0, "replace")).rejects.toMatchObject({ code: "E_UNSUPPORTED" });
		await writeFile(join(folder, "file"), "");
		await expect(createFileDestination({ path: join(folder, "file") })).rejects.toMatchObject({
			code: "E_UNSUPPORTED",
		});
	});
});

describe("a run that is killed", () => {
	async function child(write: Write, point: string, first = 1, last = 1): Promise<NodeJS.Signals | string> {
		const running = spawn(
			process.execPath,
			[join(import.meta.dirname, "file-destination-child.ts"), root, "parquet", write, String(first), String(last)],
			{ env: { ...process.env, HEADRACE_CRASH: point }, stdio: ["ignore", "pipe", "pipe"] },
		);
		let output = "";
		for (const stream of [running.stdout, running.stderr])
			stream.on("data", (data: Buffer) => (output += String(data)));
		const [, signal] = (await once(running, "close")) as [number | null, NodeJS.Signals | null];
		return signal ?? output;
	}

	const after: Record<string, Record<string, number>> = {
		replace: { 1: ROWS },
		merge: { 0: ROWS / 2, 1: ROWS },
		append: { 0: ROWS, 1: ROWS },
	};

	const cases = (["replace", "merge", "append"] as const).flatMap((write) =>
		(["c08", "file-built", "c09", "c10", "file-pointed"] as const).map((point) => [write, point] as const),
	);
	it.each(cases)("in %s at %s leaves data and position in agreement, and can be repeated", async (write, point) => {
		{
			await using destination = await createFileDestination({ path: root });
			await load(destination, 0, write);
		}
		expect(await child(write, point)).toBe("SIGKILL");
		// Whoever looks now sees one of the two states, whole.
		const seen = await loads();
		expect(seen).toEqual(point === "file-pointed" ? after[write] : { 0: ROWS });

		await using destination = await createFileDestination({ path: root });
		const row = await takeOver(destination);
		const isCommitted = point === "c10" || point === "file-pointed";
		expect(row.seq).toBe(isCommitted ? 2 : 1);
		expect(await loads()).toEqual(isCommitted ? after[write] : { 0: ROWS });
		const request = requestOf(row, 1, write);
		if (!isCommitted) {
			expect(await destination.committed(request.loadId)).toBe(false);
			await destination.load(request);
		}
		expect(await destination.committed((await takeOver(destination)).loadId!)).toBe(true);
		expect(await loads()).toEqual(after[write]);
		expect(await names(join(root, ".headrace/building"))).toEqual([]);
		expect(await names(join(root, ".headrace/tables/shop.orders"))).toHaveLength(1);
	});

	it("never shows a reader fewer rows, or rows of two versions", async () => {
		await using destination = await createFileDestination({ path: root });
		await load(destination, 0, "replace");
		await using read = await reader();
		const running = child("replace", "none", 1, 12);
		let done = false;
		const finished = running.then((output) => {
			done = true;
			return output;
		});
		const seen = new Set<string>();
		let errors = 0;
		let reads = 0;
		while (!done) {
			const result = await counted(read.connection, "shop.orders/*.parquet");
			reads++;
			if (result === null) errors++;
			else seen.add(result);
			await new Promise((resolve) => setTimeout(resolve, 2));
		}
		expect(await finished).toBe("done\n");
		const whole = new Set(Array.from({ length: 13 }, (_, number) => `${number}:${ROWS}`));
		expect([...seen].filter((result) => !whole.has(result))).toEqual([]);
		expect(seen.size).toBeGreaterThan(3);
		// A file can go between a reader's listing and its opening: an error, never a wrong row, and rare.
		expect(errors).toBeLessThan(reads / 4);
	});
});

describe("two runs", () => {
	it("fences the older one, whatever it has done already", async () => {
		await using older = await createFileDestination({ path: root });
		await using newer = await createFileDestination({ path: root });
		await load(older, 0, "replace");
		const row = await takeOver(older);
		let taken: PositionRow | null = null;
		const request = requestOf(row, 1, "replace");
		const { input } = request;
		async function* interrupted() {
			if (input.kind === "batches") yield* input.batches;
			taken = await takeOver(newer);
		}
		await expect(
			older.load({ ...request, input: { kind: "batches", fields: FIELDS, batches: interrupted() } }),
		).rejects.toMatchObject({ code: "E_FENCED" });
		expect(await loads()).toEqual({ 0: ROWS });
		await newer.load(requestOf(taken!, 2, "replace"));
		await expect(older.load(requestOf(row, 1, "replace"))).rejects.toMatchObject({ code: "E_FENCED" });
		expect(await loads()).toEqual({ 2: ROWS });
		expect(await names(join(root, ".headrace/building"))).toEqual([]);
	});

	it("lets two streams load one table, one after the other or with a retry", async () => {
		await using destination = await createFileDestination({ path: root });
		const rows = await destination.takeOver("crash", ["a", "b"]);
		const results = await Promise.allSettled(
			["a", "b"].map((stream, index) =>
				destination.load(requestOf(rows.get(stream)!, index * 2, "append", { stream, loadId: `${stream}`.repeat(26) })),
			),
		);
		for (const [index, result] of results.entries())
			if (result.status === "rejected") {
				expect(result.reason).toMatchObject({ code: "E_CONFLICT", reaction: "retry" });
				const stream = index === 0 ? "a" : "b";
				await destination.load(
					requestOf(rows.get(stream)!, index * 2, "append", { stream, loadId: `${stream}`.repeat(26) }),
				);
			}
		expect(await loads()).toEqual({ 0: ROWS, 2: ROWS });
	});

	it("remembers a table's version after its stream has gone on to another table", async () => {
		await using destination = await createFileDestination({ path: root });
		await load(destination, 0, "append");
		const other = { ...TARGET, name: { schema: "shop", name: "other" }, key: [] };
		for (let number = 1; number < 4; number++) await load(destination, number, "append", { target: other });
		await load(destination, 4, "append");
		expect(await loads()).toEqual({ 0: ROWS, 4: ROWS });
		expect((await takeOver(destination)).seq).toBe(5);
	});

	it("keeps the log of a stream short, and its position right", async () => {
		await using destination = await createFileDestination({ path: root });
		for (let number = 0; number < 30; number++) await takeOver(destination);
		expect((await takeOver(destination)).epoch).toBe(31);
		expect((await names(join(root, ".headrace/streams/crash/t"))).length).toBeLessThan(25);
	});
});

describe("loads", () => {
	it("rewrites the table when its columns change: new ones, wider ones; refuses others", async () => {
		for (const format of ["parquet", "csv", "jsonl"] as const) {
			const path = join(root, format);
			await using destination = await createFileDestination({ path, format });
			await load(destination, 0, "append");
			const changed = { name: "load", type: { kind: "date" }, nullable: false, destinationType: "" } as const;
			const columns = [TARGET.columns[0]!, changed, TARGET.columns[2]!];
			await expect(destination.planDdl({ ...TARGET, columns }, "append")).rejects.toMatchObject({ code: "E_SCHEMA" });
			const decimal = { ...changed, type: { kind: "decimal", precision: 10, scale: 1 } } as const;
			expect(await destination.planDdl({ ...TARGET, columns: [...columns.slice(0, 1), decimal] }, "append")).toEqual([
				expect.stringMatching(/load decimal\(20,1\)|load DECIMAL\(20,1\)/),
			]);
			const added = { name: "extra", type: { kind: "interval" }, nullable: true, destinationType: "" } as const;
			const wider = { ...TARGET, columns: [...TARGET.columns, added], key: [] };
			expect(await destination.planDdl(wider, "append")).toEqual([
				expect.stringMatching(/^rewrite shop\.orders .*extra/),
			]);
			const row = await takeOver(destination);
			const base = requestOf(row, 2, "append");
			const fields = [...FIELDS, { name: "extra", type: { kind: "interval" }, nullable: true } as const];
			async function* one() {
				const builder = new BatchBuilder(fields);
				builder.append({ id: 1, load: 2, text: null, extra: "P1Y2M-3DT4H5M6.7S" });
				yield builder.flush()!;
			}
			await destination.load({ ...base, target: wider, input: { kind: "batches", fields, batches: one() } });
			const rows = await rowsOf(path, TARGET.name, [fields[1]!, fields[3]!], format);
			expect(rows).toHaveLength(ROWS + 1);
			expect(rows!.at(-1)).toEqual(["2", "P1Y2M-3DT4H5M6.7S"]);
			expect(rows!.filter((other) => other[1] === null)).toHaveLength(ROWS);
			expect((await destination.describe(TARGET.name))!.columns.map((column) => column.name)).toEqual([
				"id",
				"load",
				"text",
				"extra",
			]);
		}
	});

	it("merges a table with a column called rowid", async () => {
		await using destination = await createFileDestination({ path: root });
		const fields = [
			{ name: "id", type: { kind: "int64" }, nullable: false },
			{ name: "rowid", type: { kind: "int64" }, nullable: true },
		] as const;
		const target = { ...TARGET, columns: fields.map((field) => ({ ...field, destinationType: "" })) };
		async function* rows() {
			const builder = new BatchBuilder(fields);
			builder.append({ id: 1, rowid: 9 });
			builder.append({ id: 1, rowid: 1 });
			yield builder.flush()!;
		}
		await load(destination, 0, "merge", { target, input: { kind: "batches", fields, batches: rows() } });
		expect(await rowsOf(root, TARGET.name, fields, "parquet")).toEqual([["1", "1"]]);
	});

	it("says so when the disk is full, and leaves the old rows", async () => {
		await using destination = await createFileDestination({ path: root, format: "csv" });
		await load(destination, 0, "replace");
		const child = join(import.meta.dirname, "file-destination-child.ts");
		const command = 'trap "" XFSZ; ulimit -f 20; exec "$0" "$@"';
		const result = await new Promise<string>((resolve) => {
			const running = spawn("bash", ["-c", command, process.execPath, child, root, "csv", "replace", "1", "1"], {
				env: { ...process.env, NODE_COMPILE_CACHE: "" },
			});
			let output = "";
			for (const stream of [running.stdout, running.stderr])
				stream.on("data", (data: Buffer) => (output += String(data)));
			running.on("close", () => resolve(output));
		});
		expect(result).toContain("E_NO_SPACE");
		expect(await loads("csv")).toEqual({ 0: ROWS });
		expect(await names(join(root, ".headrace/building"))).toEqual([]);
	});

	it("refuses a record that it cannot read", async () => {
		await using destination = await createFileDestination({ path: root });
		await load(destination, 0, "replace");
		const record = join(await readlink(join(root, "shop.orders")), "../_headrace.json");
		await writeFile(join(root, record), "{");
		await expect(destination.describe(TARGET.name)).rejects.toMatchObject({ code: "E_STATE" });
		expect((await lstat(join(root, "shop.orders"))).isSymbolicLink()).toBe(true);
	});

	it("checks whether it can write", async () => {
		await using destination = await createFileDestination({ path: root });
		expect(await destination.check()).toMatchObject([{ severity: "ok" }]);
		await rm(root, { recursive: true });
		await writeFile(root, "");
		expect(await destination.check()).toMatchObject([{ severity: "error" }]);
	});
});
