import { mkdir, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { openApp } from "../app/app.ts";
import { loadPipeline } from "../config/index.ts";
import { HeadraceError, type RunReceipt } from "../core/index.ts";
import { countText, type Paint, receiptLines, secondsText } from "../observe/index.ts";
import { exists, startEmbeddedPostgres } from "./embedded-postgres.ts";
import { CHANGES_SQL, PIPELINE_YAML, SHOP_SQL } from "./shop.ts";

export interface DemoOptions {
	/** Where the folder `demo` is made. */
	readonly directory: string;
	readonly print: (line: string) => void;
	readonly paint: Paint;
	readonly signal?: AbortSignal;
	readonly version: string;
}

/** What the demo did, for `--json`. */
export interface DemoReport {
	readonly folder: string;
	readonly runs: readonly RunReceipt[];
	readonly months: readonly { readonly month: string; readonly orders: string; readonly revenue: string }[];
	readonly seconds: number;
}

/**
 * Makes a shop in an embedded PostgreSQL, copies it into a DuckDB file, changes it, syncs again, shows a table that
 * can't be copied exactly, and asks the copy. Everything it prints was measured in this run.
 * @throws E_USAGE when the folder `demo` is there already, E_MISSING_PACKAGE
 */
export async function runDemo(options: DemoOptions): Promise<DemoReport> {
	const { print, paint } = options;
	const started = performance.now();
	const folder = join(options.directory, "demo");
	if (await exists(folder))
		throw new HeadraceError("E_USAGE", `${folder} is there already`, { hint: "Delete the folder to start again." });
	print(`${paint("bold", `headrace ${options.version}`)} · demo in ./demo (delete the folder to start again)`);
	print("");
	const timer = stopwatch(print);
	await using server = await startEmbeddedPostgres();
	timer(`  PostgreSQL ${server.version} (embedded) on 127.0.0.1:${server.port}`);
	const address = `postgres://postgres@127.0.0.1:${server.port}/postgres`;
	await execute(address, SHOP_SQL);
	timer("  shop: 5,000 customers · 60,000 orders · 180,000 order lines");
	print("");
	await writeProject(folder, address);
	const pipeline = await loadPipeline(folder, "shop", { env: process.env });
	await using app = await openApp({ directory: folder });
	const signal = options.signal === undefined ? {} : { signal: options.signal };
	const show = (run: RunReceipt | undefined) => {
		if (run !== undefined) for (const line of receiptLines(run, { paint })) print(line);
		print("");
	};

	const copied = ["shop.customers", "shop.order_lines", "shop.orders"];
	heading(options, 1, "Full copy", "shop → demo/warehouse.duckdb");
	const [first] = await app.run(pipeline, { tables: copied, ...signal });
	show(first);

	await execute(address, CHANGES_SQL);
	heading(options, 2, "The shop goes on", "1,200 orders added · 300 changed · 40 cancelled");
	const since = first?.tables.find((table) => table.table === "shop.orders")?.position ?? "";
	heading(options, 3, "Incremental run", `only what changed since ${since}`);
	const [second] = await app.run(pipeline, { tables: ["shop.orders"], ...signal });
	show(second);

	heading(options, 4, "A table that can't be copied exactly, on purpose", "");
	const [third] = await app.run(pipeline, { tables: ["shop.ledger"], ...signal });
	show(third);

	heading(options, 5, "Ask the copy", "select month, orders, revenue …");
	const months = await ask(join(folder, "warehouse.duckdb"));
	for (const { month, orders, revenue } of months)
		print(`   ${month}  ${countText(Number(orders)).padStart(7)}  ${revenue.padStart(14)}`);
	print("");
	const seconds = Math.round(performance.now() - started) / 1000;
	const next = relative(process.cwd(), folder) || folder;
	print(
		`Took ${secondsText(seconds)}. Look into ${next}/, or begin your own: \`npx headrace init my-project\`, docs/getting-started.md`,
	);
	return { folder, runs: [first, second, third].filter((run) => run !== undefined), months, seconds };
}

function heading(options: DemoOptions, step: number, title: string, text: string): void {
	options.print(`${options.paint("bold", `${step}  ${title.padEnd(26)}`)}  ${text}`.trimEnd());
}

/** Prints lines with the seconds since the last one. */
function stopwatch(print: (line: string) => void): (line: string) => void {
	let last = performance.now();
	return (line) => {
		const now = performance.now();
		print(`${line.padEnd(64)}${secondsText((now - last) / 1000).padStart(8)}`);
		last = now;
	};
}

async function writeProject(folder: string, address: string): Promise<void> {
	await mkdir(join(folder, "pipelines"), { recursive: true });
	await writeFile(
		join(folder, "connections.yaml"),
		`shop_db: ${address}\ncopy:    { type: duckdb, path: warehouse.duckdb }\n`,
	);
	await writeFile(join(folder, "pipelines", "shop.yaml"), PIPELINE_YAML);
}

async function execute(address: string, sql: string): Promise<void> {
	const { default: pg } = await import("pg");
	const client = new pg.Client({ connectionString: address });
	await client.connect();
	try {
		await client.query(sql);
	} finally {
		await client.end();
	}
}

async function ask(path: string): Promise<DemoReport["months"]> {
	const { Engine } = await import("../engine/index.ts");
	await using engine = await Engine.open({ path, readOnly: true });
	await using connection = await engine.connect();
	const rows = await connection.query(
		`SELECT strftime(ordered_on, '%Y-%m') AS month, count(*) AS orders, format('{:,.2f}', sum(total)::DOUBLE) AS revenue
		 FROM shop.orders GROUP BY 1 ORDER BY 1`,
	);
	return rows.map((row) => ({
		month: String(row["month"]),
		orders: String(row["orders"]),
		revenue: String(row["revenue"]),
	}));
}
