import { statSync } from "node:fs";
import { type CheckedPipeline, settingsText } from "../config/index.ts";
import type { RunReceipt } from "../core/index.ts";
import type { Redactor } from "../observe/index.ts";
import { type RunPage, runPage } from "../observe/run-page.ts";
import type { ProjectState } from "../state/index.ts";
import { insecureEnds } from "./insecure-ends.ts";
import { version } from "./version.ts";

/** A log may have hundreds of thousands of lines; its end says how the run ended. */
const LINES_MAX = 500;

export interface ReportInput {
	readonly state: ProjectState;
	readonly run: RunReceipt;
	/** As its file has it now, its secrets known to the redactor; or, in a sentence, why there is none. */
	readonly pipeline: CheckedPipeline | string;
	readonly redactor: Redactor;
	readonly nowMs: number;
}

/** A run as one HTML file that needs nothing else: what is known of it, without secrets and row values. */
export async function reportPage({ state, run, pipeline, redactor, nowMs }: ReportInput): Promise<string> {
	const { lines, before } = await state.server.logTail(run.run_id, LINES_MAX);
	return runPage({
		run: redactor.redactData(run),
		lines: redactor.redactData(lines),
		linesBefore: before,
		settings: await settingsOf(pipeline, run, redactor.redact),
		remark: typeof pipeline === "string" ? "" : insecureEnds(pipeline),
		version: version(),
		nowMs,
	});
}

/** The name of the file. A run id is safe in it by its making; this holds for histories that others wrote too. */
export function reportFileName(runId: string): string {
	return `report-${runId.replace(/[^\w.-]/g, "_")}.html`;
}

async function settingsOf(
	pipeline: CheckedPipeline | string,
	run: RunReceipt,
	redact: (text: string) => string,
): Promise<RunPage["settings"]> {
	if (typeof pipeline === "string") return { text: null, note: pipeline };
	if (pipeline.file === undefined) return { text: null, note: "The pipeline has no file." };
	try {
		const isNewer = statSync(pipeline.file).mtimeMs > Date.parse(run.started_at);
		return {
			text: await settingsText(pipeline.file, redact),
			note: isNewer
				? "The pipeline's file as it is now, which was written after the run began. Secrets are masked."
				: "The pipeline's file, unchanged since the run began. Secrets are masked.",
		};
	} catch {
		return { text: null, note: "The pipeline's file is gone, or being written." };
	}
}
