import type { Plan, PlanColumn, PlanHook, PlanTable } from "../app/api.ts";
import { plural, rowsText } from "../observe/format.ts";
import { displayWidth, type Paint, printable, printableLines } from "../observe/terminal.ts";
import { textTable } from "../observe/text-table.ts";

export interface PlanTextOptions {
	readonly paint: Paint;
	/** With the DDL of new tables and every column that has a note. */
	readonly verbose: boolean;
	/** Shown beside the first line: `tls off`. */
	readonly remark?: string;
	/** At the end of the first line: `last run 2026-11-20 02:00:00 UTC succeeded`. */
	readonly lastRun?: string;
}

const TITLE_WIDTH = 60;

/** A plan as text: `+` new, `~` changed, `!` something is lost, `✗` refused. */
export function planLines(plan: Plan, options: PlanTextOptions): string[] {
	const { paint } = options;
	const remark = options.remark === undefined || options.remark === "" ? "" : `  ! ${options.remark}`;
	const title = `${paint("bold", printable(plan.pipeline))}: ${plan.from} → ${plan.to}${paint("yellow", remark)}`;
	const gap = " ".repeat(Math.max(3, TITLE_WIDTH - displayWidth(title)));
	const lines = [options.lastRun === undefined ? title : `${title}${gap}${paint("dim", options.lastRun)}`];
	const rows = textTable(
		[{ title: "" }, { title: "" }, { title: "" }, { title: "" }],
		plan.tables.map((table) => [
			signOf(table, paint),
			printable(table.table),
			`${table.mode}, ${table.write}`,
			summaryOf(table),
		]),
		{ indent: 2, titles: false },
	);
	plan.tables.forEach((table, index) => {
		lines.push(rows[index]!);
		for (const line of detailLines(table, options)) lines.push(`      ${line}`);
	});
	for (const hook of plan.hooks ?? []) lines.push(...hookLines(hook, paint).map((line) => `  ${line}`));
	for (const finding of plan.findings) {
		if (finding.severity === "ok") continue;
		const sign = finding.severity === "error" ? paint("red", "✗") : paint("yellow", "!");
		lines.push(`  ${sign} ${printable(finding.message)}`);
		if (finding.remedy !== undefined) lines.push(`    cure: ${printable(finding.remedy)}`);
	}
	lines.push(conclusion(plan));
	return lines;
}

function worst(table: PlanTable): PlanColumn["fidelity"] {
	if (table.columns.some((column) => column.fidelity === "refused")) return "refused";
	return table.columns.some((column) => column.fidelity === "lossy") ? "lossy" : "exact";
}

function signOf(table: PlanTable, paint: Paint): string {
	const fidelity = worst(table);
	if (fidelity === "refused") return paint("red", "✗");
	if (fidelity === "lossy") return paint("yellow", "!");
	return table.change === "new" ? paint("green", "+") : table.change === "changed" ? paint("yellow", "~") : " ";
}

function summaryOf(table: PlanTable): string {
	const parts: string[] = [];
	if (table.into !== table.table) parts.push(`→ ${printable(table.into)}`);
	if (table.change === "new")
		parts.push(table.columns.length === 0 ? "new table" : `new table, ${plural(table.columns.length, "column")}`);
	if (table.estimated_rows !== null) parts.push(`~${rowsText(table.estimated_rows)}`);
	if (table.key.length > 0 && table.write === "merge") parts.push(`key ${table.key.map(printable).join(", ")}`);
	return [parts.join(", "), ...table.notes.map(printable)].filter((part) => part !== "").join("; ");
}

function detailLines(table: PlanTable, options: PlanTextOptions): string[] {
	const { paint, verbose } = options;
	const lines: string[] = [];
	for (const column of table.columns) {
		const note = column.note === null ? "" : `: ${printable(column.note)}`;
		const text = `${printable(column.name)} ${printable(column.source_type)} → ${column.destination_type}${note}`;
		if (column.fidelity === "refused") lines.push(paint("red", `✗ ${text}`));
		else if (column.fidelity === "lossy") lines.push(paint("yellow", `! ${text}`));
		else if (verbose && column.note !== null) lines.push(`  ${text}`);
	}
	for (const hook of table.hooks ?? []) lines.push(...hookLines(hook, paint));
	for (const { name, severity } of table.checks ?? [])
		lines.push(paint("dim", `check ${printable(name)}${severity === "warn" ? " (warns only)" : ""}`));
	// A new table's own statement repeats its columns: only on demand.
	if (table.change === "changed" || verbose)
		for (const statement of table.ddl)
			lines.push(
				...printableLines(statement.trimEnd())
					.split("\n")
					.map((line) => paint("dim", line)),
			);
	return lines;
}

/** `before, on source: call refresh()`: SQL as it is written, a statement a line. */
function hookLines({ when, on, sql }: PlanHook, paint: Paint): string[] {
	return sql.map((statement) => paint("dim", `${when}, on ${on}: ${printable(statement.replace(/\s+/g, " ").trim())}`));
}

function conclusion(plan: Plan): string {
	const refused = plan.tables.filter((table) => worst(table) === "refused").length;
	if (refused > 0) return `${plural(refused, "table")} can't be copied so. Nothing was changed.`;
	const changed = plan.tables.filter((table) => table.change !== "same").length;
	const words =
		changed === 0
			? "No table changes its form."
			: `${plural(changed, "table")} ${changed === 1 ? "changes" : "change"}.`;
	return `${words} \`headrace run ${plan.pipeline}\` applies this.`;
}
