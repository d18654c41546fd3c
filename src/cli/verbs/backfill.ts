import type { BackfillOptions } from "../../app/api.ts";
import { EXIT, HeadraceError } from "../../core/errors.ts";
import { intervalText, plural } from "../../observe/format.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { usageError } from "../output.ts";
import { appOf, planOptions, readPipeline } from "../project.ts";
import { reportRuns } from "../run-report.ts";
import { refuseIfPaused } from "./pause.ts";

/** Longer lists are shown by their ends. */
const SHOWN_MAX = 12;

/** `headrace backfill <pipeline> -s … -e …` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const start = args.text("start");
	const end = args.text("end");
	if (start === undefined || end === undefined)
		throw usageError(
			"backfill needs its first day and the day after its last one",
			"Write -s 2018-07-01 -e 2018-08-01.",
		);
	const pipeline = await readPipeline(context, args.required(0));
	const maxActiveRuns = args.count("maxActiveRuns", "--max-active-runs");
	const options: BackfillOptions = {
		...planOptions(context, args),
		start,
		end,
		showValues: context.showValues,
		...(maxActiveRuns !== undefined && { maxActiveRuns }),
	};
	await refuseIfPaused(context, pipeline);
	const intervals = await intervalsOf(context, pipeline.directory, (app) => app.backfillIntervals(pipeline, options));
	output.print(`${pipeline.name}: ${plural(intervals.length, "run")}, oldest first`);
	const texts = intervals.map(intervalText);
	const shown = texts.length <= SHOWN_MAX ? texts : [...texts.slice(0, SHOWN_MAX - 2), "…", texts.at(-1)!];
	for (const text of shown) output.print(`   ${text}`);
	if (args.flag("dryRun")) return { data: { intervals } };
	const result = await reportRuns(context, {
		pipeline,
		work: (app, onEvent) => app.backfill(pipeline, { ...options, onEvent }),
	});
	// Stopped between two intervals, every run of it has succeeded: it is not done all the same.
	const done = result.data.runs.length;
	if (!context.signal.aborted || done >= intervals.length || result.exit !== EXIT.done) return result;
	const error = new HeadraceError("E_STOPPED", `stopped after ${done} of ${plural(intervals.length, "run")}`, {
		pipeline: pipeline.name,
		hint: `Go on with -s ${intervalText(intervals[done]!)}, or run it again: what is there is replaced or merged, not doubled.`,
	});
	output.errorLine(error);
	return { ...result, exit: error.exit, errors: [error] };
}

async function intervalsOf<Result>(
	context: VerbContext,
	directory: string,
	ask: (app: Awaited<ReturnType<typeof appOf>>) => Promise<Result>,
): Promise<Result> {
	await using app = await appOf(directory, context);
	return await ask(app);
}
