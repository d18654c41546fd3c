import { waitingAlert } from "../../app/api.ts";
import type { AttemptError, RunReceipt, StateStore } from "../../core/state-store.ts";
import { intervalText, timeText } from "../../observe/format.ts";
import { receiptLines } from "../../observe/receipt.ts";
import { printable } from "../../observe/terminal.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { usageError } from "../output.ts";
import { openHistory } from "../project.ts";
import { waitingText } from "./alert-text.ts";
import { runStateText, tookText } from "./runs.ts";

/** `headrace runs show <run>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	await using history = await openHistory(context);
	const receipt = await findRun(history, args.required(0));
	const interval = receipt.interval === null ? "" : `  ${intervalText(receipt.interval)}`;
	output.print(`${output.paint("bold", printable(receipt.pipeline) + interval)}  run ${receipt.run_id}`);
	output.print(
		[
			`   ${runStateText(receipt.state, output.paint)}`,
			`started ${timeText(receipt.started_at)}`,
			...(receipt.finished_at === null ? [] : [`took ${tookText(receipt)}`]),
		].join(" · "),
	);
	for (const line of receiptLines(receipt, { paint: output.paint })) output.print(line);
	for (const line of attemptLines(receipt)) output.print(output.paint("dim", `   ${line}`));
	const waiting = ((await history?.alerts(receipt.pipeline)) ?? [])
		.filter((entry) => entry.state === "waiting" && entry.runId === receipt.run_id)
		.map(waitingAlert);
	for (const alert of waiting) output.print(output.paint("yellow", `   ! ${waitingText(alert)}`));
	for (const table of receipt.tables)
		if (table.position !== null)
			output.print(output.paint("dim", `   ${printable(table.table)}  position ${printable(table.position)}`));
	return { data: { runs: [receipt], alerts_waiting: waiting } };
}

/** Attempts that failed before the one that counts, each with its time and error. */
function attemptLines(run: RunReceipt): string[] {
	const line = (about: string, { attempt, at, code, message }: AttemptError): string =>
		`${about}attempt ${attempt} failed ${timeText(at)}  ${code}  ${printable(message)}`;
	return [
		...(run.attempt_errors ?? []).map((error) => line("", error)),
		...run.tables.flatMap(({ table, attempt_errors }) =>
			(attempt_errors ?? []).map((error) => line(`${printable(table)}  `, error)),
		),
	];
}

/** @throws E_USAGE when there is no such run */
export async function findRun(history: StateStore | null, id: string): Promise<RunReceipt> {
	const receipt = await history?.run(id);
	if (receipt === null || receipt === undefined)
		throw usageError(
			`there is no run ${JSON.stringify(id)} in this project`,
			"See `headrace runs`; -C names the project's folder.",
		);
	return receipt;
}
