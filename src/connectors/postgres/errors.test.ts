import { inspect } from "node:util";
import { expect, test } from "vitest";
import { HeadraceError } from "../../core/index.ts";
import { type ErrorContext, translateError } from "./errors.ts";

const context: ErrorContext = { where: "u@h:5432/d", user: "u", table: { schema: "s", name: "t" } };
const server = (code: string, message: string) => Object.assign(new Error(message), { code, severity: "ERROR" });
const socket = (code: string, message = code) => Object.assign(new Error(message), { code });

test("what answers as another kind of server does is no PostgreSQL that has an error", () => {
	const error = translateError(new Error("received invalid response: 4a"), { ...context, connecting: true });
	expect(error).toMatchObject({ code: "E_CONNECT", hint: expect.stringContaining("such as MySQL") });
});

test.each([
	["28P01", "E_LOGIN", "stop"],
	["28000", "E_LOGIN", "stop"],
	["3D000", "E_LOGIN", "stop"],
	["53300", "E_CONNECT", "retry"],
	["57P03", "E_CONNECT", "retry"],
	["42501", "E_RIGHTS", "stop"],
	["42P01", "E_UNKNOWN_TABLE", "stop"],
	["3F000", "E_UNKNOWN_TABLE", "stop"],
	["42703", "E_UNKNOWN_COLUMN", "stop"],
	["57P01", "E_CONNECTION_LOST", "retry"],
	["08006", "E_CONNECTION_LOST", "retry"],
	["25P03", "E_CONNECTION_LOST", "retry"],
	["40001", "E_CONFLICT", "retry"],
	["40P01", "E_CONFLICT", "retry"],
	["57014", "E_TIMEOUT", "retry"],
	["22021", "E_ENCODING", "divert"],
	["22P05", "E_ENCODING", "divert"],
	["22P02", "E_VALUE", "divert"],
	["22003", "E_VALUE", "divert"],
	["0A000", "E_UNSUPPORTED", "stop"],
	["58030", "E_SOURCE", "stop"],
])("SQLSTATE %s is %s: %s", (state, code, reaction) => {
	expect(translateError(server(state, "text"), context)).toMatchObject({ code, reaction, place: { table: "s.t" } });
});

test.each(["22P02", "22021", "23505", "P0001", "XX000"])(
	"what %s quotes is a row's value and is not passed on",
	(state) => {
		const error = translateError(server(state, 'invalid input syntax: "4111 1111 1111 1111"'), context);
		expect(inspect(error, { depth: 9 })).not.toContain("4111");
	},
);

test.each([
	"tuple concurrently updated",
	"cache lookup failed for index 16412",
	"cache lookup failed for attribute 3 of relation 16412",
	"could not open relation with OID 16411",
	"could not find tuple for attrdef 16413",
	"pg_attribute catalog is missing 1 attribute(s) for relation OID 16412",
])("%s is of another session, and passes", (message) => {
	expect(translateError(server("XX000", message), context)).toMatchObject({ code: "E_CONFLICT", reaction: "retry" });
});

test("E_RIGHTS brings the GRANT with every name quoted", () => {
	const table = { schema: 'a"b', name: "T" };
	expect(translateError(server("42501", "permission denied"), { ...context, table }).hint).toBe(
		'GRANT USAGE ON SCHEMA "a""b" TO "u"; GRANT SELECT ON "a""b"."T" TO "u";',
	);
});

test.each([
	["ECONNREFUSED", "E_CONNECT"],
	["ENOTFOUND", "E_CONNECT"],
	["ETIMEDOUT", "E_CONNECT"],
	["ECONNRESET", "E_CONNECT"],
	["SELF_SIGNED_CERT_IN_CHAIN", "E_TLS"],
	["DEPTH_ZERO_SELF_SIGNED_CERT", "E_TLS"],
	["ERR_TLS_CERT_ALTNAME_INVALID", "E_TLS"],
	["CERT_HAS_EXPIRED", "E_TLS"],
])("%s while connecting is %s", (code, expected) => {
	expect(translateError(socket(code), { ...context, connecting: true }).code).toBe(expected);
});

test.each(["ECONNRESET", "EPIPE", "ETIMEDOUT"])("%s in the middle of work is E_CONNECTION_LOST", (code) => {
	expect(translateError(socket(code), context).code).toBe("E_CONNECTION_LOST");
	expect(translateError(new Error("Connection terminated unexpectedly"), context).code).toBe("E_CONNECTION_LOST");
});

test("an error of ours passes as it is", () => {
	const own = new HeadraceError("E_VALUE", "x");
	expect(translateError(own, context)).toBe(own);
});
