import type { TableColumn } from "../catalog.ts";
import type { Charsets } from "./charsets.ts";
import { type LogColumn, LogType } from "./table-map.ts";

/** The labels of an ENUM or SET as UTF-8: those that the log has, else those of the catalog. */
export function labelsOf(
	log: LogColumn,
	charset: string | undefined,
	catalog: TableColumn | undefined,
	charsets: Charsets,
): readonly Buffer[] | undefined {
	if (log.type !== LogType.enum && log.type !== LogType.set) return undefined;
	if (log.labels === undefined) return parseLabels(catalog?.columnType ?? "");
	const convert = charset === undefined ? null : charsets.converter(charset);
	return convert === null ? log.labels : log.labels.map((label) => Buffer.from(convert(label, 0, label.length)));
}

/** `enum('a','it''s')` as its labels. */
export function parseLabels(columnType: string): Buffer[] {
	const labels: Buffer[] = [];
	for (const [, label = ""] of columnType.matchAll(/'((?:[^']|'')*)'/g))
		labels.push(Buffer.from(label.replaceAll("''", "'"), "utf8"));
	return labels;
}
