import type { Change, ChangeValues, RowChange } from "../../app/changes.ts";
import { loadConnection } from "../../config/index.ts";
import { HeadraceError } from "../../core/errors.ts";
import { printable } from "../../observe/terminal.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import type { Output } from "../output.ts";

/** `headrace changes <address>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { directory, env, output, signal } = context;
	const connection = await loadConnection(directory, args.required(0), { env });
	output.redactor.addFrom(connection);
	const from = args.text("from") ?? (args.flag("follow") ? "now" : "beginning");
	const { readChanges } = await import("../../app/changes.ts");
	const changes = readChanges(connection, {
		tables: args.list("tables"),
		from,
		follow: args.flag("follow") || from === "now",
		signal,
	});
	const counts = { insert: 0, update: 0, delete: 0, commit: 0 };
	// The place that the log was read to, to begin at another time; of one that was stopped the last commit.
	let position: string | null = null;
	try {
		while (true) {
			const { done, value } = await changes.next();
			if (done === true) {
				position = value.position;
				break;
			}
			if (value.kind === "commit") position = value.position;
			if (value.kind in counts) counts[value.kind as keyof typeof counts]++;
			await output.printItem(value, () => lineOf(value, output));
			if (output.isGone) break;
		}
	} catch (error) {
		// To be stopped is how following ends.
		if (!(error instanceof HeadraceError) || error.code !== "E_STOPPED") throw error;
		return { data: { ...counts, position }, exit: 1 };
	} finally {
		await changes.return({ position: position ?? "" });
	}
	return { data: { ...counts, position } };
}

const VERBS = { insert: "WriteRows", update: "UpdateRows", delete: "DeleteRows" } as const;
const STYLES = { insert: "green", update: "yellow", delete: "red" } as const;

function lineOf(change: Change, { paint }: Output): string {
	switch (change.kind) {
		case "commit": {
			const id = change.id === null ? "" : `  ${change.id}`;
			return paint("dim", `  commit ${change.committed_at}  ${printable(change.position)}${printable(id)}`);
		}
		case "truncate":
			return `${paint("red", "Truncate")} ${printable(change.table)}`;
		case "schema": {
			const columns =
				change.columns === null
					? "the table is gone"
					: Object.entries(change.columns)
							.map(([name, type]) => `${printable(name)} ${printable(type ?? "")}`)
							.join(", ");
			const again = change.rereads ? " (rows may have changed without a trace)" : "";
			return `${paint("cyan", "Schema")} ${printable(change.table)} ${change.statement}: ${columns}${again}`;
		}
		default: {
			const verb = paint(STYLES[change.kind], VERBS[change.kind]);
			return `${verb} ${printable(change.table)} ${change.kind === "update" ? updateText(change) : rowText(change.after ?? change.before ?? {})}`;
		}
	}
}

function rowText(values: ChangeValues): string {
	return Object.entries(values)
		.map(([name, value]) => `${printable(name)}=${valueText(value)}`)
		.join(" ");
}

/** The key, and what changed: `id=7 status="new" => "paid"`. */
function updateText({ key, before = {}, after = {} }: RowChange): string {
	const parts = Object.entries(after).flatMap(([name, value]) => {
		const was = Object.hasOwn(before, name) ? before[name] : undefined;
		if (was !== undefined && was !== value) return [`${printable(name)}=${valueText(was)} => ${valueText(value)}`];
		const isShown = was === undefined || key.length === 0 || key.includes(name);
		return isShown ? [`${printable(name)}=${valueText(value)}`] : [];
	});
	return parts.join(" ");
}

/** Numbers and times as they are, other text in quotes. */
function valueText(value: string | null | undefined): string {
	if (value === null || value === undefined) return "NULL";
	return /^[-+\d.:TZ]+$/.test(value) ? value : JSON.stringify(printable(value));
}
