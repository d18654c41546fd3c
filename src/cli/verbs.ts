import type { VerbModule } from "./context.ts";

export interface OptionSpec {
	/** As commander reads it: `--table <name>`. */
	readonly flags: string;
	readonly describe: string;
	/** May be given several times; commas separate values too. */
	readonly list?: true;
	/** Understood, but not built in yet: the help is silent about it. */
	readonly hidden?: true;
}

export interface VerbSpec {
	/** `run`, or `runs show` for a verb of a group. */
	readonly name: string;
	/** `<pipeline> [task]` */
	readonly arguments?: string;
	readonly describe: string;
	readonly options?: readonly OptionSpec[];
	/** Done by timers as much as by people: away from a terminal each of its errors is one line with its time. */
	readonly job?: true;
	/** A line that works, for its help. */
	readonly example: string;
	/** Imports the verb's file only when it is called, so that the others cost nothing. */
	readonly load: () => Promise<VerbModule>;
}

const TABLE: OptionSpec = {
	flags: "--table <table>",
	describe: "only this table, by name or pattern; repeatable",
	list: true,
};
const INTERVAL: OptionSpec = { flags: "--interval <day>", describe: "the interval that begins then: 2026-01-01" };
const PARAMS: OptionSpec = {
	flags: "--params <key=value>",
	describe: "a value for {{ params.key }}; repeatable",
	list: true,
};
const LIMITS: readonly OptionSpec[] = [
	{ flags: "--concurrency <n>", describe: "tables or chunks read at once" },
	{ flags: "--memory <size>", describe: "bound on buffered bytes and the embedded engine: 256MB" },
];

/** Every verb that is built in, in the order of the help. */
export const VERBS: readonly VerbSpec[] = [
	{
		name: "init",
		arguments: "[dir]",
		describe: "write a small working project",
		example: "headrace init my-project",
		load: () => import("./verbs/init.ts"),
	},
	{
		name: "demo",
		describe: "make a sample shop in a real database, copy it to a DuckDB file, change it, sync again",
		example: "headrace demo",
		load: () => import("./verbs/demo.ts"),
	},
	{
		name: "copy",
		job: true,
		arguments: "<from> <to>",
		describe: "copy tables without a pipeline file",
		options: [
			{ flags: "--tables <tables>", describe: "tables or patterns, such as 'shop.*'; repeatable", list: true },
			{ flags: "--mode <mode>", describe: "full (default), incremental" },
			{ flags: "--into <name>", describe: "name in the destination: raw.{table}" },
			{ flags: "--key <columns>", describe: "key of the tables; default their primary key", list: true },
			{ flags: "--cursor <column>", describe: "column that grows with every change, for incremental" },
			{ flags: "--staging <address>", describe: "where files are staged on their way: s3://bucket/prefix" },
			{ flags: "--save <file>", describe: "write the pipeline that it ran, secrets by reference" },
			...LIMITS,
		],
		example: "headrace copy mysql://reader@localhost/shop duckdb:shop.duckdb --tables 'shop.*'",
		load: () => import("./verbs/copy.ts"),
	},
	{
		name: "check",
		arguments: "<pipeline>",
		describe: "connect to everything; rights, settings, unfinished work, each with its cure",
		example: "headrace check shop",
		load: () => import("./verbs/check.ts"),
	},
	{
		name: "grants",
		arguments: "<pipeline>",
		describe: "the least rights that a pipeline needs, ready to paste: SQL, IAM and bucket policies",
		example: "headrace grants shop",
		load: () => import("./verbs/grants.ts"),
	},
	{
		name: "plan",
		arguments: "<pipeline>",
		describe: "what a run would do; changes nothing",
		options: [TABLE, INTERVAL, PARAMS, { flags: "--full-refresh", describe: "as if the run had this option" }],
		example: "headrace plan shop",
		load: () => import("./verbs/plan.ts"),
	},
	{
		name: "run",
		job: true,
		arguments: "<pipeline>",
		describe: "one run",
		options: [
			TABLE,
			{ flags: "--stage <stage>", describe: "only check, extract or load" },
			INTERVAL,
			{ flags: "--full-refresh", describe: "read the tables anew, whatever was read before" },
			{ flags: "--failed <run>", describe: "only what failed in that run" },
			{ flags: "--follow", describe: "follow the change log of tables of mode cdc until stopped" },
			{
				flags: "--wait <duration>",
				describe: "how long to wait while another run has the pipeline; default not at all",
			},
			PARAMS,
			...LIMITS,
		],
		example: "headrace run shop --table 'prod.orders'",
		load: () => import("./verbs/run.ts"),
	},
	{
		name: "rehearse",
		arguments: "<pipeline>",
		describe: "run it against stand-ins of S3, Redshift, Snowflake or Glue on this machine",
		options: [
			TABLE,
			INTERVAL,
			{ flags: "--twice", describe: "run it a second time, over what the first left" },
			{ flags: "--sql", describe: "print the SQL that the warehouse was sent" },
			PARAMS,
			...LIMITS.filter(({ flags }) => flags.startsWith("--memory")),
		],
		example: "headrace rehearse shop --sql",
		load: () => import("./verbs/rehearse.ts"),
	},
	{
		name: "backfill",
		job: true,
		arguments: "<pipeline>",
		describe: "a run for each interval from start (included) to end (excluded)",
		options: [
			{ flags: "-s, --start <day>", describe: "begin of the first interval" },
			{ flags: "-e, --end <day>", describe: "end of the last interval" },
			TABLE,
			{ flags: "--max-active-runs <n>", describe: "runs at once" },
			{ flags: "--dry-run", describe: "only print the list" },
			PARAMS,
			...LIMITS,
		],
		example: "headrace backfill shop -s 2018-07-01 -e 2018-08-01",
		load: () => import("./verbs/backfill.ts"),
	},
	{
		name: "compact",
		job: true,
		arguments: "<pipeline>",
		describe:
			"put small files together: of a lake, while loads go on; of an archive of changes in a folder, between runs",
		options: [
			{ ...TABLE, describe: "only this table of the destination, by name or pattern; repeatable" },
			{ flags: "--target-size <size>", describe: "about what a file is to have; default 256MB" },
			{ flags: "--dry-run", describe: "only say what would be done" },
			{ flags: "--memory <size>", describe: "bound on the embedded engine: 256MB" },
		],
		example: "headrace compact shop --dry-run",
		load: () => import("./verbs/compact.ts"),
	},
	{
		name: "tasks list",
		arguments: "<pipeline>",
		describe: "the tasks of a run",
		example: "headrace tasks list shop",
		load: () => import("./verbs/tasks-list.ts"),
	},
	{
		name: "tasks test",
		arguments: "<pipeline> [task] [interval]",
		describe: "read what a task would read; records and writes nothing",
		options: [PARAMS, ...LIMITS],
		example: "headrace tasks test shop prod.orders 2026-01-01",
		load: () => import("./verbs/tasks-test.ts"),
	},
	{
		name: "tasks run",
		job: true,
		arguments: "<pipeline> [task] [interval]",
		describe: "run one task",
		options: [PARAMS, ...LIMITS],
		example: "headrace tasks run shop prod.orders 2026-01-01",
		load: () => import("./verbs/tasks-run.ts"),
	},
	{
		name: "runs",
		arguments: "[pipeline]",
		describe: "the last runs; `runs show <run>` shows the receipt of one",
		options: [{ flags: "--limit <n>", describe: "how many; default 20" }],
		example: "headrace runs shop",
		load: () => import("./verbs/runs.ts"),
	},
	{
		name: "runs show",
		arguments: "<run>",
		describe: "the receipt of a run, by its id or a unique beginning of it",
		example: "headrace runs show 20261121T10",
		load: () => import("./verbs/runs-show.ts"),
	},
	{
		name: "logs",
		arguments: "<run> [task]",
		describe: "the log of a run, or of one of its tasks",
		example: "headrace logs 20261121T10 prod.orders",
		load: () => import("./verbs/logs.ts"),
	},
	{
		name: "report",
		arguments: "<run>",
		describe: "one static HTML file about a run: to print, to attach, to keep",
		options: [{ flags: "--output <file>", describe: "where to write it; default report-<run>.html, `-` is stdout" }],
		example: "headrace report 20261121T10",
		load: () => import("./verbs/report.ts"),
	},
	{
		name: "status",
		arguments: "[pipeline]",
		describe: "last run, who holds it, what is late, and positions",
		options: [{ flags: "--alert", describe: "tell the channels of `alerts` what is late; exit 1 when something is" }],
		example: "headrace status shop",
		load: () => import("./verbs/status.ts"),
	},
	{
		name: "history",
		arguments: "<pipeline> <table>",
		describe: "the rows of a table of write history as they stood at a time",
		options: [
			{ flags: "--as-of <time>", describe: "with its zone: 2026-11-21T10:00:00Z" },
			{ flags: "--format <format>", describe: "csv (default) or jsonl" },
		],
		example: "headrace history shop prod.ledger --as-of 2026-11-21T10:00:00Z",
		load: () => import("./verbs/history.ts"),
	},
	{
		name: "pause",
		arguments: "<pipeline>",
		describe: "hold a pipeline, or leave the changes of a table in the log",
		options: [{ ...TABLE, describe: "only this table, which follows the change log; repeatable" }],
		example: "headrace pause shop --table prod.orders",
		load: () => import("./verbs/pause.ts"),
	},
	{
		name: "resume",
		arguments: "<pipeline>",
		describe: "let a paused pipeline, or a table, go on where it stopped",
		options: [{ ...TABLE, describe: "only this table; repeatable" }],
		example: "headrace resume shop --table prod.orders",
		load: () => import("./verbs/resume.ts"),
	},
	{
		name: "resync",
		arguments: "<pipeline>",
		describe: "read tables that follow the change log anew; the old rows stay until the new ones are there",
		options: [{ ...TABLE, describe: "only this table; repeatable. Default all of them" }],
		example: "headrace resync shop --table prod.orders",
		load: () => import("./verbs/resync.ts"),
	},
	{
		name: "state show",
		arguments: "<pipeline>",
		describe: "how far each stream was read",
		example: "headrace state show shop",
		load: () => import("./verbs/state-show.ts"),
	},
	{
		name: "state export",
		arguments: "<pipeline>",
		describe: "the positions as they are stored, as JSON",
		example: "headrace state export shop > shop-state.json",
		load: () => import("./verbs/state-export.ts"),
	},
	{
		name: "state set",
		arguments: "<pipeline> <position>",
		describe: "read the change log on from another place",
		options: [{ flags: "--yes", describe: "also where changes would never be read" }],
		example: "headrace state set shop mysql-bin.000003:4",
		load: () => import("./verbs/state-set.ts"),
	},
	{
		name: "changes",
		arguments: "<address>",
		describe: "print a source's change log: inserts, deletes, updates as before => after",
		options: [
			{ flags: "--tables <tables>", describe: "tables or patterns, such as 'shop.*'; repeatable", list: true },
			{ flags: "--from <place>", describe: "beginning (default), now, or a position such as mysql-bin.000003:4" },
			{ flags: "--follow", describe: "go on at the log's end until stopped; --from now does so too" },
		],
		example: "headrace changes mysql://reader@localhost/shop --tables 'shop.orders' --from now",
		load: () => import("./verbs/changes.ts"),
	},
	{
		name: "serve",
		arguments: "[dir]",
		describe: "run pipelines by their schedules, with a page, an HTTP API and metrics",
		options: [
			{ flags: "--host <address>", describe: "what to listen on; default 127.0.0.1" },
			{ flags: "--port <n>", describe: "default 8080; 0 takes any that is free" },
			{ flags: "--jobs <n>", describe: "how many runs may be at work at once; default 4" },
			{
				flags: "--lease <duration>",
				describe: "how long it may say nothing before another server, or run, takes over; default 60s",
			},
			{ flags: "--drain <duration>", describe: "how long runs may end by themselves when it is stopped; default 10s" },
			{
				flags: "--public-url <url>",
				describe: "the address that people use, behind a proxy: https://headrace.example.com",
			},
			{ flags: "--allow-host <name>", describe: "one more name that it is asked for by; repeatable", list: true },
			{ flags: "--tls-cert <file>", describe: "speak HTTPS: the certificate, PEM" },
			{ flags: "--tls-key <file>", describe: "its key, PEM" },
			{
				flags: "--sample-rows",
				describe: "let admins see a few rows of a table, every value masked; default not",
			},
		],
		job: true,
		example: "headrace serve --port 8080",
		load: () => import("./verbs/serve.ts"),
	},
	{
		name: "serve token add",
		arguments: "<name>",
		describe: "make an API token, which is shown once",
		options: [
			{ flags: "--role <role>", describe: "viewer, operator or admin; default viewer" },
			{ flags: "--days <n>", describe: "it ends by itself after so many days" },
		],
		example: "headrace serve token add grafana --role viewer",
		load: () => import("./verbs/serve-token-add.ts"),
	},
	{
		name: "serve token list",
		describe: "list API tokens",
		example: "headrace serve token list",
		load: () => import("./verbs/serve-token-list.ts"),
	},
	{
		name: "serve token revoke",
		arguments: "<token>",
		describe: "take an API token back, with the sessions that it opened",
		example: "headrace serve token revoke grafana",
		load: () => import("./verbs/serve-token-revoke.ts"),
	},
	{
		name: "alert test",
		arguments: "<pipeline>",
		describe: "send a test alarm through each channel",
		example: "headrace alert test shop",
		load: () => import("./verbs/alert-test.ts"),
	},
	{
		name: "export airflow",
		arguments: "<pipeline>",
		describe: "a DAG file that runs the same stages on Airflow",
		options: [{ flags: "--output <file>", describe: "where to write it: dags/shop.py; default stdout" }],
		example: "headrace export airflow shop --output dags/shop.py",
		load: () => import("./verbs/export-airflow.ts"),
	},
	{
		name: "import",
		arguments: "<pipeline.conf>",
		describe: "turn an ini file with [mysql_config] and the like into connections.yaml",
		example: "headrace import pipeline.conf",
		load: () => import("./verbs/import.ts"),
	},
	{
		name: "schema",
		describe: "print the JSON Schema of the pipeline file",
		example: "headrace schema > pipeline.schema.json",
		load: () => import("./verbs/schema.ts"),
	},
	{
		name: "types explain",
		arguments: "<pipeline>",
		describe: "source type → destination type of every column, exact or what is lost",
		options: [TABLE],
		example: "headrace types explain shop",
		load: () => import("./verbs/types-explain.ts"),
	},
];

/** Groups of verbs, for their help. */
export const GROUPS: Readonly<Record<string, string>> = {
	tasks: "the tasks of a run, one by one",
	alert: "who is told when a copy fails",
	export: "pipelines for schedulers of others",
	state: "how far everything was read",
	types: "how types are mapped",
	"serve token": "who may use the server from elsewhere, or from a program",
};

/** Verbs that the manual promises for later: calling one says so. */
export const VERBS_TO_COME: readonly string[] = ["verify", "repair"];

/** The verb that a command line names, as far as that can be told before it is read; a group by its name alone. */
export function verbNamed(argv: readonly string[]): string | undefined {
	const words = argv.filter(
		(word, index) => !word.startsWith("-") && !["-C", "--directory"].includes(argv[index - 1] ?? ""),
	);
	const given = words[0] === "help" ? words.slice(1) : words;
	const [first] = given;
	if (first === undefined) return undefined;
	const names = new Set([...VERBS.map((verb) => verb.name), ...Object.keys(GROUPS), ...VERBS_TO_COME]);
	const prefixes = [3, 2, 1].map((count) => given.slice(0, count).join(" "));
	return prefixes.find((name) => names.has(name));
}
