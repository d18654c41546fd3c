import { printable } from "../../observe/terminal.ts";
import { textTable } from "../../observe/text-table.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { appOf, readPipeline } from "../project.ts";

/** `headrace tasks list <pipeline>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const pipeline = await readPipeline(context, args.required(0));
	await using app = await appOf(pipeline.directory, context);
	const tasks = await app.tasks(pipeline);
	const lines = textTable(
		[{ title: "task" }, { title: "into" }, { title: "mode" }, { title: "write" }],
		tasks.map((task) => [printable(task.task), printable(task.into), task.mode, task.write]),
	);
	for (const line of lines) context.output.print(line);
	return { data: { tasks } };
}
