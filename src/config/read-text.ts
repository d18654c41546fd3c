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
		throw new HeadraceErrors([notUtf8(file, bytes, cause)]);
	}
}

/** Where the first byte is that UTF-8 does not have, and what the file is instead, where that can be told. */
function notUtf8(file: string, bytes: Buffer, cause: unknown): HeadraceError {
	const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
	if (isUtf16)
		return new HeadraceError("E_YAML", "the file is UTF-16, not UTF-8", { file, cause, hint: "Save it as UTF-8." });
	// Bytes that are not UTF-8 become U+FFFD, one or more; none of them is shorter in UTF-8 than what it stands for.
	const text = bytes.toString("utf8");
	const before = text.slice(0, firstDifference(text, bytes)).split("\n");
	return new HeadraceError("E_YAML", "the file is not UTF-8: this character is of another encoding", {
		file,
		line: before.length,
		column: before.at(-1)!.length + 1,
		cause,
		hint: 'Save the file as UTF-8, or write the character as an escape in quotes: "\\u00e4".',
	});
}

/** Index of the first U+FFFD that the bytes do not have themselves. */
function firstDifference(text: string, bytes: Buffer): number {
	for (let at = text.indexOf("\uFFFD"); at >= 0; at = text.indexOf("\uFFFD", at + 1)) {
		const offset = Buffer.byteLength(text.slice(0, at));
		if (bytes.toString("latin1", offset, offset + 3) !== "\u00EF\u00BF\u00BD") return at;
	}
	return text.length;
}
