import { describe, expect, test } from "vitest";
import { type ErrorCode, HeadraceError } from "../core/errors.ts";
import type { RunReceipt, TableReceipt } from "../core/state-store.ts";
import { exitOfErrors, exitOfRuns } from "./exit-code.ts";

test.each<[ErrorCode[], number]>([
	[["E_VALUE"], 1],
	[["E_UNKNOWN_KEY"], 2],
	[["E_LOGIN"], 4],
	[["E_BUSY"], 75],
	[["E_STOPPED"], 130],
	[["E_VALUE", "E_LOGIN", "E_UNKNOWN_KEY"], 2],
	[["E_LOGIN", "E_VALUE"], 4],
	[["E_FENCED", "E_LOGIN"], 75],
	[["E_STOPPED", "E_VALUE"], 1],
	[[], 1],
])("errors %j end with %i", (codes, exit) => {
	expect(exitOfErrors(codes.map((code) => new HeadraceError(code, "x")))).toBe(exit);
});

type Outcome = [TableReceipt["state"], string | null, number];

function run(state: RunReceipt["state"], ...outcomes: Outcome[]): RunReceipt {
	const tables = outcomes.map(
		([each, code, rows]): TableReceipt => ({
			table: "t",
			into: "t",
			mode: "full",
			write: "replace",
			state: each,
			rows_read: rows,
			rows_staged: rows,
			rows_loaded: each === "succeeded" ? rows : 0,
			rows_rejected: 0,
			rows_inserted: 0,
			rows_updated: 0,
			rows_deleted: 0,
			bytes: 0,
			seconds: 0,
			attempts: 1,
			position: null,
			values_changed: {},
			error: code === null ? null : { code, message: "x", hint: "y" },
		}),
	);
	return { run_id: "r", pipeline: "p", interval: null, state, started_at: "", finished_at: "", tables };
}

describe("runs", () => {
	test.each<[string, RunReceipt[], number]>([
		["all well", [run("succeeded", ["succeeded", null, 3])], 0],
		["nothing to do", [run("succeeded")], 0],
		["a value that does not fit", [run("failed", ["failed", "E_VALUE", 3])], 1],
		[
			"a refused type beside tables that are loaded",
			[run("failed", ["succeeded", null, 3], ["failed", "E_TYPE_REFUSED", 0])],
			1,
		],
		["refused types alone: nothing ran", [run("failed", ["failed", "E_TYPE_REFUSED", 0])], 2],
		["a login that failed in the middle", [run("failed", ["succeeded", null, 3], ["failed", "E_LOGIN", 0])], 4],
		["fenced by a newer run", [run("failed", ["succeeded", null, 3], ["failed", "E_FENCED", 0])], 75],
		["stopped", [run("stopped", ["succeeded", null, 3], ["stopped", "E_STOPPED", 1])], 130],
		[
			"stopped, after another table had failed",
			[run("stopped", ["failed", "E_VALUE", 3], ["stopped", "E_STOPPED", 1])],
			1,
		],
		["failed without saying why", [run("failed", ["failed", null, 3])], 1],
		["one of several runs failed", [run("succeeded"), run("failed", ["failed", "E_VALUE", 1])], 1],
	])("%s", (_name, runs, exit) => {
		expect(exitOfRuns(runs)).toBe(exit);
	});
});
