import { join } from "node:path";
import { openStateStore } from "../../state/index.ts";
import type { VerbContext } from "../context.ts";
import { prepareStateFolder } from "../project.ts";

/** The state store of the project, where tokens are kept. */
export async function openTokens(context: VerbContext) {
	const folder = prepareStateFolder(context.directory);
	const { redactor, note } = { redactor: context.output.redactor, note: context.output.note.bind(context.output) };
	return openStateStore(join(folder, "state.db"), {
		redact: redactor.redact,
		onNotice: (message) => note(`! ${message}`),
	});
}

/** Who works at the command line, for the audit. */
export function operatorName(env: NodeJS.ProcessEnv): string {
	return `${env["USER"] ?? env["LOGNAME"] ?? "somebody"} at the command line`;
}
