import type { DatabaseSync } from "node:sqlite";
import type { AlertEntry } from "../core/alert.ts";

export function alertRows(database: DatabaseSync, pipeline: string): AlertEntry[] {
	const rows = database
		.prepare("SELECT entry FROM alerts WHERE pipeline = ? ORDER BY channel, event, table_name, code")
		.all(pipeline) as { entry: string }[];
	return rows.map((row) => JSON.parse(row.entry) as AlertEntry);
}

export function replaceAlertRows(database: DatabaseSync, pipeline: string, entries: readonly AlertEntry[]): void {
	database.prepare("DELETE FROM alerts WHERE pipeline = ?").run(pipeline);
	const insert = database.prepare(
		"INSERT INTO alerts (pipeline, channel, event, table_name, code, entry) VALUES (?, ?, ?, ?, ?, ?)",
	);
	for (const entry of entries)
		insert.run(pipeline, entry.channel, entry.event, entry.table, entry.code, JSON.stringify(entry));
}
