import type { CheckedPipeline } from "../config/index.ts";
import {
	type ChangeLog,
	type ChangesPosition,
	ERRORS,
	type Finding,
	HeadraceError,
	type LogHeadroom,
	toHeadraceErrors,
} from "../core/index.ts";
import { changesPosition, heldBack } from "../flow/index.ts";
import type { ChangeStatus, FollowedTableStatus } from "./api.ts";

/** Less than this left is said before the history is gone. */
const HEADROOM_SECONDS_MIN = 86_400;
const HEADROOM_BYTES_MIN = 1 << 30;
/** More than this is said where a source keeps its log for a reader for as long as its disk has room. */
const KEPT_BYTES_MAX = 16 * 2 ** 30;

/** Whether some of a pipeline's tables follow the change log of its source. */
export function followsLog(pipeline: CheckedPipeline): boolean {
	return pipeline.tables.some((rule) => !rule.skip && rule.options.mode === "cdc");
}

/** The position row of a pipeline's change log, as the destination or the state store has it. */
export interface KnownPosition {
	readonly position: string | null;
}

/**
 * How a log stands to a position: how far behind it is, and whether it can still be read on from there, or from where a
 * table is that is behind: one that is paused.
 */
async function standingOf(
	pipeline: string,
	log: ChangeLog,
	position: ChangesPosition,
	isFollowed: () => Promise<boolean>,
): Promise<LogHeadroom> {
	const { at } = position;
	const about = { reader: pipeline, isFollowed };
	const held = heldBack(position, log);
	const beginning = await log.beginning();
	if (log.compare(at, beginning) < 0)
		throw new HeadraceError(
			"E_HISTORY_GONE",
			`the source's log begins at ${log.format(beginning)}, after the position ${log.format(at)}: the changes between them are lost`,
		);
	const headroom = await readerHeadroom(log, at, about);
	if (log.compare(at, headroom.end) > 0)
		throw new HeadraceError(
			"E_HISTORY_MISMATCH",
			`the source's log ends at ${log.format(headroom.end)}, before ${log.format(at)}, which was read already`,
		);
	if (held === null) return headroom;
	if (log.compare(held.from, beginning) < 0)
		throw new HeadraceError(
			"E_HISTORY_GONE",
			`the source's log begins at ${log.format(beginning)}, after ${log.format(held.from)}, from which on ${held.table} has no changes: they are lost`,
			{ pipeline, table: held.table, hint: "Read the table anew: `headrace resync <pipeline> --table <table>`." },
		);
	const { end: _end, bytesBehind: _behind, ...left } = await readerHeadroom(log, held.from, about);
	return { ...headroom, ...left };
}

/**
 * What a source says of a reader's place and of what it keeps for the reader. One that follows has told the source of more
 * than is known here, which is some seconds old: that is no fault, as it is while nobody follows.
 */
export async function readerHeadroom(
	log: ChangeLog,
	from: string,
	about: { readonly reader: string; readonly isFollowed: () => Promise<boolean>; readonly signal?: AbortSignal },
): Promise<LogHeadroom> {
	const { reader, isFollowed, signal } = about;
	const more = signal === undefined ? {} : { signal };
	try {
		return await log.headroom(from, { reader, ...more });
	} catch (thrown) {
		const isAhead = toHeadraceErrors(thrown).some(({ code }) => code === "E_SLOT_AHEAD");
		if (!isAhead || !(await isFollowed())) throw thrown;
		return await log.headroom(from, more);
	}
}

/**
 * How a pipeline follows the log: place, lag, and how long the place can still be read. `log` null: the source could not
 * be asked, for the reason that `problem` gives.
 */
export async function changeStatus(
	pipeline: string,
	known: KnownPosition | undefined,
	asked: { readonly log: ChangeLog | null; readonly problem: unknown },
	now: { readonly ms: number; readonly isHeld: boolean; readonly isPaused: boolean },
): Promise<ChangeStatus> {
	const { log } = asked;
	const state = now.isPaused ? "paused" : now.isHeld ? "following" : "stopped";
	const position = known === undefined ? null : changesPosition(known);
	const nothing = {
		state,
		position: null,
		log_end: null,
		lag_seconds: null,
		bytes_behind: null,
		headroom_seconds: null,
		headroom_bytes: null,
		kept_bytes: null,
		measured_at: null,
		problem: asked.problem === null ? null : problemOf(asked.problem),
		tables: [],
	} as const;
	if (position === null) return nothing;
	const format = (place: string) => log?.format(place) ?? place;
	const isReached = (place: string) => log !== null && log.compare(place, position.at) <= 0;
	const tables = Object.entries(position.tables).map(
		([table, { state, from, until }]): FollowedTableStatus => ({
			table,
			state: state ?? "following",
			from: from === undefined || (state === undefined && isReached(from)) ? null : format(from),
			until: until === undefined || isReached(until) ? null : format(until),
		}),
	);
	const base: ChangeStatus = { ...nothing, position: format(position.at), tables };
	if (log === null) return base;
	const measured_at = new Date(now.ms).toISOString();
	try {
		const { end, bytesBehind, secondsLeft, bytesLeft, bytesKept } = await standingOf(
			pipeline,
			log,
			position,
			async () => now.isHeld,
		);
		return {
			...base,
			log_end: log.format(end),
			lag_seconds: lagSeconds(bytesBehind, position.committedAt, now.ms),
			bytes_behind: bytesBehind,
			headroom_seconds: secondsLeft ?? null,
			headroom_bytes: bytesLeft ?? null,
			kept_bytes: bytesKept ?? null,
			measured_at,
		};
	} catch (thrown) {
		return { ...base, measured_at, problem: problemOf(thrown) };
	}
}

/** Age of the last change that was applied, while the log holds more; 0 when it does not. */
function lagSeconds(bytesBehind: number, committedAt: string | undefined, nowMs: number): number | null {
	if (bytesBehind === 0) return 0;
	return committedAt === undefined
		? null
		: Math.max(0, Math.round(nowMs / 1000 - Number(BigInt(committedAt) / 1_000_000n)));
}

function problemOf(thrown: unknown): NonNullable<ChangeStatus["problem"]> {
	const [error] = toHeadraceErrors(thrown);
	const { code, message, hint, place } = error ?? new HeadraceError("E_INTERNAL", "the log could not be asked");
	const isWhole = code === "E_HISTORY_GONE" && place?.table === undefined;
	return { code, message, hint: isWhole ? ERRORS.E_HISTORY_GONE.remedy : hint };
}

/** What `check` says of a position that is to be read on from. */
export async function standingFindings(
	pipeline: CheckedPipeline,
	log: ChangeLog,
	known: KnownPosition | undefined,
	isFollowed: () => Promise<boolean>,
): Promise<Finding[]> {
	const position = known === undefined ? null : changesPosition(known);
	if (position === null) return [];
	try {
		const { bytesBehind, secondsLeft, bytesLeft, bytesKept } = await standingOf(
			pipeline.name,
			log,
			position,
			isFollowed,
		);
		const place = `the log can be read on from ${log.format(position.at)}, ${bytesBehind} bytes before its end`;
		const isBehind = bytesBehind > 0 || heldBack(position, log) !== null;
		const isShort =
			isBehind && ((secondsLeft ?? Infinity) < HEADROOM_SECONDS_MIN || (bytesLeft ?? Infinity) < HEADROOM_BYTES_MIN);
		const left = [
			...(secondsLeft === undefined ? [] : [`${secondsLeft} s`]),
			...(bytesLeft === undefined ? [] : [`${bytesLeft} bytes more of log`]),
		].join(" or ");
		const remedy = `headrace run ${pipeline.name} --follow`;
		if (isShort) return [{ severity: "warning", message: `${place}, is gone after ${left}`, remedy }];
		if (bytesLeft === undefined && (bytesKept ?? 0) > KEPT_BYTES_MAX)
			return [
				{
					severity: "warning",
					message: `${place}; the source keeps ${bytesKept} bytes of log for this pipeline, without a limit but its disk`,
					remedy,
				},
			];
		return [{ severity: "ok", message: place }];
	} catch (thrown) {
		const [error] = toHeadraceErrors(thrown);
		const { code, message } = problemOf(thrown);
		if (error?.reaction !== "resnapshot") throw thrown;
		const table = error.place.table === undefined ? "" : ` --table ${error.place.table}`;
		return [{ severity: "error", message: `${code} ${message}`, remedy: `headrace resync ${pipeline.name}${table}` }];
	}
}
