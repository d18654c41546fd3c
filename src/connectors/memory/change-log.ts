import type { BeginRequest, ChangeLog, ChangeRequest, ChangeStream, LogCut } from "../../core/changes.ts";
import { HeadraceError } from "../../core/errors.ts";
import { MemoryChangeStream } from "./change-stream.ts";
import type { MemoryCut, MemoryDatabase } from "./database.ts";
import type { LoggedEntry } from "./log.ts";
import { stopped } from "./readers.ts";

export interface MemoryLogOptions {
	/**
	 * How snapshots know their place in the log. `exact`: they are of what is in the log, and of nothing else (MariaDB).
	 * `overlapping`: they are of what is visible, and the place is one up to which everything was visible before they
	 * were opened (MySQL by its GTIDs). `slots`: as that, but the log is begun for each reader, with an exact cut, and
	 * kept for it until it acknowledges (PostgreSQL). Default `exact`.
	 */
	readonly cuts?: "exact" | "overlapping" | "slots";
	/** What happens at the source between the place is asked and the view is opened, where these are two questions. */
	readonly whileOpening?: () => void;
	/** Columns whose value an update that leaves it as it is does not tell (an unchanged TOAST value). */
	readonly toasted?: readonly string[];
	/** What is told of a row before a change: all of it, the default, or just its key, where it has one. */
	readonly beforeImages?: "whole" | "key";
}

/** Cuts of the log that are held, by their names. */
export type MemoryCuts = Map<string, MemoryCut>;

/** The log of a `MemoryDatabase` through the port of a change log. Positions are `<log>:<number of the last entry>`. */
export function memoryChangeLog(
	database: MemoryDatabase,
	options: MemoryLogOptions,
	cuts: MemoryCuts,
	batchRowsMax = Number.POSITIVE_INFINITY,
): ChangeLog {
	const { log } = database;
	const position = (place: number) => `${log.id}:${place}`;
	const slots = options.cuts === "slots";
	return {
		end: async () => position(log.end),
		beginning: async () => position(log.beginning),
		compare: (a, b) => compare(placeOf(a), placeOf(b)),
		format: (text) => String(placeOf(text).place),
		parse: (text) => {
			const { id, place } = placeOf(/^\d+$/.test(text) ? `${log.id}:${text}` : text);
			return `${id}:${place}`;
		},
		open: async (request) => {
			if (request.signal?.aborted === true) throw stopped();
			const from = checkedPlace(database, request, slots);
			return new MemoryChangeStream({
				request,
				log,
				from,
				until: request.until === undefined ? null : placeOf(request.until).place,
				position,
				toasted: options.toasted ?? [],
				keyImages: options.beforeImages === "key",
				batchRowsMax,
				acknowledge: (text) => acknowledge(database, request, text),
			}) satisfies ChangeStream;
		},
		headroom: async (from, { reader } = {}) => {
			const { place } = placeOf(from);
			if (slots && reader !== undefined) checkSlot(database, reader, place);
			let bytesBehind = 0;
			for (let entry = log.next(place); entry !== undefined; entry = log.next(entry.number))
				bytesBehind += bytesOf(entry);
			return { end: position(log.end), bytesBehind };
		},
		check: async () => [{ severity: "ok", message: "changes are in this process's memory and are kept for its life" }],
		...(slots
			? {
					begin: async (request: BeginRequest) => begin(database, request, cuts),
					forget: async (reader: string) => log.dropSlot(reader),
				}
			: {}),
	};
}

/** A place of the log as a position. */
export function logPosition({ log }: MemoryDatabase, place: number): string {
	return `${log.id}:${place}`;
}

interface Place {
	readonly id: number;
	readonly place: number;
}

/** @throws E_INVALID_VALUE */
function placeOf(text: string): Place {
	const match = /^(\d+):(\d+)$/.exec(text);
	if (match === null)
		throw new HeadraceError("E_INVALID_VALUE", `${JSON.stringify(text)} is no position of a log in memory`, {
			hint: "Give the number of its last entry, such as 12.",
		});
	return { id: Number(match[1]), place: Number(match[2]) };
}

function compare(a: Place, b: Place): number {
	return a.id === b.id ? a.place - b.place : a.id - b.id;
}

/** @throws E_HISTORY_GONE, E_HISTORY_MISMATCH, E_SLOT_AHEAD */
function checkedPlace({ log }: MemoryDatabase, request: ChangeRequest, slots: boolean): number {
	const { id, place } = placeOf(request.from);
	if (id !== log.id || place > log.end)
		throw new HeadraceError("E_HISTORY_MISMATCH", `the position ${request.from} is of another log`);
	if (slots && request.looks !== true) checkSlot({ log }, request.reader, place);
	log.next(place);
	return place;
}

/** @throws E_HISTORY_GONE, E_SLOT_AHEAD */
function checkSlot({ log }: Pick<MemoryDatabase, "log">, reader: string, place: number): void {
	const confirmed = log.confirmed(reader);
	if (confirmed === null)
		throw new HeadraceError("E_HISTORY_GONE", `the reader ${reader} has no slot that keeps the log for it`);
	if (confirmed > place)
		throw new HeadraceError("E_SLOT_AHEAD", `the slot of ${reader} is at ${confirmed}, after ${place}`);
}

function acknowledge({ log }: MemoryDatabase, { reader, looks }: ChangeRequest, text: string): void {
	const { id, place } = placeOf(text);
	if (id !== log.id || place > log.end)
		throw new HeadraceError("E_INTERNAL", `the reader ${reader} acknowledges ${text}, where the log has not come yet`);
	if (looks !== true) log.acknowledge(reader, place);
}

function begin(database: MemoryDatabase, { reader, signal }: BeginRequest, cuts: MemoryCuts): LogCut {
	if (signal?.aborted === true) throw stopped();
	database.log.createSlot(reader);
	const cut = database.logCut();
	const snapshot = `${reader}/${cut.logPlace}/${cut.clock}`;
	cuts.set(snapshot, cut);
	return {
		position: logPosition(database, cut.logPlace),
		snapshot,
		[Symbol.asyncDispose]: async () => {
			cuts.delete(snapshot);
		},
	};
}

function bytesOf({ changes }: LoggedEntry): number {
	let bytes = 0;
	for (const change of changes)
		if (change.kind === "row")
			for (const row of [change.change.before, change.change.after])
				for (const value of row ?? []) bytes += value?.length ?? 0;
	return bytes;
}
