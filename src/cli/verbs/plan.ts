import type { Plan } from "../../app/api.ts";
import { insecureEnds } from "../../app/insecure-ends.ts";
import type { CheckedPipeline } from "../../config/index.ts";
import { ERRORS, type ErrorCode, HeadraceError } from "../../core/errors.ts";
import { timeText } from "../../observe/format.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { planLines } from "../plan-text.ts";
import { appOf, intervalOf, openHistory, planOptions, readPipeline } from "../project.ts";

/** `headrace plan <pipeline>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const pipeline = await readPipeline(context, args.required(0));
	const interval = await intervalOf(pipeline, args.text("interval"));
	await using app = await appOf(pipeline.directory, context);
	const plan = await app.plan(pipeline, { ...planOptions(context, args), ...(interval !== undefined && { interval }) });
	const lastRun = await lastRunText(context, pipeline);
	const lines = planLines(plan, {
		paint: output.paint,
		verbose: output.verbose,
		remark: insecureEnds(pipeline),
		...(lastRun !== undefined && { lastRun }),
	});
	for (const line of lines) output.print(line);
	const errors = errorsOf(plan);
	return { data: plan, exit: errors.length > 0 ? 1 : 0, errors };
}

async function lastRunText(context: VerbContext, pipeline: CheckedPipeline): Promise<string | undefined> {
	await using history = await openHistory(context, pipeline.directory);
	const [last] = (await history?.runs({ pipeline: pipeline.name, limit: 1 })) ?? [];
	return last === undefined ? undefined : `last run ${timeText(last.started_at)} ${last.state}`;
}

/** What would stop a table, as errors. */
function errorsOf(plan: Plan): HeadraceError[] {
	return plan.findings
		.filter((finding) => finding.severity === "error")
		.map((finding) => {
			const code = /\bE_[A-Z_]+\b/.exec(finding.message)?.[0] ?? "E_CHECK";
			const known = Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : "E_CHECK";
			const hint = finding.remedy === undefined ? {} : { hint: finding.remedy };
			return new HeadraceError(known, finding.message, { pipeline: plan.pipeline, ...hint });
		});
}
