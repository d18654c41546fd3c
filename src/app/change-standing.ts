import type { CheckedPipeline } from "../config/index.ts";
import {
	type ChangeLog,
	ERRORS,
	type Finding,
	HeadraceError,
	type LogHeadroom,
	toHeadraceErrors,
} from "../core/index.ts";
import { changesPosition } from "../flow/index.ts";
import type { ChangeStatus, FollowedTableStatus } from "./api.ts";

/** Less than this left is said before the history is gone. */
const HEADROOM_SECONDS_MIN = 86_400;
const HEADROOM_BYTES_MIN = 1 << 30;

/** Whether some of a pipeline's tables follow the change log of its source. */
export function followsLog(pipeline: CheckedPipeline): boolean {
	return pipeline.tables.some((rule) => !rule.skip && rule.options.mode === "cdc");
}

/** The position row of a pipeline's change log, as the destination or the state store has it. */
export interface KnownPosition {
	readonly position: string | null;
}

/** How a log stands to a position: how far behind it is, and whether it can still be read on from there. */
async function standingOf(log: ChangeLog, at: string): Promise<LogHeadroom> {
	const beginning = await log.beginning();
	if (log.compare(at, beginning) < 0)
		throw new HeadraceError(
			"E_HISTORY_GONE",
			`the source's log begins at ${log.format(beginning)}, after the position ${log.format(at)}: the changes between them are lost`,
		);
	const headroom = await log.headroom(at);
	if (log.compare(at, headroom.end) > 0)
		throw new HeadraceError(
			"E_HISTORY_MISMATCH",
			`the source's log ends at ${log.format(headroom.end)}, before ${log.format(at)}, which was read already`,
		);
	return headroom;
}

/**
 * How a pipeline follows the log: place, lag, and how long the place can still be read. `log` null: the source could not
 * be asked, for the reason that `problem` gives.
 */
export async function changeStatus(
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
		const { end, bytesBehind, secondsLeft, bytesLeft } = await standingOf(log, position.at);
		return {
			...base,
			log_end: log.format(end),
			lag_seconds: lagSeconds(bytesBehind, position.committedAt, now.ms),
			bytes_behind: bytesBehind,
			headroom_seconds: secondsLeft ?? null,
			headroom_bytes: bytesLeft ?? null,
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
	const { code, message, hint } = error ?? new HeadraceError("E_INTERNAL", "the log could not be asked");
	return { code, message, hint: code === "E_HISTORY_GONE" ? ERRORS.E_HISTORY_GONE.remedy : hint };
}

/** What `check` says of a position that is to be read on from. */
export async function standingFindings(
	pipeline: CheckedPipeline,
	log: ChangeLog,
	known: KnownPosition | undefined,
): Promise<Finding[]> {
	const position = known === undefined ? null : changesPosition(known);
	if (position === null) return [];
	try {
		const { bytesBehind, secondsLeft, bytesLeft } = await standingOf(log, position.at);
		const place = `the log can be read on from ${log.format(position.at)}, ${bytesBehind} bytes before its end`;
		const isShort =
			bytesBehind > 0 &&
			((secondsLeft ?? Infinity) < HEADROOM_SECONDS_MIN || (bytesLeft ?? Infinity) < HEADROOM_BYTES_MIN);
		const left = [
			...(secondsLeft === undefined ? [] : [`${secondsLeft} s`]),
			...(bytesLeft === undefined ? [] : [`${bytesLeft} bytes more of log`]),
		].join(" or ");
		if (!isShort) return [{ severity: "ok", message: place }];
		return [
			{
				severity: "warning",
				message: `${place}, is gone after ${left}`,
				remedy: `headrace run ${pipeline.name} --follow`,
			},
		];
	} catch (thrown) {
		const { code, message } = problemOf(thrown);
		if (code !== "E_HISTORY_GONE" && code !== "E_HISTORY_MISMATCH") throw thrown;
		return [{ severity: "error", message: `${code} ${message}`, remedy: `headrace resync ${pipeline.name}` }];
	}
}
