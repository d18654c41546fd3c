import { HeadraceError } from "../../core/errors.ts";
import { printable } from "../../observe/terminal.ts";
import type { Arguments } from "../arguments.ts";
import { tellPositionChange } from "../change-text.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { appOf, openHistory, readPipeline } from "../project.ts";

/** `headrace pause <pipeline> [--table T]…` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output, signal } = context;
	const pipeline = await readPipeline(context, args.required(0));
	const tables = args.list("table");
	await using app = await appOf(pipeline.directory, context);
	if (tables.length > 0)
		return tellPositionChange(
			output,
			await app.changePosition(pipeline, { kind: "pause", tables }, { signal }),
			"paused",
		);
	const report = await app.pause(pipeline, true);
	output.print(
		`${printable(pipeline.name)} is paused${report.ended ? "; what followed its change log has ended" : ""}`,
	);
	output.note(`\`headrace resume ${pipeline.name}\` lets it go on`);
	return { data: report };
}

/**
 * Runs of the command line do not begin while their pipeline is paused.
 * @throws E_PAUSED
 */
export async function refuseIfPaused(context: VerbContext, { name, directory }: { name: string; directory: string }) {
	await using history = await openHistory(context, directory);
	const paused = (await history?.server.schedules())?.find((row) => row.pipeline === name)?.paused ?? null;
	if (paused === null) return;
	const reason = paused.reason === null ? "" : `: ${paused.reason}`;
	throw new HeadraceError("E_PAUSED", `${name} is paused since ${paused.at} by ${paused.by}${reason}`, {
		pipeline: name,
		hint: `\`headrace resume ${name}\` lets it go on.`,
	});
}
