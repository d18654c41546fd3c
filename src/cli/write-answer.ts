import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { HeadraceError } from "../core/errors.ts";
import type { VerbContext } from "./context.ts";

/**
 * Writes an answer that is a file: into `file`, relative to the project's folder, or to stdout for `-`. With `--json`
 * stdout is the envelope's, so `-` writes nothing then.
 * @throws E_USAGE when the file can't be written
 */
export function writeAnswer(context: VerbContext, text: string, file: string): { readonly path: string } | null {
	const { directory, output } = context;
	if (file === "-") {
		output.printText(text);
		return null;
	}
	const path = resolve(directory, file);
	try {
		mkdirSync(dirname(path), { recursive: true });
		writeFileSync(path, text);
	} catch (cause) {
		const { code = "" } = cause as NodeJS.ErrnoException;
		throw new HeadraceError("E_USAGE", `${path} can't be written (${code})`, {
			cause,
			hint: "Choose another place by --output.",
		});
	}
	const inside = relative(process.cwd(), path);
	output.print(`wrote ${inside.startsWith("..") ? path : inside}`);
	return { path };
}
