import { reportFileName, reportPage } from "../../app/report-page.ts";
import { type CheckedPipeline, listPipelines, loadPipeline } from "../../config/index.ts";
import { toHeadraceErrors } from "../../core/errors.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { openHistory } from "../project.ts";
import { writeAnswer } from "../write-answer.ts";
import { findRun } from "./runs-show.ts";

/** `headrace report <run>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	await using history = await openHistory(context);
	const receipt = await findRun(history, args.required(0));
	const pipeline = await pipelineOf(context, receipt.pipeline);
	const { redactor } = output;
	const page = await reportPage({ state: history!, run: receipt, pipeline, redactor, nowMs: Date.now() });
	const file = writeAnswer(context, page, args.text("output") ?? reportFileName(receipt.run_id));
	return { data: { run_id: receipt.run_id, file: file?.path ?? null, bytes: Buffer.byteLength(page) } };
}

/** The pipeline as its file has it now, its secrets known to the redaction; or why there is none to show. */
async function pipelineOf(context: VerbContext, name: string): Promise<CheckedPipeline | string> {
	const { directory, env, output } = context;
	let reason = "The run's pipeline has no file in this project, as with `headrace copy`.";
	// The file that is called so first: a pipeline's name may be another than its file's.
	const files = listPipelines(directory).sort((a, b) => Number(b.name === name) - Number(a.name === name));
	for (const found of files) {
		try {
			const pipeline = await loadPipeline(directory, found.file, { env });
			output.redactor.addFrom(pipeline);
			if (pipeline.name === name) return pipeline;
		} catch (thrown) {
			const [error] = toHeadraceErrors(thrown);
			// Its secrets are not known then, so nothing of it can be shown.
			if (found.name === name) reason = `The pipeline's file can't be read now (${error?.code ?? "E_INTERNAL"}).`;
		}
	}
	return reason;
}
