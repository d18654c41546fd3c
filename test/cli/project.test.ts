import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { envelopeOf, headrace } from "./cli.ts";

let directory: string;
beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), "headrace-cli-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const at = (...path: string[]): string => join(directory, ...path);
const text = (...path: string[]): string => readFileSync(at(...path), "utf8");

describe("init", () => {
	test("writes a project with its schema, and says what to do next", async () => {
		const result = await headrace(["init", "shop project"], { cwd: directory });
		expect(result).toMatchObject({ code: 0, stderr: "" });
		expect(result.stdout).toContain("headrace -C 'shop project' run sample");
		for (const file of ["connections.yaml", "pipelines/sample.yaml", "data/orders.csv", ".gitignore"])
			expect(text("shop project", file)).not.toBe("");
		expect(JSON.parse(text("shop project", ".headrace/pipeline.schema.json"))).toMatchObject({ type: "object" });
		expect(text("shop project", ".headrace/.gitignore")).toBe("*\n");
	});

	test("the project runs as it is, again and again, whole or in stages, from files into a DuckDB file", async () => {
		await headrace(["init"], { cwd: directory });
		for (const stage of [[], [], ["--stage", "extract"], ["--stage", "load"]]) {
			const result = await headrace(["run", "sample", "--json", ...stage], { cwd: directory });
			expect(result.code, result.stdout + result.stderr).toBe(0);
			expect(envelopeOf(result).data).toMatchObject({
				runs: [
					{
						state: "succeeded",
						tables: [
							{ into: "raw.customers", rows_read: 5 },
							{ into: "raw.orders", rows_read: 7 },
						],
					},
				],
			});
		}
		expect((await headrace(["status"], { cwd: directory })).stdout).toMatch(/^sample {2}last run .* succeeded\n/);
		expect((await headrace(["check", "sample"], { cwd: directory })).code).toBe(0);
	});

	test("refuses to write over a file, and then writes nothing", async () => {
		writeFileSync(at("connections.yaml"), "mine: ./x\n");
		const result = await headrace(["init"], { cwd: directory });
		expect(result).toMatchObject({ code: 2, stdout: "" });
		expect(result.stderr).toContain("connections.yaml is in");
		expect(text("connections.yaml")).toBe("mine: ./x\n");
		expect(existsSync(at("pipelines"))).toBe(false);
	});

	test("adds to a .gitignore that is there, once", async () => {
		writeFileSync(at(".gitignore"), "node_modules\n.env");
		await headrace(["init"], { cwd: directory });
		expect(text(".gitignore")).toBe("node_modules\n.env\n.headrace/\n*.duckdb\n*.duckdb.wal\n");
	});
});

describe("a fault in a file", () => {
	beforeEach(() => {
		mkdirSync(at("pipelines"));
		writeFileSync(at("connections.yaml"), "src: mysql://u:${env:NO_SUCH_VARIABLE}@localhost/shop\nother: ./x\n");
		writeFileSync(
			at("pipelines/shop.yaml"),
			"pipeline: shop\nfrom: src\nto: duckdb:x.duckdb\ntables:\n  shop.orders:\n    upate_key: modified\n",
		);
	});

	test("is shown with file, line, column, the line itself and the nearest key, all faults at once", async () => {
		const result = await headrace(["run", "shop"], { cwd: directory });
		expect(result).toMatchObject({ code: 2, stdout: "" });
		expect(result.stderr).toMatch(
			/pipelines\/shop\.yaml:6:5 {2}E_UNKNOWN_KEY {2}unknown key "upate_key".*did you mean "cursor"\?/,
		);
		expect(result.stderr).toMatch(/6 \| {5}upate_key: modified\n *\| {5}\^{9}\n/);
		expect(result.stderr).toMatch(/connections\.yaml:1:\d+ {2}E_MISSING_VARIABLE .*NO_SUCH_VARIABLE/);
		expect(result.stderr).toContain("2 errors. Nothing ran.");
		expect(existsSync(at(".headrace"))).toBe(false);
	});

	test("is in the JSON object too", async () => {
		const envelope = envelopeOf(await headrace(["plan", "shop", "--json"], { cwd: directory }));
		expect(envelope.errors).toMatchObject([
			{ code: "E_MISSING_VARIABLE", file: at("connections.yaml"), line: 1 },
			{ code: "E_UNKNOWN_KEY", file: at("pipelines/shop.yaml"), line: 6, column: 5 },
		]);
	});
});

describe("secrets", () => {
	const PASSWORD = "hunter2-Sécrèt/+%";
	const forms = [PASSWORD, encodeURIComponent(PASSWORD), Buffer.from(PASSWORD).toString("base64").slice(0, -3)];
	const address = `postgres://reader:${encodeURIComponent(PASSWORD)}@127.0.0.1:1/shop`;

	/** Everything a command left: what it printed, and every file of the project. */
	function leaks(printed: string): string[] {
		return forms.filter((form) => printed.includes(form));
	}

	test.each<[string, string[]]>([
		["copy", ["copy", address, "duckdb:x.duckdb"]],
		["copy with -v", ["copy", address, "duckdb:x.duckdb", "-v"]],
		["copy with --json", ["copy", address, "duckdb:x.duckdb", "--json"]],
		["copy from an address with a fault", ["copy", `${address}?nonsense=1`, "duckdb:x.duckdb"]],
		["copy from a scheme nobody knows", ["copy", address.replace("postgres", "postgras"), "duckdb:x.duckdb"]],
		["copy with its address in the wrong place", ["run", address]],
		["an unknown verb", [address]],
	])("of an address stay out of the output of %s", async (_name, args) => {
		const result = await headrace(args, { cwd: directory });
		expect([2, 4]).toContain(result.code);
		expect(leaks(result.stdout + result.stderr)).toEqual([]);
	});

	test("are saved by reference", async () => {
		const result = await headrace(
			["copy", address, "duckdb:x.duckdb", "--tables", "shop.*", "--save", "pipelines/mine.yaml"],
			{
				cwd: directory,
			},
		);
		expect(result.stderr).toContain("SHOP_PASSWORD");
		const saved = text("pipelines/mine.yaml");
		expect(leaks(saved)).toEqual([]);
		expect(saved).toContain("from: postgres://reader:${env:SHOP_PASSWORD}@127.0.0.1:1/shop\n");
		expect(saved).toContain("pipeline: mine\n");
		const again = await headrace(["copy", address, "duckdb:x.duckdb", "--save", "pipelines/mine.yaml"], {
			cwd: directory,
		});
		expect(again).toMatchObject({ code: 2 });
		expect(again.stderr).toContain("is there already");
		const check = await headrace(["run", "mine"], { cwd: directory, env: { SHOP_PASSWORD: undefined } });
		expect(check).toMatchObject({ code: 2 });
		expect(check.stderr).toContain("E_MISSING_VARIABLE");
	});
});
