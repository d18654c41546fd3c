import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, relative, resolve } from "node:path";
import {
	type CheckedPipeline,
	type Connection,
	loadConnection,
	type PipelineInput,
	pipelineText,
	projectDirectory,
	unfitStaging,
} from "../../config/index.ts";
import { type ErrorCode, HeadraceError, HeadraceErrors, toHeadraceErrors } from "../../core/errors.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { usageError } from "../output.ts";
import { planOptions } from "../project.ts";
import { type RunsToReport, reportRuns } from "../run-report.ts";
import { referencesFor, withReferences } from "../secret-references.ts";

/** `headrace copy <from> <to>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { directory, env, output } = context;
	const written = { from: args.required(0), to: args.required(1), staging: args.text("staging") };
	const from = await loadConnection(directory, written.from, { env });
	const to = await loadConnection(directory, written.to, { env });
	const staging = written.staging === undefined ? undefined : await loadConnection(directory, written.staging, { env });
	const ends: Ends = { from, to, ...(staging !== undefined && { staging }) };
	output.redactor.addFrom(Object.values(ends));
	const unfit = unfitStaging(to, staging);
	if (unfit !== null) throw usageError(unfit.message, "For this command: `--staging s3://bucket/prefix`.");
	const options = planOptions(context, args);
	const save = args.text("save");
	const input = inputOf(args, from, save === undefined ? nameOf(from, to) : basename(save).replace(/\.ya?ml$/, ""));
	const pipeline = await pipelineOf(input, ends, context);
	if (save !== undefined) await savePipeline(context, save, input, written, ends);
	const work: RunsToReport["work"] = async (app, onEvent) => {
		try {
			// Somebody waits for this command: a mistyped host is told at once.
			return await app.run(pipeline, { ...options, onEvent, retryStart: false, showValues: context.showValues });
		} catch (thrown) {
			throw new HeadraceErrors(toHeadraceErrors(thrown).map(withOptionHint));
		}
	};
	return reportRuns(context, { pipeline, work });
}

/** What a pipeline file cures by a key, this command cures by an option. */
const OPTION_HINTS: Partial<Record<ErrorCode, string>> = {
	E_CURSOR_REQUIRED: "Add `--cursor <column>`.",
	E_KEY_REQUIRED: "Add `--key <column>`, or leave `--mode` out.",
	E_UNKNOWN_TABLE: "Check --tables, or grant the reader the right to see them.",
};

function withOptionHint(error: HeadraceError): HeadraceError {
	const hint = OPTION_HINTS[error.code];
	return hint === undefined
		? error
		: new HeadraceError(error.code, error.message, { ...error.place, hint, cause: error });
}

interface Ends {
	readonly from: Connection;
	readonly to: Connection;
	readonly staging?: Connection;
}

/** The ends as they were given. */
type Written = Readonly<Record<"from" | "to", string>> & { readonly staging: string | undefined };

/** What a pipeline file would say, but for its ends. */
type Middle = Omit<PipelineInput, "from" | "to" | "staging">;

function inputOf(args: Arguments, from: Connection, name: string): Middle {
	const tables = args.list("tables");
	const mode = args.text("mode");
	if (mode === "cdc" && args.text("save") === undefined)
		throw usageError(
			"copy follows no change log: a source may keep its log for whoever does, until the disk is full",
			"Add --save <file>, then use `headrace run`: the pipeline has a name that can be resumed, and taken away.",
		);
	const into = args.text("into");
	const cursor = args.text("cursor");
	const key = args.list("key");
	const defaults = {
		...(mode !== undefined && { mode }),
		...(cursor !== undefined && { cursor }),
		...(key.length > 0 && { key: [...key] }),
		...(into !== undefined && { into }),
	} as PipelineInput["defaults"];
	return {
		pipeline: name,
		...(Object.keys(defaults ?? {}).length > 0 && { defaults }),
		tables: Object.fromEntries((tables.length > 0 ? tables : [everyTable(from)]).map((table) => [table, {}])),
	};
}

/** All tables that the address names: of its database, where that is what holds tables. */
function everyTable(from: Connection): string {
	if (from.type !== "mysql" || from.database === undefined) return "*";
	return `${/^[\w$-]+$/.test(from.database) ? from.database : `"${from.database.replaceAll('"', '""')}"`}.*`;
}

/** The same ends give the same name, so that an incremental copy finds where it was; others never share positions. */
function nameOf(from: Connection, to: Connection): string {
	const slug = (connection: Connection): string => connection.name.replace(/[^A-Za-z0-9_-]+/g, "_").slice(0, 40) || "x";
	const ends = createHash("sha256")
		.update(JSON.stringify([from.address, to.address]))
		.digest("hex")
		.slice(0, 6);
	return `copy-${slug(from)}-${slug(to)}-${ends}`;
}

/** The pipeline as if it had come from a file; its ends are checked already. */
async function pipelineOf(middle: Middle, ends: Ends, context: VerbContext): Promise<CheckedPipeline> {
	const { definePipeline } = await import("../../config/define-pipeline.ts");
	const { directory, env } = context;
	return { ...definePipeline({ ...middle, from: ".", to: "." }, { directory, env }), ...ends };
}

async function savePipeline(
	context: VerbContext,
	save: string,
	middle: Middle,
	written: Written,
	ends: Ends,
): Promise<void> {
	const { directory, output } = context;
	const file = resolve(directory, save);
	if (!/\.ya?ml$/.test(file)) throw usageError(`--save needs a name that ends with .yaml, not ${JSON.stringify(save)}`);
	// Elsewhere than in this project a relative path would mean another place.
	const sameProject = projectDirectory(directory, file) === directory;
	const address = (text: string, connection: Connection): string =>
		"path" in connection && !sameProject ? connection.address : text;
	const names = referencesFor(ends.from, ends.to);
	const from = withReferences(address(written.from, ends.from), names.from);
	const to = withReferences(address(written.to, ends.to), names.to);
	const staging =
		ends.staging === undefined || written.staging === undefined
			? null
			: withReferences(address(written.staging, ends.staging), "STAGING");
	const text = await pipelineText({
		...middle,
		from: from.text,
		to: to.text,
		...(staging !== null && { staging: staging.text }),
	});
	if (output.redactor.redact(text) !== text)
		throw usageError(
			"the addresses hold a secret in a place that --save can't write by reference",
			"Put them into connections.yaml.",
		);
	mkdirSync(dirname(file), { recursive: true });
	try {
		writeFileSync(file, text, { flag: "wx" });
	} catch (cause) {
		if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
		throw new HeadraceError("E_USAGE", `${file} is there already; --save writes no file over another`, { cause });
	}
	const needs = [...from.variables, ...to.variables, ...(staging?.variables ?? [])];
	const inside = relative(process.cwd(), file);
	const shown = inside.startsWith("..") ? file : inside;
	output.note(`saved ${shown}${needs.length === 0 ? "" : `; it takes ${needs.join(", ")} from the environment`}`);
}
