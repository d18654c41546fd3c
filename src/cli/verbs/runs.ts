import type { RunReceipt } from "../../core/state-store.ts";
import { countText, intervalText, secondsText, timeText } from "../../observe/format.ts";
import { type Paint, printable } from "../../observe/terminal.ts";
import { textTable } from "../../observe/text-table.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { openHistory } from "../project.ts";

const LIMIT_DEFAULT = 20;

/** `headrace runs [pipeline]` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const pipeline = args.optional(0);
	const limit = args.count("limit", "--limit") ?? LIMIT_DEFAULT;
	await using history = await openHistory(context);
	const runs = (await history?.runs({ limit, ...(pipeline !== undefined && { pipeline }) })) ?? [];
	if (runs.length === 0) output.note(`no runs yet${pipeline === undefined ? "" : ` of ${pipeline}`}`);
	else for (const line of runLines(runs, output.paint)) output.print(line);
	return { data: { runs } };
}

function runLines(runs: readonly RunReceipt[], paint: Paint): string[] {
	return textTable(
		[
			{ title: "run" },
			{ title: "pipeline" },
			{ title: "interval" },
			{ title: "state" },
			{ title: "started" },
			{ title: "took", align: "right" },
			{ title: "rows", align: "right" },
			{ title: "tables", align: "right" },
		],
		runs.map((run) => [
			run.run_id,
			printable(run.pipeline),
			run.interval === null ? "" : intervalText(run.interval),
			runStateText(run.state, paint),
			timeText(run.started_at),
			tookText(run),
			countText(run.tables.reduce((sum, table) => sum + table.rows_loaded, 0)),
			tablesText(run),
		]),
	);
}

export function runStateText(state: RunReceipt["state"], paint: Paint): string {
	const styles = { running: "cyan", succeeded: "green", failed: "red", stopped: "yellow" } as const;
	return paint(styles[state], state);
}

export function tookText(run: RunReceipt): string {
	if (run.finished_at === null) return "";
	return secondsText(Math.max(0, Date.parse(run.finished_at) - Date.parse(run.started_at)) / 1000);
}

/** `3`, or `2 of 3` when some did not succeed. */
function tablesText(run: RunReceipt): string {
	const done = run.tables.filter((table) => table.state === "succeeded").length;
	return done === run.tables.length ? countText(done) : `${countText(done)} of ${countText(run.tables.length)}`;
}
