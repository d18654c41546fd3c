import { describe, expect, test } from "vitest";
import { HeadraceError } from "../core/errors.ts";
import { explainError, explainErrors, redactLine } from "./explain.ts";

const FILE = "/project/pipelines/shop.yaml";
const TEXT = `pipeline: shop
tables:
  shop.orders:
      upate_key: modified

  "shop.quoted name": { mode: "no such mode" }
\tshop.tab: x
  日本: wrong
password: hunter2
url: mysql://u:hunter2@h/db
long: ${"x-".repeat(250)}
`;
const at = (line: number, column: number) =>
	new HeadraceError("E_UNKNOWN_KEY", "unknown key", { file: FILE, line, column });
const options = { textOf: (file: string) => (file === FILE ? TEXT : undefined), directory: "/project" };

describe("explain", () => {
	test("place, code, message, line and caret", () =>
		expect(
			explainErrors(
				[
					new HeadraceError(
						"E_UNKNOWN_KEY",
						'unknown key "upate_key" in tables."shop.orders"; did you mean "cursor"?',
						{
							file: FILE,
							line: 4,
							column: 7,
						},
					),
				],
				options,
			),
		).toBe(`pipelines/shop.yaml:4:7  E_UNKNOWN_KEY  unknown key "upate_key" in tables."shop.orders"; did you mean "cursor"?
   3 |   shop.orders:
   4 |       upate_key: modified
     |       ^^^^^^^^^
1 error. Nothing ran.
`));

	test("the caret is under a reference, whole, also in a line whose beginning looks like that of a password", () => {
		const text = 'w:\n  password: "${env:DW_PASSWORD}"\n';
		const fault = new HeadraceError("E_MISSING_VARIABLE", "not set", { file: FILE, line: 2, column: 14 });
		const lines = explainError(fault, { textOf: () => text }).split("\n");
		expect(lines[3]).toBe(`     |${" ".repeat(14)}${"^".repeat("${env:DW_PASSWORD}".length)}`);
	});

	test("errors are sorted and counted; one without a place shows its cure", () => {
		const text = explainErrors([new HeadraceError("E_BUSY", "held"), at(4, 7), at(1, 1)], {
			...options,
			summary: "Done.",
		});
		expect(text.split("\n").filter((line) => /^(E_|pipelines)/.test(line))).toEqual([
			"pipelines/shop.yaml:1:1  E_UNKNOWN_KEY  unknown key",
			"pipelines/shop.yaml:4:7  E_UNKNOWN_KEY  unknown key",
			"E_BUSY  held",
		]);
		expect(text).toContain("     Wait for it, or see `headrace status`.");
		expect(text.endsWith("Done.\n")).toBe(true);
		expect(explainErrors([at(1, 1), at(2, 1)], options)).toContain("2 errors. Nothing ran.");
	});

	test.each([
		[6, 3, "     |   ^^^^^^^^^^^^^^^^^^"],
		[6, 31, "     |                               ^^^^^^^^^^^^^^"],
		[7, 2, "     |  ^^^^^^^^"],
		[8, 7, "     |         ^^^^^"],
		[1, 15, "     |               ^"],
	])("caret at %d:%d", (line, column, caret) =>
		expect(explainError(at(line, column), options).split("\n").at(-1)).toBe(caret),
	);

	test("secrets of the file are not shown", () => {
		expect(explainError(at(9, 1), options)).toContain("9 | password: ***");
		expect(explainError(at(10, 6), options)).toContain("mysql://u:***@h/db");
		expect(explainError(at(10, 6), options)).not.toContain("hunter2");
	});

	test("the caret stays under its word when a secret stands before it", () => {
		const text = "c: { password: a-very-long-secret, prot: 1 }";
		const error = new HeadraceError("E_UNKNOWN_KEY", "x", { file: FILE, line: 1, column: text.indexOf("prot") + 1 });
		expect(
			explainError(error, { textOf: () => text })
				.split("\n")
				.slice(1),
		).toEqual(["   1 | c: { password: ***, prot: 1 }", "     |                     ^^^^"]);
	});

	test("long lines are cut, lines that are not there left out, and files elsewhere keep their path", () => {
		expect(explainError(at(11, 1), options).length).toBeLessThan(400);
		expect(explainError(at(11, 300), options)).not.toContain("^");
		expect(explainError(at(99, 1), options).split("\n")).toHaveLength(1);
		const elsewhere = new HeadraceError("E_YAML", "x", { file: "/other/a.yaml", line: 1, hint: "Do this." });
		expect(explainError(elsewhere, options)).toBe("/other/a.yaml:1  E_YAML  x\n     Do this.");
		expect(explainError(elsewhere, { textOf: () => undefined })).toContain("/other/a.yaml:1");
	});

	test("colour, and no control character reaches the terminal", () => {
		const evil = new HeadraceError("E_YAML", "a\u001b[31mb\u202Ec", { file: FILE, line: 1, column: 1 });
		const text = explainError(evil, { ...options, paint: (role, part) => `<${role}:${part}>` });
		expect(text).toContain("<place:pipelines/shop.yaml:1:1>  <code:E_YAML>  a?[31mb?c");
		expect(text).toContain("<caret:^^^^^^^^>");
	});

	test.each([
		["password: hunter2", "password: ***"],
		["  { password: 'hunter2', host: h }", "  { password: ***, host: h }"],
		['secret: "${env:X}"', 'secret: "${env:X}"'],
		["secret_access_key: abc # note", "secret_access_key: ***"],
		["a: mysql://u:${env:X}@h", "a: mysql://u:${env:X}@h"],
		["a: mysql://u:p%40@h?password=x", "a: mysql://u:***@h?password=***"],
		[`  ${"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA"}`, "  ***"],
		["api_token: abc", "api_token: ***"],
		["host: h", "host: h"],
	])("redact %s", (row, expected) => expect(redactLine(row)).toBe(expected));
});
