import type { RunOptions } from "../../app/api.ts";
import { parseDuration } from "../../config/durations.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { usageError } from "../output.ts";
import { intervalOf, planOptions, readPipeline } from "../project.ts";
import { reportRuns } from "../run-report.ts";
import { refuseIfPaused } from "./pause.ts";

const STAGES = ["check", "extract", "load"] as const;

/** `headrace run <pipeline>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const pipeline = await readPipeline(context, args.required(0));
	await refuseIfPaused(context, pipeline);
	const interval = await intervalOf(pipeline, args.text("interval"));
	const stage = stageOf(args.text("stage"));
	const failedRun = args.text("failed");
	const wait = args.text("wait");
	const options: RunOptions = {
		...planOptions(context, args),
		...(interval !== undefined && { interval }),
		...(stage !== undefined && { stage }),
		...(failedRun !== undefined && { failedRun }),
		...(args.flag("follow") && { follow: true }),
		...(wait !== undefined && { waitMs: parseDuration(wait) }),
		showValues: context.showValues,
	};
	return reportRuns(context, {
		pipeline,
		...(stage !== undefined && { stage }),
		work: (app, onEvent) => app.run(pipeline, { ...options, onEvent }),
	});
}

function stageOf(text: string | undefined): (typeof STAGES)[number] | undefined {
	if (text === undefined) return undefined;
	const stage = STAGES.find((each) => each === text);
	if (stage === undefined) throw usageError(`--stage is check, extract or load, not ${JSON.stringify(text)}`);
	return stage;
}
