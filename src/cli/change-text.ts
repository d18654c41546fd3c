import type { ChangeStatus } from "../app/api.ts";
import { bytesText, secondsText } from "../observe/format.ts";
import { type Paint, printable } from "../observe/terminal.ts";
import { textTable } from "../observe/text-table.ts";

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
	const rows = changes.tables.map(({ table, state, from, until }) => [printable(table), stateText(state, from, until)]);
	if (rows.length > 0) lines.push(...textTable([{ title: "table" }, { title: "state" }], rows, { indent: 0 }));
	return lines;
}

function lagText({ lag_seconds, bytes_behind, headroom_seconds, headroom_bytes }: ChangeStatus): string[] {
	const parts: string[] = [];
	if (bytes_behind === 0) parts.push("at the log's end");
	else if (bytes_behind !== null)
		parts.push(`${lag_seconds === null ? "" : `${secondsText(lag_seconds)} and `}${bytesText(bytes_behind)} behind`);
	const left = [
		...(headroom_seconds === null ? [] : [secondsText(headroom_seconds)]),
		...(headroom_bytes === null ? [] : [`${bytesText(headroom_bytes)} more of log`]),
	];
	if (left.length > 0) parts.push(`can be read for ${left.join(" or ")}`);
	return parts;
}

function stateText(state: ChangeStatus["tables"][number]["state"], from: string | null, until: string | null): string {
	if (state === "paused") return from === null ? "paused" : `paused at ${printable(from)}`;
	if (state === "loading") return "loading";
	const target = until ?? from;
	return target === null ? "following" : `catching up until ${printable(target)}`;
}
