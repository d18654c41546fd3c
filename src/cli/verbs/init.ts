import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { pipelineSchema } from "../../config/index.ts";
import { HeadraceError } from "../../core/errors.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { CONNECTIONS_YAML, CUSTOMERS_CSV, IGNORED, ORDERS_CSV, SAMPLE_YAML } from "../init-files.ts";
import { prepareStateFolder } from "../project.ts";

const FILES: Readonly<Record<string, string>> = {
	"connections.yaml": CONNECTIONS_YAML,
	"pipelines/sample.yaml": SAMPLE_YAML,
	"data/customers.csv": CUSTOMERS_CSV,
	"data/orders.csv": ORDERS_CSV,
};

/** `headrace init [dir]` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const directory = resolve(context.directory, args.optional(0) ?? ".");
	const there = Object.keys(FILES).filter((file) => existsSync(join(directory, file)));
	if (there.length > 0)
		throw new HeadraceError(
			"E_USAGE",
			`${there.join(", ")} ${there.length === 1 ? "is" : "are"} in ${directory} already`,
			{
				hint: "Choose another folder: init writes no file over another. Nothing was written.",
			},
		);
	for (const [file, text] of Object.entries(FILES)) {
		mkdirSync(dirname(join(directory, file)), { recursive: true });
		writeFileSync(join(directory, file), text, { flag: "wx" });
	}
	ignoreInGit(join(directory, ".gitignore"));
	const schema = JSON.stringify(await pipelineSchema(), null, "\t");
	writeFileSync(join(prepareStateFolder(directory), "pipeline.schema.json"), `${schema}\n`);
	const inside = relative(process.cwd(), directory);
	const shown = inside.startsWith("..") ? directory : inside;
	output.print(`${shown === "" ? "This folder" : shown} is a project now:`);
	for (const [file, what] of [
		["connections.yaml", "the systems, by name; a sample folder and a DuckDB file, with examples of others"],
		["pipelines/sample.yaml", "a pipeline that works at once"],
		["data/", "the sample: two CSV files"],
	])
		output.print(`   ${file!.padEnd(22)}  ${what}`);
	const within = shown === "" ? "" : ` -C ${/^[\w./-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`}`;
	output.print(
		`Next: \`headrace${within} run sample\`, then \`headrace${within} plan sample\` after you changed something.`,
	);
	return { data: { directory, files: [...Object.keys(FILES), ".gitignore"] } };
}

/** A repository's own .gitignore stays; what is missing in it is added. */
function ignoreInGit(file: string): void {
	const before = existsSync(file) ? readFileSync(file, "utf8") : "";
	const lines = before.split(/\r?\n/).map((line) => line.trim());
	const missing = IGNORED.filter((line) => !lines.includes(line));
	if (missing.length === 0) return;
	const gap = before === "" || before.endsWith("\n") ? "" : "\n";
	writeFileSync(file, `${before}${gap}${missing.join("\n")}\n`);
}
