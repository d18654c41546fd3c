import { describe, expect, test } from "vitest";
import { type HeadraceError, Secret } from "../../core/index.ts";
import { loadDriver } from "./driver.ts";
import { translateError } from "./errors.ts";
import { isLoopback, tlsMode } from "./options.ts";
import { atLeast, parseVersion, sessionSettings } from "./server.ts";
import { derived, identifier, quoteString, textLiteral } from "./sql.ts";
import { looseEquality } from "./types.ts";

const context = { address: "db:3306", phase: "work", user: "reader", account: "'reader'@'%'" } as const;

function translated(native: object, more: object = {}): HeadraceError {
	return translateError(Object.assign(new Error("the message"), native), { ...context, ...more });
}

describe("errors", () => {
	const cases: readonly (readonly [string, object, object, string])[] = [
		["a refused password", { errno: 1045 }, { phase: "connect" }, "E_LOGIN"],
		["a locked account", { errno: 3118 }, { phase: "connect" }, "E_LOGIN"],
		["too many connections", { errno: 1040 }, { phase: "connect" }, "E_CONNECT"],
		["nobody listens", { errno: -111, code: "ECONNREFUSED" }, { phase: "connect" }, "E_CONNECT"],
		["no such host", { errno: -3008, code: "ENOTFOUND" }, { phase: "connect" }, "E_CONNECT"],
		["no answer", { code: "ETIMEDOUT" }, { phase: "connect" }, "E_CONNECT"],
		["another kind of server", { code: "ETIMEDOUT" }, { phase: "connect", isSilent: true }, "E_CONNECT"],
		["TLS only", { errno: 3159 }, { phase: "connect" }, "E_TLS"],
		["no TLS", { code: "HANDSHAKE_NO_SSL_SUPPORT" }, { phase: "connect" }, "E_TLS"],
		["a bad certificate", { code: "HANDSHAKE_SSL_ERROR" }, { phase: "connect" }, "E_TLS"],
		["no right on a table", { errno: 1142 }, {}, "E_RIGHTS"],
		["no right on a column", { errno: 1143 }, {}, "E_RIGHTS"],
		["no right on a database", { errno: 1044 }, {}, "E_RIGHTS"],
		["no global right", { errno: 1227 }, {}, "E_RIGHTS"],
		["no such table", { errno: 1146 }, {}, "E_UNKNOWN_TABLE"],
		["no such column", { errno: 1054 }, {}, "E_UNKNOWN_COLUMN"],
		["a lock held too long", { errno: 1205 }, {}, "E_CONFLICT"],
		["a deadlock", { errno: 1213 }, {}, "E_CONFLICT"],
		["DDL in the snapshot", { errno: 1412 }, {}, "E_CONFLICT"],
		["a statement's time is up", { errno: 1969 }, {}, "E_TIMEOUT"],
		["a reset connection", { errno: -104, code: "ECONNRESET" }, {}, "E_CONNECTION_LOST"],
		["a closed connection", { code: "PROTOCOL_CONNECTION_LOST" }, {}, "E_CONNECTION_LOST"],
		["a killed session", { errno: 1927 }, {}, "E_CONNECTION_LOST"],
		["a killed statement", { errno: 1317 }, {}, "E_CONNECTION_LOST"],
		["a shutdown", { errno: 1053 }, {}, "E_CONNECTION_LOST"],
		["wrong syntax", { errno: 1064 }, {}, "E_SOURCE"],
		["anything else", { errno: 1690 }, {}, "E_SOURCE"],
	];
	test.each(cases)("%s", (_name, native, more, code) => {
		expect(translated(native, more).code).toBe(code);
	});

	test("a missing right comes with its GRANT", () => {
		const table = { schema: "shop", name: "or`ders" };
		expect(translated({ errno: 1142 }, { table }).hint).toBe("Run: GRANT SELECT ON `shop`.`or``ders` TO 'reader'@'%';");
		expect(translated({ errno: 1044 }, { database: "shop" }).hint).toBe(
			"Run: GRANT SELECT ON `shop`.* TO 'reader'@'%';",
		);
	});

	test("a message that may quote a row's value is shown without it", () => {
		const sqlMessage = "Truncated incorrect DOUBLE value: 'Jane O''Neill, 4111-1111'";
		const error = translated({ errno: 1292, sqlMessage, sql: "select secret" });
		expect(error.message).toContain("Truncated incorrect DOUBLE value: '…'");
		expect(JSON.stringify([error.message, (error.cause as Error).message, error.cause])).not.toMatch(
			/Neill|4111|secret/,
		);
	});
});

describe("TLS and passwords", () => {
	const options = { host: "db.example", port: 3306 };
	test.each([
		[options, "verify"],
		[{ ...options, tls: "off" as const }, "off"],
		[{ ...options, host: "127.0.0.1" }, "off"],
		[{ ...options, host: "localhost" }, "off"],
		[{ ...options, host: "::1" }, "off"],
		[{ ...options, host: "127.0.0.1", ca: "ca.pem" }, "verify"],
		[{ ...options, host: "127.0.0.1.example.com" }, "verify"],
		[{ ...options, host: "10.0.0.1", tls: "insecure" as const }, "insecure"],
	])("%j is %s", (given, mode) => {
		expect(tlsMode(given)).toBe(mode);
	});

	test("only this machine's addresses are loopback", () => {
		expect(["127.0.0.1", "127.9.9.9", "::1", "localhost"].map(isLoopback)).toEqual([true, true, true, true]);
		expect(["128.0.0.1", "::2", "localhost.example", "", "0.0.0.0"].map(isLoopback)).toEqual([
			false,
			false,
			false,
			false,
			false,
		]);
	});

	test.each([
		["caching_sha2_password", [Buffer.alloc(20, 1), Buffer.from([4])]],
		["sha256_password", [Buffer.alloc(20, 1)]],
	])("without TLS, %s gives no password to whoever sends a key", async (plugin, before) => {
		type Plugin = (about: object) => (data: Buffer) => unknown;
		const { cautiousLogins } = await loadDriver();
		const secret = new Secret("hunter2-hunter2");
		const config = { password: secret.reveal() };
		const login = (cautiousLogins[plugin] as Plugin)({ connection: { config, stream: {} }, command: {} });
		for (const data of before) {
			const answer = await login(data);
			expect(String(answer)).not.toContain("hunter2");
		}
		const key = Buffer.from("-----BEGIN PUBLIC KEY-----");
		expect(() => login(key)).toThrow(/without TLS/);
	});
});

describe("SQL text", () => {
	test("names, strings and literals hold any character", () => {
		expect(identifier("a`b")).toBe("`a``b`");
		expect(quoteString('it\'s \\ "x"')).toBe("'it''s \\\\ \"x\"'");
		expect(textLiteral("é'")).toBe("_utf8mb4 x'c3a927'");
		expect(derived("select 1 -- end")).toBe("(\nselect 1 -- end\n) AS headrace_query");
		expect(derived(" select 1; ; ")).toBe("(\nselect 1\n) AS headrace_query");
	});

	test.each([
		["10.11.6-MariaDB-log", "mariadb", [10, 11, 6]],
		["5.6.24-log", "mysql", [5, 6, 24]],
		["8.0.35-27", "mysql", [8, 0, 35]],
		["5.7.mysql_aurora.2.11.1", "mysql", [5, 7, 0]],
	] as const)("version %s", (text, flavour, version) => {
		expect(parseVersion(text)).toEqual({ flavour, version });
	});

	test("versions compare number by number", () => {
		const server = parseVersion("8.0.30");
		expect([
			atLeast(server, 8),
			atLeast(server, 8, 0, 30),
			atLeast(server, 8, 0, 31),
			atLeast(server, 5, 7, 99),
		]).toEqual([true, true, false, true]);
	});

	test("a session leaves out the modes that change how SQL is read, and keeps the others", () => {
		const mode = "REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,ANSI,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,ORACLE";
		const settings = sessionSettings(parseVersion("10.11.6-MariaDB"), mode).join("\n");
		expect(settings).toContain("sql_mode = 'REAL_AS_FLOAT,PIPES_AS_CONCAT'");
		expect(settings).toContain("max_statement_time = 0");
		expect(sessionSettings(parseVersion("5.6.24"), "").join()).not.toMatch(/max_execution_time|show_gipk/);
		expect(sessionSettings(parseVersion("8.4.0"), "").join()).toMatch(/max_execution_time.*show_gipk/s);
	});

	test.each([
		["utf8mb4_0900_bin", undefined],
		["utf8mb4_nopad_bin", undefined],
		["binary", undefined],
		["utf8mb4_bin", /trailing blanks/],
		["utf8mb4_general_ci", /case and trailing blanks/],
		["utf8mb4_0900_ai_ci", /case$/],
		["latin1_general_cs", /different characters/],
	])("collation %s", (collation, wanted) => {
		const found = looseEquality(collation);
		if (wanted === undefined) expect(found).toBeUndefined();
		else expect(found).toMatch(wanted);
	});
});
