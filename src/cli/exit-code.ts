import { ERRORS, type ErrorCode, EXIT, type HeadraceError } from "../core/errors.ts";
import type { RunReceipt, TableReceipt } from "../core/state-store.ts";

/** Exit code of a command that ended with these errors: wrong configuration beats all, then who holds what, then connections. */
export function exitOfErrors(errors: readonly HeadraceError[]): number {
	return mostFitting(errors.map((error) => error.exit));
}

/**
 * Exit code of runs. A table that configuration alone stopped counts as a failed part of the run when other tables
 * ran: code 2 says that nothing did.
 */
export function exitOfRuns(runs: readonly RunReceipt[]): number {
	const bad = runs.filter((run) => run.state !== "succeeded");
	if (bad.length === 0) return EXIT.done;
	const tables = runs.flatMap((run) => run.tables);
	const codes = tables
		.filter((table) => table.state !== "succeeded")
		.flatMap((table) => (table.error === null ? [] : [exitOfCode(table.error.code)]));
	for (const run of bad) if (run.error !== undefined) codes.push(exitOfCode(run.error.code));
	if (codes.length === 0) return EXIT.failed;
	const ran = tables.some((table) => table.state === "succeeded" || hasMovedRows(table));
	return mostFitting(codes.map((code) => (code === EXIT.usage && ran ? EXIT.failed : code)));
}

function hasMovedRows(table: TableReceipt): boolean {
	return table.rows_read > 0 || table.rows_loaded > 0;
}

function exitOfCode(code: string): number {
	return Object.hasOwn(ERRORS, code) ? ERRORS[code as ErrorCode].exit : EXIT.failed;
}

function mostFitting(codes: readonly number[]): number {
	for (const code of [EXIT.usage, EXIT.busy, EXIT.connection]) if (codes.includes(code)) return code;
	return codes.includes(130) && codes.every((code) => code === 130) ? 130 : EXIT.failed;
}
