import type { RunOptions } from "../../app/api.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { intervalOf, planOptions, readPipeline } from "../project.ts";
import { reportRuns } from "../run-report.ts";
import { refuseIfPaused } from "./pause.ts";

/** `headrace tasks run <pipeline> [task] [interval]` */
export function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	return runTask(context, args, false);
}

/** One task of a run, or all; a test reads everything and records nothing. */
export async function runTask(context: VerbContext, args: Arguments, test: boolean): Promise<VerbResult> {
	const pipeline = await readPipeline(context, args.required(0));
	if (!test) await refuseIfPaused(context, pipeline);
	const task = args.optional(1);
	const interval = await intervalOf(pipeline, args.optional(2));
	const options: RunOptions = {
		...planOptions(context, args),
		...(task !== undefined && { tables: [task] }),
		...(interval !== undefined && { interval }),
		...(test && { test }),
		showValues: context.showValues,
	};
	return reportRuns(context, { pipeline, test, work: (app, onEvent) => app.run(pipeline, { ...options, onEvent }) });
}
