import type { Arguments } from "../arguments.ts";
import { tellPositionChange } from "../change-text.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { appOf, readPipeline } from "../project.ts";

/** `headrace resync <pipeline> [--table T]…` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output, signal } = context;
	const pipeline = await readPipeline(context, args.required(0));
	const tables = args.list("table");
	await using app = await appOf(pipeline.directory, context);
	const request = { kind: "resync", ...(tables.length > 0 && { tables }) } as const;
	return tellPositionChange(output, await app.changePosition(pipeline, request, { signal }), "to be read anew");
}
