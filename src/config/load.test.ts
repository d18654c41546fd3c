import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { type HeadraceError, HeadraceErrors } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import { loadConnection, loadPipeline, secretOrigin } from "./index.ts";

const ENV = { SHOP_PASSWORD: "p@ss/w:rd", DW_PASSWORD: "dw", PII_KEY: "pii", N: "7", YES: "true", EMPTY: "" };

function project(files: Record<string, string>): string {
	const folder = mkdtempSync(join(tmpdir(), "headrace-config-"));
	for (const [name, text] of Object.entries(files)) {
		mkdirSync(dirname(join(folder, name)), { recursive: true });
		writeFileSync(join(folder, name), text);
	}
	return folder;
}

async function faultsOf(work: () => unknown): Promise<readonly HeadraceError[]> {
	try {
		await work();
	} catch (error) {
		if (error instanceof HeadraceErrors) return error.errors;
		throw error;
	}
	throw new Error("nothing was thrown");
}

const CONTRACT = `# yaml-language-server: $schema=../.headrace/pipeline.schema.json
pipeline: shop
from: shop_prod
to: warehouse
staging: lake
schedule: "0 2 * * *"
timezone: UTC
start: 2026-01-01
catchup: false
max_active_runs: 1
concurrency: 4
retries: 2
retry_delay: 3m
defaults:
  mode: incremental
  cursor: updated_at
  into: raw.{schema}_{table}
tables:
  prod.*:        {}
  prod.tmp_*:    skip
  prod.nps:      { mode: full }
  prod.orders:   { key: id, cursor: modified, late: 10m, deleted: is_deleted }
  prod.events:   { mode: interval, cursor: created_at, write: merge, key: id }
  prod.accounts: { mode: cdc, deletes: hard }
  prod.ledger:   { mode: cdc, write: history }
  prod.people:   { columns: { password_hash: drop, email: { mask: hmac, secret: "\${env:PII_KEY}" } } }
  daily_scores:
    query: select id, created_at, score from prod.nps where date(created_at) = date('{{ ds }}')
    mode: interval
    into: raw.daily_scores
types: { mode: exact, zero_date: null }
schema_changes: evolve
flush: { seconds: 10, rows: 100k, bytes: 64MB }
checks:
  - { table: raw.orders, rows: "> 0", not_null: [customer_id], unique: [id] }
`;
const CONNECTIONS = `shop_prod: mysql://reader:\${env:SHOP_PASSWORD}@db.internal:3306/prod
lake:      { type: s3, bucket: acme-lake, prefix: staging/, region: us-east-1 }
warehouse: { type: redshift, host: dw.internal, database: dw, user: loader, password: "\${env:DW_PASSWORD}", iam_role: "arn:aws:iam::1:role/copy" }
unused: { type: mysql, host: "\${env:NOT_SET}" }
`;

describe("the example of the contract", () => {
	const folder = project({ "pipelines/shop.yaml": CONTRACT, "connections.yaml": CONNECTIONS });

	test("is read whole", async () => {
		const pipeline = await loadPipeline(folder, "shop", { env: ENV });
		expect(pipeline).toMatchObject({
			name: "shop",
			directory: folder,
			from: { type: "mysql", host: "db.internal", database: "prod", origins: { password: "${env:SHOP_PASSWORD}" } },
			to: { type: "redshift", iamRole: "arn:aws:iam::1:role/copy", origins: { password: "${env:DW_PASSWORD}" } },
			staging: { type: "s3", bucket: "acme-lake", prefix: "staging/" },
			retryDelayMs: 180_000,
			flush: { intervalMs: 10_000, rows: 100_000, bytes: 64_000_000 },
			types: { mode: "exact", zeroDate: "null", nan: "fail" },
			checks: [
				{ assertion: { kind: "rows", operator: ">", count: 0 }, table: { schema: "raw", name: "orders" } },
				{ assertion: { kind: "not_null", column: "customer_id" } },
				{ assertion: { kind: "unique", columns: ["id"] } },
			],
		});
		const rule = (name: string) => pipeline.tables.find((each) => each.pattern === name)!;
		expect(rule("prod.orders").options).toMatchObject({
			mode: "incremental",
			key: ["id"],
			cursor: "modified",
			lateMs: 600_000,
			deleted: "is_deleted",
			into: "raw.{schema}_{table}",
		});
		expect(rule("prod.orders").places["cursor"]).toMatchObject({ line: 22, column: 37 });
		expect(rule("prod.orders").place).toMatchObject({ line: 22, column: 3 });
		expect(rule("prod.tmp_*").skip).toBe(true);
		expect(rule("prod.ledger").options.write).toBe("history");
		expect(rule("prod.orders").options.write).toBeUndefined();
		// The query asks for its interval itself: the cursor of the defaults is not its own.
		expect(rule("daily_scores").options.cursor).toBeUndefined();
		const { columns } = rule("prod.people").options;
		expect(columns.get("password_hash")).toEqual({ drop: true });
		const secret = columns.get("email")!.secret as Secret;
		expect([secret.reveal(), secretOrigin(secret)]).toEqual(["pii", "${env:PII_KEY}"]);
		expect((pipeline.from as unknown as { password: Secret }).password.reveal()).toBe("p@ss/w:rd");
		expect(inspect(pipeline, { depth: 20 }) + JSON.stringify(pipeline)).not.toMatch(/p@ss|"dw-secret"|pii"/);
	});

	test.each(["shop", "pipelines/shop.yaml", "pipelines/shop", "./pipelines/shop.yaml"])(
		"is found as %s",
		async (name) =>
			expect((await loadPipeline(folder, name, { env: ENV })).file).toBe(join(folder, "pipelines/shop.yaml")),
	);

	test("by a path from elsewhere its own folder is the project", async () =>
		expect((await loadPipeline("/", join(folder, "pipelines/shop.yaml"), { env: ENV })).directory).toBeDefined());

	test.each(["../../etc/passwd", "/etc/passwd", "..", "a\0b", "", "shopp", "x".repeat(5000), "%2e%2e/x"])(
		"%# is no pipeline",
		async (name) => {
			const [fault] = await faultsOf(() => loadPipeline(folder, name, { env: ENV }));
			expect(fault!.code).toBe("E_FILE_NOT_FOUND");
			if (name === "shopp") expect(fault!.message).toMatch(/did you mean shop\?/);
		},
	);

	test("missing variables are named, each with its place, and only those that are used", async () => {
		const faults = await faultsOf(() => loadPipeline(folder, "shop", { env: { SHOP_PASSWORDS: "x" } }));
		expect(faults.map((fault) => [fault.code, fault.place.line, fault.message])).toEqual([
			[
				"E_MISSING_VARIABLE",
				1,
				"the environment variable SHOP_PASSWORD is not set; did you mean ${env:SHOP_PASSWORDS}?",
			],
			["E_MISSING_VARIABLE", 3, "the environment variable DW_PASSWORD is not set"],
			["E_MISSING_VARIABLE", 26, "the environment variable PII_KEY is not set"],
		]);
	});

	test("a missing variable's place is that of its reference, in an address too", async () => {
		const own = project({
			"connections.yaml": 'a: mysql://u:${env:NO_SUCH}@h/d\nb: { type: mysql, host: h, user: "x${env:NONE}" }\n',
			"p.yaml": "from: a\nto: b\ntables: { d.t: {} }\n",
		});
		const faults = await faultsOf(() => loadPipeline(own, "p", { env: {} }));
		expect(faults.map(({ place }) => [place.line, place.column])).toEqual([
			[1, 14],
			[2, 36],
		]);
		expect(faults[0]!.hint).toContain("`export NO_SUCH`");
	});

	test("a connection or address of the command line", async () => {
		const load = (text: string) => loadConnection(folder, text, { env: ENV });
		expect((await load("lake")).type).toBe("s3");
		expect((await load("pipelines")).type).toBe("file");
		expect(await load("mysql://u:${env:SHOP_PASSWORD}@h")).toMatchObject({ type: "mysql" });
		expect((await load("./x.csv")).type).toBe("file");
		expect((await faultsOf(() => load("lak")))[0]!.message).toMatch(/unknown connection "lak".*did you mean "lake"/);
		expect((await faultsOf(() => load("zzzzzz")))[0]!.message).toMatch(/its connections are shop_prod, lake/);
		expect((await faultsOf(() => load("nope://x")))[0]!.message).toMatch(/unknown scheme/);
	});
});

describe("faults of connections.yaml", () => {
	const withConnections = async (text: string, from = "c") => {
		const folder = project({ "connections.yaml": text, "p.yaml": `from: ${from}\nto: ./out\ntables: { "*": {} }\n` });
		const faults = await faultsOf(() => loadPipeline(folder, "p", { env: ENV }));
		return faults.map(({ place, code, message }) => `${place.line}:${place.column} ${code} ${message}`);
	};

	test.each([
		[
			"c: { type: mysql, hots: x, user: a }",
			[
				"1:1 E_INVALID_VALUE connection c has no host",
				'1:19 E_UNKNOWN_KEY unknown key "hots" in connection c; did you mean "host"?',
			],
		],
		[
			"c: { type: mysql, hostname: x, host: y, username: z }",
			[
				'1:19 E_UNKNOWN_KEY unknown key "hostname" in connection c; did you mean "host"?',
				'1:41 E_UNKNOWN_KEY unknown key "username" in connection c; did you mean "user"?',
			],
		],
		["c: { type: mysq, host: x }", ['1:12 E_INVALID_VALUE unknown type "mysq" of connection c; did you mean "mysql"?']],
		["c: { host: x }", [/^1:4 E_INVALID_VALUE connection c has no type; the types are mysql, postgres/]],
		["c: { type: [] }", [/unknown type \[\]/]],
		["c: 5", [/^1:4 E_INVALID_VALUE connection c must be an address or a map/]],
		["c:", [/^1:1 E_INVALID_VALUE connection c must be/]],
		["c: [a]", [/must be an address/]],
		["c: { type: mysql, host: h, port: 0 }", [/^1:34 E_INVALID_VALUE port of connection c must be a whole number/]],
		["c: { type: mysql, host: h, tls: false }", [/tls of connection c must be on, off or insecure; write tls: off/]],
		["c: { type: mysql, host: [h] }", [/host of connection c must be/]],
		['c: { type: mysql, host: "${env:NOPE}", password: "${env:EMPTY}" }', [/NOPE is not set/, /EMPTY is empty/]],
		[
			"c: { type: lake, bucket: b, glue: { databse: x } }",
			[/unknown key "databse" in glue of connection c; did you mean "database"/],
		],
		["c: { type: lake, path: l, glue: {} }", [/^1:27 E_INVALID_VALUE connection c has glue and a path/]],
		[
			"c: { type: lake, path: l, retention: soon }",
			[/^1:38 E_INVALID_VALUE retention of connection c must be a duration/],
		],
		["c: mysql://h:x/db", [/^1:4 E_INVALID_VALUE port of connection c/]],
		['c: "mysql://u:${env:NOPE}@h"', [/^1:15 E_MISSING_VARIABLE .*NOPE/]],
		["c: { type: mysql\nd: x", [/E_YAML/]],
		["d: ./x", [/^1:7 E_UNKNOWN_CONNECTION unknown connection "c": connections.yaml has no such name/]],
		["a: 1\na: 2\nc: ./x", [/^2:1 E_YAML the key "a" is written twice/]],
	])("%s", async (text, expected) => {
		const faults = await withConnections(text);
		expect(faults).toHaveLength(expected.length);
		for (const [index, each] of expected.entries())
			if (typeof each === "string") expect(faults[index]).toBe(each);
			else expect(faults[index]).toMatch(each);
	});

	test("what may be written", async () => {
		const text = `
a: { type: mysql, host: h, user: 007, password: 0123, port: "\${env:N}", tls: off }
b: { type: s3, bucket: b, path_style: "\${env:YES}", access_key_id: AK, secret_access_key: "\${env:PII_KEY}" }
c: { type: lake, path: lake, retention: 2h, partition_by: [x, day(y)] }
h: { type: lake, bucket: b, glue: { database: d, region: r } }
d: { type: snowflake, account: a, private_key: "\${file:key.pem}" }
e: "\${env:URL}"
f: { type: duckdb, path: ./x.duckdb }
g: { type: s3, bucket: b, path_style: true }
`;
		const folder = project({ "connections.yaml": text, "key.pem": "-----BEGIN KEY-----\nx\n" });
		const load = async (name: string) =>
			(await loadConnection(folder, name, { env: { ...ENV, URL: "mysql://u:pw@h" } })) as unknown as Record<
				string,
				unknown
			>;
		const a = await load("a");
		expect(a).toMatchObject({ user: "007", port: 7, tls: "off" });
		expect((a["password"] as Secret).reveal()).toBe("0123");
		const b = await load("b");
		expect(b).toMatchObject({ pathStyle: true, origins: { secret_access_key: "${env:PII_KEY}" } });
		expect(String(b["accessKeyId"])).toBe("***");
		expect(await load("c")).toMatchObject({
			path: join(folder, "lake"),
			retention: 7_200_000,
			partitionBy: ["x", "day(y)"],
		});
		expect(await load("h")).toMatchObject({ bucket: "b", glue: { database: "d", region: "r" } });
		const d = await load("d");
		expect((d["privateKey"] as Secret).reveal()).toBe("-----BEGIN KEY-----\nx");
		expect(secretOrigin(d["privateKey"] as Secret)).toBe("${file:key.pem}");
		expect(await load("e")).toMatchObject({ host: "h", origins: { password: "${env:URL}" } });
		expect(await load("f")).toMatchObject({ path: join(folder, "x.duckdb") });
		expect(await load("g")).toMatchObject({ pathStyle: true });
	});

	test("without the file, and with one that can't be read", async () => {
		const folder = project({ "p.yaml": "from: shop\nto: ./x\ntables: { '*': {} }\n" });
		expect((await faultsOf(() => loadPipeline(folder, "p", { env: ENV })))[0]!.message).toMatch(
			/there is no connections.yaml/,
		);
		mkdirSync(join(folder, "connections.yaml"));
		expect((await faultsOf(() => loadPipeline(folder, "p", { env: ENV })))[0]!.message).toMatch(/is not a file/);
	});
});
