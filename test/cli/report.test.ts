import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LogLine, RunReceipt, TableReceipt } from "../../src/core/index.ts";
import { openStateStore } from "../../src/state/index.ts";
import { envelopeOf } from "./cli.ts";
import { verb } from "./in-process.ts";

let directory: string;
beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), "headrace-report-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const at = (second: number) => new Date(Date.UTC(2026, 10, 20, 2, 0, second)).toISOString();

const ORDERS: TableReceipt = {
	table: "prod.orders",
	into: "raw.prod_orders",
	mode: "incremental",
	write: "merge",
	state: "succeeded",
	rows_read: 1200,
	rows_staged: 1200,
	rows_loaded: 1190,
	rows_rejected: 10,
	rows_inserted: 900,
	rows_updated: 290,
	rows_deleted: 0,
	rows_superseded: 7,
	bytes: 48_000,
	seconds: 42,
	attempts: 2,
	position: "modified > 2026-11-20 01:59:58.120331",
	values_changed: { delivered_at: 3 },
	error: null,
	schema_changes: [{ column: "channel", change: "added", action: "added" }],
	checks: [
		{ name: "unique id", severity: "error", state: "passed", failing: 0 },
		{ name: "rows > 2000", severity: "warn", state: "failed", failing: 1 },
	],
	attempt_errors: [{ attempt: 1, at: at(10), code: "E_CONNECTION_LOST", message: "the source closed the connection" }],
	stages: [
		{ stage: "extract", attempt: 1, started_at: at(0), finished_at: at(10), rows: 400, bytes: 16_000 },
		{ stage: "wait", attempt: 1, started_at: at(10), finished_at: at(20), rows: 0, bytes: 0 },
		{ stage: "extract", attempt: 2, started_at: at(20), finished_at: at(35), rows: 1200, bytes: 48_000 },
		{ stage: "load", attempt: 2, started_at: at(35), finished_at: at(42), rows: 1190, bytes: 48_000 },
	],
};

const RUN: RunReceipt = {
	run_id: "20261120T020000-aaaa",
	pipeline: "shop",
	interval: null,
	state: "succeeded",
	started_at: at(0),
	finished_at: at(42),
	tables: [ORDERS],
	origin: { trigger: "manual", by: "anna", params: { region: "eu" } },
};

async function record(run: RunReceipt, lines: readonly LogLine[] = []): Promise<void> {
	mkdirSync(join(directory, ".headrace"), { recursive: true });
	await using store = await openStateStore(join(directory, ".headrace/state.db"));
	await store.saveRun(run);
	await store.appendLog(run.run_id, lines);
}

const TAGS =
	"html head meta title style body header main footer div h1 h2 p span strong code pre dl dt dd table thead tbody tfoot tr th td svg defs pattern line rect text path".split(
		" ",
	);

/** The tags of a page in their order; fails where one is unknown or is not closed where it has to be. */
function tagsOf(page: string): string[] {
	const open: string[] = [];
	const found: string[] = [];
	const body = page.replace("<!doctype html>", "").replace(/<style>[^<]*<\/style>/, "");
	for (const [tag, closing, name] of body.matchAll(/<(\/?)([^\s>/]*)(?:[^>"]|"[^"]*")*>/g)) {
		if (closing === "/") expect(open.pop(), `${tag} in ${body.slice(0, 80)}`).toBe(name);
		else {
			expect(TAGS).toContain(name);
			found.push(name!);
			if (name !== "meta" && !tag.endsWith("/>")) open.push(name!);
		}
	}
	expect(open).toEqual([]);
	expect(body.replaceAll(/<\/?[a-z][a-z0-9]*(?:\s+[a-zA-Z][\w-]*="[^"<>]*")*\s*\/?>/g, "")).not.toMatch(/[<>"]/);
	return found;
}

/** What a person reads: without tags and style. */
function textOf(page: string): string {
	return page
		.replace(/<style>[^<]*<\/style>/, "")
		.replaceAll(/<[^>]*>/g, " ")
		.replaceAll(/\s+/g, " ");
}

test("a run's page has its receipt, times, changes, checks, settings and log, and needs nothing from elsewhere", async () => {
	mkdirSync(join(directory, "pipelines"));
	const file = join(directory, "pipelines/shop.yaml");
	writeFileSync(
		file,
		`# the password is hunter22
from: mysql://reader:s3cret-pw@127.0.0.1:3306/prod
to: duckdb:dw.duckdb
params: { api_token: abcdefghij }
tables:
  prod.orders: { columns: { email: { mask: hmac, secret: "\${env:REPORT_TEST_KEY}" } } }
`,
	);
	process.env["REPORT_TEST_KEY"] = "key-of-the-mask";
	utimesSync(file, new Date(at(-60)), new Date(at(-60)));
	await record(RUN, [
		{ at: at(0), level: "info", task: null, message: "run of shop started" },
		{ at: at(10), level: "warn", task: "prod.orders", message: "attempt 1 failed: s3cret-pw; key-of-the-mask" },
	]);
	const result = await verb(directory, ["report", "20261120T02"]);
	expect(result).toMatchObject({ code: 0, stderr: "" });
	const page = readFileSync(join(directory, "report-20261120T020000-aaaa.html"), "utf8");
	expect(result.stdout).toMatch(/^wrote .*report-20261120T020000-aaaa\.html\n$/);
	expect(tagsOf(page)).not.toContain("script");
	for (const text of [
		"shop succeeded",
		"Took 42.0 s",
		"Begun by hand, in headrace serve Asked for by anna",
		"Parameters region=eu",
		"prod.orders incremental, merge raw.prod_orders succeeded 1,200 1,200 1,190 10 900 290 0 7 48.0 kB 2 42.0 s",
		"The receipt balances",
		"prod.orders delivered_at 3",
		"prod.orders channel added added",
		"rows &gt; 2000 failed 1",
		"prod.orders 1 2026-11-20 02:00:10 UTC E_CONNECTION_LOST the source closed the connection",
		"modified &gt; 2026-11-20 01:59:58.120331",
		"The pipeline&#39;s file, unchanged since the run began.",
		"from: mysql://reader:***@127.0.0.1:3306/prod",
		"api_token: &quot;***&quot;",
		"secret: ${env:REPORT_TEST_KEY}",
		"warn prod.orders attempt 1 failed: ***; ***",
	])
		expect(textOf(page)).toContain(text);
	for (const secret of ["s3cret-pw", "hunter22", "abcdefghij", "key-of-the-mask"]) expect(page).not.toContain(secret);
	expect(page.match(/<rect class="bar (\w+)" x="([\d.]+%)" y="2" width="([\d.]+%)"/g)).toEqual([
		'<rect class="bar extract" x="0.000%" y="2" width="23.810%"',
		'<rect class="bar wait" x="23.810%" y="2" width="23.810%"',
		'<rect class="bar extract" x="47.619%" y="2" width="35.714%"',
		'<rect class="bar load" x="83.333%" y="2" width="16.667%"',
	]);
	// Nothing is fetched: no address but the one in the settings, and the page forbids itself the rest.
	expect(page).not.toMatch(/\b(?:src|href|srcset|action)=|@import|url\((?!#)/);
	expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'`);
	expect(page).toContain("color-scheme: light dark");
	expect(page).toContain("@media print");
});

const MARKUP = `"><script>alert(1)</script><img src=x onerror=alert(2)>'\u202e`;

test("names and messages with markup stay text, in every place of the page", async () => {
	const evil = (what: string) => `${what}${MARKUP}`;
	await record(
		{
			...RUN,
			pipeline: evil("pipeline"),
			state: "failed",
			interval: { start: evil("start"), end: evil("end") },
			error: { code: evil("E_"), message: evil("message"), hint: evil("hint") },
			attempt_errors: [{ attempt: 1, at: evil("at"), code: evil("code"), message: evil("message") }],
			origin: { trigger: "schedule", by: evil("by"), due_at: evil("due"), params: { [evil("name")]: evil("value") } },
			tables: [
				{
					...ORDERS,
					table: evil("table"),
					into: evil("into"),
					mode: evil("mode"),
					write: evil("write"),
					state: "failed",
					position: evil("position"),
					values_changed: { [evil("column")]: 2 },
					error: { code: evil("E_"), message: evil("message"), hint: evil("hint") },
					schema_changes: [{ column: evil("column"), change: evil("change"), action: evil("action") }],
					checks: [{ name: evil("check"), severity: "error", state: "failed", failing: 3 }],
					attempt_errors: [{ attempt: 1, at: at(1), code: evil("code"), message: evil("message") }],
				},
			],
		},
		[{ at: at(1), level: "error", task: evil("task"), message: `${evil("line")}\nsecond` }],
	);
	const { code, stdout } = await verb(directory, ["report", RUN.run_id, "--output", "-"]);
	expect(code).toBe(0);
	const tags = tagsOf(stdout);
	expect(tags).not.toContain("script");
	expect(tags).not.toContain("img");
	expect(stdout).not.toContain("\u202e");
	expect(stdout).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
	expect(textOf(stdout)).toContain("The run&#39;s pipeline has no file in this project");
});

test("a run that goes on, one that ended before its tables, and one of a long log have their pages", async () => {
	await record(
		{ ...RUN, state: "running", finished_at: null, tables: [{ ...ORDERS, state: "pending", stages: [] }] },
		Array.from({ length: 501 }, (_, line) => ({
			at: at(0),
			level: "info" as const,
			task: null,
			message: `line ${line}.`,
		})),
	);
	const going = await verb(directory, ["report", RUN.run_id, "--output", "-"]);
	expect(textOf(going.stdout)).toContain("Ended not yet");
	expect(textOf(going.stdout)).toContain("The last 500 lines of 501; all of them: headrace logs 20261120T020000-aaaa");
	expect(going.stdout).not.toContain("line 0.");
	expect(going.stdout).toContain("line 500.");
	const error = { code: "E_LOGIN", message: "refused", hint: "Check the password." };
	await record({ ...RUN, run_id: "20261121T020000-bbbb", state: "failed", tables: [], error });
	const failed = await verb(directory, ["report", "20261121", "--output", "-"]);
	tagsOf(failed.stdout);
	expect(textOf(failed.stdout)).toContain("the run E_LOGIN refused Cure: Check the password.");
	expect(textOf(failed.stdout)).toContain("The run ended before its tables began.");
});

test("--json tells where the file is; a run that is not there and a place that can't be written are errors", async () => {
	await record(RUN);
	const told = await verb(directory, ["report", RUN.run_id, "--output", "out/night.html", "--json"]);
	const path = join(directory, "out/night.html");
	expect(envelopeOf(told)).toMatchObject({
		command: "report",
		ok: true,
		data: { run_id: RUN.run_id, file: path, bytes: readFileSync(path).length },
	});
	const missing = await verb(directory, ["report", "1999"]);
	expect(missing).toMatchObject({ code: 2 });
	expect(missing.stderr).toContain('there is no run "1999" in this project');
	const refused = await verb(directory, ["report", RUN.run_id, "--output", "out/night.html/x"]);
	expect(refused).toMatchObject({ code: 2 });
	expect(refused.stderr).toContain("can't be written (");
});

test("a real run has its page: rows that a newer one of the same key made needless are counted", async () => {
	mkdirSync(join(directory, "data"));
	writeFileSync(join(directory, "data/orders.csv"), "id,price\n1,10\n2,20\n1,11\n");
	writeFileSync(
		join(directory, "shop.yaml"),
		"from: ./data\nto: duckdb:dw.duckdb\ntables: { orders: { key: id, write: merge } }\n",
	);
	const ran = envelopeOf(await verb(directory, ["run", "shop", "--json"]));
	const { runs } = ran.data as { runs: readonly RunReceipt[] };
	expect(runs[0]!.tables).toMatchObject([{ rows_read: 3, rows_loaded: 3, rows_inserted: 2, rows_superseded: 1 }]);
	const { code, stdout } = await verb(directory, ["report", runs[0]!.run_id, "--output", "-"]);
	expect(code).toBe(0);
	tagsOf(stdout);
	expect(textOf(stdout)).toContain("succeeded 3 3 3 0 2 0 0 1 ");
	expect(textOf(stdout)).toContain("Begun by the command line");
	expect(textOf(stdout)).toContain("orders: key: id write: merge");
	expect(stdout).toMatch(/<rect class="bar extract" /);
});
