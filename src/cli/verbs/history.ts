import type { SqlRow } from "../../core/destination.ts";
import { rowsText } from "../../observe/format.ts";
import { printable } from "../../observe/terminal.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { usageError } from "../output.ts";
import { appOf, readPipeline } from "../project.ts";

const FORMATS = ["csv", "jsonl"] as const;

/** `headrace history <pipeline> <table> --as-of <time>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output, signal } = context;
	const asOf = args.text("asOf");
	if (asOf === undefined) throw usageError("history needs a time", "Write --as-of 2026-11-21T10:00:00Z.");
	const format = args.text("format") ?? "csv";
	if (!FORMATS.some((each) => each === format))
		throw usageError(`--format is csv or jsonl, not ${JSON.stringify(format)}`);
	const pipeline = await readPipeline(context, args.required(0));
	await using app = await appOf(pipeline.directory, context);
	await using history = await app.history(pipeline, args.required(1), asOf, { signal });
	const { columns, table, as_of, begins } = history;
	const isCsv = format === "csv" && !output.json;
	if (isCsv) await output.printItem({}, () => columns.map(csvText).join(","));
	let rows = 0;
	for await (const batch of history.rows) {
		for (const row of batch) {
			rows++;
			await output.printItem(row, () => (isCsv ? csvLine(row, columns) : JSON.stringify(row)));
		}
		if (output.isGone) break;
	}
	output.note(
		`${rowsText(rows)} of ${printable(table)} as of ${as_of}; its history begins at ${begins ?? "no time yet"}`,
	);
	return { data: { table, as_of, begins, columns, rows } };
}

/** By RFC 4180: NULL is nothing at all, a text of no characters is `""`. */
function csvLine(row: SqlRow, columns: readonly string[]): string {
	return columns
		.map((name) => {
			const value = row[name] ?? null;
			return value === null ? "" : csvText(value);
		})
		.join(",");
}

function csvText(text: string): string {
	return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
