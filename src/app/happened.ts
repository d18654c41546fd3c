import type { RunReceipt, TableReceipt } from "../core/index.ts";
import type { Occurrence } from "../observe/alerts/index.ts";
import { plural, rowsText } from "../observe/index.ts";

/** Ends that are nobody's fault: a person stopped it, or another run goes on in its place. */
const NO_FAULT = new Set(["E_STOPPED", "E_FENCED", "E_BUSY"]);

/** An occurrence, before it is known whom it concerns. */
export type Happening = Omit<Occurrence, "channels"> & { readonly into?: string };

/** What a run that ended means to those who want to be told. */
export function happenedIn(run: RunReceipt): { readonly occurrences: Happening[]; readonly successes: string[] } {
	const occurrences: Happening[] = [];
	const successes: string[] = [];
	const { run_id: runId, error } = run;
	if (error !== undefined && !NO_FAULT.has(error.code)) {
		const { code, message, hint } = error;
		const attempts = (run.attempt_errors?.length ?? 0) + 1;
		occurrences.push({ event: "failed", table: "", code, message, hint, attempts, runId });
	}
	for (const table of run.tables) {
		occurrences.push(...happenedTo(table, runId));
		// What was only extracted is not there yet.
		if (table.state === "succeeded" && run.stage !== "extract") successes.push(table.table);
	}
	if (successes.length > 0 || (run.state === "succeeded" && run.stage !== "extract")) successes.push("");
	return { occurrences, successes };
}

/** That runs succeeded wholly: what a dead man's switch waits for. Null when one did not, or only extracted. */
export function successOf(runs: readonly RunReceipt[]): Happening | null {
	const last = runs.at(-1);
	if (last === undefined || runs.some((run) => run.state !== "succeeded" || run.stage === "extract")) return null;
	const tables = runs.reduce((sum, run) => sum + run.tables.length, 0);
	const message = `${plural(tables, "table")} loaded${runs.length === 1 ? "" : ` in ${plural(runs.length, "run")}`}`;
	return { event: "succeeded", table: "", code: "", message, hint: "", attempts: 1, runId: last.run_id };
}

function happenedTo(receipt: TableReceipt, runId: string): Happening[] {
	const { table, into, attempts } = receipt;
	const about = { table, into, attempts, runId };
	const happenings: Happening[] = [];
	if (receipt.state === "failed" && receipt.error !== null && !NO_FAULT.has(receipt.error.code)) {
		const { code, hint } = receipt.error;
		// The message of a check names the keys of rows, which are values: they stay on this machine.
		const message = code === "E_CHECK" ? checkMessage(receipt) : receipt.error.message;
		happenings.push({ ...about, event: "failed", code, message, hint });
	}
	for (const { column, change, action } of receipt.schema_changes ?? [])
		happenings.push({
			...about,
			event: "schema_changed",
			code: `${change} ${column}`.trim(),
			message: `${column === "" ? "key" : `column ${column}`}: ${change}; ${action}`,
			hint: "",
		});
	for (const { name, severity, state, failing } of receipt.checks ?? [])
		if (severity === "warn" && state === "failed")
			happenings.push({
				...about,
				event: "check_warned",
				code: name,
				message: `check ${name} warns: ${rowsText(failing)} of ${into}`,
				hint: "",
			});
	return happenings;
}

function checkMessage({ into, checks = [] }: TableReceipt): string {
	const failed = checks.filter(({ state, severity }) => state === "failed" && severity === "error");
	if (failed.length === 0) return `a check of ${into} failed`;
	return `checks of ${into} failed: ${failed.map(({ name, failing }) => `${name} (${rowsText(failing)})`).join(", ")}`;
}
