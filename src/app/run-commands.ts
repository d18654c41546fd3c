import { basename, dirname, join } from "node:path";
import type { CheckedPipeline } from "../config/index.ts";

/** Commands about a run of a pipeline, ready to paste into a shell on the machine it ran on. */
export function commandsFor(
	pipeline: CheckedPipeline,
	runId: string | null,
): { readonly status: string; readonly show: string | null; readonly repeat: string | null } {
	const headrace = `headrace -C ${shellWord(pipeline.directory)}`;
	const name = shellWord(nameOf(pipeline));
	return {
		status: `${headrace} status ${name}`,
		show: runId === null ? null : `${headrace} runs show ${runId}`,
		repeat: runId === null ? null : `${headrace} run ${name} --failed ${runId}`,
	};
}

/** What the command line takes: the file's name where it lies in its project, else its path. */
function nameOf({ file, directory, name }: CheckedPipeline): string {
	if (file === undefined) return name;
	const inProject = [directory, join(directory, "pipelines")].includes(dirname(file));
	return inProject ? basename(file).replace(/\.ya?ml$/, "") : file;
}

function shellWord(text: string): string {
	return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
