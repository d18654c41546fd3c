import { expect, test } from "vitest";
import type { Plan, PlanColumn, PlanTable } from "../app/api.ts";
import { planLines } from "./plan-text.ts";

const paint = (_style: unknown, text: string): string => text;

function column(name: string, more: Partial<PlanColumn> = {}): PlanColumn {
	return { name, source_type: "int", destination_type: "INTEGER", fidelity: "exact", note: null, ...more };
}

function table(name: string, more: Partial<PlanTable> = {}): PlanTable {
	const columns = [column("id")];
	return {
		table: name,
		into: name,
		mode: "full",
		write: "replace",
		key: ["id"],
		estimated_rows: null,
		ddl: [],
		columns,
		change: "same",
		notes: [],
		schema_changes: [],
		...more,
	};
}

const plan: Plan = {
	pipeline: "shop",
	from: "mysql://db/prod",
	to: "duckdb:x.duckdb",
	tables: [
		table("prod.coupons", {
			change: "new",
			estimated_rows: 1200,
			columns: [column("id"), column("code", { note: "exact as text" })],
			ddl: ["CREATE TABLE prod.coupons (\n\tid INTEGER\n)"],
		}),
		table("prod.orders", {
			mode: "incremental",
			write: "merge",
			into: "raw.orders",
			change: "changed",
			ddl: ["ALTER TABLE raw.orders ADD COLUMN channel VARCHAR"],
			notes: ["cursor modified >= 2026-11-20 01:59:58"],
		}),
		table("prod.nps", { estimated_rows: 81_000 }),
		table("prod.prices", {
			columns: [
				column("amount", {
					source_type: "decimal(65,30)",
					destination_type: "DOUBLE",
					fidelity: "lossy",
					note: "about 15 digits are kept",
				}),
			],
		}),
	],
	findings: [
		{ severity: "ok", message: "fine" },
		{ severity: "warning", message: "no SELECT on prod.x", remedy: "GRANT SELECT ON prod.x TO 'reader'@'%'" },
	],
};

test("a plan shows what is new, changes, and is lost, and what cures findings", () => {
	expect(planLines(plan, { paint, verbose: false, remark: "prod: tls off" })).toEqual([
		"shop: mysql://db/prod → duckdb:x.duckdb  ! prod: tls off",
		"  +  prod.coupons  full, replace       new table, 2 columns, ~1,200 rows",
		"  ~  prod.orders   incremental, merge  → raw.orders, key id; cursor modified >= 2026-11-20 01:59:58",
		"      ALTER TABLE raw.orders ADD COLUMN channel VARCHAR",
		"     prod.nps      full, replace       ~81,000 rows",
		"  !  prod.prices   full, replace",
		"      ! amount decimal(65,30) → DOUBLE: about 15 digits are kept",
		"  ! no SELECT on prod.x",
		"    cure: GRANT SELECT ON prod.x TO 'reader'@'%'",
		"2 tables change. `headrace run shop` applies this.",
	]);
});

test("with -v also the statement of a new table and columns with a note", () => {
	const lines = planLines(plan, { paint, verbose: true });
	expect(lines.slice(2, 6)).toEqual([
		"        code int → INTEGER: exact as text",
		"      CREATE TABLE prod.coupons (",
		"      \tid INTEGER",
		"      )",
	]);
});

test("a column that is refused is named, and the plan does not promise a run", () => {
	const refused = column("rate", { source_type: "numeric", fidelity: "refused", note: "no type holds it" });
	const lines = planLines(
		{ ...plan, tables: [table("a", { columns: [refused] })], findings: [] },
		{ paint, verbose: false },
	);
	expect(lines.slice(1)).toEqual([
		"  ✗  a  full, replace",
		"      ✗ rate numeric → INTEGER: no type holds it",
		"1 table can't be copied so. Nothing was changed.",
	]);
});

test("a plan without changes says so", () => {
	const options = { paint, verbose: false, lastRun: "last run 02:00 succeeded" };
	expect(planLines({ ...plan, tables: [table("a")], findings: [] }, options)).toEqual([
		"shop: mysql://db/prod → duckdb:x.duckdb                     last run 02:00 succeeded",
		"     a  full, replace",
		"No table changes its form. `headrace run shop` applies this.",
	]);
});
