import { Command, CommanderError, Option } from "commander";
import { HeadraceError } from "../core/errors.ts";
import { Arguments } from "./arguments.ts";
import { GROUPS, VERBS, VERBS_TO_COME, type VerbSpec, verbNamed } from "./verbs.ts";

/** What the command line asks for. */
export type Request =
	| { readonly kind: "verb"; readonly verb: VerbSpec; readonly args: Arguments; readonly globals: GlobalOptions }
	| { readonly kind: "help"; readonly text: string };

export interface GlobalOptions {
	readonly directory: string;
	readonly json: boolean;
	readonly quiet: boolean;
	readonly verbose: boolean;
	readonly showValues: boolean;
	readonly logFormat: "text" | "json";
	/** Where the project's state is; absent: `HEADRACE_STATE` says, or it is a file. */
	readonly state?: string;
}

/**
 * Reads the command line; nothing is run and nothing printed.
 * @throws E_USAGE with what was probably meant, E_NOT_BUILT_IN
 */
export function readCommandLine(argv: readonly string[]): Request {
	let request: Request | null = null;
	let help = "";
	const program = configured(new Command("headrace"), (text) => {
		help += text;
	})
		.description("Moves data from databases to the places where it is analysed, and keeps it there, true.")
		.usage("[-C dir] <verb> …")
		.option("-C, --directory <dir>", "the project's folder", ".")
		.option("--json", "print one JSON object", false)
		.option("-q, --quiet", "print errors only", false)
		.option("-v, --verbose", "print more", false)
		.option("--show-values", "show row values with errors that have some", false)
		.addOption(
			new Option("--log-format <format>", "what goes to stderr, as text or a JSON object a line")
				.choices(["text", "json"])
				.default("text"),
		)
		.option(
			"--state <address>",
			"PostgreSQL that servers share the history, locks and schedules in; also HEADRACE_STATE; default a file",
		)
		.option("-V, --version", "print the version")
		.addHelpText("after", "\nStart with `headrace init` or `headrace demo`; `headrace help <verb>` tells about one.");
	program.helpCommand("help [verb]", "tell about a verb");
	const groups = new Map<string, Command>();
	for (const verb of VERBS) {
		const command = commandFor(verb, program, groups);
		command.action((...given: unknown[]) => {
			// Commander gives the arguments, then the options, then the command.
			const args = new Arguments(given.slice(0, -2), command.opts());
			request = { kind: "verb", verb, args, globals: program.opts<GlobalOptions>() };
		});
	}
	for (const name of VERBS_TO_COME)
		program
			.command(name, { hidden: true })
			.allowUnknownOption()
			.allowExcessArguments()
			.helpOption(false)
			.action(() => {
				throw new HeadraceError("E_NOT_BUILT_IN", `\`headrace ${name}\` is not built in yet`, {
					hint: "See `headrace help` for the verbs that are.",
				});
			});
	try {
		program.parse(argv.length === 0 ? ["--help"] : argv, { from: "user" });
	} catch (error) {
		if (!(error instanceof CommanderError)) throw error;
		if (error.code === "commander.helpDisplayed" || error.code === "commander.help")
			return { kind: "help", text: help };
		throw usageOf(error, argv);
	}
	if (request === null) throw new HeadraceError("E_USAGE", "no verb is given", { hint: "Run `headrace help`." });
	return request;
}

function commandFor(verb: VerbSpec, program: Command, groups: Map<string, Command>): Command {
	const words = verb.name.split(" ");
	const last = words.pop()!;
	let parent = program;
	for (const [index, word] of words.entries()) {
		const name = words.slice(0, index + 1).join(" ");
		const group = groups.get(name) ?? parent.command(word).description(GROUPS[name] ?? "");
		groups.set(name, group);
		parent = group;
	}
	const command = parent.command(last).description(verb.describe);
	groups.set(verb.name, command);
	for (const argument of verb.arguments?.split(" ") ?? []) command.argument(argument);
	for (const { flags, describe, list, hidden } of verb.options ?? []) {
		const option = new Option(flags, describe).hideHelp(hidden === true);
		if (list === true) option.argParser((value: string, before: string[] = []) => [...before, ...splitList(value)]);
		command.addOption(option);
	}
	return command.addHelpText("after", `\nExample: ${verb.example}`);
}

/** `a,b` are two values; a comma inside quotes or braces is not a separator. */
function splitList(value: string): string[] {
	return (value.match(/(?:"(?:[^"]|"")*"|[^,])+/g) ?? [value]).map((part) => part.trim()).filter((part) => part !== "");
}

function configured(program: Command, write: (text: string) => void): Command {
	return program
		.exitOverride()
		.configureOutput({ writeOut: write, writeErr: write, outputError: () => {} })
		.configureHelp({ showGlobalOptions: true, sortSubcommands: false })
		.showSuggestionAfterError(true);
}

/** Commander's message without its decoration, its guess as the cure. */
function usageOf(error: CommanderError, argv: readonly string[]): HeadraceError {
	const [first = "", ...rest] = error.message.replace(/^error: /, "").split("\n");
	const guess = /^\(Did you mean (.*)\?\)$/.exec(rest.join(" "))?.[1];
	const verb = verbNamed(argv);
	const unquoted = verb === "copy" && error.code === "commander.excessArguments";
	const help = unquoted
		? "Put a pattern into quotes, so that the shell leaves it: './exports/*.csv'."
		: `Run \`headrace help${verb === undefined ? "" : ` ${verb}`}\`.`;
	const message = first.replace(/^unknown command/, "unknown verb").replace(/\.$/, "");
	return new HeadraceError("E_USAGE", guess === undefined ? message : `${message}; did you mean ${guess}?`, {
		hint: help,
	});
}
