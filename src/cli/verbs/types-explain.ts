import type { PlanTable } from "../../app/api.ts";
import { type Paint, printable } from "../../observe/terminal.ts";
import { textTable } from "../../observe/text-table.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { appOf, planOptions, readPipeline } from "../project.ts";

/** `headrace types explain <pipeline>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const pipeline = await readPipeline(context, args.required(0));
	await using app = await appOf(pipeline.directory, context);
	const plan = await app.plan(pipeline, planOptions(context, args));
	plan.tables.forEach((table, index) => {
		if (index > 0) output.print();
		output.print(output.paint("bold", `${printable(table.table)} → ${printable(table.into)}`));
		for (const line of columnLines(table, output.paint)) output.print(line);
	});
	return { data: { tables: plan.tables } };
}

function columnLines(table: PlanTable, paint: Paint): string[] {
	const styles = { exact: "green", lossy: "yellow", refused: "red" } as const;
	return textTable(
		[{ title: "column" }, { title: "source" }, { title: "destination" }, { title: "" }, { title: "" }],
		table.columns.map((column) => [
			printable(column.name),
			printable(column.source_type),
			column.destination_type,
			paint(styles[column.fidelity], column.fidelity),
			printable(column.note ?? ""),
		]),
		{ indent: 2 },
	);
}
