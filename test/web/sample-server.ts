/**
 * The page over a made-up project (`sample.ts`), with the content security policy of the real server:
 * `node test/web/sample-server.ts [port]` after `npm run build`, or `npx vite web` beside it while working on the page.
 */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join } from "node:path";
import type { BackfillPreview, CheckAnswer, LogPage, PlanAnswer, RunList } from "../../src/server/api.ts";
import * as sample from "./sample.ts";

const TYPES: Readonly<Record<string, string>> = {
	".html": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml",
};
const POLICY =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const check: CheckAnswer = {
	ok: false,
	seconds: 0.41,
	findings: [
		{ subject: "shop_prod", severity: "ok", message: "MariaDB 10.11.19 answers", remedy: null },
		{
			subject: "prod.coupons",
			severity: "error",
			message: "may not be read",
			remedy: "GRANT SELECT ON prod.coupons TO 'reader'@'10.%';",
		},
	],
};

const plan: PlanAnswer = {
	pipeline: "shop",
	tables: [
		{
			table: "prod.orders",
			into: "raw.prod_orders",
			mode: "incremental",
			write: "merge",
			key: ["id"],
			change: "changed",
			estimated_rows: 41_000,
			ddl: ["ALTER TABLE raw.prod_orders ADD COLUMN channel varchar(80)"],
			notes: ["+ column channel varchar(20)"],
			columns: [],
		},
		{
			table: "prod.nps",
			into: "raw.prod_nps",
			mode: "full",
			write: "replace",
			key: [],
			change: "same",
			estimated_rows: 81_000,
			ddl: [],
			notes: ["~81,000 rows; swap, grants kept"],
			columns: [],
		},
	],
	findings: check.findings.slice(1),
};

function runList(): RunList {
	const runs = [...sample.shopRuns].reverse().map((run) => ({
		...run,
		pipeline: "shop",
		tables: 7,
		tables_failed: run.state === "failed" ? 1 : 0,
		error:
			run.state === "failed"
				? { code: "E_TYPE_LOSSY", message: "column rate does not fit", hint: "", file: null, line: null, column: null }
				: null,
	}));
	return { runs, before: null };
}

function preview(): BackfillPreview {
	const intervals = sample.calendar.intervals
		.slice(29, 38)
		.map(({ interval, state }) => ({ interval, state, taken: state === "missing" }));
	return {
		pipeline: "shop",
		tables: ["prod.events", "daily_scores"],
		intervals,
		runs: intervals.filter(({ taken }) => taken).length,
	};
}

/** What the API answers; undefined where there is no such page. */
function answer(method: string, path: string): unknown {
	const [, , noun, rawName = "", verb] = path.split("/");
	const name = decodeURIComponent(rawName);
	if (method === "POST" && (verb === "test" || verb === "check")) return check;
	if (method === "POST" && verb === "plan") return plan;
	if (method === "POST" && path.endsWith("/sample")) return sample.tableSample;
	if (method === "POST" && path.endsWith("/backfill/preview")) return preview();
	if (method === "POST") return { job: sample.jobs.jobs[0] };
	if (noun === "pipelines" && name === "") return { pipelines: sample.pipelines };
	if (noun === "pipelines" && verb === undefined) return sample.detailOf(name);
	if (noun === "pipelines" && verb === "grid") return sample.detailOf(name).grid;
	if (noun === "pipelines" && verb === "calendar") return sample.calendar;
	if (noun === "pipelines" && verb === "changes") return sample.changes;
	if (noun === "pipelines" && verb === "lineage") return sample.lineage;
	if (noun === "pipelines" && verb === "tables") return sample.tablePage;
	if (noun === "runs" && name === "") return runList();
	if (noun === "runs" && verb === undefined) return sample.runOf(name);
	if (noun === "runs" && verb === "settings") return sample.settings;
	if (noun === "runs" && verb === "log")
		return { run_id: name, lines: sample.log, next: null, complete: true } satisfies LogPage;
	const plain: Readonly<Record<string, unknown>> = {
		session: sample.session,
		health: sample.health,
		jobs: sample.jobs,
		connections: sample.connections,
		audit: sample.audit,
		tokens: sample.tokens,
	};
	return plain[noun ?? ""];
}

/** Serves the built page of a folder on a port; 0 takes a free one. */
export function serveSample(folder: string, port: number): Promise<Server> {
	const server = createServer((request, response) => handle(folder, request, response));
	return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

function handle(folder: string, request: IncomingMessage, response: ServerResponse): void {
	const { pathname } = new URL(request.url ?? "/", "http://page");
	response.setHeader("content-security-policy", POLICY);
	if (pathname === "/api/events") {
		response.writeHead(200, { "content-type": "text/event-stream" }).write(": hello\n\n");
		return;
	}
	if (pathname.startsWith("/api/")) {
		const body = answer(request.method ?? "GET", pathname);
		response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/json" });
		response.end(JSON.stringify(body ?? { errors: [{ code: "E_NOT_FOUND", message: "no such page", hint: "" }] }));
		return;
	}
	// Names of tables have dots too: only these are files.
	const file = /^\/(assets\/[\w.-]+|icon\.svg)$/.test(pathname) ? pathname : "index.html";
	try {
		const content = readFileSync(join(folder, file));
		response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(content);
	} catch {
		response.writeHead(404).end();
	}
}

if (import.meta.main) {
	const port = Number(process.argv[2] ?? 8080);
	await serveSample(join(import.meta.dirname, "../../dist/web"), port);
	console.log(`http://127.0.0.1:${port}`);
}
