import { mkdtempSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { HeadraceErrors } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import { looksLikeAddress, parseAddress, redactAddress } from "./address.ts";
import { secretOrigin } from "./secret-origins.ts";

const BASE = "/project";

/** A connection with its secrets shown, so that tests can compare it. */
function plain(text: string, env?: Record<string, string>): Record<string, unknown> {
	const connection = parseAddress(text, BASE, env && { env });
	const shown: Record<string, unknown> = {};
	for (const [key, value] of Object.entries(connection))
		shown[key] = String(value) === "***" ? (value as Secret).reveal() : value;
	return shown;
}

function messageOf(work: () => unknown): string {
	try {
		work();
	} catch (error) {
		return error instanceof HeadraceErrors
			? error.errors.map((each) => `${each.code} ${each.message}`).join("\n")
			: `${(error as { code: string }).code} ${(error as Error).message} ${(error as { hint: string }).hint}`;
	}
	throw new Error("nothing was thrown");
}

describe("addresses", () => {
	test.each([
		[
			"mysql://u:p@h:3307/db?tls=off",
			{ type: "mysql", user: "u", password: "p", host: "h", port: 3307, database: "db", tls: "off" },
		],
		["mariadb://h", { type: "mysql", host: "h", port: 3306 }],
		["MySQL://h", { type: "mysql", host: "h" }],
		["postgresql://u@h/db", { type: "postgres", user: "u", host: "h", port: 5432, database: "db" }],
		["postgres://u:p%40%2F%25%23@h/d%2Fb", { type: "postgres", password: "p@/%#", database: "d/b" }],
		["postgres://u:p@ss@h/db", { type: "postgres", user: "u", password: "p@ss", host: "h" }],
		["postgres://u:a:b@[::1]:5433/db", { type: "postgres", password: "a:b", host: "::1", port: 5433 }],
		["postgres://[::1]/db", { type: "postgres", host: "::1" }],
		["mssql://h/db", { type: "sqlserver", port: 1433 }],
		[
			"redshift://u:p@h/dw?iam_role=arn:aws:iam::1:role/copy",
			{ type: "redshift", iamRole: "arn:aws:iam::1:role/copy", port: 5439 },
		],
		[
			"snowflake://u:p@acc/db/sch?warehouse=w",
			{ type: "snowflake", account: "acc", database: "db", schema: "sch", warehouse: "w" },
		],
		[
			"s3://bucket/a/b/?region=us-east-1&path_style=true",
			{ type: "s3", bucket: "bucket", prefix: "a/b/", region: "us-east-1", pathStyle: true, name: "bucket" },
		],
		["s3://bucket", { type: "s3", bucket: "bucket", address: "s3://bucket" }],
		["lake:./l", { type: "lake", path: "/project/l" }],
		["lake:s3://b/p", { type: "lake", bucket: "b", prefix: "p", address: "lake:s3://b/p" }],
		["lake:/l?partition_by=day,hour", { type: "lake", path: "/l", partitionBy: ["day", "hour"] }],
		["kinesis://s?region=r", { type: "kinesis", stream: "s", address: "kinesis://s" }],
		["duckdb:x.duckdb", { type: "duckdb", path: "/project/x.duckdb", name: "x", address: "duckdb:/project/x.duckdb" }],
		["duckdb:///abs/x.db", { type: "duckdb", path: "/abs/x.db" }],
		["duckdb::memory:", { type: "duckdb", path: ":memory:", name: "duckdb" }],
		["out.duckdb", { type: "duckdb", path: "/project/out.duckdb" }],
		["file:data/a%20b.csv", { type: "file", path: "/project/data/a%20b.csv" }],
		["file:data?format=jsonl", { type: "file", path: "/project/data", format: "jsonl" }],
		["data/part-?.csv", { type: "file", path: "/project/data/part-?.csv" }],
		["./folder", { type: "file", path: "/project/folder" }],
		["../other", { type: "file", path: "/other" }],
		["~/data", { type: "file", path: join(homedir(), "data") }],
		["C:\\data", { type: "file" }],
		["a b/ü.csv", { type: "file", path: "/project/a b/ü.csv" }],
	])("%s", (text, expected) => expect(plain(text)).toMatchObject(expected));

	test("references keep their value out of the address's structure", () => {
		const env = { PW: "p@ss/w:o#r?d%20", HOST: "db.internal", URL: "x" };
		const shown = plain("mysql://reader:${env:PW}@${env:HOST}:3306/prod", env);
		expect(shown).toMatchObject({
			password: "p@ss/w:o#r?d%20",
			host: "db.internal",
			database: "prod",
			origins: { password: "${env:PW}", host: "${env:HOST}" },
			address: "mysql://reader@db.internal:3306/prod",
		});
		expect(plain("mysql://u:a${env:PW}b%41@h", env)["password"]).toBe("ap@ss/w:o#r?d%20bA");
		const connection = parseAddress("mysql://u:${env:PW}@h", BASE, { env });
		expect(secretOrigin((connection as unknown as { password: Secret }).password)).toBe("${env:PW}");
	});

	test("without an environment a reference is text", () =>
		expect(plain("mysql://u:${env:PW}@h")["password"]).toBe("${env:PW}"));

	test.each([
		["mysq://h/db", /unknown scheme "mysq:" of an address; did you mean "mysql"/],
		["jdbc:mysql://h/db", /did you mean "mysql"/],
		["postgresql+psycopg2://h/db", /did you mean "postgresql"/],
		["pg://h", /did you mean "postgres"/],
		["https://example.com/x.csv", /E_INVALID_VALUE unknown scheme "https:".*mysql:\/\//],
		["mysql:h/db", /a mysql address is written mysql:/],
		["", /is empty/],
		["mysql://u:p/x@h/db", /can't be taken apart.*%2F/],
		["mysql://u:p#x@h/db", /can't be taken apart/],
		["mysql://", /has no host/],
		["mysql://h:99999/db", /port of the mysql address must be a whole number/],
		["mysql://h:x/db", /port/],
		["mysql://a:1:2/db", /more than one colon/],
		["mysql://h/a/b", /the path of a mysql address is the database/],
		["mysql://h/d%zz", /percent-encoding/],
		["mysql://h/d?sslmode=require", /E_UNKNOWN_KEY unknown key "sslmode" in the mysql address; did you mean "tls"/],
		["mysql://h/d?tls=disable", /tls .* must be on, off or insecure; disable is off here/],
		["mysql://h/d?tls=offf", /did you mean "off"/],
		["mysql://h/d?tls", /written \?tls=value/],
		["mysql://h/d?tls=off&tls=on", /gives tls twice/],
		["mysql://h/d?__proto__=x", /unknown key "__proto__"/],
		["mysql://h h/d", /host .* must be a host name/],
		["mysql://h/d%00b", /database .* must be text/],
		["s3:///x", /has no bucket/],
		["s3://b/../x", /prefix .* without \.\./],
		["s3://b?path_style=maybe", /path_style .* must be true or false/],
		["redshift://h", /has no database/],
		["lake:", /no path/],
		["lake:x?bucket=b", /needs either path or bucket/],
		["lake:x?glue=y", /glue .* must be a map/],
		["lake:x?partition_by=,", /partition_by .* must be a name or a list/],
		["duckdb:", /no path/],
		["file:x?format=xml", /format .* must be csv, jsonl or parquet/],
		["a\nb", /line break/],
		["mysql://h/d?ca=/nope.pem", /E_FILE_NOT_FOUND ca of the mysql address/],
	])("%s is refused", (text, message) => expect(messageOf(() => plain(text))).toMatch(message));

	test("a password is in no message and no print", () => {
		for (const text of [
			"mysql://u:hunter2@h:x/db",
			"mysqll://u:hunter2@h",
			"mysql://u:hunter2/x@h",
			"mysql://u:hunter2%zz@h",
		])
			expect(messageOf(() => plain(text))).not.toContain("hunter2");
		const connection = parseAddress("mysql://u:hunter2@h/db", BASE);
		expect(inspect(connection, { depth: 9 }) + JSON.stringify(connection)).not.toContain("hunter2");
		expect(redactAddress("mysql://u:hunter2@h/db?password=x y")).toBe("mysql://u:***@h/db?password=*** y");
	});

	test("ca is read", () => {
		const folder = mkdtempSync(join(tmpdir(), "headrace-"));
		writeFileSync(join(folder, "ca.pem"), "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n");
		writeFileSync(join(folder, "no.pem"), "nothing");
		expect(parseAddress("mysql://h?ca=ca.pem", folder)).toMatchObject({ ca: expect.stringContaining("BEGIN CERT") });
		expect(messageOf(() => parseAddress("mysql://h?ca=no.pem", folder))).toMatch(/holds no PEM certificate/);
	});

	test("a private mark in the text can't reach a reference", () => {
		expect(() => plain("mysql://u:%EE%80%800%EE%80%81@h", { A: "1" })).not.toThrow();
		expect(plain("file:\uE0000\uE001x")["path"]).toBe("/project/0x");
	});

	test("what looks like an address", () => {
		expect(["shop_prod", "lake"].map(looksLikeAddress)).toEqual([false, false]);
		expect(["./x", "a.csv", "s3://b", "~", "a\\b", "*"].every(looksLikeAddress)).toBe(true);
	});
});
