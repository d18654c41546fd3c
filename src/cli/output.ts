import { Writable } from "node:stream";
import { HeadraceError } from "../core/errors.ts";
import { errorText, jsonLine, stamped } from "../observe/lines.ts";
import { Redactor } from "../observe/redact.ts";
import { type Paint, painter, printableLines, type Terminal } from "../observe/terminal.ts";

const FORMAT_VERSION = "1.0";

export interface OutputOptions {
	readonly stdout: Terminal;
	readonly stderr: Terminal;
	readonly env: NodeJS.ProcessEnv;
	readonly json: boolean;
	readonly quiet: boolean;
	readonly verbose: boolean;
	/** How lines on stderr are written. */
	readonly logFormat: "text" | "json";
}

/** Data goes to stdout, all else to stderr; with `--json` stdout holds one object. Secrets leave by neither. */
export class Output {
	readonly json: boolean;
	readonly quiet: boolean;
	readonly verbose: boolean;
	readonly logFormat: "text" | "json";
	readonly stderr: Terminal;
	readonly stdout: Terminal;
	/** Colours for stdout, where `print` writes. */
	readonly paint: Paint;
	/** Colours for stderr. */
	readonly paintNote: Paint;
	readonly redactor = new Redactor();
	#printNote: (line: string) => void;
	#redrawn = false;
	#told = false;
	/** Items of `--json` have been written: what follows them is one line too. */
	#lines = false;

	constructor(options: OutputOptions) {
		this.json = options.json;
		this.quiet = options.quiet;
		this.verbose = options.verbose;
		this.logFormat = options.logFormat;
		this.stdout = options.stdout;
		this.stderr = options.stderr;
		this.paint = options.json ? (_style, text) => text : painter(options.stdout, options.env);
		this.paintNote = painter(options.stderr, options.env);
		this.#printNote =
			options.logFormat === "json"
				? (line) => this.stderr.write(`${jsonLine("info", line)}\n`)
				: (line) => this.stderr.write(`${line}\n`);
	}

	/** A line of the answer; with `--json` or `-q` people get none. */
	print(line = ""): void {
		if (!this.json && !this.quiet) this.stdout.write(`${this.redactor.redact(line)}\n`);
	}

	/**
	 * One of an answer's many items, as long as the answer may be: a line for people, with `--json` one of NDJSON. Waits
	 * for a slow reader. Row values are what is asked for: they are not redacted.
	 */
	async printItem(item: object, line: () => string): Promise<void> {
		if (this.json) this.#lines = true;
		else if (this.quiet) return;
		const text = this.json ? JSON.stringify(item) : line();
		if (this.stdout.write(`${text}\n`) === false) await drained(this.stdout);
	}

	/** Whether nobody reads stdout any more (`| head`). */
	get isGone(): boolean {
		const { destroyed, errored } = this.stdout as Partial<NodeJS.WriteStream>;
		return destroyed === true || (errored ?? null) !== null;
	}

	/** An answer that is text as a whole, such as a schema: also with `-q`. */
	printText(text: string): void {
		if (!this.json) this.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
	}

	/** A line beside the answer. */
	note(line = ""): void {
		if (!this.quiet) this.#printNote(this.redactor.redact(line));
	}

	/** A line that even `-q` shows. */
	error(line: string): void {
		this.#printNote(printableStyled(this.redactor.redact(line)));
	}

	/** An error in one line, with its time where nobody watches. */
	errorLine(error: HeadraceError): void {
		const redact = this.redactor.redact;
		if (this.logFormat === "json") {
			const { code, place, hint } = error;
			const fields: Record<string, unknown> = this.redactor.redactData({ code, ...place, hint });
			this.stderr.write(`${jsonLine("error", redact(error.message), fields)}\n`);
			return;
		}
		const sign = this.paintNote("red", "✗");
		this.stderr.write(`${stamped(`${sign} ${errorText(error, redact)}`, this.stderr)}\n`);
	}

	/** Ends the line on which a terminal shows `^C`; what is redrawn wipes it anyway. */
	endEcho(): void {
		if (this.stderr.isTTY === true && !this.#redrawn) this.stderr.write("\n");
	}

	/** Sends notes through what redraws the terminal, until the result is called. */
	notesThrough(print: (line: string) => void): () => void {
		const before = this.#printNote;
		this.#printNote = print;
		this.#redrawn = true;
		return () => {
			this.#printNote = before;
			this.#redrawn = false;
		};
	}

	/** The one object of `--json`; nothing without it, and nothing after it. */
	envelope(command: string, ok: boolean, data: unknown, errors: readonly HeadraceError[]): void {
		if (!this.json || this.#told) return;
		this.#told = true;
		const object = {
			format_version: FORMAT_VERSION,
			command,
			ok,
			data: data ?? null,
			errors: errors.map((error) => ({
				code: error.code,
				message: error.message,
				file: error.place.file ?? null,
				line: error.place.line ?? null,
				column: error.place.column ?? null,
				hint: error.hint,
			})),
		};
		const told = this.redactor.redactData(object);
		this.stdout.write(`${this.#lines ? JSON.stringify(told) : JSON.stringify(told, null, "\t")}\n`);
	}
}

/** Messages may quote what others wrote; only our own colours may steer the terminal. */
function printableStyled(text: string): string {
	const begin = String.fromCharCode(27);
	return text
		.split(new RegExp(`(${begin}\\[[\\d;]*m)`))
		.map((part, index) => (index % 2 === 1 ? part : printableLines(part)))
		.join("");
}

/** Waits until a stream takes more, or nobody reads it. */
async function drained(stream: Terminal): Promise<void> {
	if (!(stream instanceof Writable) || !stream.writableNeedDrain) return;
	await new Promise<void>((resolve) => {
		for (const event of ["drain", "close", "error"]) stream.once(event, () => resolve());
	});
}

/** The receiver of a pipe may go away at any time (`| head`): what it does not want is dropped, the work goes on. */
export function tolerateClosedPipes(...streams: NodeJS.WriteStream[]): void {
	for (const stream of streams)
		stream.on("error", (error: NodeJS.ErrnoException) => {
			if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED") throw error;
		});
}

/** Waits until what was written has left the process, so that it may end. */
export async function flushed(...streams: NodeJS.WriteStream[]): Promise<void> {
	await Promise.all(
		streams.map(
			(stream) =>
				new Promise<void>((resolve) => {
					if (stream.destroyed || stream.writableEnded) resolve();
					else stream.write("", () => resolve());
				}),
		),
	);
}

/** E_USAGE with the cure that fits the command line. */
export function usageError(message: string, hint?: string): HeadraceError {
	return new HeadraceError("E_USAGE", message, hint === undefined ? {} : { hint });
}
