import type { App, StatusReport } from "../../app/api.ts";
import { listPipelines } from "../../config/index.ts";
import { EXIT, type HeadraceError, toHeadraceErrors } from "../../core/errors.ts";
import { decodePosition, positionText } from "../../core/position.ts";
import type { StoredPosition } from "../../core/state-store.ts";
import { timeText } from "../../observe/format.ts";
import { printable } from "../../observe/terminal.ts";
import { textTable } from "../../observe/text-table.ts";
import type { Arguments } from "../arguments.ts";
import { changeLines } from "../change-text.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { errorLines } from "../error-text.ts";
import { exitOfErrors } from "../exit-code.ts";
import { appOf, readPipeline } from "../project.ts";
import { waitingText } from "./alert-text.ts";
import { runStateText } from "./runs.ts";

/** `headrace status [pipeline]` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const wanted = args.optional(0);
	const alert = args.flag("alert");
	if (wanted !== undefined) {
		const report = await statusOf(context, wanted, alert);
		print(context, report);
		return { data: { pipelines: [report] }, exit: exitOf([report]) };
	}
	// One pipeline that can't be read does not hide the others.
	const reports: AlertedReport[] = [];
	const errors: HeadraceError[] = [];
	for (const { file } of listPipelines(context.directory)) {
		try {
			const report = await statusOf(context, file, alert);
			print(context, report);
			reports.push(report);
		} catch (thrown) {
			const found = toHeadraceErrors(thrown);
			errors.push(...found);
			const options = { paint: output.paintNote, directory: context.directory, verbose: output.verbose };
			for (const line of errorLines(found, options)) output.error(line);
		}
	}
	if (reports.length + errors.length === 0) output.note("no pipelines here; start with `headrace init`");
	return { data: { pipelines: reports }, exit: errors.length === 0 ? exitOf(reports) : exitOfErrors(errors), errors };
}

/** The position row of a change log, which is shown by what it says. */
const CHANGES_STREAM = "changes";

/** With what `--alert` sent. */
interface AlertedReport extends StatusReport {
	readonly alerts_sent?: readonly { readonly channel: string; readonly event: string; readonly error: string | null }[];
}

/** `--alert` is for monitoring: it says by its exit code, too, that a table is late or a channel took no alarm. */
function exitOf(reports: readonly AlertedReport[]): number {
	const isBad = ({ alerts_sent, late }: AlertedReport): boolean =>
		alerts_sent !== undefined && (late.length > 0 || alerts_sent.some(({ error }) => error !== null));
	return reports.some(isBad) ? EXIT.failed : EXIT.done;
}

async function statusOf(context: VerbContext, nameOrPath: string, alert: boolean): Promise<AlertedReport> {
	const pipeline = await readPipeline(context, nameOrPath);
	await using app: App = await appOf(pipeline.directory, context);
	if (!alert) return await app.status(pipeline);
	// First, since a destination that can't be reached ends what comes then.
	const sent = await app.alert(pipeline, { signal: context.signal });
	const alerts_sent = sent.map(({ channel, event, error }) => ({ channel, event, error: error?.message ?? null }));
	return { ...(await app.status(pipeline)), alerts_sent };
}

function print({ output }: VerbContext, report: AlertedReport): void {
	const { paint } = output;
	const last = report.last_run;
	const state =
		last === null ? "no run yet" : `last run ${timeText(last.started_at)} ${runStateText(last.state, paint)}`;
	const held = report.held_by === null ? "" : `  ${paint("cyan", `held by ${report.held_by}`)}`;
	output.print(`${paint("bold", printable(report.pipeline))}  ${state}${held}`);
	if (report.paused !== null)
		output.print(
			`  ${paint("yellow", "! paused")} since ${timeText(report.paused.at)} by ${printable(report.paused.by)}${report.paused.reason === null ? "" : `: ${printable(report.paused.reason)}`}`,
		);
	for (const table of last?.tables ?? [])
		if (table.error !== null && table.state !== "succeeded")
			output.print(
				`  ${paint("red", "✗")} ${printable(table.table)}  ${table.error.code}  ${printable(table.error.message)}`,
			);
	for (const late of report.late)
		output.print(`  ${paint("yellow", "! late")}  ${printable(late.table ?? report.pipeline)}  ${late.message}`);
	for (const waiting of report.alerts_waiting) output.print(`  ${paint("yellow", `! ${waitingText(waiting)}`)}`);
	for (const { channel, event, error } of report.alerts_sent ?? [])
		if (error === null) output.note(`alarm sent to ${channel}: ${event}`);
	const followed = new Set([CHANGES_STREAM, ...(report.changes?.tables ?? []).map(({ table }) => table)]);
	const streams = report.positions.filter(({ stream }) => report.changes === null || !followed.has(stream));
	if (report.changes !== null) for (const line of changeLines(report.changes, output.paint)) output.print(`  ${line}`);
	const lines = textTable(
		[{ title: "table" }, { title: "position" }, { title: "committed" }],
		streams.map((position) => [
			printable(position.stream),
			printable(positionOf(position)),
			committedText(position.committedAt),
		]),
		{ indent: 2 },
	);
	if (streams.length > 0) for (const line of lines) output.print(line);
}

/** As people read it; a position that can't be read is shown as it is, never guessed. */
function positionOf(position: StoredPosition): string {
	if (position.position === null) return "";
	try {
		return positionText(decodePosition(position.position)) ?? "";
	} catch {
		return position.position;
	}
}

function committedText(at: string | null): string {
	if (at === null) return "";
	return /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}/.test(at) ? `${at.slice(0, 19)} UTC` : timeText(at);
}
