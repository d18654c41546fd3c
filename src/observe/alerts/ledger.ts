import { createHash } from "node:crypto";
import { ALERT_EVENTS, type AlertChannel, type AlertEntry, type AlertEvent } from "../../core/alert.ts";

/** Something that channels are to be told, or that they know already. */
export interface Occurrence {
	/** Names of the channels that it concerns. */
	readonly channels: readonly string[];
	readonly event: Exclude<AlertEvent, "recovered">;
	/** Empty for the run as a whole. */
	readonly table: string;
	readonly code: string;
	readonly message: string;
	readonly hint: string;
	readonly attempts: number;
	readonly runId: string | null;
}

export interface Happened {
	readonly occurrences: readonly Occurrence[];
	/** Tables that a run has loaded; an empty name for the run as a whole. */
	readonly successes: readonly string[];
	readonly runId: string | null;
	/** Milliseconds since 1970. */
	readonly atMs: number;
}

/** What no run has mentioned for so long is about a table that is gone. */
const FORGOTTEN_AFTER_MS = 90 * 86_400_000;

/**
 * What channels know after something happened. The same failure (table and code) is told again only after the
 * channel's cool-down, and counted until then. The first success after it is told to channels that want `recovered`,
 * and makes the next failure a new one: what a channel was told last is true.
 */
export function noted(
	entries: readonly AlertEntry[],
	channels: readonly AlertChannel[],
	happened: Happened,
): AlertEntry[] {
	const ledger = new Ledger(entries, channels, happened);
	for (const occurrence of happened.occurrences)
		for (const channel of channels)
			if (occurrence.channels.includes(channel.name)) ledger.occurred(channel, occurrence);
	for (const table of happened.successes) for (const channel of channels) ledger.succeeded(channel, table);
	return ledger.remaining();
}

class Ledger {
	readonly #entries: Map<string, AlertEntry>;
	readonly #channels: readonly AlertChannel[];
	readonly #runId: string | null;
	readonly #atMs: number;
	readonly #at: string;

	constructor(entries: readonly AlertEntry[], channels: readonly AlertChannel[], { runId, atMs }: Happened) {
		this.#entries = new Map(entries.map((entry) => [keyOf(entry), entry]));
		this.#channels = channels;
		this.#runId = runId;
		this.#atMs = atMs;
		this.#at = new Date(atMs).toISOString();
	}

	occurred(channel: AlertChannel, { channels: _channels, ...what }: Occurrence): void {
		const key = keyOf({ ...what, channel: channel.name });
		const known = this.#entries.get(key);
		const cooled = known === undefined || known.toldAt === null || this.#isCool(channel, known.toldAt);
		this.#entries.set(key, {
			...what,
			channel: channel.name,
			state: known?.state === "waiting" || cooled ? "waiting" : "told",
			over: false,
			untold: (known?.untold ?? 0) + 1,
			firstAt: known === undefined || known.over ? this.#at : known.firstAt,
			lastAt: this.#at,
			toldAt: known?.toldAt ?? null,
			failure: known?.failure ?? null,
		});
		// That it had recovered is not true any more.
		if (isTrouble(what.event)) this.#entries.delete(recoveryKey(channel.name, what.table));
	}

	succeeded(channel: AlertChannel, table: string): void {
		const troubles = [...this.#entries.values()].filter(
			(entry) => entry.channel === channel.name && entry.table === table && isTrouble(entry.event) && !entry.over,
		);
		if (troubles.length === 0) return;
		for (const entry of troubles) this.#entries.set(keyOf(entry), { ...entry, over: true });
		if (!channel.on.includes("recovered")) return;
		const firstAt = troubles.map((entry) => entry.firstAt).sort()[0]!;
		const codes = [...new Set(troubles.map((entry) => entry.code).filter((code) => code !== ""))];
		const was = codes.length > 0 ? `it had failed with ${codes.join(", ")}` : "it was late";
		this.#entries.set(recoveryKey(channel.name, table), {
			channel: channel.name,
			event: "recovered",
			table,
			code: "",
			state: "waiting",
			over: false,
			untold: 1,
			firstAt,
			lastAt: this.#at,
			toldAt: null,
			runId: this.#runId,
			message: `succeeded again; ${was}`,
			hint: "",
			attempts: 0,
			failure: null,
		});
	}

	/** What still says something: a cool-down that goes on, or a trouble that does. */
	remaining(): AlertEntry[] {
		return [...this.#entries.values()].filter((entry) => {
			const channel = this.#channels.find(({ name }) => name === entry.channel);
			if (channel === undefined) return false;
			if (entry.state === "waiting") return true;
			if (this.#atMs - Date.parse(entry.lastAt) > FORGOTTEN_AFTER_MS) return false;
			return !entry.over || entry.toldAt === null || !this.#isCool(channel, entry.toldAt);
		});
	}

	#isCool(channel: AlertChannel, toldAt: string): boolean {
		return this.#atMs - Date.parse(toldAt) >= channel.coolDownMs;
	}
}

/** What waits for a channel, an array a message: failures first, then what is good. */
export function waitingFor(entries: readonly AlertEntry[], channel: string): AlertEntry[][] {
	const waiting = entries.filter((entry) => entry.channel === channel && entry.state === "waiting");
	const order: readonly AlertEvent[] = ALERT_EVENTS.toSorted((a, b) => Number(isGood(a)) - Number(isGood(b)));
	return order.map((event) => waiting.filter((entry) => entry.event === event)).filter((group) => group.length > 0);
}

/** After `sent` was delivered: what came in the meantime is still counted. */
export function afterTelling(entries: readonly AlertEntry[], sent: readonly AlertEntry[], atMs: number): AlertEntry[] {
	const keys = new Map(sent.map((entry) => [keyOf(entry), entry]));
	const recovered = new Set(
		sent.filter((entry) => entry.event === "recovered").map((entry) => `${entry.channel}\n${entry.table}`),
	);
	const toldAt = new Date(atMs).toISOString();
	return entries.flatMap((entry) => {
		const told = keys.get(keyOf(entry));
		if (told !== undefined && isGood(entry.event)) return entry.lastAt === told.lastAt ? [] : [entry];
		if (isTrouble(entry.event) && entry.over && recovered.has(`${entry.channel}\n${entry.table}`)) return [];
		if (told === undefined) return [entry];
		return [{ ...entry, state: "told", untold: Math.max(0, entry.untold - told.untold), toldAt, failure: null }];
	});
}

/** After an attempt to deliver `tried` failed. */
export function afterFailing(
	entries: readonly AlertEntry[],
	tried: readonly AlertEntry[],
	failure: string,
): AlertEntry[] {
	const keys = new Set(tried.map(keyOf));
	return entries.map((entry) => (keys.has(keyOf(entry)) ? { ...entry, failure } : entry));
}

/**
 * A name of what is told: who sends the same once more, because it did not learn that it was sent, gives the same one, so
 * that receivers can leave it out.
 */
export function deliveryId(pipeline: string, group: readonly AlertEntry[]): string {
	const told = group.map(({ channel, event, table, code, firstAt, lastAt, untold }) =>
		[channel, event, table, code, firstAt, lastAt, untold].join("\n"),
	);
	const hex = createHash("sha256")
		.update([pipeline, ...told].join("\n\n"))
		.digest("hex");
	// In the form of RFC 9562, version 8, which leaves the bits to who makes it.
	const parts = [
		hex.slice(0, 8),
		hex.slice(8, 12),
		`8${hex.slice(13, 16)}`,
		`a${hex.slice(17, 20)}`,
		hex.slice(20, 32),
	];
	return parts.join("-");
}

/** Ended by a success. */
function isTrouble(event: AlertEvent): boolean {
	return event === "failed" || event === "late";
}

/** Told once, never counted. */
function isGood(event: AlertEvent): boolean {
	return event === "recovered" || event === "succeeded";
}

function keyOf(entry: Pick<AlertEntry, "channel" | "event" | "table" | "code">): string {
	return JSON.stringify([entry.channel, entry.event, entry.table, entry.code]);
}

function recoveryKey(channel: string, table: string): string {
	return keyOf({ channel, event: "recovered", table, code: "" });
}
