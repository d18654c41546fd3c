import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Project } from "../faults/project.ts";
import { Shop } from "../faults/shop.ts";
import { missing } from "../support/start.ts";

describe.skipIf(missing("mariadb"))("what is wrong in the project ends with 2 and its place, and makes nothing", () => {
	let shop: Shop;
	beforeAll(async () => {
		shop = await Shop.open("mariadb");
	});
	afterAll(() => shop?.[Symbol.asyncDispose]());

	const pipeline = (tables: string, more = "") =>
		`from: ${shop.url}\nto: duckdb:w.duckdb\n${more}tables:\n  ${shop.schema}.${tables}\n`;

	test.each<[string, () => string, string, number, RegExp]>([
		["an unknown table", () => pipeline("ordres: {}"), "E_UNKNOWN_TABLE", 4, /did you mean .*orders/],
		[
			"an unknown cursor",
			() => pipeline("orders: { mode: incremental, cursor: modifed }"),
			"E_UNKNOWN_COLUMN",
			4,
			/modifed/,
		],
		["an unknown key column", () => pipeline("orders: { key: [id, nope] }"), "E_UNKNOWN_COLUMN", 4, /nope/],
		["an unknown dropped column", () => pipeline("orders: { columns: { nope: drop } }"), "E_UNKNOWN_COLUMN", 4, /nope/],
		["an unknown key", () => pipeline("orders: { primry_key: id }"), "E_UNKNOWN_KEY", 4, /primry_key/],
		["a wrong type", () => pipeline("orders: {}", "retries: many\n"), "E_INVALID_VALUE", 3, /retries/],
		["a missing variable", () => pipeline('orders: { where: "${env:NOT_SET}" }'), "E_MISSING_VARIABLE", 4, /NOT_SET/],
		["broken YAML", () => pipeline("orders: {"), "E_YAML", 5, /./],
		[
			"a merge without a key",
			() => pipeline("journal: { mode: incremental, cursor: seq, write: merge }"),
			"E_KEY_REQUIRED",
			4,
			/journal/,
		],
		["incremental without a cursor", () => pipeline("orders: { mode: incremental }"), "E_CURSOR_REQUIRED", 4, /cursor/],
		["a text as cursor", () => pipeline("orders: { mode: incremental, cursor: note }"), "E_INVALID_VALUE", 4, /note/],
		[
			"a template that reaches out",
			() => pipeline("orders: { where: \"{{ constructor.constructor('x')() }}\" }"),
			"E_TEMPLATE",
			4,
			/./,
		],
		[
			"a duration on a number",
			() => pipeline("journal: { mode: incremental, cursor: seq, late: 5m }"),
			"E_INVALID_VALUE",
			4,
			/seq/,
		],
	])("%s", async (_what, text, code, line, message) => {
		using project = new Project({ "pipelines/p.yaml": text() });
		const errors = await project.fail(2, "run", "p");
		expect(errors[0]).toMatchObject({ code, line, file: expect.stringMatching(/pipelines\/p\.yaml$/) });
		expect(errors[0]!.column).toBeGreaterThan(0);
		expect(`${errors[0]!.message} ${errors[0]!.hint}`).toMatch(message);
		expect(existsSync(project.path("w.duckdb"))).toBe(false);
		const plain = await project.start(["run", "p"], { plain: true }).ended;
		expect(plain.code).toBe(2);
		expect(plain.stderr).toMatch(new RegExp(`pipelines/p\\.yaml:${line}:\\d+`));
	});

	test("all faults of a file are told at once", async () => {
		using project = new Project({ "pipelines/p.yaml": pipeline("orders: { keey: id, mod: full }", "retrys: 1\n") });
		const errors = await project.fail(2, "run", "p");
		expect(errors.map((error) => error.code)).toEqual(["E_UNKNOWN_KEY", "E_UNKNOWN_KEY", "E_UNKNOWN_KEY"]);
	});

	test("a run of one table does not stop at another's fault that it does not touch", async () => {
		using project = new Project({
			"pipelines/p.yaml": `${pipeline("orders: {}")}  ${shop.schema}.journal: { mode: incremental, cursor: seq, key: note }\n`,
		});
		await project.succeed("run", "p", "--table", `${shop.schema}.orders`);
	});
});
