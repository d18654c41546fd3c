import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { App, PlanOptions, RunInterval } from "../app/api.ts";
import { type CheckedPipeline, loadPipeline, parseSize } from "../config/index.ts";
import type { ProjectState } from "../state/index.ts";
import type { Arguments } from "./arguments.ts";
import type { VerbContext } from "./context.ts";
import { usageError } from "./output.ts";

/** A pipeline of the project, its secrets known to the redaction from here on. */
export async function readPipeline(context: VerbContext, nameOrPath: string): Promise<CheckedPipeline> {
	const pipeline = await loadPipeline(context.directory, nameOrPath, { env: context.env });
	context.output.redactor.addFrom(pipeline);
	return pipeline;
}

/** The app of the folder that a pipeline belongs to. */
export async function appOf(directory: string, context: VerbContext): Promise<App> {
	prepareStateFolder(directory);
	const { openApp } = await import("../app/app.ts");
	return openApp(stateOptions(context, directory));
}

/** What a project's state is opened with. */
export function stateOptions({ env, output }: VerbContext, directory: string) {
	const { redactor } = output;
	return {
		directory,
		env,
		redact: redactor.redact,
		onNotice: (message: string) => output.note(`! ${message}`),
		onConnection: (connection: unknown) => redactor.addFrom(connection),
	};
}

/** Makes `.headrace/`, readable by its owner only, and keeps it out of git. */
export function prepareStateFolder(directory: string): string {
	const folder = join(directory, ".headrace");
	mkdirSync(folder, { recursive: true, mode: 0o700 });
	const ignore = join(folder, ".gitignore");
	if (!existsSync(ignore)) writeFileSync(ignore, "*\n");
	return folder;
}

/** The project's history; null when nothing has run yet: reading must not make files. */
export async function openHistory(
	context: VerbContext,
	directory: string = context.directory,
): Promise<ProjectState | null> {
	const { openProjectState, statePlace } = await import("../app/project-state.ts");
	const place = await statePlace(directory, context.env);
	if (place.kind === "file" && !existsSync(place.path)) return null;
	return openProjectState(stateOptions(context, directory));
}

/** Options that plan and run share. */
export function planOptions(context: VerbContext, args: Arguments): PlanOptions {
	const tables = args.list("table");
	const concurrency = args.count("concurrency", "--concurrency");
	const memory = args.text("memory");
	const params = readParams(args.list("params"));
	return {
		...(tables.length > 0 && { tables }),
		...(params !== undefined && { params }),
		...(args.flag("fullRefresh") && { fullRefresh: true }),
		...(concurrency !== undefined && { concurrency }),
		...(memory !== undefined && { memoryBytes: parseSize(memory) }),
		signal: context.signal,
	};
}

/** The interval that a run is asked for, if any. */
export async function intervalOf(
	pipeline: CheckedPipeline,
	text: string | undefined,
): Promise<RunInterval | undefined> {
	if (text === undefined) return undefined;
	const { namedInterval } = await import("../app/app.ts");
	return namedInterval(pipeline, text);
}

function readParams(pairs: readonly string[]): Record<string, string> | undefined {
	if (pairs.length === 0) return undefined;
	return Object.fromEntries(
		pairs.map((pair) => {
			const at = pair.indexOf("=");
			if (at < 1) throw usageError(`--params needs key=value, not ${JSON.stringify(pair)}`);
			return [pair.slice(0, at), pair.slice(at + 1)];
		}),
	);
}
