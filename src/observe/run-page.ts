import type { AttemptError, LogLine, ReceiptError, RunReceipt, TableReceipt } from "../core/state-store.ts";
import { countText, intervalText, secondsText, timeText } from "./format.ts";
import { html, Markup } from "./html.ts";
import { stateMark } from "./run-page-marks.ts";
import { RUN_PAGE_STYLE } from "./run-page-style.ts";
import { receiptTable } from "./run-page-tables.ts";
import { timeline } from "./run-page-timeline.ts";

export interface RunPage {
	readonly run: RunReceipt;
	/** The log's last lines, in their order. */
	readonly lines: readonly LogLine[];
	/** Lines that came before them. */
	readonly linesBefore: number;
	/** Secrets of it are masked already; null with the reason when it can't be shown. */
	readonly settings: { readonly text: string; readonly note: string } | { readonly text: null; readonly note: string };
	/** What every report has to say: connections whose TLS is off or not verified; empty when there are none. */
	readonly remark: string;
	/** Of Headrace. */
	readonly version: string;
	/** When it is written. */
	readonly nowMs: number;
}

/**
 * One static page about a run: no script, nothing from elsewhere, light and dark, to be printed or attached. All text
 * is escaped; secrets are to be masked before. The page forbids itself scripts and connections, should anything pass.
 */
export function runPage(page: RunPage): string {
	const { run, nowMs } = page;
	const title = `${run.pipeline}${run.interval === null ? "" : ` ${intervalText(run.interval)}`}: ${run.state}`;
	const { text } = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${new Markup(RUN_PAGE_STYLE)}</style>
</head>
<body>
<header>
<div class="head"><h1>${run.pipeline}${run.interval === null ? null : ` · ${intervalText(run.interval)}`}</h1>${stateMark(run.state)}</div>
${facts(run, nowMs)}
</header>
<main>
${page.remark === "" ? null : html`<p class="notice">${page.remark}</p>`}
${problems(run)}
<h2>Receipt</h2>
${receiptTable(run)}
${timeline(run, nowMs)}
${changedValues(run)}
${schemaChanges(run)}
${checks(run)}
${attempts(run)}
${positions(run)}
<h2>Settings</h2>
<p class="quiet small">${page.settings.note}</p>
${page.settings.text === null ? null : html`<pre>${page.settings.text}</pre>`}
<h2>Log</h2>
${log(page)}
</main>
<footer class="quiet small">Written ${timeText(new Date(nowMs).toISOString())} by headrace ${page.version}: <code>headrace report ${run.run_id}</code></footer>
</body>
</html>
`;
	return text;
}

const TRIGGERS = {
	schedule: "its schedule",
	catchup: "its schedule, to catch up",
	continuous: "headrace serve, to follow changes",
	manual: "hand, in headrace serve",
	backfill: "a backfill, in headrace serve",
	retry: "a retry, in headrace serve",
} as const;

function facts(run: RunReceipt, nowMs: number): Markup {
	const endMs = run.finished_at === null ? nowMs : Date.parse(run.finished_at);
	const { origin } = run;
	const took = secondsText(Math.max(0, endMs - Date.parse(run.started_at)) / 1000);
	const params = Object.entries(origin?.params ?? {}).map(([name, value]) => `${name}=${value}`);
	const rows: readonly (readonly [string, string])[] = [
		["Run", run.run_id],
		["Started", timeText(run.started_at)],
		["Ended", run.finished_at === null ? "not yet" : timeText(run.finished_at)],
		["Took", run.finished_at === null ? `${took} so far` : took],
		["Begun by", origin === undefined ? "the command line" : TRIGGERS[origin.trigger]],
		...(origin?.by === undefined ? [] : [["Asked for by", origin.by] as const]),
		...(origin?.due_at === undefined ? [] : [["Due", timeText(origin.due_at)] as const]),
		...(run.interval === null ? [] : [["Interval", `${run.interval.start} to ${run.interval.end}`] as const]),
		...(run.stage === undefined ? [] : [["Only the stage", run.stage] as const]),
		...(params.length === 0 ? [] : [["Parameters", params.join(", ")] as const]),
	];
	return html`<dl>${rows.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function problems(run: RunReceipt): Markup | null {
	const tables = run.tables.flatMap(({ table, error, state }) =>
		error === null || state === "succeeded" ? [] : [problem(table, error)],
	);
	const all = [...(run.error === undefined ? [] : [problem("the run", run.error)]), ...tables];
	return all.length === 0 ? null : html`<h2>What went wrong</h2>${all}`;
}

function problem(subject: string, { code, message, hint }: ReceiptError): Markup {
	return html`<div class="problem"><strong>${subject}</strong> <span class="code mono">${code}</span><p>${message}</p>${
		hint === "" ? null : html`<p><strong>Cure:</strong> ${hint}</p>`
	}</div>`;
}

/** A section with a table of rows; null when there are none. */
function section(title: string, heads: readonly string[], rows: readonly (readonly (string | Markup)[])[]) {
	if (rows.length === 0) return null;
	return html`<h2>${title}</h2>
<div class="scroll"><table>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${rows.map((cells) => html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>\n`)}</tbody>
</table></div>`;
}

function changedValues({ tables }: RunReceipt): Markup | null {
	const rows = tables.flatMap(({ table, values_changed }) =>
		Object.entries(values_changed).flatMap(([column, values]) =>
			values > 0 ? [[table, column, countText(values)]] : [],
		),
	);
	return section("Values changed by a stated policy", ["Table", "Column", "Values"], rows);
}

function schemaChanges({ tables }: RunReceipt): Markup | null {
	const rows = tables.flatMap(({ table, schema_changes: changes = [] }) =>
		changes.map(({ column, change, action }) => [table, column === "" ? "(the key)" : column, change, action]),
	);
	return section("Changes of the source's columns", ["Table", "Column", "Change", "What was done"], rows);
}

function checks({ tables }: RunReceipt): Markup | null {
	const rows = tables.flatMap(({ table, checks: done = [] }) =>
		done.map(({ name, severity, state, failing }) => {
			const mark = state === "passed" ? "succeeded" : severity === "warn" ? "warning" : "failed";
			return [table, name, stateMark(mark, state), state === "passed" ? "" : countText(failing)];
		}),
	);
	return section("Checks", ["Table", "Check", "Result", "Rows that fail"], rows);
}

function attempts(run: RunReceipt): Markup | null {
	const row = (subject: string, { attempt, at, code, message }: AttemptError) => [
		subject,
		String(attempt),
		timeText(at),
		html`<span class="mono">${code}</span> ${message}`,
	];
	const ofTable = ({ table, attempt_errors: errors = [] }: TableReceipt) => errors.map((error) => row(table, error));
	const rows = [...(run.attempt_errors ?? []).map((error) => row("the run", error)), ...run.tables.flatMap(ofTable)];
	return section("Attempts that failed before the last", ["Table", "Attempt", "Failed", "With"], rows);
}

function positions({ tables }: RunReceipt): Markup | null {
	const rows = tables.flatMap(({ table, position }) =>
		position === null ? [] : [[table, html`<span class="mono">${position}</span>`]],
	);
	return section("Positions", ["Table", "Read up to"], rows);
}

const LEVEL_TONES = { debug: "idle", info: "idle", warn: "stopped", error: "failed" } as const;

function log({ run, lines, linesBefore }: RunPage): Markup {
	if (lines.length === 0) return html`<p class="quiet">No line of it is kept.</p>`;
	const before =
		linesBefore === 0
			? null
			: html`<p class="quiet small">The last ${countText(lines.length)} lines of ${countText(lines.length + linesBefore)}; all of them: <code>headrace logs ${run.run_id}</code></p>`;
	return html`${before}<div class="scroll"><table class="log">${lines.map(
		({ at, level, task, message }) =>
			html`<tr><td class="at">${timeText(at)}</td><td class="${LEVEL_TONES[level]}">${level}</td><td>${task ?? ""}</td><td class="message">${message}</td></tr>\n`,
	)}</table></div>`;
}
