import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { appOf, readPipeline } from "../project.ts";

/** `headrace state export <pipeline>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const pipeline = await readPipeline(context, args.required(0));
	await using app = await appOf(pipeline.directory, context);
	const { positions, log, is_held } = await app.positions(pipeline);
	const exported = {
		pipeline: pipeline.name,
		exported_at: new Date().toISOString(),
		is_held,
		log_position: log?.at ?? null,
		streams: positions.map(({ stream, position, loadId, committedAt }) => ({
			stream,
			position: position === null ? null : (JSON.parse(position) as unknown),
			load_id: loadId,
			committed_at: committedAt,
		})),
	};
	output.printText(JSON.stringify(exported, null, "\t"));
	return { data: exported };
}
