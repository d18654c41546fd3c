import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { runTask } from "./tasks-run.ts";

/** `headrace tasks test <pipeline> [task] [interval]` */
export function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	return runTask(context, args, true);
}
