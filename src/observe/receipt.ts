import type { ReceiptError, RunReceipt, TableReceipt } from "../core/state-store.ts";
import { bytesText, countText, plural, rowsText, secondsText } from "./format.ts";
import { type Paint, printable } from "./terminal.ts";
import { textTable } from "./text-table.ts";

export interface ReceiptOptions {
	readonly paint: Paint;
	/** The only stage that ran: `extract` balances against what was staged, since nothing was to be loaded. */
	readonly stage?: "check" | "extract" | "load";
	readonly indent?: number;
}

/** The end of a run as text: a line a table, then the balance, then what failed and how to cure it. */
export function receiptLines(run: RunReceipt, options: ReceiptOptions): string[] {
	const indent = options.indent ?? 3;
	const tables = textTable(
		[
			{ title: "" },
			{ title: "", align: "right" },
			{ title: "", align: "right" },
			{ title: "", align: "right" },
			{ title: "" },
		],
		run.tables.map((table) => [
			printable(table.table),
			table.state === "skipped" || table.state === "pending" ? "" : rowsText(table.rows_read),
			table.state === "skipped" || table.state === "pending" ? "" : bytesText(table.bytes),
			table.state === "skipped" || table.state === "pending" ? "" : secondsText(table.seconds),
			[stateSign(table.state, options.paint), tableNotes(table)].filter((text) => text !== "").join("  "),
		]),
		{ indent, titles: false },
	);
	const blanks = " ".repeat(indent);
	const lines = [...tables];
	if (run.tables.length > 0) lines.push(blanks + balanceLine(run, options));
	for (const table of run.tables) lines.push(...changeLines(table, options).map((line) => blanks + line));
	for (const table of run.tables) lines.push(...checkLines(table, options.paint).map((line) => blanks + line));
	if (run.error !== undefined && run.state !== "stopped")
		lines.push(...errorLines("", run.error, options.paint).map((line) => blanks + line));
	for (const table of run.tables) lines.push(...failureLines(table, options.paint).map((line) => blanks + line));
	// Said once: a stop is nobody's fault, and the same for every table.
	const stop = run.tables.find(isStopped)?.error;
	if (stop) lines.push(`${blanks}${printable(stop.message)}. ${printable(stop.hint)}`);
	return lines;
}

/** `✓`, `✗`, or the state in a word where a sign alone would not say it. */
export function stateSign(state: TableReceipt["state"], paint: Paint): string {
	switch (state) {
		case "succeeded":
			return paint("green", "✓");
		case "failed":
			return paint("red", "✗");
		case "stopped":
			return paint("yellow", "■ stopped");
		case "skipped":
			return paint("dim", "– skipped");
		case "running":
			return paint("cyan", "… running");
		case "pending":
			return paint("dim", "· not begun");
	}
}

function tableNotes(table: TableReceipt): string {
	const parts: string[] = [];
	if (table.write === "merge" && table.state === "succeeded") {
		if (table.rows_inserted > 0) parts.push(`${countText(table.rows_inserted)} new`);
		if (table.rows_updated > 0) parts.push(`${countText(table.rows_updated)} updated`);
	}
	if (table.rows_deleted > 0 && table.write !== "replace") parts.push(`${countText(table.rows_deleted)} deleted`);
	if (table.rows_rejected > 0) parts.push(`${countText(table.rows_rejected)} rejected`);
	parts.push(...chunkNotes(table));
	if (table.attempts > 1) parts.push(`attempt ${table.attempts}`);
	return parts.join(" · ");
}

/** How much of a table in chunks an earlier run had read, and what its rows are a copy of then. */
export function chunkNotes(table: TableReceipt): string[] {
	const { chunks_total: total = 0, chunks_reused: reused = 0, consistency } = table;
	if (reused === 0) return [];
	const mixed = consistency === "mixed" ? ", rows of different moments" : "";
	return [`${reused} of ${total} chunks were there, ${total - reused} read${mixed}`];
}

/** Whether a table's receipt balances: rows read = rows staged = rows loaded + rejected. */
export function balances(table: TableReceipt, stage: ReceiptOptions["stage"]): boolean {
	if (stage === "check") return true;
	if (stage === "extract") return table.rows_read === table.rows_staged;
	return table.rows_read === table.rows_loaded + table.rows_rejected;
}

function balanceLine(run: RunReceipt, options: ReceiptOptions): string {
	const { paint, stage } = options;
	const done = run.tables.filter((table) => table.state === "succeeded");
	const sum = (of: (table: TableReceipt) => number): number => done.reduce((total, table) => total + of(table), 0);
	const balanced = done.every((table) => balances(table, stage));
	const to =
		stage === "extract"
			? `staged ${countText(sum((table) => table.rows_staged))}`
			: `loaded ${countText(sum((table) => table.rows_loaded))} · rejected ${countText(sum((table) => table.rows_rejected))}`;
	const count = (state: TableReceipt["state"], word: string): string[] => {
		const tables = run.tables.filter((table) => table.state === state).length;
		return tables === 0 ? [] : [`${tables} of ${plural(run.tables.length, "table")} ${word}`];
	};
	const rest = [
		...count("failed", "failed"),
		...count("stopped", "stopped"),
		...count("skipped", "skipped"),
		...count("pending", "not begun"),
	];
	const equation = `receipt: read ${countText(sum((table) => table.rows_read))} ${balanced ? "=" : "≠"} ${to}`;
	const line = [equation, ...rest].join(" · ");
	return balanced && rest.length === 0 ? line : paint(run.state === "stopped" && balanced ? "yellow" : "red", line);
}

/** Values that a stated policy altered, per column: no value changes silently. */
function changeLines(table: TableReceipt, options: ReceiptOptions): string[] {
	const columns = Object.entries(table.values_changed).filter(([, values]) => values > 0);
	if (columns.length === 0) return [];
	const list = columns.map(([name, values]) => `${printable(name)} ${countText(values)}`).join(", ");
	return [options.paint("yellow", `! ${printable(table.table)}  values changed by the stated policy: ${list}`)];
}

/** How many checks held, and those that did not. */
function checkLines(table: TableReceipt, paint: Paint): string[] {
	const checks = table.checks ?? [];
	if (checks.length === 0) return [];
	const failed = checks.filter((check) => check.state === "failed");
	const subject = printable(table.table);
	if (failed.length === 0) return [`${paint("green", "✓")} ${subject}  ${plural(checks.length, "check")} passed`];
	return failed.map(({ name, severity, failing }) => {
		const sign = severity === "warn" ? paint("yellow", "!") : paint("red", "✗");
		return `${sign} ${subject}  check ${printable(name)} failed: ${countText(failing)}`;
	});
}

function isStopped(table: TableReceipt): boolean {
	return table.state === "stopped" && table.error?.code === "E_STOPPED";
}

function failureLines(table: TableReceipt, paint: Paint): string[] {
	if (table.error === null || table.state === "succeeded" || isStopped(table)) return [];
	return errorLines(`${printable(table.table)}  `, table.error, paint);
}

function errorLines(subject: string, error: ReceiptError, paint: Paint): string[] {
	const { code, message, hint, values } = error;
	const lines = [`${paint("red", "✗")} ${subject}${paint("red", code)}  ${printable(message)}`];
	if (values !== undefined) lines.push(`  values: ${printable(values)}`);
	if (hint !== "") lines.push(`  cure: ${printable(hint)}`);
	return lines;
}
