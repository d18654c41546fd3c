import type { ChangeStatus, PositionChanged } from "../app/api.ts";
import { bytesText, secondsText } from "../observe/format.ts";
import { type Paint, printable } from "../observe/terminal.ts";
import { textTable } from "../observe/text-table.ts";
import type { VerbResult } from "./context.ts";
import type { Output } from "./output.ts";

/** How a pipeline follows a change log: its place and lag, how long the place can be read, and each table. */
export function changeLines(changes: ChangeStatus, paint: Paint): string[] {
	const lines: string[] = [];
	const { problem, position } = changes;
	if (position === null) lines.push(`change log: ${paint("dim", "not begun")}`);
	else {
		const stand = { following: "cyan", stopped: "dim", paused: "yellow" } as const;
		const parts = [paint(stand[changes.state], changes.state), `at ${printable(position)}`, ...lagText(changes)];
		lines.push(`change log: ${parts.join(", ")}`);
	}
	if (problem !== null) {
		lines.push(`${paint("red", "✗")} ${problem.code}  ${printable(problem.message)}`);
		lines.push(`  cure: ${printable(problem.hint)}`);
	}
	lines.push(...followedLines(changes.tables));
	return lines;
}

/** Each table that follows a log, and where it stands. */
export function followedLines(tables: ChangeStatus["tables"]): string[] {
	const rows = tables.map(({ table, state, from, until }) => [printable(table), stateText(state, from, until)]);
	return rows.length === 0 ? [] : textTable([{ title: "table" }, { title: "state" }], rows);
}

/** What became of a request to change the position of a log. */
export function tellPositionChange(output: Output, changed: PositionChanged, done: string): VerbResult {
	const { tables, position, position_before: before } = changed;
	const what = tables.length === 0 ? "" : `: ${tables.map(printable).join(", ")}`;
	if (!changed.changed) output.print(`nothing to change${what}`);
	else {
		const place =
			before === null || before === position
				? `at ${printable(position)}`
				: `${printable(before)} → ${printable(position)}`;
		output.print(`${done}${what}  (${place})`);
	}
	for (const note of changed.notes) output.note(`! ${note}`);
	return { data: changed };
}

function lagText({ lag_seconds, bytes_behind, headroom_seconds, headroom_bytes, kept_bytes }: ChangeStatus): string[] {
	const parts: string[] = [];
	if (bytes_behind === 0) parts.push("at the log's end");
	else if (bytes_behind !== null)
		parts.push(`${lag_seconds === null ? "" : `${secondsText(lag_seconds)} and `}${bytesText(bytes_behind)} behind`);
	const left = [
		...(headroom_seconds === null ? [] : [secondsText(headroom_seconds)]),
		...(headroom_bytes === null ? [] : [`${bytesText(headroom_bytes)} more of log`]),
	];
	if (kept_bytes !== null) parts.push(`the source keeps ${bytesText(kept_bytes)} of log for it`);
	if (left.length > 0) parts.push(`can be read for ${left.join(" or ")}`);
	return parts;
}

function stateText(state: ChangeStatus["tables"][number]["state"], from: string | null, until: string | null): string {
	if (state === "paused") return from === null ? "paused" : `paused at ${printable(from)}`;
	if (state === "loading") return "loading";
	const target = until ?? from;
	return target === null ? "following" : `catching up until ${printable(target)}`;
}
