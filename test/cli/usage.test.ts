import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ERRORS } from "../../src/core/errors.ts";
import { envelopeOf, headrace } from "./cli.ts";

let directory: string;
beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), "headrace-cli-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Case {
	readonly run: string;
	readonly exit: number;
	readonly out?: readonly (string | RegExp)[];
	readonly err?: readonly (string | RegExp)[];
}

const CASES: readonly Case[] = [
	{ run: "--version", exit: 0, out: [/^\d+\.\d+\.\d+\n$/] },
	{ run: "-V", exit: 0, out: [/^\d+\.\d+\.\d+\n$/] },
	{ run: "", exit: 0, out: ["Usage: headrace", "init", "types"] },
	{ run: "help", exit: 0, out: ["run [options] <pipeline>"] },
	{ run: "help run", exit: 0, out: ["--stage <stage>", "Global Options", "Example: headrace run"] },
	{ run: "run --help", exit: 0, out: ["--stage <stage>"] },
	{ run: "tasks", exit: 0, out: ["list", "test", "run"] },
	{ run: "rnu shop", exit: 2, err: ["E_USAGE", "unknown verb 'rnu'; did you mean run?", "headrace help"] },
	{ run: "tasks lits shop", exit: 2, err: ["unknown verb 'lits'; did you mean list?"] },
	{ run: "run", exit: 2, err: ["E_USAGE", "missing required argument 'pipeline'", "headrace help run"] },
	{ run: "run shop more", exit: 2, err: ["too many arguments"] },
	{ run: "run shop --tabel orders", exit: 2, err: ["unknown option '--tabel'; did you mean --table?"] },
	{ run: "run shop --stage lode", exit: 2, err: ["E_FILE_NOT_FOUND"] },
	{ run: "backfill shop -s 2026-01-01", exit: 2, err: ["E_USAGE", "-e 2018-08-01"] },
	{ run: "copy ./a", exit: 2, err: ["missing required argument 'to'"] },
	{ run: "copy ./a.csv ./b.csv duckdb:x.duckdb", exit: 2, err: ["too many arguments", "'./exports/*.csv'"] },
	{ run: "copy nothere duckdb:x.duckdb", exit: 2, err: ["E_UNKNOWN_CONNECTION", "nothere"] },
	{ run: "copy ./a duckdb:x.duckdb --memory lots", exit: 2, err: ["E_INVALID_VALUE", "lots", "64MB"] },
	{ run: "copy ./a duckdb:x.duckdb --concurrency 0", exit: 2, err: ["--concurrency needs a whole number"] },
	{ run: "copy ./a duckdb:x.duckdb --mode ful", exit: 2, err: ["E_INVALID_VALUE", 'did you mean "full"?'] },
	{ run: "copy ./a duckdb:x.duckdb --params x", exit: 2, err: ["unknown option '--params'"] },
	{ run: "verify shop --table x", exit: 2, err: ["E_NOT_BUILT_IN", "`headrace verify` is not built in yet"] },
	{ run: "state show shop", exit: 2, err: ["E_FILE_NOT_FOUND"] },
	{ run: "state set shop", exit: 2, err: ["E_USAGE", "position"] },
	{ run: "serve --host 0.0.0.0", exit: 2, err: ["E_USAGE", "nobody has a token", "headrace serve token add"] },
	{ run: "run shop", exit: 2, err: ["E_FILE_NOT_FOUND", "there is no pipeline", "headrace init"] },
	{ run: "runs", exit: 0, err: ["no runs yet"] },
	{ run: "runs --limit x", exit: 2, err: ["--limit needs a whole number", "Run `headrace help runs`."] },
	{ run: "runs show 2026", exit: 2, err: ["there is no run", "headrace runs"] },
	{ run: "logs 2026", exit: 2, err: ["there is no run"] },
	{ run: "status", exit: 0, err: ["no pipelines here"] },
	{ run: "schema", exit: 0, out: ['"$schema"', '"tables"'] },
	{ run: "-C nowhere runs", exit: 2, err: ["E_FILE_NOT_FOUND", "nowhere"] },
	{ run: "runs -C nowhere", exit: 2, err: ["E_FILE_NOT_FOUND", "nowhere"] },
];

test.each(CASES)("headrace $run", async ({ run, exit, out = [], err = [] }) => {
	const result = await headrace(words(run), { cwd: directory });
	expect(result, result.stderr).toMatchObject({ code: exit });
	for (const text of out) expect(result.stdout).toMatch(text);
	for (const text of err) expect(result.stderr).toMatch(text);
	if (out.length === 0) expect(result.stdout).toBe("");
	if (err.length === 0) expect(result.stderr).toBe("");
});

describe("--json", () => {
	test.each<[string, string, number, string | null]>([
		["run shop --tabel x --json", "run", 2, "E_USAGE"],
		["--json nonsense", "headrace", 2, "E_USAGE"],
		["--json -C nowhere tasks list shop", "tasks list", 2, "E_FILE_NOT_FOUND"],
		["verify shop --json", "verify", 2, "E_NOT_BUILT_IN"],
		["run shop --json -q", "run", 2, "E_FILE_NOT_FOUND"],
		["runs --json", "runs", 0, null],
		["schema --json", "schema", 0, null],
		["help --json", "help", 0, null],
		["--version --json", "version", 0, null],
	])("headrace %s prints one object and nothing else", async (run, command, exit, code) => {
		const result = await headrace(words(run), { cwd: directory });
		const envelope = envelopeOf(result);
		expect(Object.keys(envelope)).toEqual(["format_version", "command", "ok", "data", "errors"]);
		expect(envelope).toMatchObject({ format_version: "1.0", command, ok: exit === 0 });
		expect(result.code).toBe(exit);
		expect(envelope.errors.map((error) => error.code)).toEqual(code === null ? [] : [code]);
		for (const error of envelope.errors) {
			expect(Object.keys(error)).toEqual(["code", "message", "file", "line", "column", "hint"]);
			expect(Object.hasOwn(ERRORS, error.code)).toBe(true);
			expect(error.hint).not.toBe("");
		}
		expect(result.stderr.replace(/^no runs yet\n$/, "")).toBe("");
	});
});

test("the schema on stdout is JSON", async () => {
	const { stdout } = await headrace(["schema"]);
	expect(JSON.parse(stdout)).toMatchObject({ type: "object", properties: { from: {}, to: {} } });
});

test("colour is for terminals only, FORCE_COLOR asks for it, NO_COLOR forbids it", async () => {
	const coloured = (text: string): boolean => text.includes("\u001b[");
	expect(coloured((await headrace(["rnu"])).stderr)).toBe(false);
	expect(coloured((await headrace(["rnu"], { env: { FORCE_COLOR: "1" } })).stderr)).toBe(true);
	expect(coloured((await headrace(["rnu"], { env: { FORCE_COLOR: "1", NO_COLOR: "1" } })).stderr)).toBe(false);
});

test("a reader that goes away does not disturb", async () => {
	const result = await headrace(["schema"], { closeStdout: true });
	expect(result).toMatchObject({ code: 0, stderr: "" });
});

test("-v tells where an error came from, -q only the error", async () => {
	expect((await headrace(["rnu", "-v"])).stderr).toMatch(/program[\w-]*\.[jt]s/);
	expect((await headrace(["rnu", "-q"])).stderr).toContain("E_USAGE");
});

test("the version is quick to get", async () => {
	const times: number[] = [];
	for (let i = 0; i < 5; i++) times.push((await headrace(["--version"])).seconds);
	console.log(`headrace --version: ${Math.round(times.sort((a, b) => a - b)[2]! * 1000)} ms (median of 5)`);
	expect(times).toHaveLength(5);
});

test("no driver and no validation library is loaded to answer help or a usage error", () => {
	const program = `
		import { registerHooks } from "node:module";
		const loaded = [];
		registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
		const { readCommandLine } = await import(${JSON.stringify(join(import.meta.dirname, "../../src/cli/program.ts"))});
		readCommandLine(["help"]);
		await import(${JSON.stringify(join(import.meta.dirname, "../../src/cli/main.ts"))});
		process.stdout.write(loaded.join("\\n"));`;
	const loaded = execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
	expect(loaded).toContain("commander");
	for (const heavy of [
		"zod",
		"/yaml/",
		"mysql2",
		"/pg/",
		"duckdb",
		"liquidjs",
		"pino",
		"src/app/app.ts",
		"src/core/index.ts",
	])
		expect(loaded).not.toContain(heavy);
});

function words(line: string): string[] {
	return line === "" ? [] : line.split(" ");
}
