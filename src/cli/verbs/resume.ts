import { printable } from "../../observe/terminal.ts";
import type { Arguments } from "../arguments.ts";
import { tellPositionChange } from "../change-text.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { appOf, readPipeline } from "../project.ts";

/** `headrace resume <pipeline> [--table T]…` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output, signal } = context;
	const pipeline = await readPipeline(context, args.required(0));
	const tables = args.list("table");
	await using app = await appOf(pipeline.directory, context);
	if (tables.length > 0)
		return tellPositionChange(
			output,
			await app.changePosition(pipeline, { kind: "resume", tables }, { signal }),
			"resumed",
		);
	const report = await app.pause(pipeline, false);
	output.print(`${printable(pipeline.name)} goes on with its next run`);
	return { data: report };
}
