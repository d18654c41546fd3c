import { pipelineSchema } from "../../config/index.ts";
import type { VerbContext, VerbResult } from "../context.ts";

/** `headrace schema` */
export async function run(context: VerbContext): Promise<VerbResult> {
	const schema = await pipelineSchema();
	context.output.printText(JSON.stringify(schema, null, "\t"));
	return { data: schema };
}
