import type { LogLine } from "../../core/state-store.ts";
import { printable } from "../../observe/terminal.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { usageError } from "../output.ts";
import { openHistory } from "../project.ts";
import { findRun } from "./runs-show.ts";

const STYLES = { debug: "dim", info: "dim", warn: "yellow", error: "red" } as const;

/** `headrace logs <run> [task]` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const task = args.optional(1);
	await using history = await openHistory(context);
	const receipt = await findRun(history, args.required(0));
	if (task !== undefined && !receipt.tables.some((table) => table.table === task))
		throw usageError(
			`run ${receipt.run_id} has no task ${JSON.stringify(task)}`,
			`Its tasks are: ${receipt.tables.map((table) => table.table).join(", ")}.`,
		);
	const lines = (await history?.log(receipt.run_id, task)) ?? [];
	for (const line of lines) output.print(lineText(line, output.paint));
	return { data: { run_id: receipt.run_id, lines } };
}

function lineText(line: LogLine, paint: (style: "dim" | "yellow" | "red", text: string) => string): string {
	const level = paint(STYLES[line.level], line.level.padEnd(5));
	const task = line.task === null ? "" : `${printable(line.task)}  `;
	return `${line.at}  ${level}  ${task}${printable(line.message)}`;
}
