import type { AlertEntry, AlertEvent } from "../../core/alert.ts";
import { countText, plural, timeText } from "../format.ts";
import { cut, printable } from "../terminal.ts";

/** What one channel is told at once. */
export interface AlertMessage {
	/** The same for every attempt to send it. */
	readonly id: string;
	readonly event: AlertEvent | "test";
	readonly pipeline: string;
	/** ISO 8601, UTC. */
	readonly at: string;
	/** The machine that tells. */
	readonly host: string;
	readonly runId: string | null;
	readonly items: readonly AlertItem[];
	/** Ready to paste. */
	readonly commands: { readonly show: string | null; readonly repeat: string | null };
}

export interface AlertItem {
	/** Null for the run as a whole. */
	readonly table: string | null;
	readonly code: string | null;
	readonly message: string;
	/** What to do; empty when there is nothing to do. */
	readonly hint: string;
	readonly attempts: number;
	/** How often it happened since it was last told, this time included. */
	readonly times: number;
	readonly firstAt: string;
	readonly lastAt: string;
	readonly toldAt: string | null;
	/** It succeeded after this. */
	readonly over: boolean;
	/** When the table was last loaded; null when that is not known. */
	readonly lastSuccess: string | null;
}

/** More would make a wall of text; the run's receipt has them all. */
export const ITEMS_SHOWN_MAX = 10;
const TEXT_WIDTH_MAX = 400;

export function itemOf(entry: AlertEntry, lastSuccess: string | null, redact: (text: string) => string): AlertItem {
	const safe = (text: string): string => cut(printable(redact(text)), TEXT_WIDTH_MAX);
	return {
		table: entry.table === "" ? null : safe(entry.table),
		code: entry.code === "" ? null : safe(entry.code),
		message: safe(entry.message),
		hint: safe(entry.hint),
		attempts: entry.attempts,
		times: entry.untold,
		firstAt: entry.firstAt,
		lastAt: entry.lastAt,
		toldAt: entry.toldAt,
		over: entry.over,
		lastSuccess,
	};
}

const EVENT_WORDS: Readonly<Record<AlertMessage["event"], string>> = {
	failed: "failed",
	recovered: "recovered",
	late: "is late",
	schema_changed: "has changed columns",
	check_warned: "has a check that warns",
	succeeded: "succeeded",
	test: "test alarm",
};

/** `shop failed: prod.orders (E_TIMEOUT)`, `shop failed: 3 tables`. */
export function titleOf({ pipeline, event, items }: AlertMessage): string {
	const words = `${pipeline} ${EVENT_WORDS[event]}`;
	const [first, ...more] = items;
	if (first === undefined) return words;
	if (more.length > 0) {
		const tables = new Set(items.flatMap(({ table }) => (table === null ? [] : [table]))).size;
		return tables === 0 ? words : `${words}: ${plural(tables, "table")}`;
	}
	const code = event === "failed" && first.code !== null ? first.code : null;
	if (first.table === null) return code === null ? words : `${words}: ${code}`;
	return `${words}: ${first.table}${code === null ? "" : ` (${code})`}`;
}

/** The lines of an item below its name: what, what to do, how often. */
export function itemLines(item: AlertItem, event: AlertMessage["event"]): string[] {
	const lines = [item.message];
	if (item.hint !== "") lines.push(`cure: ${item.hint}`);
	const facts: string[] = [];
	if (item.attempts > 1) facts.push(plural(item.attempts, "attempt"));
	if (item.toldAt !== null && item.times > 1)
		facts.push(`${countText(item.times - 1)} more since ${timeText(item.toldAt)}`);
	else if (item.times > 1) facts.push(`${countText(item.times)} times since ${timeText(item.firstAt)}`);
	if (event === "recovered") facts.push(`since ${timeText(item.firstAt)}`);
	if (event === "failed" && item.lastSuccess !== null) facts.push(`last success ${timeText(item.lastSuccess)}`);
	if (item.over) facts.push("it has succeeded since");
	if (facts.length > 0) lines.push(facts.join(" · "));
	return lines;
}

/** What ends every message about trouble: nothing that was loaded is lost, and how to go on. */
export function closingLines(message: AlertMessage): string[] {
	const lines: string[] = [];
	if (message.event === "failed")
		lines.push("Rows and positions that were loaded before stay as they are; the next run goes on from there.");
	const run = message.runId === null ? "" : `run ${message.runId} `;
	lines.push(`${run}on ${message.host}, ${timeText(message.at)}`);
	return lines;
}

/** As `more:` and `repeat:` lines, ready to paste. */
export function commandLines({ commands }: AlertMessage): (readonly [label: string, command: string])[] {
	const lines: (readonly [string, string])[] = [];
	if (commands.show !== null) lines.push(["more", commands.show]);
	if (commands.repeat !== null) lines.push(["repeat", commands.repeat]);
	return lines;
}

/** The items that are shown, and how many are not. */
export function shownItems({ items }: AlertMessage): { readonly shown: readonly AlertItem[]; readonly hidden: number } {
	return { shown: items.slice(0, ITEMS_SHOWN_MAX), hidden: Math.max(0, items.length - ITEMS_SHOWN_MAX) };
}

/** The whole message as plain text. */
export function messageText(message: AlertMessage): string {
	const { shown, hidden } = shownItems(message);
	const lines: string[] = [];
	for (const item of shown) {
		lines.push([item.table ?? message.pipeline, item.code].filter((part) => part !== null).join("  "));
		for (const line of itemLines(item, message.event)) lines.push(`  ${line}`);
		lines.push("");
	}
	if (hidden > 0) lines.push(`and ${countText(hidden)} more`, "");
	lines.push(...closingLines(message));
	for (const [label, command] of commandLines(message)) lines.push(`${label}: ${command}`);
	return `${lines.join("\n")}\n`;
}
