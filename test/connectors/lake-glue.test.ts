import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LakeOptions } from "../../src/connectors/lake/index.ts";
import type { PipelineList } from "../../src/connectors/lake/pipeline-list.ts";
import type { Destination, Field, Write } from "../../src/core/index.ts";
import type { RowObject } from "../../src/formats/index.ts";
import { type GlueStandIn, startGlueStandIn } from "../stand-ins/glue/index.ts";
import { FIELDS as CHANGED, follow, rowAt, stepOf, TABLES } from "./lake-changes-loads.ts";
import { CHILD_ROWS, D1, D2, DAY, FIELDS, ID, NAME, openGlueLake, requestOf, row } from "./lake-glue-loads.ts";
import { rowsOfObjects } from "./lake-support.ts";
import { type S3Place, s3Place } from "./s3-support.ts";

let place: S3Place;
let glue: GlueStandIn;
beforeEach(async () => {
	[place, glue] = [await s3Place(), await startGlueStandIn()];
});
afterEach(async () => {
	await place[Symbol.asyncDispose]();
	await glue[Symbol.asyncDispose]();
});

function open(more: Partial<LakeOptions> = {}): Destination {
	return openGlueLake(place.options({ prefix: "lake" }), glue, more);
}

async function load(
	destination: Destination,
	write: Write,
	rows: readonly RowObject[],
	fields: readonly Field[] = FIELDS,
) {
	const row = (await destination.takeOver("glue", ["orders"])).get("orders")!;
	return destination.load(requestOf(row, write, rows, fields));
}

/** What Athena reads: of each partition the files that its location lists. */
async function athena(fields: readonly Field[] = [ID, NAME]) {
	const found: Record<string, unknown[]> = {};
	for (const { Values, StorageDescriptor } of glue.partitions("data_lake", "shop_orders")) {
		const folder = /^s3:\/\/lake\/(.*)$/.exec(StorageDescriptor.Location!)![1]!;
		const keys: string[] = [];
		for (const list of place.s3.keys("lake", folder)) {
			const text = (await place.s3.get("lake", list))!.toString("utf8");
			for (const line of text.split("\n")) if (line !== "") keys.push(line.slice("s3://lake/".length));
		}
		found[Values.join("/")] = (await rowsOfObjects(place.s3, keys, fields)).sort();
	}
	return found;
}

const FIRST = [row(1, D1, "a"), row(2, D1, "b"), row(3, D2, "c"), row(4, null, "d")];
const SEEN_FIRST = {
	[D1]: [
		["1", "a"],
		["2", "b"],
	],
	[D2]: [["3", "c"]],
	__HIVE_DEFAULT_PARTITION__: [["4", "d"]],
};

describe("a lake's tables in the stand-in of Glue", () => {
	test("database, table and partitions are made; a location lists exactly the live files", async () => {
		await using destination = open();
		await load(destination, "merge", FIRST);
		const table = glue.table("data_lake", "shop_orders")!;
		expect(table.StorageDescriptor.Columns).toEqual([
			{ Name: "id", Type: "int" },
			{ Name: "name", Type: "string" },
		]);
		expect(table.PartitionKeys).toEqual([{ Name: "day", Type: "date" }]);
		expect(await athena()).toEqual(SEEN_FIRST);
		await load(destination, "merge", [row(2, D1, "B"), row(5, D2, "e")]);
		expect(await athena()).toEqual({
			...SEEN_FIRST,
			[D1]: [
				["1", "a"],
				["2", "B"],
			],
			[D2]: [
				["3", "c"],
				["5", "e"],
			],
		});
	});

	test("changes of two tables are told to Athena, and both are in the list of their pipeline", async () => {
		await using destination = open();
		await follow(destination, 3);
		const list = await place.s3.get("lake", "lake/_headrace/pipelines/shop.json");
		const { position, tables } = JSON.parse(list!.toString("utf8")) as PipelineList;
		expect(stepOf(position)).toBe(3);
		for (const name of TABLES) {
			const folder = glue.table("data_lake", `shop_${name}`)!.StorageDescriptor.Location!.slice("s3://lake/".length);
			const manifest = (await place.s3.get("lake", `${folder}manifest`))!.toString("utf8");
			const keys = manifest
				.trim()
				.split("\n")
				.map((line) => line.slice("s3://lake/".length));
			const listed = tables.find(({ table }) => table === `shop.${name}`)!.files.map(({ path }) => `lake/${path}`);
			expect([...listed].sort()).toEqual([...keys].sort());
			const wanted = [1, 2, 3].map((step) => Object.values(rowAt(name, step)).map(String));
			expect((await rowsOfObjects(place.s3, keys, CHANGED)).sort()).toEqual(wanted);
		}
	});

	test("a partition whose last row moves away is gone, and the row is where it went", async () => {
		await using destination = open();
		await load(destination, "merge", FIRST);
		await load(destination, "merge", [row(3, D1, "moved")]);
		const { [D2]: _gone, ...rest } = SEEN_FIRST;
		expect(await athena()).toEqual({
			...rest,
			[D1]: [
				["1", "a"],
				["2", "b"],
				["3", "moved"],
			],
		});
	});

	test("more than a hundred partitions come in calls of a hundred; a replace takes those away that are no more", async () => {
		await using destination = open();
		const day = (number: number) => new Date(Date.UTC(2024, 0, 1 + number)).toISOString().slice(0, 10);
		await load(
			destination,
			"replace",
			Array.from({ length: 130 }, (_, id) => row(id, day(id), "x")),
		);
		expect(glue.partitions("data_lake", "shop_orders").length).toBe(130);
		expect(glue.log.filter((operation) => operation === "BatchCreatePartition").length).toBe(2);
		await load(destination, "replace", FIRST);
		expect(await athena()).toEqual(SEEN_FIRST);
	});

	test("new and wider columns are told before the files that have them, to table and partitions", async () => {
		await using destination = open();
		await load(destination, "merge", FIRST);
		const wide: Field[] = [
			{ ...ID, type: { kind: "int64" } },
			DAY,
			NAME,
			{ name: "note", type: { kind: "text" }, nullable: true },
		];
		await load(destination, "merge", [{ ...row(5, D1, "e"), note: "n" }], wide);
		const columns = [
			{ Name: "id", Type: "bigint" },
			{ Name: "name", Type: "string" },
			{ Name: "note", Type: "string" },
		];
		expect(glue.table("data_lake", "shop_orders")!.StorageDescriptor.Columns).toEqual(columns);
		for (const { StorageDescriptor } of glue.partitions("data_lake", "shop_orders"))
			expect(StorageDescriptor.Columns).toEqual(columns);
		expect((await athena())[D1]).toEqual([
			["1", "a"],
			["2", "b"],
			["5", "e"],
		]);
	});

	test("throttled for a moment: tried again; for long: the load is committed, and the next run tells Glue", async () => {
		await using destination = open();
		glue.fault({ effect: "throttle", times: 2 });
		expect((await load(destination, "merge", FIRST)).warnings).toBeUndefined();
		glue.fault({ effect: "throttle", times: 1000, operation: "BatchCreatePartition" });
		const result = await load(destination, "merge", [row(9, "2024-03-01", "z")]);
		expect(result.warnings?.[0]).toMatch(/committed, but readers are not told yet: E_TIMEOUT/);
		expect(
			(await destination.check()).some(
				({ severity, message }) => severity === "warning" && /shop\.orders|Shop\.orders/.test(message),
			),
		).toBe(true);
		expect(await athena()).toEqual(SEEN_FIRST);
		await glue[Symbol.asyncDispose]();
		glue = await startGlueStandIn();
		await using next = open();
		await next.takeOver("glue", ["orders"]);
		expect(await athena()).toEqual({ ...SEEN_FIRST, "2024-03-01": [["9", "z"]] });
	});

	test.each(["CreateDatabase", "CreateTable", "UpdateTable", "BatchCreatePartition"])(
		"an answer of %s that is lost does no harm",
		async (operation) => {
			await using destination = open();
			glue.fault({ effect: "lost-answer", operation });
			await load(destination, "merge", FIRST);
			const wide = [...FIELDS, { name: "note", type: { kind: "text" }, nullable: true } as Field];
			expect((await load(destination, "merge", [{ ...row(5, D1, "e"), note: "n" }], wide)).warnings).toBeUndefined();
			expect((await athena())[D1]).toEqual([
				["1", "a"],
				["2", "b"],
				["5", "e"],
			]);
			expect(glue.table("data_lake", "shop_orders")!.StorageDescriptor.Columns!.length).toBe(3);
		},
	);

	test("a table changed by another at the same moment is looked at again", async () => {
		await using destination = open();
		await load(destination, "merge", FIRST);
		const before = () => {
			const { VersionId: _version, ...table } = glue.table("data_lake", "shop_orders")!;
			glue.run("UpdateTable", { DatabaseName: "data_lake", TableInput: table });
		};
		glue.fault({ effect: { before }, operation: "UpdateTable" });
		const wide = [...FIELDS, { name: "note", type: { kind: "text" }, nullable: true } as Field];
		await load(destination, "merge", [{ ...row(5, D1, "e"), note: "n" }], wide);
		expect(glue.table("data_lake", "shop_orders")).toMatchObject({ VersionId: "2" });
		expect(glue.table("data_lake", "shop_orders")!.StorageDescriptor.Columns!.length).toBe(3);
	});

	test("a table that somebody else made is left alone, and the load says so", async () => {
		await using destination = open();
		glue.run("CreateDatabase", { DatabaseInput: { Name: "data_lake" } });
		await load(destination, "merge", FIRST);
		const { Parameters: _ours, VersionId: _version, ...theirs } = glue.table("data_lake", "shop_orders")!;
		glue.run("UpdateTable", { DatabaseName: "data_lake", TableInput: theirs });
		const { warnings } = await load(destination, "merge", [row(1, D1, "x")]);
		expect(warnings?.[0]).toMatch(/was not made by Headrace/);
		expect(glue.table("data_lake", "shop_orders")!.Parameters).toBeUndefined();
	});

	test("a right that is missing is named", async () => {
		await using destination = open();
		glue.fault({ effect: "deny", operation: "GetTable", times: 9 });
		const { warnings } = await load(destination, "merge", FIRST);
		expect(warnings?.[0]).toMatch(/E_RIGHTS glue:GetTable is not allowed/);
		glue.fault({ effect: "deny", operation: "GetDatabase", times: 9 });
		expect((await destination.check()).find(({ severity }) => severity === "error")?.message).toMatch(
			/glue:GetDatabase/,
		);
	});

	test("a name that Athena can't read is refused before anything is written", async () => {
		await using destination = open();
		const odd = [...FIELDS, { name: "with space", type: { kind: "text" }, nullable: true } as Field];
		await expect(load(destination, "merge", [{ ...row(1, D1, "a"), "with space": "x" }], odd)).rejects.toMatchObject({
			code: "E_UNSUPPORTED",
		});
		expect(place.s3.keys("lake").filter((key) => key.endsWith(".parquet"))).toEqual([]);
	});

	test("compaction changes what locations list, and no row", async () => {
		await using destination = open();
		await load(destination, "merge", FIRST);
		for (let id = 10; id < 16; id++) await load(destination, "append", [row(id, D1, "x")]);
		const before = await athena();
		const [done] = await destination.compact!({ pipeline: "glue", targetBytes: 1 << 20 });
		expect(done).toMatchObject({ filesBefore: 9, filesAfter: 3, givenUp: 0 });
		expect(await athena()).toEqual(before);
	});

	/** Kills a process of its own at a point of a merge into two days. */
	async function killedAt(point: string): Promise<string | null> {
		const placeOf = ({ endpoint, region, accessKeyId, secretAccessKey }: GlueStandIn | S3Place["s3"]) => ({
			endpoint,
			region,
			accessKeyId,
			secretAccessKey,
		});
		const where = {
			s3: { ...placeOf(place.s3), temporaryDirectory: place.temporaryDirectory },
			glue: placeOf(glue),
		};
		const child = spawn(process.execPath, [join(import.meta.dirname, "lake-glue-child.ts")], {
			stdio: ["ignore", "ignore", "inherit"],
			env: { ...process.env, HEADRACE_CRASH: point, LAKE: JSON.stringify(where) },
		});
		const [, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
		return signal;
	}

	const after = {
		...SEEN_FIRST,
		[D1]: [
			["1", "a"],
			["2", "B"],
		],
		"2024-03-01": [["9", "z"]],
	};
	test.each(["c08", "c09", "s3-once-sent#3", "c10", "lake-current", "lake-manifest", "lake-manifest#2", "lake-glue"])(
		"killed at %s: each partition is old or new, and the next run tells Glue the rest",
		async (point) => {
			await using destination = open();
			await load(destination, "merge", FIRST);
			expect(await killedAt(point)).toBe("SIGKILL");
			const between = await athena();
			expect([SEEN_FIRST[D1], after[D1]]).toContainEqual(between[D1]);
			expect([undefined, after["2024-03-01"]]).toContainEqual(between["2024-03-01"]);
			await using next = open();
			const found = (await next.takeOver("glue", ["orders"])).get("orders")!;
			if (found.seq === 1) await next.load(requestOf(found, "merge", CHILD_ROWS, FIELDS));
			expect(await athena()).toEqual(after);
		},
	);

	test("readers by what locations list see each day whole while merges and compactions go on", async () => {
		await using destination = open();
		await load(destination, "merge", FIRST);
		const days = [D1, D2];
		let isOver = false;
		let reads = 0;
		const watching = (async () => {
			while (!isOver) {
				const seen = await athena();
				for (const day of days) {
					const rows = ((seen[day] ?? []) as [string, string][]).filter(([id]) => Number(id) >= 100);
					expect([0, 20], `rows of ${day}`).toContain(rows.length);
					expect(new Set(rows.map(([, name]) => name)).size, `rounds in ${day}`).toBeLessThan(2);
				}
				reads++;
			}
		})();
		for (let round = 0; round < 6; round++) {
			const rows = days.flatMap((day, at) =>
				Array.from({ length: 20 }, (_, id) => row(100 + at * 100 + id, day, `round ${round}`)),
			);
			await load(destination, "merge", rows);
			if (round % 2 === 1) await destination.compact!({ pipeline: "glue", targetBytes: 1 << 20 });
		}
		isOver = true;
		await watching;
		expect(reads).toBeGreaterThan(2);
	}, 30_000);
});
