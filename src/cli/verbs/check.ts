import { insecureEnds } from "../../app/insecure-ends.ts";
import { HeadraceError } from "../../core/errors.ts";
import { printable } from "../../observe/terminal.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { appOf, readPipeline } from "../project.ts";

/** `headrace check <pipeline>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const { paint } = output;
	const pipeline = await readPipeline(context, args.required(0));
	await using app = await appOf(pipeline.directory, context);
	const report = await app.check(pipeline);
	let subject = "";
	for (const finding of report.findings) {
		if (finding.subject !== subject) output.print(paint("bold", printable(finding.subject)));
		subject = finding.subject;
		const sign = { ok: paint("green", "✓"), warning: paint("yellow", "!"), error: paint("red", "✗") }[finding.severity];
		output.print(`  ${sign} ${printable(finding.message)}`);
		if (finding.remedy !== undefined) output.print(`    cure: ${printable(finding.remedy)}`);
	}
	const insecure = insecureEnds(pipeline);
	if (insecure !== "") output.print(paint("yellow", `  ! ${insecure}`));
	const errors = report.findings
		.filter((finding) => finding.severity === "error")
		.map(
			({ subject: about, message, remedy }) =>
				new HeadraceError("E_CHECK", `${about}: ${message}`, {
					pipeline: pipeline.name,
					...(remedy === undefined ? {} : { hint: remedy }),
				}),
		);
	if (output.quiet) for (const error of errors) output.error(`${error.code}  ${error.message}`);
	return { data: report, exit: report.ok ? 0 : 1, errors };
}
