import type { Arguments } from "../arguments.ts";
import { tellPositionChange } from "../change-text.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { appOf, readPipeline } from "../project.ts";

/** `headrace state set <pipeline> <position>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output, signal } = context;
	const pipeline = await readPipeline(context, args.required(0));
	const request = { kind: "set", position: args.required(1), isConfirmed: args.flag("yes") } as const;
	await using app = await appOf(pipeline.directory, context);
	return tellPositionChange(output, await app.changePosition(pipeline, request, { signal }), "moved");
}
