import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Secret } from "../core/secret.ts";
import { Redactor, redactByLook } from "./redact.ts";

const SECRET = "pä$s/w'or\"d+1 &?\\x";

function withSecret(...secrets: string[]): Redactor {
	const redactor = new Redactor();
	for (const secret of secrets) redactor.add(secret);
	return redactor;
}

describe("a secret is masked", () => {
	test.each<[string, string]>([
		["as it is", `login ${SECRET} refused`],
		["in a URL", `https://h/?p=${encodeURIComponent(SECRET)}`],
		["in a URL with small hex digits", encodeURIComponent(SECRET).toLowerCase()],
		["in an HTML form", new URLSearchParams({ p: SECRET }).toString()],
		["in JSON", JSON.stringify({ a: SECRET })],
		["in SQL", `SET x = '${SECRET.replaceAll("'", "''")}'`],
		["in SQL with backslashes", `SET x = '${SECRET.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`],
		["in hexadecimal digits", Buffer.from(SECRET).toString("hex")],
		["in base64", Buffer.from(SECRET).toString("base64")],
		["in base64 for URLs", Buffer.from(SECRET).toString("base64url")],
		["in base64 after a user name of 1 letter", Buffer.from(`u:${SECRET}`).toString("base64")],
		["in base64 after a user name of 2 letters", Buffer.from(`us:${SECRET}`).toString("base64")],
		["in base64 between other texts", Buffer.from(`use:${SECRET}, and more`).toString("base64")],
	])("%s", (_name, text) => {
		const redacted = withSecret(SECRET).redact(text);
		expect(redacted).toContain("***");
		for (const form of [SECRET, encodeURIComponent(SECRET), "w'or", "orcd", "3Jk", "6f72"])
			expect(redacted).not.toContain(form);
	});

	test("wholly, when it begins with another secret", () => {
		expect(withSecret("hunter2", "hunter2-long").redact("a hunter2-long b hunter2 c")).toBe("a *** b *** c");
	});

	test("as a word only, when it is short", () => {
		expect(withSecret("root").redact("root of rooted trees, 'root'")).toBe("*** of rooted trees, '***'");
		expect(withSecret("ab").redact("ab")).toBe("ab");
	});

	test("law: whatever stands around it, none of its base64 form of six digits or more is left whole", () => {
		const secret = "correct horse battery";
		const redactor = withSecret(secret);
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 8 }), fc.uint8Array({ maxLength: 8 }), (before, after) => {
				const bytes = Buffer.concat([before, Buffer.from(secret), after]);
				const decoded = Buffer.from(redactor.redact(bytes.toString("base64")).replaceAll("***", ""), "base64");
				return !decoded.includes("horse") && redactor.redact(bytes.toString("base64")).includes("***");
			}),
		);
	});
});

test("secrets of a configuration are found however deep; data keeps its shape, numbers and keys", () => {
	const redactor = new Redactor();
	const cyclic: Record<string, unknown> = { list: [{ password: new Secret("topsecret") }] };
	cyclic["self"] = cyclic;
	cyclic["map"] = new Map([["email", { secret: new Secret("pii-key-1") }]]);
	redactor.addFrom(cyclic);
	expect(
		redactor.redactData({ rows: 3, list: ["a topsecret", null, true], topsecret: "pii-key-1", s: new Secret("x") }),
	).toEqual({ rows: 3, list: ["a ***", null, true], topsecret: "***", s: "***" });
});

test.each<[string, string]>([
	["mysql://reader:pw@db:3306/prod", "mysql://reader:***@db:3306/prod"],
	["postgres://u:p@ss:w/rd@h/db, again", "postgres://u:***@h/db, again"],
	["'amqp://:pw@h'", "'amqp://:***@h'"],
	["mysql://reader@db:3306/prod and a@b", "mysql://reader@db:3306/prod and a@b"],
	["mysql://reader:***@db/prod", "mysql://reader:***@db/prod"],
	["mysql://reader:${env:PW}@db/prod", "mysql://reader:${env:PW}@db/prod"],
	["host=h password=pw user=u", "host=h password=*** user=u"],
	["postgres://h/db?password=pw&sslmode=off", "postgres://h/db?password=***&sslmode=off"],
	["aws_secret_access_key='a b'; x", "aws_secret_access_key=***; x"],
	["PGPASSWORD=pw psql", "PGPASSWORD=*** psql"],
	["password=${env:PW}", "password=${env:PW}"],
	["CREATE USER u IDENTIFIED BY 'p''w\\'x' REQUIRE SSL", "CREATE USER u IDENTIFIED BY '***' REQUIRE SSL"],
	["ALTER ROLE u PASSWORD 'pw'", "ALTER ROLE u PASSWORD '***'"],
	["CREATE ROLE r LOGIN PASSWORD '…'; x", "CREATE ROLE r LOGIN PASSWORD '…'; x"],
	["the password of 'u' is wrong", "the password of 'u' is wrong"],
	["https://docs:443/a", "https://docs:443/a"],
])("by its look %s becomes %s", (text, expected) => {
	expect(redactByLook(text)).toBe(expected);
});
