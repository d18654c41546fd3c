import type { AlertEntry } from "../core/alert.ts";
import { all, insert, jsonText, run, textOf, type Work } from "./work.ts";

export function* alertRows(pipeline: string): Work<AlertEntry[]> {
	const rows = yield* all(
		"SELECT entry FROM alerts WHERE pipeline = $1 ORDER BY channel, event, table_name, code",
		pipeline,
	);
	return rows.map((row) => JSON.parse(textOf(row, "entry")) as AlertEntry);
}

export function* replaceAlertRows(pipeline: string, entries: readonly AlertEntry[]): Work<void> {
	yield* run("DELETE FROM alerts WHERE pipeline = $1", pipeline);
	yield* insert(
		"alerts",
		["pipeline", "channel", "event", "table_name", "code", "entry"],
		entries.map((entry) => [pipeline, entry.channel, entry.event, entry.table, entry.code, jsonText(entry)]),
	);
}
