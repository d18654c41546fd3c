import { describe, expect, test } from "vitest";
import type { RunReceipt, TableReceipt } from "../core/index.ts";
import { happenedIn, successOf } from "./happened.ts";

function table(name: string, change: Partial<TableReceipt> = {}): TableReceipt {
	return {
		table: name,
		into: `raw.${name}`,
		mode: "full",
		write: "replace",
		state: "succeeded",
		rows_read: 1,
		rows_staged: 1,
		rows_loaded: 1,
		rows_rejected: 0,
		rows_inserted: 0,
		rows_updated: 0,
		rows_deleted: 0,
		bytes: 1,
		seconds: 1,
		attempts: 1,
		position: null,
		values_changed: {},
		error: null,
		...change,
	};
}

function run(tables: readonly TableReceipt[], change: Partial<RunReceipt> = {}): RunReceipt {
	return {
		run_id: "r1",
		pipeline: "shop",
		interval: null,
		state: tables.every(({ state }) => state === "succeeded") ? "succeeded" : "failed",
		started_at: "2026-01-01T00:00:00.000Z",
		finished_at: "2026-01-01T00:01:00.000Z",
		tables,
		...change,
	};
}

const failed = (code: string, change: Partial<TableReceipt> = {}) =>
	table("a", { state: "failed", error: { code, message: "what", hint: "cure", values: "Eve" }, ...change });

describe("what a run that ended means", () => {
	test("a table that failed, with its attempts; one that was skipped because of it is no news", () => {
		const { occurrences, successes } = happenedIn(
			run([failed("E_SOURCE", { attempts: 3 }), table("b", { state: "skipped" }), table("c")]),
		);
		expect(occurrences).toEqual([
			{
				event: "failed",
				table: "a",
				into: "raw.a",
				code: "E_SOURCE",
				message: "what",
				hint: "cure",
				attempts: 3,
				runId: "r1",
			},
		]);
		expect(successes).toEqual(["c", ""]);
	});

	test("a run that failed as a whole, without the row values that were asked for", () => {
		const error = { code: "E_CONNECT", message: "what", hint: "cure", values: "Eve" };
		const attempt_errors = [{ attempt: 1, at: "2026-01-01T00:00:00.000Z", code: "E_CONNECT", message: "what" }];
		const { occurrences, successes } = happenedIn(run([], { state: "failed", error, attempt_errors }));
		expect(occurrences).toEqual([
			{ event: "failed", table: "", code: "E_CONNECT", message: "what", hint: "cure", attempts: 2, runId: "r1" },
		]);
		expect(successes).toEqual([]);
	});

	test.each(["E_STOPPED", "E_FENCED", "E_BUSY"])("%s is nobody's fault", (code) => {
		expect(happenedIn(run([failed(code)], { error: { code, message: "", hint: "" } })).occurrences).toEqual([]);
	});

	test("checks by name and number; the keys of rows, which a check's message names, stay here", () => {
		const checks = [
			{ name: "unique id", severity: "error", state: "failed", failing: 2 },
			{ name: "rows > 0", severity: "error", state: "passed", failing: 0 },
			{ name: "not_null city", severity: "warn", state: "failed", failing: 1 },
		] as const;
		const error = { code: "E_CHECK", message: "unique id: 2 rows, such as 17, 18", hint: "mend them" };
		const { occurrences } = happenedIn(run([failed("E_CHECK", { error, checks })]));
		expect(occurrences.map(({ event, code, message }) => [event, code, message])).toEqual([
			["failed", "E_CHECK", "checks of raw.a failed: unique id (2 rows)"],
			["check_warned", "not_null city", "check not_null city warns: 1 row of raw.a"],
		]);
	});

	test("columns that changed, each by itself, also in a run that succeeded", () => {
		const schema_changes = [
			{ column: "vat", change: "added", action: "added" },
			{ column: "", change: "id → id, day", action: "table built anew" },
		];
		const { occurrences } = happenedIn(run([table("a", { schema_changes })]));
		expect(occurrences.map(({ event, code, message }) => [event, code, message])).toEqual([
			["schema_changed", "added vat", "column vat: added; added"],
			["schema_changed", "id → id, day", "key: id → id, day; table built anew"],
		]);
	});

	test("rows that were only extracted are no success", () => {
		expect(happenedIn(run([table("a")], { stage: "extract" })).successes).toEqual([]);
		expect(happenedIn(run([table("a")], { stage: "load" })).successes).toEqual(["a", ""]);
	});
});

test("a dead man's switch hears of runs that succeeded wholly, and of them alone", () => {
	expect(successOf([run([table("a"), table("b")])])).toMatchObject({ event: "succeeded", message: "2 tables loaded" });
	expect(successOf([run([table("a")]), run([table("a")])])).toMatchObject({ message: "2 tables loaded in 2 runs" });
	expect(successOf([run([table("a")]), run([failed("E_SOURCE")])])).toBeNull();
	expect(successOf([run([table("a")], { stage: "extract" })])).toBeNull();
	expect(successOf([])).toBeNull();
});
