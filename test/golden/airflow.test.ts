import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { airflowDag } from "../../src/app/airflow/dag.ts";
import type { TaskSummary } from "../../src/app/api.ts";
import { lastInterval, loadPipeline, parseInterval } from "../../src/config/index.ts";
import { envelopeOf, headrace } from "../cli/cli.ts";
import { verb } from "../cli/in-process.ts";

const python = spawnSync("python3", ["-c", "import sys, zoneinfo; sys.exit(sys.version_info < (3, 9))"]).status === 0;
if (!python) console.log("DAG files are compared, not run: there is no python3 of version 3.9 or later here");

let directory: string;
beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), "headrace-airflow-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const table = (task: string, mode = "full", pattern = task): TaskSummary => ({
	task,
	into: `raw.${task}`,
	mode,
	write: "merge",
	pattern,
});
const summary = (task: string, needs: readonly string[]): TaskSummary => ({ ...table(task, "summary"), needs });

const HEAD = "from: ./data\nto: duckdb:x.duckdb\ntables: { orders: {} }\n";
const FOLLOWED = "from: mysql://reader@127.0.0.1/prod\nto: duckdb:x.duckdb\ntables: { prod.orders: { mode: cdc } }\n";

async function dagOf(settings: string, tasks: readonly TaskSummary[], name = "shop"): Promise<string> {
	const head = settings.includes("schedule: continuous") ? FOLLOWED : HEAD;
	writeFileSync(join(directory, `${name}.yaml`), head + settings);
	return airflowDag(await loadPipeline(directory, name, { env: {} }), tasks);
}

interface Made {
	readonly options: Record<string, unknown>;
	readonly tasks: Readonly<Record<string, string>>;
	readonly edges: readonly (readonly [string, string])[];
	readonly intervals: readonly string[];
}

/** What Airflow would make of DAG files; all in one process, since they take long to begin. */
function madeOf(dags: readonly string[], version: 2 | 3 = 2, due: readonly string[] = []): Made[] {
	const files = dags.map((dag, index) => {
		const file = join(directory, `dag_${index}.py`);
		writeFileSync(file, dag);
		return file;
	});
	const run = spawnSync("python3", [join(import.meta.dirname, "airflow/run_dag.py"), String(version), ...files], {
		input: JSON.stringify({ due }),
		encoding: "utf8",
	});
	expect(run.stderr).toBe("");
	return JSON.parse(run.stdout) as Made[];
}

const made = (dag: string): Made => madeOf([dag])[0]!;

/** The words that the program gets when bash runs a task's command; Jinja may find only what was meant for it. */
function wordsOf(command: string, interval = "2026-01-01"): string[] {
	const rendered = command.replaceAll("{{ '{' }}", "\u0001").replaceAll("{{ interval(dag_run) }}", interval);
	expect(rendered).not.toMatch(/\{[{%#]/);
	const script = `headrace() { printf '%s\\0' "$@"; }; ${rendered.replaceAll("\u0001", "{")}`;
	const run = spawnSync("bash", ["-c", script], { encoding: "utf8", cwd: directory });
	expect(run.stderr).toBe("");
	return run.stdout.split("\0").slice(0, -1);
}

const cases: Readonly<Record<string, { readonly settings: string; readonly tasks: readonly TaskSummary[] }>> = {
	daily: {
		settings: `schedule: "0 2 * * *"
timezone: Europe/Berlin
start: 2026-01-01
catchup: true
max_active_runs: 3
retries: 4
retry_delay: 90s
`,
		tasks: [
			table("prod.orders", "incremental"),
			table("prod.events", "interval"),
			table("prod.accounts", "cdc"),
			table("prod.ledger", "cdc"),
			summary("daily", ["prod.orders", "prod.accounts"]),
			summary("weekly", ["daily"]),
		],
	},
	continuous: { settings: "schedule: continuous\ncatchup: true\n", tasks: [table("prod.accounts", "cdc")] },
	hooks: {
		settings: 'schedule: every 90m\nhooks: { before: [{ on: destination, sql: "select 1" }] }\n',
		tasks: [table("prod.orders"), summary("daily", ["prod.orders"])],
	},
	unscheduled: { settings: "", tasks: [table("orders")] },
};

test.each(Object.entries(cases))("the DAG of %s is what was agreed", async (name, { settings, tasks }) => {
	const dag = await dagOf(settings, tasks);
	await expect(dag.replaceAll(directory, "/srv/etl")).toMatchFileSnapshot(`airflow/${name}.py`);
});

test.skipIf(!python)(
	"each compiles, and gives the same tasks to Airflow 2 and 3, each once and after the check",
	async () => {
		const dags: string[] = [];
		for (const { settings, tasks } of Object.values(cases)) dags.push(await dagOf(settings, tasks));
		const due = ["2026-01-05T01:00:00Z"];
		const all = madeOf(dags, 2, due);
		const files = dags.map((_, index) => join(directory, `dag_${index}.py`));
		expect(spawnSync("python3", ["-m", "py_compile", ...files], { encoding: "utf8" })).toMatchObject({ status: 0 });
		expect(madeOf(dags, 3, due)).toEqual(all);
		for (const { tasks, edges } of all) {
			const behind = new Set(["check"]);
			for (let size = 0; size < behind.size; ) {
				size = behind.size;
				for (const [from, to] of edges) if (behind.has(from)) behind.add(to);
			}
			expect([...behind].sort()).toEqual(Object.keys(tasks).sort());
			expect(wordsOf(tasks["check"]!)).toEqual(["-C", directory, "run", "shop", "--stage", "check", "--wait", "1h"]);
		}
	},
);

test.skipIf(!python)("check, then extract and load of each table, then what is built from them", async () => {
	const { settings, tasks } = cases["daily"]!;
	const { options, tasks: commands, edges } = made(await dagOf(settings, tasks));
	expect(options).toMatchObject({
		dag_id: "shop",
		schedule: ["cron", "0 2 * * *", "Europe/Berlin"],
		start_date: "2025-12-31T23:00:00+00:00",
		catchup: true,
		max_active_runs: 3,
		max_active_tasks: 1,
		default_args: { retries: 4, retry_delay: 90, retry_exponential_backoff: true, max_retry_delay: 600 },
	});
	expect(edges.map((edge) => edge.join(" > ")).sort()).toEqual([
		"changes > summary_daily",
		"check > changes",
		"check > extract_prod_events",
		"check > extract_prod_orders",
		"extract_prod_events > load_prod_events",
		"extract_prod_orders > load_prod_orders",
		"load_prod_orders > summary_daily",
		"summary_daily > summary_weekly",
	]);
	const words = (id: string) => wordsOf(commands[id]!).slice(4).join(" ");
	const rest = "--interval 2026-01-01 --wait 1h";
	expect(words("extract_prod_orders")).toBe(`--table prod.orders --stage extract ${rest}`);
	expect(words("load_prod_orders")).toBe(`--table prod.orders --stage load ${rest}`);
	expect(words("changes")).toBe("--table prod.accounts --table prod.ledger --wait 1h");
	expect(words("summary_weekly")).toBe(`--table weekly ${rest}`);
});

test.skipIf(!python)("names stay names for Python, the shell and Jinja", async () => {
	const evil = [
		"a.sh",
		"a'; touch pwned; '",
		"$(touch pwned)`touch pwned`",
		"{{ 7 * 7 }}{% raw %}{# x #}{{",
		'"""\nimport os\nos.mkdir("pwned")\n"""',
		"\\",
		"\\u0041\\",
		"ü 😀 \u2028\u202e\u0085\t",
		"a b",
		"a_b",
		"*",
		"x".repeat(300),
	];
	const dag = await dagOf(
		'schedule: "@daily"\n',
		evil.map((name) => table(name)),
	);
	expect(dag).not.toMatch(/[\u0085\u2028\u202e]/);
	const { tasks } = made(dag);
	const loads = Object.entries(tasks).filter(([id]) => id.startsWith("load_"));
	expect(loads.map(([, command]) => wordsOf(command)[5])).toEqual(evil);
	for (const id of Object.keys(tasks)) expect(id.length).toBeLessThanOrEqual(250);
	expect(spawnSync("ls", [directory], { encoding: "utf8" }).stdout).not.toContain("pwned");
});

const calendars = [
	["0 2 * * *", "UTC"],
	["30 23 * * *", "Asia/Tokyo"],
	["0 0 * * *", "America/New_York"],
	["0 6 * * mon", "Europe/Berlin"],
	["0 6 * * 0", "UTC"],
	["0 6 1 * *", "America/New_York"],
	["0 6 28 * *", "UTC"],
	["0 0 1 1 *", "Asia/Tokyo"],
	["*/15 * * * *", "Europe/Berlin"],
	["30 * * * *", "Asia/Kolkata"],
	["0 */6 * * *", "Europe/Berlin"],
	["every 90m", "UTC"],
	["every 45m", "Asia/Tokyo"],
	["0 2,14 * * *", "UTC"],
] as const;

test.skipIf(!python)(
	"a task takes the interval that Headrace itself would take, in every calendar and zone",
	async () => {
		// Prime steps over two years, with the days on which clocks change; then the very boundaries of days.
		const starts = Array.from({ length: 180 }, (_, index) => Date.UTC(2025, 0, 1) + index * 97 * 61_000 * 37);
		const days = Array.from({ length: 40 }, (_, index) => Date.UTC(2026, 1, 20, index % 24) + index * 86_400_000);
		const due = [...starts, ...days].map((at) => new Date(at).toISOString().replace(/\.\d+/, ""));
		const dags: string[] = [];
		for (const [schedule, zone] of calendars)
			dags.push(
				await dagOf(`schedule: ${JSON.stringify(schedule)}\ntimezone: ${zone}\n`, [table("orders", "interval")]),
			);
		for (const [index, { intervals }] of madeOf(dags, 3, due).entries()) {
			const [schedule, zone] = calendars[index]!;
			// Twice a day there is no single length: an interval is a day then.
			const known = schedule === "0 2,14 * * *" ? undefined : schedule;
			expect(
				intervals.map((text) => parseInterval(text, known, zone).start),
				`${schedule} in ${zone}`,
			).toEqual(due.map((at) => lastInterval(Date.parse(at), known, zone).start));
		}
	},
);

const schedules = [
	["every 1d", ["cron", "0 0 * * *", "UTC"]],
	["every 7d", ["cron", "0 0 * * 1", "UTC"]],
	["every 1h", ["cron", "0 * * * *", "UTC"]],
	["every 4h", ["cron", "0 */4 * * *", "UTC"]],
	["every 1m", ["cron", "* * * * *", "UTC"]],
	["every 20m", ["cron", "*/20 * * * *", "UTC"]],
	["every 90m", ["delta", 5400]],
	["every 45s", ["delta", 45]],
	["@weekly", ["cron", "0 0 * * 0", "UTC"]],
	["continuous", "@continuous"],
] as const;

test.skipIf(!python)("schedules come at the same times", async () => {
	const dags: string[] = [];
	for (const [schedule] of schedules)
		dags.push(await dagOf(`schedule: ${schedule.replace("@weekly", '"@weekly"')}\n`, [table("orders")]));
	expect(madeOf(dags).map(({ options }, index) => [schedules[index]![0], options["schedule"]])).toEqual(schedules);
});

test.skipIf(!python)(
	"run in their order, the tasks of a file move the rows, and a second time move them no second time",
	async () => {
		mkdirSync(join(directory, "data"));
		writeFileSync(join(directory, "data/orders.csv"), "id,at\n1,2026-01-01 10:00:00\n2,2026-01-02 10:00:00\n");
		writeFileSync(join(directory, "data/people.csv"), "id,name\n1,Ada\n2,Grace\n");
		writeFileSync(
			join(directory, "night.yaml"),
			`pipeline: shop
from: ./data
to: duckdb:dw.duckdb
schedule: "0 2 * * *"
tables:
  orders: { mode: interval, cursor: at, key: id, into: raw.orders }
  "peop*": { into: raw.people }
summaries: { totals: { into: raw.totals, query: "select count(*) as n from raw.orders", depends_on: [orders] } }
`,
		);
		const exported = await verb(directory, ["export", "airflow", "night", "--output", "dags/shop.py"]);
		expect(exported).toMatchObject({ code: 0, stderr: "" });
		const { tasks } = made(readFileSync(join(directory, "dags/shop.py"), "utf8"));
		const order = Object.keys(tasks);
		expect(order).toEqual([
			"check",
			"extract_orders",
			"load_orders",
			"extract_people",
			"load_people",
			"summary_totals",
		]);
		for (const id of [...order, "load_orders"]) {
			const result = await headrace(wordsOf(tasks[id]!), { cwd: tmpdir() });
			expect(result.code, `${id}: ${result.stderr}`).toBe(0);
		}
		const { data } = envelopeOf(await verb(directory, ["runs", "shop", "--json"]));
		const { runs } = data as { runs: { tables: { table: string; rows_loaded: number; rows_inserted: number }[] }[] };
		const told = runs.map(({ tables }) => tables.map((each) => [each.table, each.rows_loaded, each.rows_inserted]));
		expect(told).toHaveLength(6);
		expect(told.flat()).toContainEqual(["totals", 1, 1]);
	},
);

test("a file of somebody else is not written over, its own is; without --output the file is printed", async () => {
	mkdirSync(join(directory, "data"));
	writeFileSync(join(directory, "data/orders.csv"), "id\n1\n");
	writeFileSync(join(directory, "shop.yaml"), HEAD);
	writeFileSync(join(directory, "mine.py"), "import this\n");
	const refused = await verb(directory, ["export", "airflow", "shop", "--output", "mine.py"]);
	expect(refused).toMatchObject({ code: 2 });
	expect(refused.stderr).toContain("mine.py is there already, and was not written by `export airflow`");
	expect(readFileSync(join(directory, "mine.py"), "utf8")).toBe("import this\n");
	const printed = await verb(directory, ["export", "airflow", "shop"]);
	expect(printed.stderr).toContain("shop has no schedule");
	for (let time = 0; time < 2; time++) {
		const written = await verb(directory, ["export", "airflow", "shop", "--output", "dags/shop.py"]);
		expect(written).toMatchObject({ code: 0 });
	}
	expect(readFileSync(join(directory, "dags/shop.py"), "utf8")).toBe(printed.stdout);
	const told = envelopeOf(await verb(directory, ["export", "airflow", "shop", "--json"]));
	expect(told).toMatchObject({ ok: true, data: { pipeline: "shop", file: null, dag: printed.stdout } });
});
