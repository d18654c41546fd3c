import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { usageError } from "../output.ts";
import { appOf, readPipeline } from "../project.ts";
import { writeAnswer } from "../write-answer.ts";

/** What stands in each file that was written by it, and in no other. */
const OWN = "Written by `headrace export airflow ";

/** `headrace export airflow <pipeline>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output, directory } = context;
	const pipeline = await readPipeline(context, args.required(0));
	const file = args.text("output") ?? "-";
	refuseForeign(resolve(directory, file), file);
	await using app = await appOf(pipeline.directory, context);
	const tasks = await app.tasks(pipeline);
	const { airflowDag } = await import("../../app/airflow/dag.ts");
	const dag = airflowDag(pipeline, tasks);
	const written = writeAnswer(context, dag, file);
	if (pipeline.schedule === undefined)
		output.note(`! ${pipeline.name} has no schedule: Airflow runs it when somebody starts it`);
	return {
		data: { pipeline: pipeline.name, file: written?.path ?? null, dag, tasks: tasks.map(({ task }) => task) },
	};
}

/** A file of the user's own, or another DAG, is not written over. */
function refuseForeign(path: string, file: string): void {
	if (file === "-" || !existsSync(path)) return;
	if (readFileSync(path, "utf8").includes(OWN)) return;
	throw usageError(`${path} is there already, and was not written by \`export airflow\``, "Choose another name.");
}
