import { generateKeyPairSync } from "node:crypto";
import { inspect } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { Loader } from "../../src/conformance/destination-fixture.ts";
import { createSnowflakeDestination } from "../../src/connectors/snowflake/index.ts";
import { BatchPool, type Column, type ColumnType, Secret } from "../../src/core/index.ts";
import { startSnowflakeStandIn } from "../stand-ins/snowflake/index.ts";
import { errorOf, SnowflakeLoads } from "./snowflake-loads.ts";
import { optionsOf } from "./snowflake-support.ts";

let loads: SnowflakeLoads;
afterEach(() => loads?.[Symbol.asyncDispose]());

const TWO = [
	["1", "one"],
	["2", "two"],
] as const;

describe("logins to Snowflake (stand-in)", () => {
	const { publicKey, privateKey } = generateKeyPairSync("rsa", {
		modulusLength: 2048,
		publicKeyEncoding: { type: "spki", format: "pem" },
		privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "open sesame" },
	});
	const roles = { defaultRole: "LOADER_ROLE", roles: ["LOADER_ROLE"] };
	const users = {
		LOADER: { ...roles, publicKey, password: "right", oauthToken: "a token" },
	};
	const cases = [
		["a password", { password: new Secret("right") }, null],
		["a wrong password", { password: new Secret("wrong") }, "E_LOGIN"],
		[
			"a key pair with its passphrase",
			{ privateKey: new Secret(privateKey), privateKeyPassphrase: new Secret("open sesame") },
			null,
		],
		["an OAuth token", { token: new Secret("a token") }, null],
		["a wrong token", { token: new Secret("another") }, "E_LOGIN"],
		["a role that the user does not have", { password: new Secret("right"), role: "ACCOUNTADMIN" }, "E_RIGHTS"],
		["a warehouse that is not there", { password: new Secret("right"), warehouse: "NOWHERE" }, "E_RIGHTS"],
	] as const;
	test.each(cases)("by %s", async (_name, given, code) => {
		await using standIn = await startSnowflakeStandIn({ users });
		const { password: _password, ...rest } = optionsOf(standIn);
		await using destination = await createSnowflakeDestination({ ...rest, ...given, credentialReference: "${env:X}" });
		if (code === null) expect((await destination.check()).every(({ severity }) => severity === "ok")).toBe(true);
		else {
			const error = await errorOf(destination.check());
			expect(error.code).toBe(code);
			for (const secret of ["right", "wrong", "another", "sesame"])
				expect(inspect(error, { depth: 9 })).not.toContain(`"${secret}"`);
		}
	});

	test("another key than the user's is refused", async () => {
		const other = generateKeyPairSync("rsa", {
			modulusLength: 2048,
			privateKeyEncoding: { type: "pkcs8", format: "pem" },
			publicKeyEncoding: { type: "spki", format: "pem" },
		});
		await using standIn = await startSnowflakeStandIn({ users });
		const { password: _password, ...rest } = optionsOf(standIn);
		await using destination = await createSnowflakeDestination({ ...rest, privateKey: new Secret(other.privateKey) });
		expect((await errorOf(destination.check())).code).toBe("E_LOGIN");
	});
});

describe.each(["parquet", "csv"] as const)("values that Snowflake (stand-in) can't hold, by %s", (format) => {
	/** Microseconds since 1970. */
	const YEAR_10000 = 253_402_300_800_000_000n;
	test.each<readonly [string, ColumnType, (column: Column) => void, string]>([
		["a year after 9999", { kind: "date" }, (column) => (column.i32[1] = 2_932_897), "10000-01-01"],
		["a date before year 1", { kind: "date" }, (column) => (column.i32[1] = -800_000), "BC"],
		["a time after 9999", { kind: "timestamp" }, (column) => (column.i64[1] = YEAR_10000), "10000-01-01"],
		["a time before year 1", { kind: "timestamp" }, (column) => (column.i64[1] = -YEAR_10000 / 4n), "BC"],
		["a moment after 9999", { kind: "timestamptz" }, (column) => (column.i64[1] = YEAR_10000), "10000-01-01"],
		["midnight at the end of a day", { kind: "time" }, (column) => (column.i64[1] = 86_400_000_000n), "24:00:00"],
		["JSON that is none", { kind: "json" }, (column) => column.setBytes(1, Buffer.from("{SECRET"), 0, 7), "{SECRET"],
	])("%s stops the load; the error names row and column and holds no value", async (_name, type, set, shown) => {
		loads = await SnowflakeLoads.open({}, {}, format);
		const target = loads.target(`id int64, v ${type.kind}`);
		await loads.load([["1", null]], { target });
		for (const write of ["replace", "merge", "append"] as const) {
			const fields = target.columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
			const batches = async function* () {
				const batch = new BatchPool(fields).take();
				const [id, value] = batch.columns;
				for (const [row, number] of [2, 3].entries()) id!.setSafeInteger(row, number);
				value!.setNull(0);
				set(value!);
				batch.rowCount = 2;
				yield batch;
			};
			const input = { kind: "batches", fields, batches: batches() } as const;
			const error = await errorOf(loads.load([], { target, write, input }));
			expect(error.code).toBe("E_VALUE");
			expect(error.message).toMatch(/column V of RAW\.T .*file part-\S+, line \d+, row 2/);
			expect(inspect(error, { depth: 9 })).not.toContain(shown);
			expect(error.values).toContain(shown);
			const kept = type.kind === "json" ? "text" : type.kind;
			expect(await loads.rows(`id int64, v ${kept}`)).toEqual([["1", null]]);
		}
	});

	test("what its types hold arrives to the last digit", async () => {
		loads = await SnowflakeLoads.open({}, {}, format);
		const columns = "id int64, d decimal(38,37), w decimal(38,38), j json, b binary, f float64, n text";
		const row = [
			"1",
			"9.9999999999999999999999999999999999999",
			"0.00000000000000000000000000000000000001",
			'{"a":[1,null,"x"]}',
			"5c4e00ff",
			"NaN",
			"\\N",
		];
		for (const write of ["replace", "merge"] as const) {
			await loads.load([row], { target: loads.target(columns), write });
			expect(await loads.rows(columns.replace("decimal(38,38)", "text"))).toEqual([row]);
		}
		const table = loads.standIn.table("RAW", "T")!;
		expect(table.columns.map(({ type }) => type)).toEqual([
			"NUMBER(19,0)",
			"NUMBER(38,37)",
			"VARCHAR(16777216)",
			"VARIANT",
			"BINARY(8388608)",
			"FLOAT",
			"VARCHAR(16777216)",
		]);
	});
});

describe("loads into Snowflake (stand-in)", () => {
	test("COPY names its files and forces them; the stage is emptied; queries are tagged", async () => {
		loads = await SnowflakeLoads.open();
		await loads.load(TWO, { write: "merge", runId: "run-7" });
		const [copy] = loads.sent(/^COPY INTO/);
		expect(copy).toMatch(/FILES = \('part-\S+\.parquet'\)/);
		expect(copy).toContain("FORCE = TRUE ON_ERROR = ABORT_STATEMENT");
		const at = (pattern: RegExp) => loads.standIn.log.findIndex(({ sql }) => pattern.test(sql));
		expect(at(/TEMPORARY TABLE/)).toBeLessThan(at(/^COPY/));
		expect(loads.sent(/^REMOVE @/)).toHaveLength(1);
		expect(JSON.parse(loads.standIn.log.find(({ sql }) => sql.startsWith("MERGE"))!.tag)).toEqual({
			app: "headrace",
			pipeline: "conformance",
			run: "run-7",
			table: "raw.t",
		});
	});

	test("a whole table keeps its grants and its comment, and nothing is left beside it", async () => {
		loads = await SnowflakeLoads.open();
		await loads.load(TWO);
		const table = () => loads.standIn.table("RAW", "T")!;
		table().grants.push({ privilege: "SELECT", role: "ANALYSTS" });
		table().comment = "the shop's";
		const before = table().physical;
		await loads.load([["3", "three"]]);
		expect(table().physical).not.toBe(before);
		expect(table().grants).toEqual([{ privilege: "SELECT", role: "ANALYSTS" }]);
		expect(table().comment).toBe("the shop's");
		expect(await loads.rows()).toEqual([["3", "three"]]);
		expect([...loads.standIn.world.catalog.tables.keys()].filter((key) => key.includes("NEW_"))).toEqual([]);
	});

	test("a table of another role's is exchanged in one transaction, and stays its owner's", async () => {
		loads = await SnowflakeLoads.open();
		await loads.load(TWO);
		const table = loads.standIn.table("RAW", "T")!;
		table.owner = "OWNER_ROLE";
		table.grants.push(
			...["SELECT", "INSERT", "UPDATE", "DELETE"].map((privilege) => ({ privilege, role: "LOADER_ROLE" })),
		);
		await loads.load([["3", "three"]]);
		expect(loads.sent(/SWAP WITH/)).toEqual([]);
		expect(loads.standIn.table("RAW", "T")).toBe(table);
		expect(await loads.rows()).toEqual([["3", "three"]]);
	});

	test("what a dead run left open is rolled back by the next one's takeover", async () => {
		loads = await SnowflakeLoads.open();
		await loads.load(TWO, { write: "merge" });
		const dead = await loads.another();
		// It hangs behind its MERGE: an answer that never comes is as good as a killed client.
		const release = Promise.withResolvers<void>();
		const loader = await Loader.takeOver(dead, loads.target());
		const hanging = loader
			.load([["9", "nine"]], { write: "merge", verify: () => release.promise })
			.catch((error: unknown) => error);
		await expect.poll(() => loads.sent(/^MERGE/).length).toBe(2);
		await expect.poll(() => loads.standIn.openTransactions()).toBe(1);
		await loads.load([["3", "three"]], { write: "merge" });
		release.resolve();
		expect(await hanging).toMatchObject({ code: "E_FENCED" });
		expect(await loads.rows()).toEqual([...TWO, ["3", "three"]]);
		expect(loads.standIn.openTransactions()).toBe(0);
	});

	test("two runs at once: one of them is fenced, and no row is there twice", async () => {
		loads = await SnowflakeLoads.open();
		await loads.load(TWO, { write: "append" });
		const other = await loads.another();
		const first = await Loader.takeOver(loads.destination, loads.target());
		const second = await Loader.takeOver(other, loads.target());
		const results = await Promise.allSettled([
			first.load([["3", "first"]], { write: "append" }),
			second.load([["3", "second"]], { write: "append" }),
		]);
		expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
		expect(await loads.rows()).toEqual([...TWO, ["3", "second"]]);
	});

	test("without a right the error and check bring the statements", async () => {
		const roles = { LOADER_ROLE: { database: ["USAGE"], warehouses: ["LOAD_WH"], integrations: [] } };
		loads = await SnowflakeLoads.open({ roles });
		const error = await errorOf(loads.load(TWO));
		expect(error.code).toBe("E_RIGHTS");
		expect(error.hint).toContain('GRANT CREATE SCHEMA ON DATABASE "ANALYTICS" TO ROLE "LOADER_ROLE"');
		expect(await loads.destination.check()).toContainEqual({
			severity: "error",
			message: expect.stringContaining("may not make schemas"),
			remedy: 'GRANT CREATE SCHEMA ON DATABASE "ANALYTICS" TO ROLE "LOADER_ROLE";',
		});
	});

	test("without a warehouse the error says so", async () => {
		const users = { LOADER: { password: "p", defaultRole: "LOADER_ROLE", roles: ["LOADER_ROLE"] } };
		await using standIn = await startSnowflakeStandIn({ users });
		const { warehouse: _warehouse, ...options } = optionsOf(standIn, { password: new Secret("p") });
		await using destination = await createSnowflakeDestination(options);
		const error = await errorOf(destination.takeOver("p", ["t"]));
		expect(error).toMatchObject({ code: "E_RIGHTS", message: expect.stringContaining("no warehouse") });
		expect(await destination.check()).toContainEqual(
			expect.objectContaining({ severity: "error", message: expect.stringContaining("no warehouse") }),
		);
	});

	test("grants are those of these tables, and the AWS role's as the integration tells them", async () => {
		const integration = {
			roleArn: "arn:aws:iam::1:role/reads",
			allowedLocations: ["s3://lake/staging/"],
			enabled: true,
		};
		loads = await SnowflakeLoads.open(
			{ integrations: { S3_STAGING: integration } },
			{ storageIntegration: "s3_staging" },
		);
		const grants = await loads.destination.grants!([{ schema: "raw", name: "t" }]);
		expect(grants.map(({ title }) => title)).toEqual([
			"as an administrator of Snowflake",
			"trust policy of the AWS role arn:aws:iam::1:role/reads",
			"policy of the AWS role arn:aws:iam::1:role/reads",
		]);
		expect(grants[0]!.text).toContain('GRANT USAGE ON INTEGRATION "S3_STAGING" TO ROLE "LOADER_ROLE";');
		expect(grants[0]!.text).toContain('GRANT USAGE, CREATE TABLE ON SCHEMA "ANALYTICS"."RAW" TO ROLE "LOADER_ROLE";');
		expect(JSON.parse(grants[1]!.text).Statement[0].Condition.StringEquals["sts:ExternalId"]).toMatch(/^STANDIN/);
		expect(JSON.parse(grants[2]!.text).Statement[0].Resource).toBe("arn:aws:s3:::lake/staging/*");
		expect(await loads.destination.check()).toContainEqual(
			expect.objectContaining({
				severity: "ok",
				message: expect.stringContaining("s3_staging"),
				remedy: grants[1]!.text,
			}),
		);
	});

	test("a database, and TLS to another machine, are needed before anything is connected", async () => {
		const plain = { account: "a", user: "u", database: "D" };
		for (const given of [
			{ account: "a" },
			{ ...plain, endpoint: "http://example.com" },
			{ ...plain, endpoint: "there" },
		])
			expect((await errorOf(createSnowflakeDestination(given))).code).toBe("E_INVALID_VALUE");
	});

	test("more rights than needed are a warning", async () => {
		const users = { LOADER: { password: "p", defaultRole: "ACCOUNTADMIN", roles: ["ACCOUNTADMIN"] } };
		await using standIn = await startSnowflakeStandIn({ users });
		await using destination = await createSnowflakeDestination(
			optionsOf(standIn, { password: new Secret("p"), role: "ACCOUNTADMIN" }),
		);
		expect(await destination.check()).toContainEqual(
			expect.objectContaining({
				severity: "warning",
				message: expect.stringContaining("ACCOUNTADMIN may do far more"),
			}),
		);
	});
});
