import { version } from "../../app/version.ts";
import type { VerbContext, VerbResult } from "../context.ts";

/** `headrace demo` */
export async function run(context: VerbContext): Promise<VerbResult> {
	const { directory, output, signal } = context;
	const { runDemo } = await import("../../demo/main.ts");
	const report = await runDemo({
		directory,
		print: (line) => output.print(line),
		paint: output.paint,
		signal,
		version: version(),
	});
	return { data: report };
}
