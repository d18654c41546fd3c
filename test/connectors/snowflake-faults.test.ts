import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Loader } from "../../src/conformance/destination-fixture.ts";
import { BatchPool } from "../../src/core/index.ts";
import { errorOf, SnowflakeLoads } from "./snowflake-loads.ts";

const OLD = [
	["1", "one"],
	["2", "two"],
] as const;
const NEW = [
	["2", "changed"],
	["3", "three"],
] as const;
const MERGED = [["1", "one"], ...NEW];

describe("faults of Snowflake (stand-in)", () => {
	let loads: SnowflakeLoads;
	beforeEach(async () => {
		loads = await SnowflakeLoads.open();
		await loads.load(OLD);
	});
	afterEach(() => loads[Symbol.asyncDispose]());

	test("HTTP 503 and an expired token are the driver's to mend: the load takes effect once", async () => {
		const unavailable = loads.standIn.faults.add({ sql: /^MERGE/, times: 2, effect: { kind: "unavailable" } });
		const expired = loads.standIn.faults.add({ sql: /^COPY/, effect: { kind: "expired-session" } });
		await loads.load(NEW, { write: "merge" });
		expect([unavailable(), expired()]).toEqual([2, 1]);
		expect(await loads.rows()).toEqual(MERGED);
	});

	test.each(["before", "after"] as const)(
		"a connection cut %s a COMMIT is asked again with the same id",
		async (when) => {
			const hits = loads.standIn.faults.add({ sql: /^COMMIT/, skip: 1, effect: { kind: "cut", when } });
			await loads.load(NEW, { write: "append" });
			expect(hits()).toBe(1);
			expect(await loads.rows()).toEqual([...OLD, ...NEW].sort());
		},
	);

	test.each([
		["merge", "before", false],
		["merge", "after", true],
		["append", "after", true],
		["replace", "before", false],
		["replace", "after", true],
	] as const)(
		"%s: the answer to COMMIT is lost %s it with the session; the load id settles it",
		async (write, when, done) => {
			const loader = await Loader.takeOver(loads.destination, loads.target());
			const request = loader.request(NEW, { write });
			// The transaction with the position: of a whole table the second, its rows come before.
			const skip = write === "replace" ? 1 : 0;
			const hits = loads.standIn.faults.add({ sql: /^COMMIT/, skip, effect: { kind: "cut", when, gone: true } });
			const error = await errorOf(loads.destination.load(request));
			expect(error).toMatchObject({ code: "E_CONNECTION_LOST", reaction: "retry" });
			expect(hits()).toBe(1);
			const other = await loads.another();
			expect(await other.committed(request.loadId)).toBe(done);
			const wanted = write === "merge" ? MERGED : write === "append" ? [...OLD, ...NEW].sort() : NEW;
			expect(await loads.rows()).toEqual(done ? wanted : OLD);
			const again = await Loader.takeOver(other, loads.target());
			if (!done) await again.load(NEW, { write });
			expect(await loads.rows()).toEqual(wanted);
			expect(loads.standIn.openTransactions()).toBe(0);
		},
	);

	test("a PUT that fails leaves everything as it is, and the load can be repeated", async () => {
		loads.standIn.faults.add({ sql: /^PUT/, effect: { kind: "error", code: "000603", message: "Internal error" } });
		expect((await errorOf(loads.load(NEW, { write: "merge" }))).code).toBe("E_DESTINATION");
		expect(await loads.rows()).toEqual(OLD);
		await loads.load(NEW, { write: "merge" });
		expect(await loads.rows()).toEqual(MERGED);
	});

	test("a statement that an administrator kills is rolled back and may be tried again", async () => {
		loads.standIn.faults.add({
			sql: /^MERGE/,
			effect: { kind: "error", code: "000604", message: "SQL execution canceled" },
		});
		expect(await errorOf(loads.load(NEW, { write: "merge" }))).toMatchObject({ code: "E_TIMEOUT", reaction: "retry" });
		expect(await loads.rows()).toEqual(OLD);
		expect(loads.standIn.openTransactions()).toBe(0);
	});

	test("a value that does not fit in row 900,000: nothing is loaded, and the error says which", async () => {
		const target = loads.target("id int64, at time", [], "big");
		const fields = target.columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
		const batches = async function* () {
			const pool = new BatchPool(fields);
			for (let from = 0; from < 901_000; from += pool.capacity) {
				const batch = pool.take();
				const [id, at] = batch.columns;
				batch.rowCount = Math.min(pool.capacity, 901_000 - from);
				for (let row = 0; row < batch.rowCount; row++) {
					id!.setSafeInteger(row, from + row);
					// Midnight at the end of a day, which Snowflake's TIME does not have.
					at!.i64[row] = from + row === 899_999 ? 86_400_000_000n : 0n;
				}
				yield batch;
			}
		};
		const input = { kind: "batches", fields, batches: batches() } as const;
		const error = await errorOf(loads.load([], { target, write: "append", input }));
		expect(error.code).toBe("E_VALUE");
		const [, file, row] = /column AT of RAW\.BIG .*file (\S+), line \d+, row (\d+)/.exec(error.message)!;
		// Two files are written at once: which rows lie in which is not fixed, the bad one is one of them.
		expect(file).toMatch(/^part-.*\.parquet$/);
		expect(Number(row)).toBeGreaterThan(0);
		expect(await loads.rows("id int64, at time", "big")).toEqual([]);
	});

	test("the same files again are no double rows, though Snowflake forgets what it loaded", async () => {
		await loads.load(NEW, { write: "merge" });
		loads.standIn.table("RAW", "T")!.loaded.clear();
		await loads.load(NEW, { write: "merge" });
		expect(await loads.rows()).toEqual(MERGED);
	});
});
