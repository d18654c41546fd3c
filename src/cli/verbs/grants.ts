import { printable } from "../../observe/terminal.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { appOf, readPipeline } from "../project.ts";

/** `headrace grants <pipeline>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const { paint } = output;
	const pipeline = await readPipeline(context, args.required(0));
	await using app = await appOf(pipeline.directory, context);
	const report = await app.grants(pipeline);
	for (const { connection, role, type, grants } of report.connections) {
		output.print(paint("bold", `${printable(connection)} (${role}, ${type})`));
		if (grants === null) output.print(`  no list of rights for ${type} yet: \`headrace check\` tells what is missing`);
		else if (grants.length === 0) output.print("  none: files of this machine");
		for (const { title, text } of grants ?? []) {
			output.print(`  ${printable(title)}:`);
			// As it is: it is to be copied.
			for (const line of text.replaceAll("\t", "  ").split("\n")) output.print(printable(line));
		}
	}
	return { data: report };
}
