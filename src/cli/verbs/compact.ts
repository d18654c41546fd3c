import { parseSize } from "../../config/sizes.ts";
import { bytesText, plural, rowsText, secondsText } from "../../observe/format.ts";
import { printable } from "../../observe/terminal.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { appOf, readPipeline } from "../project.ts";

/** `headrace compact <pipeline>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output, signal } = context;
	const pipeline = await readPipeline(context, args.required(0));
	const tables = args.list("table");
	const target = args.text("targetSize");
	const memory = args.text("memory");
	const dryRun = args.flag("dryRun");
	await using app = await appOf(pipeline.directory, context);
	const compacted = await app.compact(pipeline, {
		signal,
		dryRun,
		...(tables.length > 0 && { tables }),
		...(target !== undefined && { targetBytes: parseSize(target) }),
		...(memory !== undefined && { memoryBytes: parseSize(memory) }),
	});
	const receipts = compacted.map((each) => ({
		table: each.table.schema === "" ? each.table.name : `${each.table.schema}.${each.table.name}`,
		files_before: each.filesBefore,
		files_after: each.filesAfter,
		bytes_before: each.bytesBefore,
		bytes_after: each.bytesAfter,
		rows: each.rows,
		given_up: each.givenUp,
		orphans_removed: each.orphansRemoved,
		seconds: each.seconds,
	}));
	for (const receipt of receipts) {
		const files = `${plural(receipt.files_before, "file")} → ${receipt.files_after}`;
		const sizes = dryRun
			? bytesText(receipt.bytes_before)
			: `${bytesText(receipt.bytes_before)} → ${bytesText(receipt.bytes_after)}`;
		const more = [
			...(receipt.given_up > 0 ? [`${plural(receipt.given_up, "group")} left to a load that was faster`] : []),
			...(receipt.orphans_removed > 0
				? [`${plural(receipt.orphans_removed, "file")} of killed runs ${dryRun ? "to remove" : "removed"}`]
				: []),
			...(dryRun ? [] : [secondsText(receipt.seconds)]),
		];
		output.print(
			`   ${printable(receipt.table)}  ${files}  ${sizes}  ${rowsText(receipt.rows)} ${dryRun ? "to rewrite" : "rewritten"}${more.map((each) => `  ${each}`).join("")}`,
		);
	}
	if (receipts.length === 0) output.print(`${pipeline.name} has loaded nothing yet`);
	return { data: { dry_run: dryRun, tables: receipts } };
}
