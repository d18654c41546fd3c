import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DestinationFixture, Loader, targetOf } from "../../src/conformance/destination-fixture.ts";
import { batchesOf, numberedRows } from "../../src/conformance/rows.ts";
import { createRedshiftDestination } from "../../src/connectors/redshift/index.ts";
import { HeadraceError, type LoadRequest, Secret } from "../../src/core/index.ts";
import { ROLE } from "../stand-ins/redshift/index.ts";
import { missing } from "../support/start.ts";
import { BACKEND, BUCKET, destinationFixture, openWarehouse, type Warehouse, warehouseOf } from "./redshift-support.ts";

const MERGE: Partial<LoadRequest> = { write: "merge" };
const OLD = numberedRows(50);
const NEW = numberedRows(60, 1000);

async function failure(work: Promise<unknown>): Promise<HeadraceError> {
	const error = await work.then(
		() => null,
		(thrown: unknown) => thrown,
	);
	expect(error).toBeInstanceOf(HeadraceError);
	return error as HeadraceError;
}

describe.skipIf(missing(BACKEND))("faults of Redshift (stand-in)", () => {
	let warehouse: Warehouse;
	let fixture: DestinationFixture;
	let loader: Loader;
	const rows = () => fixture.rows(loader.target.name, loader.target.columns);
	const sorted = (found: readonly (readonly (string | null)[])[] | null) =>
		found?.map((row) => row.join("|")).sort() ?? null;

	beforeEach(async () => {
		fixture = await destinationFixture("parquet");
		warehouse = warehouseOf(fixture);
		loader = await Loader.takeOver(fixture.destination, targetOf(fixture, "faulty"));
		await loader.load(OLD);
		warehouse.redshift.log.length = 0;
	});
	afterEach(() => fixture?.[Symbol.asyncDispose]());

	test("error 1023 in a merge: the transaction is done again, from its lock on, and has effect once", async () => {
		const hits = warehouse.redshift.faults.add({ statement: /^INSERT INTO "raw"/, times: 2, effect: { kind: "1023" } });
		const result = await loader.load(NEW, MERGE);
		expect(hits()).toBe(2);
		expect(result.rowsInserted).toBe(60);
		expect(sorted(await rows())).toEqual(sorted([...OLD, ...NEW]));
		expect(warehouse.redshift.log.filter((text) => text.startsWith("LOCK"))).toHaveLength(3);
		expect(warehouse.redshift.log.filter((text) => text.startsWith("COPY"))).toHaveLength(1);
	});

	test("a table that another run of the stream makes meanwhile is no conflict: the rows of both are in it", async () => {
		const target = targetOf(fixture, "made_twice");
		const [first, second] = await Promise.all(
			["day 1", "day 2"].map(async (stream) => {
				const row = (await fixture.destination.takeOver("backfill", [stream])).get(stream)!;
				return {
					pipeline: "backfill",
					stream,
					epoch: row.epoch,
					target,
					write: "append",
				} satisfies Partial<LoadRequest>;
			}),
		);
		const maker = await Loader.takeOver(fixture.destination, target);
		const load = (rows: typeof OLD, change: Partial<LoadRequest>) =>
			maker.destination.load(maker.request(rows, { ...change, loadId: `${change.stream}`.padEnd(26, "0") }));
		// The first has found no table by then, and its rows are ready.
		const run = async () => void (await load(NEW, second!));
		const hits = warehouse.redshift.faults.add({ statement: /^LOCK/, effect: { kind: "before", run } });
		await load(OLD, first!);
		expect(hits()).toBe(1);
		expect(sorted(await fixture.rows(target.name, target.columns))).toEqual(sorted([...OLD, ...NEW]));
	});

	test("error 1023 again and again is E_CONFLICT, and nothing is left", async () => {
		warehouse.redshift.faults.add({ statement: /^COMMIT/, times: 99, effect: { kind: "1023" } });
		expect((await failure(loader.load(NEW, MERGE))).code).toBe("E_CONFLICT");
		warehouse.redshift.faults.clear();
		expect(sorted(await rows())).toEqual(sorted(OLD));
		await loader.load(NEW, MERGE);
		expect(sorted(await rows())).toEqual(sorted([...OLD, ...NEW]));
	}, 180_000);

	test.each([
		["before the COMMIT is done", "cut-before", false],
		["after the COMMIT is done", "cut-after", true],
	] as const)("the connection is cut %s: whether the load is committed is asked", async (_when, kind, committed) => {
		warehouse.redshift.faults.add({ statement: /^COMMIT/, effect: { kind } });
		const request = loader.request(NEW, MERGE);
		const error = await failure(fixture.destination.load(request));
		expect([error.code, error.reaction]).toEqual(["E_CONNECTION_LOST", "retry"]);
		expect(await fixture.destination.committed(request.loadId)).toBe(committed);
		expect(sorted(await rows())).toEqual(sorted(committed ? [...OLD, ...NEW] : OLD));
	});

	test.each([
		["CREATE TEMPORARY TABLE", /^CREATE TEMPORARY TABLE/],
		["COPY", /^COPY/],
		["the merge", /^INSERT INTO "raw"/],
		["the position", /^UPDATE _headrace.positions SET seq/],
	])("the connection is cut in %s: nothing is left, and it can be repeated", async (_where, statement) => {
		warehouse.redshift.faults.add({ statement, effect: { kind: "cut-after" } });
		expect((await failure(loader.load(NEW, MERGE))).code).toBe("E_CONNECTION_LOST");
		expect(sorted(await rows())).toEqual(sorted(OLD));
		await loader.load(NEW, MERGE);
		expect(sorted(await rows())).toEqual(sorted([...OLD, ...NEW]));
	});

	test("a statement that an administrator ends is E_TIMEOUT, which is retried", async () => {
		warehouse.redshift.faults.add({ statement: /^COPY/, effect: { kind: "cancelled" } });
		expect((await failure(loader.load(NEW, MERGE))).reaction).toBe("retry");
		expect(sorted(await rows())).toEqual(sorted(OLD));
	});

	test.each([
		["deleted", async (key: string) => warehouse.s3.remove(BUCKET, key)],
		["replaced", async (key: string) => warehouse.s3.put(BUCKET, key, "another file")],
	])("a staged file that is %s before COPY reads it is never loaded", async (_what, harm) => {
		warehouse.redshift.faults.add({
			statement: /^COPY/,
			effect: {
				kind: "before",
				run: async () => {
					const key = warehouse.s3.keys(BUCKET, "staging/").findLast((name) => name.endsWith(".parquet"))!;
					await harm(key);
				},
			},
		});
		const error = await failure(loader.load(NEW, MERGE));
		expect(error.code).toBe("E_CONFLICT");
		expect(sorted(await rows())).toEqual(sorted(OLD));
		await loader.load(NEW, MERGE);
		expect(sorted(await rows())).toEqual(sorted([...OLD, ...NEW]));
	});

	test("S3 that is slow with Redshift's own reads is retried, and nothing is left", async () => {
		warehouse.s3.faults.add({
			operation: "GetObject",
			key: /\.parquet$/,
			times: 99,
			effect: { kind: "error", code: "SlowDown" },
		});
		const error = await failure(loader.load(NEW, MERGE));
		expect([error.code, error.reaction]).toEqual(["E_TIMEOUT", "retry"]);
		warehouse.s3.faults.clear();
		expect(sorted(await rows())).toEqual(sorted(OLD));
		await loader.load(NEW, MERGE);
		expect(sorted(await rows())).toEqual(sorted([...OLD, ...NEW]));
	}, 180_000);

	test("a bad row behind many good ones: the load is back, and the error names the row", async () => {
		const count = 900_000;
		async function* batches() {
			yield* batchesOf(loader.target.columns, [...numberedRows(count - 1, 10_000), ["1", "y".repeat(65_536)]]);
		}
		const { columns } = loader.target;
		const request = loader.request([], { ...MERGE, input: { kind: "batches", fields: columns, batches: batches() } });
		const error = await failure(fixture.destination.load(request));
		expect(error.code).toBe("E_VALUE");
		expect(error.message).toMatch(/line \d+, of s3:.*part-00005/);
		expect(sorted(await rows())).toEqual(sorted(OLD));
	}, 120_000);

	test("a foreign file under the prefix is not loaded: only the manifest names what is", async () => {
		warehouse.redshift.faults.add({
			statement: /^COPY/,
			effect: {
				kind: "before",
				run: async () => {
					const key = warehouse.s3.keys(BUCKET, "staging/").findLast((name) => name.endsWith(".parquet"))!;
					await warehouse.s3.put(
						BUCKET,
						key.replace(/part-.*/, "part-99999.parquet"),
						(await warehouse.s3.get(BUCKET, key))!,
					);
				},
			},
		});
		await loader.load(NEW, MERGE);
		expect(sorted(await rows())).toEqual(sorted([...OLD, ...NEW]));
	});

	test("a text over the column's bytes: the error names file, line and column, and the value is only for who asks", async () => {
		const long = "é".repeat(40_000);
		const error = await failure(loader.load([...NEW, ["5000", long]], MERGE));
		expect(error.code).toBe("E_VALUE");
		expect(error.message).toMatch(
			/column name character var\w*\(65535\), line 61, of s3:\/\/lake\/staging\/.*\.parquet/,
		);
		expect(error.message).toMatch(/String length exceeds DDL length/);
		expect(error.message).not.toContain("éé");
		expect(JSON.stringify(error)).not.toContain("éé");
		expect(error.values).toBeDefined();
		expect(sorted(await rows())).toEqual(sorted(OLD));
	});

	test("two runs at once: the older one is fenced, and no row is doubled", async () => {
		await using second = await fixture.reopen();
		const newer = await Loader.takeOver(second, loader.target);
		const both = await Promise.allSettled([loader.load(NEW, MERGE), newer.load(NEW, MERGE)]);
		expect(both.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
		expect((both[0] as PromiseRejectedResult).reason.code).toBe("E_FENCED");
		expect(sorted(await rows())).toEqual(sorted([...OLD, ...NEW]));
	});

	test("TRUNCATE and ALTER TABLE APPEND are never sent, and no ALTER TYPE within a transaction", async () => {
		await loader.load(NEW);
		await loader.load(NEW, MERGE);
		await loader.load(NEW, { write: "append" });
		const log = warehouse.redshift.log.join("\n");
		expect(log).not.toMatch(/TRUNCATE|APPEND FROM|EMPTYASNULL|MAXERROR [1-9]/);
	});
});

describe.skipIf(missing(BACKEND))("rights in Redshift (stand-in)", () => {
	test("a role that may not read the staged files is E_RIGHTS with the policy that cures it", async () => {
		const policy = {
			Version: "2012-10-17",
			Statement: [{ Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::other/*" }],
		};
		await using fixture = await destinationFixture("parquet", { roles: { [ROLE]: policy } });
		const loader = await Loader.takeOver(fixture.destination, targetOf(fixture, "denied"));
		const error = await failure(loader.load(OLD));
		expect(error.code).toBe("E_RIGHTS");
		expect(error.hint).toMatch(/s3:GetObject/);
	});

	test("check and COPY name the ASSUMEROLE that lacks", async () => {
		await using warehouse = await openWarehouse();
		const { client } = warehouse;
		await client
			.query("create role loader login password 'secret'; delete from pg_catalog.svv_iam_privileges")
			.catch(() => {});
		await using fixture = await destinationFixture("parquet", {}, warehouse);
		const found = await fixture.destination.check();
		const finding = found.find(({ message }) => message.includes("may not use the role"));
		expect(finding).toMatchObject({
			severity: "error",
			remedy: expect.stringContaining(`GRANT ASSUMEROLE ON '${ROLE}' TO`),
		});
		const loader = await Loader.takeOver(fixture.destination, targetOf(fixture, "unassumed"));
		const error = await failure(loader.load(OLD));
		expect([error.code, error.hint]).toEqual(["E_RIGHTS", expect.stringContaining("GRANT ASSUMEROLE")]);
	});

	test("check warns of a superuser and of roles that everybody may use, with the statements that cure it", async () => {
		await using fixture = await destinationFixture("parquet");
		const warnings = (await fixture.destination.check()).filter(({ severity }) => severity === "warning");
		expect(warnings.map(({ remedy }) => remedy).join("\n")).toMatch(
			/CREATE USER headrace_loader[\s\S]*REVOKE ASSUMEROLE ON ALL FROM PUBLIC/,
		);
	});
});

describe.skipIf(missing(BACKEND))("a user of Redshift (stand-in) with too few rights", () => {
	test("the error has the statements that cure it, and with them the load succeeds", async () => {
		await using warehouse = await openWarehouse();
		const user = `loader_${process.pid}`;
		await warehouse.database.server.admin(`create role ${user} login password 'secret'`);
		try {
			const options = { ...warehouse.options, user, password: new Secret("secret"), insertRowsMax: 0 };
			await using destination = await createRedshiftDestination(options);
			const findings = (await destination.check()).filter(({ severity }) => severity === "error");
			expect(findings.map(({ remedy }) => remedy).join("\n")).toContain(
				"CREATE SCHEMA IF NOT EXISTS _headrace AUTHORIZATION",
			);
			const error = await failure(destination.takeOver("p", ["t"]));
			expect(error.code).toBe("E_RIGHTS");
			const grant = error.hint.split(";")[0]!;
			expect(grant).toBe(`GRANT CREATE, TEMPORARY ON DATABASE "${warehouse.redshift.database}" TO "${user}"`);
			await warehouse.client.query(grant);
			expect((await destination.takeOver("p", ["t"])).get("t")?.epoch).toBe(1);
			expect((await destination.check()).filter(({ severity }) => severity === "error")).toEqual([]);
		} finally {
			await warehouse.client.query(`drop owned by ${user}`);
			await warehouse.database.server.admin(`drop role ${user}`);
		}
	});
});
