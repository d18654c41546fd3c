import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const BIN = join(import.meta.dirname, "../../bin/headrace.js");
const STAND_INS = join(import.meta.dirname, "stand-ins.ts");

/** Runs a shell script as cron does: no terminal, and of the environment only PATH and HOME. */
function asCron(script: string): Promise<{ stdout: string; stderr: string }> {
	const environment = [`PATH=${dirname(process.execPath)}:/usr/bin:/bin`, `HOME=${dirname(script)}`];
	return new Promise((resolve, reject) => {
		const child = execFile("env", ["-i", ...environment, "/bin/sh", script], (error, stdout, stderr) => {
			if (error === null) resolve({ stdout, stderr });
			else reject(error);
		});
		child.stdin?.end();
	});
}

function project(): string {
	const directory = mkdtempSync(join(tmpdir(), "headrace-cron-"));
	onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
	mkdirSync(join(directory, "logs"));
	writeFileSync(join(directory, "shop.yaml"), 'from: ./data\nto: duckdb:x.duckdb\ntables: { "shop.*": {} }\n');
	// As docs/cron.md has it: the secrets come from a file that only its owner reads.
	writeFileSync(join(directory, ".env"), "SHOP_PASSWORD='it''s $ecret'\n", { mode: 0o600 });
	return directory;
}

const headrace = (directory: string) =>
	`HEADRACE_SOURCES=1 STAND_IN_DELAY_MS=10 node --import ${STAND_INS} ${BIN} -C ${directory}`;

test("two that cron begins at once: one works, the other ends with 75 and does nothing", async () => {
	const directory = project();
	writeFileSync(
		join(directory, "two.sh"),
		`set -a; . ${directory}/.env; set +a
job() { ${headrace(directory)} run shop -q 2>> ${directory}/logs/$1.log; echo "$1 $?"; }
job a & job b & wait
`,
	);
	const { stdout, stderr } = await asCron(join(directory, "two.sh"));
	expect(stderr).toBe("");
	const ends = stdout.trim().split("\n").sort();
	expect(ends.map((line) => line.split(" ")[1]).sort()).toEqual(["0", "75"]);
	const log = (name: string) => readFileSync(join(directory, `logs/${name}.log`), "utf8");
	const busy = ends.find((line) => line.endsWith(" 75"))!.split(" ")[0]!;
	expect(log(busy)).toMatch(
		/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}✗ E_BUSY {2}another run holds the pipeline shop \(.*\); cure: Wait for it.*\n$/,
	);
	expect(log(busy === "a" ? "b" : "a")).toBe("");
});

test("with --wait the second one begins when the first has ended", async () => {
	const directory = project();
	writeFileSync(
		join(directory, "two.sh"),
		`job() { ${headrace(directory)} run shop -q --wait 2m 2>> ${directory}/logs/$1.log; echo "$1 $?"; }
job a & job b & wait
${headrace(directory)} runs shop --json > ${directory}/runs.json
`,
	);
	const { stdout } = await asCron(join(directory, "two.sh"));
	expect(stdout.trim().split("\n").sort()).toEqual(["a 0", "b 0"]);
	const { data } = JSON.parse(readFileSync(join(directory, "runs.json"), "utf8")) as {
		data: { runs: { started_at: string; finished_at: string }[] };
	};
	const [last, first] = data.runs;
	expect(data.runs).toHaveLength(2);
	expect(last!.started_at >= first!.finished_at).toBe(true);
});

test("what a run says goes to stderr, one line with its time an event; cron has nothing to mail with -q", async () => {
	const directory = project();
	writeFileSync(
		join(directory, "one.sh"),
		`${headrace(directory)} run shop > /dev/null 2> ${directory}/logs/shop.log
${headrace(directory)} run shop -q
${headrace(directory)} runs shop --json
`,
	);
	const { stdout, stderr } = await asCron(join(directory, "one.sh"));
	expect(stderr).toBe("");
	const { data } = JSON.parse(stdout) as { data: { runs: { run_id: string; state: string }[] } };
	expect(data.runs.map(({ state }) => state)).toEqual(["succeeded", "succeeded"]);
	const lines = readFileSync(join(directory, "logs/shop.log"), "utf8").trimEnd().split("\n");
	expect(lines.length).toBeGreaterThan(4);
	for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}\S/);
});
