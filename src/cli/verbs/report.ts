import { statSync } from "node:fs";
import { version } from "../../app/version.ts";
import { type CheckedPipeline, listPipelines, loadPipeline, settingsText } from "../../config/index.ts";
import { toHeadraceErrors } from "../../core/errors.ts";
import type { RunReceipt } from "../../core/state-store.ts";
import { type RunPage, runPage } from "../../observe/run-page.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { openHistory } from "../project.ts";
import { insecureEnds } from "../run-report.ts";
import { writeAnswer } from "../write-answer.ts";
import { findRun } from "./runs-show.ts";

/** A log may have hundreds of thousands of lines; its end says how the run ended. */
const LINES_MAX = 500;

/** `headrace report <run>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	await using history = await openHistory(context);
	const receipt = await findRun(history, args.required(0));
	const pipeline = await pipelineOf(context, receipt.pipeline);
	const lines = (await history?.log(receipt.run_id)) ?? [];
	const { redact } = output.redactor;
	const page = runPage({
		run: output.redactor.redactData(receipt),
		lines: output.redactor.redactData(lines.slice(-LINES_MAX)),
		linesBefore: Math.max(0, lines.length - LINES_MAX),
		settings: await settingsOf(pipeline, receipt, redact),
		remark: typeof pipeline === "string" ? "" : insecureEnds(pipeline),
		version: version(),
		nowMs: Date.now(),
	});
	const file = writeAnswer(context, page, args.text("output") ?? `report-${fileName(receipt.run_id)}.html`);
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

async function settingsOf(
	pipeline: CheckedPipeline | string,
	run: RunReceipt,
	redact: (text: string) => string,
): Promise<RunPage["settings"]> {
	if (typeof pipeline === "string") return { text: null, note: pipeline };
	if (pipeline.file === undefined) return { text: null, note: "The pipeline has no file." };
	const isNewer = statSync(pipeline.file).mtimeMs > Date.parse(run.started_at);
	return {
		text: await settingsText(pipeline.file, redact),
		note: isNewer
			? "The pipeline's file as it is now, which was written after the run began. Secrets are masked."
			: "The pipeline's file, unchanged since the run began. Secrets are masked.",
	};
}

/** A run id is safe as a name of a file by its making; this holds for histories that others wrote too. */
function fileName(runId: string): string {
	return runId.replace(/[^\w.-]/g, "_");
}
