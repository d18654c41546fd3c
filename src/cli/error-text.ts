import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { explainError } from "../config/explain.ts";
import type { HeadraceError } from "../core/errors.ts";
import type { Paint, Style } from "../observe/terminal.ts";

const STYLES: Readonly<Record<string, Style>> = { place: "bold", code: "red", caret: "red", dim: "dim", hint: "cyan" };

export interface ErrorTextOptions {
	readonly paint: Paint;
	/** Files inside are shown relative to it. */
	readonly directory: string;
	/** With the causes and where they came from. */
	readonly verbose: boolean;
	readonly showValues?: boolean;
}

/** Errors for people, each with its line of the file when it lies in one, and the cure. */
export function errorLines(errors: readonly HeadraceError[], options: ErrorTextOptions): string[] {
	const { directory, paint } = options;
	const texts = new Map<string, string | undefined>();
	const textOf = (file: string): string | undefined => {
		if (!texts.has(file)) texts.set(file, readIfThere(file));
		return texts.get(file);
	};
	const lines = errors.flatMap((error) => [
		...explainError(aboutTable(error), {
			textOf,
			directory,
			paint: (role, text) => paint(STYLES[role] ?? "bold", text),
		}).split("\n"),
		...(options.showValues === true && error.values !== undefined ? [`     values: ${error.values}`] : []),
	]);
	if (errors.some((error) => error.place.line !== undefined) && errors.every((error) => error.exit === 2))
		lines.push(`${errors.length} ${errors.length === 1 ? "error" : "errors"}. Nothing ran.`);
	if (options.verbose) for (const error of errors) lines.push(...causeLines(error, paint));
	return lines;
}

/** The message begins with the table or pipeline it is about, unless it names it anyway. */
export function aboutTable(error: HeadraceError): HeadraceError {
	const { table, pipeline, file } = error.place;
	const about = table ?? (file === undefined ? pipeline : undefined);
	if (about === undefined || error.message.includes(about)) return error;
	const named = Object.create(error, { message: { value: `${about}: ${error.message}` } }) as HeadraceError;
	return named;
}

function readIfThere(file: string): string | undefined {
	try {
		return readFileSync(file, "utf8");
	} catch {
		return undefined;
	}
}

/** Where an error came from, for `-v`: its stack and that of its causes, never the fields of a driver's error. */
function causeLines(error: HeadraceError, paint: Paint): string[] {
	const lines: string[] = [];
	const seen = new Set<unknown>();
	for (let cause: unknown = error; cause !== undefined && cause !== null && !seen.has(cause); ) {
		seen.add(cause);
		const text = cause instanceof Error ? (cause.stack ?? cause.message) : inspect(cause, { depth: 1 });
		const prefix = lines.length === 0 ? "  " : "  because of ";
		lines.push(...text.split("\n").map((line, index) => paint("dim", (index === 0 ? prefix : "  ") + line)));
		cause = cause instanceof Error ? cause.cause : undefined;
	}
	return lines;
}
