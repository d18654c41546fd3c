import { decodePosition, positionText } from "../../core/position.ts";
import { printable } from "../../observe/terminal.ts";
import { textTable } from "../../observe/text-table.ts";
import type { Arguments } from "../arguments.ts";
import { followedLines } from "../change-text.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { appOf, readPipeline } from "../project.ts";

/** `headrace state show <pipeline>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const pipeline = await readPipeline(context, args.required(0));
	await using app = await appOf(pipeline.directory, context);
	const report = await app.positions(pipeline);
	const { log } = report;
	if (report.is_held) output.note("a run has the pipeline: positions are as it told them last");
	if (log !== null) {
		output.print(`${output.paint("bold", "change log")} read to ${printable(log.at)}`);
		for (const line of followedLines(log.tables)) output.print(`  ${line}`);
	}
	const rows = report.positions
		.filter(({ stream }) => log === null || stream !== "changes")
		.map(({ stream, position, committedAt }) => [printable(stream), printable(textOf(position)), committedAt ?? ""]);
	if (rows.length > 0)
		for (const line of textTable([{ title: "stream" }, { title: "position" }, { title: "committed" }], rows))
			output.print(line);
	else if (log === null) output.note("nothing was read yet");
	return { data: report };
}

/** As people read it; a position that can't be read is shown as it is. */
function textOf(position: string | null): string {
	if (position === null) return "";
	try {
		return positionText(decodePosition(position)) ?? "";
	} catch {
		return position;
	}
}
