import { setFlagsFromString } from "node:v8";
import type { App } from "../app/api.ts";
import { insecureEnds } from "../app/insecure-ends.ts";
import type { CheckedPipeline } from "../config/index.ts";
import { ERRORS, type ErrorCode, HeadraceError } from "../core/errors.ts";
import type { EventSink } from "../core/events.ts";
import type { ReceiptError, RunReceipt } from "../core/state-store.ts";
import { intervalText, secondsText } from "../observe/format.ts";
import { createJsonLog } from "../observe/json-log.ts";
import { createProgress } from "../observe/progress.ts";
import { receiptLines } from "../observe/receipt.ts";
import { printable } from "../observe/terminal.ts";
import type { VerbContext, VerbResult } from "./context.ts";
import { exitOfRuns } from "./exit-code.ts";
import { appOf } from "./project.ts";

export interface RunsToReport {
	readonly pipeline: CheckedPipeline;
	readonly stage?: "check" | "extract" | "load";
	/** Nothing is recorded: `tasks test`. */
	readonly test?: boolean;
	readonly work: (app: App, onEvent: EventSink) => Promise<RunReceipt[]>;
}

/** How a verb that runs something ended. */
export interface RunsResult extends VerbResult {
	readonly data: { readonly runs: readonly RunReceipt[] };
	readonly exit: number;
}

/** Runs something with progress on stderr, the log in the state store, and the receipts as the answer. */
export async function reportRuns(context: VerbContext, runs: RunsToReport): Promise<RunsResult> {
	const { output } = context;
	const { pipeline } = runs;
	const started = performance.now();
	const receipts = await withProgress(context, runs);
	for (const run of receipts) {
		const interval = run.interval === null ? "" : `  ${intervalText(run.interval)}`;
		const id = runs.test === true ? "test, nothing recorded" : `run ${run.run_id}`;
		output.print(output.paint("bold", `${printable(run.pipeline)}${interval}`) + output.paint("dim", `  ${id}`));
		for (const line of runs.test === true
			? testLines(run)
			: receiptLines(run, { paint: output.paint, ...stageOf(runs) }))
			output.print(line);
	}
	if (runs.stage === "check" && receipts.length > 0)
		output.print(`   ${output.paint("green", "✓")} both ends answer, rights and settings suffice, the tables fit`);
	if (receipts.length > 0) {
		const insecure = insecureEnds(pipeline);
		if (insecure !== "") output.print(output.paint("yellow", `   ! ${insecure}`));
		output.print(output.paint("dim", `   took ${secondsText((performance.now() - started) / 1000)}`));
	}
	// JSON lines have said so already, with the table's end.
	if (output.quiet && output.logFormat === "text") for (const error of errorsOf(receipts)) output.errorLine(error);
	return { data: { runs: receipts }, exit: exitOfRuns(receipts), errors: errorsOf(receipts) };
}

async function withProgress(context: VerbContext, runs: RunsToReport): Promise<RunReceipt[]> {
	const { output } = context;
	await using app = await appOf(runs.pipeline.directory, context);
	// Drivers make a small object a packet that dies at once: a young generation that grows only holds memory (60 MB).
	// Not before the modules are loaded, which it would slow.
	setFlagsFromString("--semi-space-growth-factor=1");
	const { paintNote: paint, quiet, redactor, stderr: terminal } = output;
	const options = { terminal, paint, redact: redactor.redact, quiet };
	using progress = output.logFormat === "json" ? createJsonLog(options) : createProgress(options, context.env);
	const restore = output.notesThrough((line) => progress.print(line));
	try {
		return await runs.work(app, progress.onEvent);
	} finally {
		restore();
	}
}

function stageOf(runs: RunsToReport): { readonly stage?: "check" | "extract" | "load" } {
	return runs.stage === undefined ? {} : { stage: runs.stage };
}

function testLines(run: RunReceipt): string[] {
	const plain = (_style: unknown, text: string): string => text;
	// A test loads nothing, so there is nothing to balance.
	return receiptLines(run, { paint: plain, stage: "check" }).map((line) =>
		line.trimStart().startsWith("receipt:") ? "   read only; nothing was written" : line,
	);
}

function errorsOf(runs: readonly RunReceipt[]): HeadraceError[] {
	return runs.flatMap((run) => [
		...(run.error === undefined || run.state === "succeeded" ? [] : [errorOf(run.error, run)]),
		...run.tables.flatMap((table) =>
			table.error === null || table.state === "succeeded" ? [] : [errorOf(table.error, run, table.table)],
		),
	]);
}

function errorOf({ code, message, hint, values }: ReceiptError, run: RunReceipt, table?: string): HeadraceError {
	const known = Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : "E_INTERNAL";
	const named = table === undefined || message.includes(table) ? message : `${table}: ${message}`;
	return new HeadraceError(known, named, {
		hint,
		pipeline: run.pipeline,
		...(table === undefined ? {} : { table }),
		...(values === undefined ? {} : { values }),
	});
}
