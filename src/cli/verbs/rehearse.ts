import type { CheckReport, PlanOptions } from "../../app/api.ts";
import type { Rehearsal, TableCount } from "../../app/rehearsal.ts";
import { loadPipeline } from "../../config/index.ts";
import { HeadraceError } from "../../core/errors.ts";
import type { RunReceipt } from "../../core/state-store.ts";
import { bytesText } from "../../observe/format.ts";
import { printable } from "../../observe/terminal.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { intervalOf, planOptions } from "../project.ts";
import { reportRuns } from "../run-report.ts";

const NOT_PROVED =
	"Not proved: rights, roles and credentials of the real systems, network and TLS, speed and cost, and what the real\n" +
	"services do beyond their documents. After it: `headrace check` and a run of one small table on the real ones.";

/** Longest statement that is shown in full; a longer one has rows in it, or would hide the others. */
const STATEMENT_CHARACTERS_MAX = 4_000;
const OBJECTS_SHOWN_MAX = 20;

/** `headrace rehearse <pipeline>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output, directory, env } = context;
	const { openRehearsal, STAND_IN_TYPES } = await import("../../app/rehearsal.ts");
	const read = await loadPipeline(directory, args.required(0), { env, standIns: STAND_IN_TYPES });
	output.redactor.addFrom(read);
	const interval = await intervalOf(read, args.text("interval"));
	const options: PlanOptions = { ...planOptions(context, args), ...(interval !== undefined && { interval }) };
	await using rehearsal = await openRehearsal(read);
	const { pipeline } = rehearsal;
	output.redactor.addFrom(pipeline);
	output.print(
		output.paint("bold", `Rehearsal of ${printable(read.name)}: stand-ins on this machine, not the services`),
	);
	output.print(`  read for real  ${printable(read.from.name)}: ${printable(read.from.address)} (read only)`);
	for (const line of rehearsal.replaced) output.print(`  replaced       ${printable(line)}`);
	for (const line of rehearsal.leftOut) output.print(`  left out       ${line}`);
	output.print("");

	let check: CheckReport | undefined;
	// What is rehearsed is no part of a history that others see.
	const own = { ...context, env: { ...env, HEADRACE_STATE: undefined } };
	const result = await reportRuns(own, {
		pipeline,
		work: async (app, onEvent) => {
			check = await app.check(pipeline);
			const receipts: RunReceipt[] = [];
			for (let left = args.flag("twice") ? 2 : 1; check.ok && left > 0; left--)
				receipts.push(...(await app.run(pipeline, { ...options, onEvent, showValues: context.showValues })));
			return receipts;
		},
	});
	const errors = [...errorsOf(check, read.name), ...(result.errors ?? [])];
	if (check?.ok === false) for (const error of errors) output.errorLine(error);
	const { runs } = result.data as { readonly runs: readonly RunReceipt[] };
	const statements = rehearsal.statements().map(withoutRows);
	const report = {
		stand_ins: rehearsal.replaced,
		left_out: rehearsal.leftOut,
		check: check ?? null,
		runs,
		...(args.flag("sql") ? { sql: statements } : {}),
		objects: await rehearsal.objects(),
		glue: rehearsal.glueOperations(),
		tables: await counted(rehearsal, runs, options),
	};
	printReport(context, [read.name, read.from.name], report);
	output.print("");
	output.print(output.paint("bold", "This was a rehearsal against stand-ins: nothing has left this machine."));
	for (const line of NOT_PROVED.split("\n")) output.print(line);
	return { data: report, exit: check?.ok === false ? 1 : (result.exit ?? 0), errors };
}

/** Of runs that went well: a count of what is half there would only mislead. */
async function counted(
	rehearsal: Rehearsal,
	runs: readonly RunReceipt[],
	options: PlanOptions,
): Promise<readonly TableCount[]> {
	const last = runs.at(-1);
	return last?.state === "succeeded" ? rehearsal.counts(last, options) : [];
}

interface Report {
	readonly check: CheckReport | null;
	readonly sql?: readonly string[];
	readonly objects: readonly { readonly address: string; readonly bytes: number | null }[];
	readonly glue: readonly string[];
	readonly tables: readonly TableCount[];
}

function printReport(
	{ output }: VerbContext,
	real: readonly string[],
	{ check, sql, objects, glue, tables }: Report,
): void {
	const heading = (text: string) => {
		output.print("");
		output.print(output.paint("bold", text));
	};
	// A stand-in's rights and encryption say nothing of the real one's.
	const warnings = (check?.findings ?? []).filter(
		({ severity, subject }) => severity === "warning" && real.includes(subject),
	);
	if (warnings.length > 0) {
		heading("What check warns of");
		for (const { subject, message } of warnings) output.print(`  ! ${printable(subject)}: ${printable(message)}`);
	}
	if (sql !== undefined && sql.length > 0) {
		heading("SQL that the warehouse was sent");
		for (const statement of sql)
			for (const line of `${statement.trim()};`.split("\n"))
				output.print(`  ${printable(line.replaceAll("\t", "  "))}`);
	}
	if (objects.length > 0) {
		heading(`Objects written to S3: ${objects.length}`);
		for (const { address, bytes } of objects.slice(0, OBJECTS_SHOWN_MAX))
			output.print(`  ${printable(address)}  ${bytes === null ? "removed since" : bytesText(bytes)}`);
		if (objects.length > OBJECTS_SHOWN_MAX)
			output.print(`  and ${objects.length - OBJECTS_SHOWN_MAX} more; --json has all`);
	}
	if (glue.length > 0) {
		heading("Operations of Glue");
		output.print(`  ${countsOf(glue).join(", ")}`);
	}
	if (tables.length > 0) {
		heading("Rows in the destination");
		for (const { table, rows } of tables) output.print(`  ${printable(table)}  ${rows ?? "no such table"}`);
	}
}

function countsOf(operations: readonly string[]): string[] {
	const counts = new Map<string, number>();
	for (const operation of operations) counts.set(operation, (counts.get(operation) ?? 0) + 1);
	return [...counts].map(([operation, count]) => (count === 1 ? operation : `${count} × ${operation}`));
}

/** Rows of tables are not for a terminal or a log. */
function withoutRows(statement: string): string {
	const [, head] = /^(\s*insert\s+into\s.*?\bvalues\b)/is.exec(statement) ?? [];
	if (head !== undefined && !/^\s*insert\s+into\s+"?_headrace"?\./i.test(head)) return `${head} …`;
	return statement.length > STATEMENT_CHARACTERS_MAX ? `${statement.slice(0, STATEMENT_CHARACTERS_MAX)} …` : statement;
}

function errorsOf(check: CheckReport | undefined, pipeline: string): HeadraceError[] {
	return (check?.findings ?? [])
		.filter(({ severity }) => severity === "error")
		.map(
			({ subject, message, remedy }) =>
				new HeadraceError("E_CHECK", `${subject}: ${message}`, {
					pipeline,
					...(remedy === undefined ? {} : { hint: remedy }),
				}),
		);
}
