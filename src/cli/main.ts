import { statSync } from "node:fs";
import { resolve } from "node:path";
import { version } from "../app/version.ts";
import { HeadraceError, toHeadraceErrors } from "../core/errors.ts";
import type { VerbResult } from "./context.ts";
import { exitOfErrors } from "./exit-code.ts";
import { flushed, Output, type OutputOptions, tolerateClosedPipes } from "./output.ts";
import type { Request } from "./program.ts";
import { StopSignals } from "./signals.ts";
import { VERBS, verbNamed } from "./verbs.ts";

/** Runs a command line and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<never> {
	tolerateClosedPipes(process.stdout, process.stderr);
	const code = await runCommand(argv);
	await flushed(process.stdout, process.stderr);
	// A connection that a driver keeps open must not keep a finished command alive.
	process.exit(code);
}

async function runCommand(argv: readonly string[]): Promise<number> {
	const given = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
	const outputFor = (globals: OutputFlags): Output =>
		new Output({ ...globals, stdout: process.stdout, stderr: process.stderr, env: process.env });
	// Until the command line is read, what it says about its own errors is taken from its words.
	const flag = (...names: string[]): boolean => given.some((word) => names.includes(word));
	const logFormat = /(?:^|\n)--log-format[=\n]json(?:\n|$)/.test(given.join("\n")) ? "json" : "text";
	const json = flag("--json");
	let output = outputFor({ json, quiet: flag("-q", "--quiet"), verbose: flag("-v", "--verbose"), logFormat });
	if (given.find((word) => word !== "--json") === "--version" || given[0] === "-V") {
		output.printText(version());
		output.envelope("version", true, { version: version() }, []);
		return 0;
	}
	let command = verbNamed(argv) ?? "headrace";
	let directory = process.cwd();
	let showValues = false;
	using stop = new StopSignals({
		onFirst: (name) => {
			output.endEcho();
			output.note(`${name}: stopping so that the next run can go on; once more stops at once`);
		},
		// Whoever reads the JSON gets its one object, however impatient they are.
		onForced: () =>
			output.envelope(command, false, null, [new HeadraceError("E_STOPPED", "stopped at once, before the end")]),
	});
	const tell = async (errors: readonly HeadraceError[]): Promise<void> => {
		const isJob = VERBS.some((verb) => verb.name === command && verb.job === true);
		const isPlain = errors.every(
			(error) => error.place.line === undefined && (error.values === undefined || !showValues),
		);
		const oneLine = isJob && isPlain && process.stderr.isTTY !== true;
		if (output.logFormat === "json" || (oneLine && !output.json && !output.verbose)) {
			const { aboutTable } = await import("./error-text.ts");
			for (const error of errors) output.errorLine(aboutTable(error));
		} else if (!output.json || output.verbose) {
			// Loaded only when something went wrong.
			const { errorLines } = await import("./error-text.ts");
			const lines = errorLines(errors, {
				paint: output.paintNote,
				directory,
				verbose: output.verbose,
				showValues,
			});
			for (const line of lines) output.error(line);
		}
		output.envelope(command, false, null, errors);
	};
	// What nobody awaited ends the command too, told like any error: Node's own report would not mask secrets.
	let ending = false;
	process.on("uncaughtException", (thrown) => {
		if (ending) return;
		ending = true;
		const errors = toHeadraceErrors(thrown);
		void tell(errors)
			.then(() => flushed(process.stdout, process.stderr))
			.finally(() => process.exit(exitOfErrors(errors)));
	});
	try {
		const { readCommandLine } = await import("./program.ts");
		const request = readCommandLine(argv);
		if (request.kind === "help") {
			output.printText(request.text);
			output.envelope("help", true, { text: request.text }, []);
			return 0;
		}
		output = outputFor(request.globals);
		command = request.verb.name;
		showValues = request.globals.showValues;
		directory = resolve(request.globals.directory);
		const result = await runVerb(request, output, stop);
		const exit = stop.exitCode !== null && (result.exit ?? 0) !== 0 ? stop.exitCode : (result.exit ?? 0);
		output.envelope(command, exit === 0, result.data, result.errors ?? []);
		return exit;
	} catch (thrown) {
		const stopped = stop.exitCode !== null && isAbort(thrown);
		const errors = stopped
			? [new HeadraceError("E_STOPPED", "stopped before the end")]
			: toHeadraceErrors(thrown).map((error) => withVerb(error, command));
		await tell(errors);
		const ended = stopped || errors.some((error) => error.code === "E_STOPPED");
		return stop.exitCode !== null && ended ? stop.exitCode : exitOfErrors(errors);
	}
}

type OutputFlags = Pick<OutputOptions, "json" | "quiet" | "verbose" | "logFormat">;

async function runVerb(request: Request & { kind: "verb" }, output: Output, stop: StopSignals): Promise<VerbResult> {
	const { verb, args, globals } = request;
	const directory = resolve(globals.directory);
	if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory())
		throw new HeadraceError("E_FILE_NOT_FOUND", `there is no folder ${directory}`, { hint: "Check -C." });
	const module = await verb.load();
	const { showValues, state } = globals;
	const env = state === undefined ? process.env : { ...process.env, HEADRACE_STATE: state };
	return module.run({ directory, env, output, signal: stop.signal, showValues }, args);
}

/** The cure of a wrong command line with the verb that was meant, so that it can be run as it is printed. */
function withVerb(error: HeadraceError, verb: string): HeadraceError {
	if (error.code !== "E_USAGE" || !error.hint.includes("<verb>")) return error;
	const hint = error.hint.replaceAll("<verb>", () => verb);
	return new HeadraceError(error.code, error.message, { ...error.place, hint, cause: error.cause });
}

/** Libraries tell an abort in their own words. */
function isAbort(thrown: unknown): boolean {
	return thrown instanceof Error && (thrown.name === "AbortError" || thrown.name === "TimeoutError");
}
