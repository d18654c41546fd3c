import { readFileSync, statSync } from "node:fs";
import { HeadraceError, HeadraceErrors } from "../core/errors.ts";
import { YAML_BYTES_MAX } from "./yaml-file.ts";

/**
 * The text of a configuration file.
 * @throws HeadraceErrors: E_FILE_NOT_FOUND, E_YAML when it is too large or not UTF-8
 */
export function readText(file: string): string {
	const fail = (code: "E_FILE_NOT_FOUND" | "E_YAML", message: string, cause?: unknown) =>
		new HeadraceErrors([new HeadraceError(code, message, { file, cause })]);
	let bytes: Buffer;
	try {
		const stat = statSync(file);
		if (!stat.isFile()) throw fail("E_FILE_NOT_FOUND", `${file} is not a file`);
		if (stat.size > YAML_BYTES_MAX) throw fail("E_YAML", "the file is larger than 1 MB");
		bytes = readFileSync(file);
	} catch (error) {
		if (error instanceof HeadraceErrors) throw error;
		const code = (error as NodeJS.ErrnoException).code;
		const missing = code === "ENOENT" || code === "ENOTDIR" || code === "ENAMETOOLONG";
		throw fail("E_FILE_NOT_FOUND", missing ? `${file} does not exist` : `${file} can't be read (${code})`, error);
	}
	try {
		return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
	} catch (cause) {
		throw fail("E_YAML", "the file is not UTF-8 text", cause);
	}
}
