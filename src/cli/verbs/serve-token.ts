import type { VerbContext } from "../context.ts";
import { prepareStateFolder, stateOptions } from "../project.ts";

/** The state store of the project, where tokens are kept. */
export async function openTokens(context: VerbContext) {
	prepareStateFolder(context.directory);
	const { openProjectState } = await import("../../app/project-state.ts");
	return openProjectState(stateOptions(context, context.directory));
}

/** Who works at the command line, for the audit. */
export function operatorName(env: NodeJS.ProcessEnv): string {
	return `${env["USER"] ?? env["LOGNAME"] ?? "somebody"} at the command line`;
}
