import type { LogLine } from "../core/state-store.ts";
import { printable, STYLE, type Terminal } from "./terminal.ts";

/** A line with its time, where nobody watches: in a file or what cron sends by mail. */
export function stamped(line: string, terminal: Terminal, at: Date = new Date()): string {
	return terminal.isTTY === true ? line : `${at.toISOString().replace(/\.\d+Z$/, "Z")}  ${line}`;
}

/** An error in one line: code, what and where, what to do. */
export function errorText(
	error: { readonly code: string; readonly message: string; readonly hint: string },
	redact: (text: string) => string,
): string {
	const cure = error.hint === "" ? "" : `; cure: ${printable(redact(error.hint))}`;
	return `${error.code}  ${printable(redact(error.message))}${cure}`;
}

/** One JSON object a line, for what collects logs: `{"time","level","message",…}`. */
export function jsonLine(
	level: LogLine["level"],
	message: string,
	more: Readonly<Record<string, unknown>> = {},
): string {
	return JSON.stringify({ time: new Date().toISOString(), level, message: message.replace(STYLE, ""), ...more });
}
