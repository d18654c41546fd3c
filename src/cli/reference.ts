import { VERBS } from "./verbs.ts";

const GLOBAL_OPTIONS: readonly (readonly [string, string])[] = [
	["-C, --directory <dir>", "the project's folder; default the working directory"],
	["--json", "print one JSON object"],
	["-q, --quiet", "print errors only"],
	["-v, --verbose", "print more: statements, notes, where an error came from"],
	[
		"--state <address>",
		"PostgreSQL that several servers share the history, locks and schedules in: an address, or a connection's name; `HEADRACE_STATE` says the same; default the file `.headrace/state.db`",
	],
	["--log-format <format>", "what goes to stderr: `text` (default), or `json`, an object a line"],
	["--show-values", "show row values with errors that have some, on this terminal and in --json only"],
];

const EXIT_CODES: readonly (readonly [string, string])[] = [
	["0", "done"],
	["1", "a run or check failed, wholly or in part"],
	["2", "usage or configuration is wrong; nothing ran"],
	["4", "connection or credentials"],
	["75", "another run holds the pipeline, or a newer one has taken over"],
	["130, 143", "stopped by SIGINT or SIGTERM, cleanly: the next run goes on"],
];

/** The reference of the command line as Markdown, from the same table that the parser is made of. */
export function commandReference(): string {
	const lines = ["# Command line reference", "", "`headrace [-C dir] <verb> …`; every verb takes these options:", ""];
	lines.push(
		...table(
			["option", "does"],
			GLOBAL_OPTIONS.map(([flags, does]) => [code(flags), does]),
		),
		"",
	);
	for (const verb of VERBS) {
		lines.push(`## ${verb.name}`, "", `${capital(verb.describe)}.`, "");
		lines.push("```console", `$ ${verb.example}`, "```", "");
		lines.push(code(["headrace", verb.name, verb.arguments].filter((word) => word !== undefined).join(" ")), "");
		const options = (verb.options ?? []).filter((option) => option.hidden !== true);
		if (options.length > 0)
			lines.push(
				...table(
					["option", "does"],
					options.map(({ flags, describe }) => [code(flags), describe]),
				),
				"",
			);
	}
	lines.push("## Exit codes", "", ...table(["code", "means"], EXIT_CODES), "");
	return lines.join("\n");
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
	const line = (cells: readonly string[]): string =>
		`| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
	return [line(titles), line(titles.map(() => "---")), ...rows.map(line)];
}

function code(text: string): string {
	return `\`${text}\``;
}

function capital(text: string): string {
	return /^[a-z]/.test(text) ? text[0]!.toUpperCase() + text.slice(1) : text;
}
