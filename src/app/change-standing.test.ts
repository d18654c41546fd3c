import { expect, test } from "vitest";
import type { CheckedPipeline } from "../config/index.ts";
import {
	type ChangeLog,
	type ChangesPosition,
	encodePosition,
	type Finding,
	HeadraceError,
	type LogHeadroom,
} from "../core/index.ts";
import { changeStatus, standingFindings } from "./change-standing.ts";

const PIPELINE = { name: "shop" } as CheckedPipeline;
const DAY = 86_400;
const GIGABYTE = 2 ** 30;

interface Given {
	readonly beginning?: number;
	readonly end?: number;
	/** By the place that is asked about. */
	readonly left: (place: number) => Partial<LogHeadroom>;
}

/** A log whose positions are numbers, each a byte. */
function logOf({ beginning = 0, end = 100, left }: Given): ChangeLog {
	const log: Pick<ChangeLog, "beginning" | "compare" | "format" | "headroom"> = {
		beginning: async () => String(beginning),
		compare: (a, b) => Number(a) - Number(b),
		format: (position) => `place ${position}`,
		headroom: async (from, about) => {
			expect(about?.reader).toBe("shop");
			return { end: String(end), bytesBehind: end - Number(from), ...left(Number(from)) };
		},
	};
	return log as ChangeLog;
}

const known = (at: number, tables: ChangesPosition["tables"]) => ({
	position: encodePosition({ kind: "changes", at: String(at), tables }),
});
const ORDERS = { "shop.orders": {} };
/** It waits at 40. */
const PAUSED = { ...ORDERS, "shop.items": { state: "paused" as const, from: "40" } };

async function found(given: Given, at: number, tables: ChangesPosition["tables"] = ORDERS): Promise<Finding> {
	const findings = await standingFindings(PIPELINE, logOf(given), known(at, tables), async () => false);
	expect(findings).toHaveLength(1);
	return findings[0]!;
}

test("who is at the log's end need not hurry; a table that is paused has its own place and time", async () => {
	const left = (place: number) => ({ secondsLeft: place < 50 ? DAY / 2 : 7 * DAY });
	expect(await found({ left }, 100)).toMatchObject({ severity: "ok" });
	expect(await found({ left }, 100, PAUSED)).toMatchObject({
		severity: "warning",
		message: expect.stringContaining(`gone after ${DAY / 2} s`),
	});
	const status = await changeStatus(
		"shop",
		known(100, PAUSED),
		{ log: logOf({ left }), problem: null },
		{ ms: 0, isHeld: false, isPaused: false },
	);
	expect(status).toMatchObject({ bytes_behind: 0, headroom_seconds: DAY / 2, problem: null });
});

test("a table whose place is gone is named with its own cure; when all are, all are read anew", async () => {
	const left = () => ({});
	expect(await found({ beginning: 50, left }, 100, PAUSED)).toMatchObject({
		severity: "error",
		message: expect.stringContaining("shop.items"),
		remedy: "headrace resync shop --table shop.items",
	});
	expect(await found({ beginning: 50, left }, 30)).toMatchObject({ severity: "error", remedy: "headrace resync shop" });
});

test("a source that keeps its log without a limit is warned of before its disk is full; with one, before it gives up", async () => {
	const kept = (bytesKept: number, bytesLeft?: number) => () => ({
		bytesKept,
		...(bytesLeft === undefined ? {} : { bytesLeft }),
	});
	expect(await found({ left: kept(GIGABYTE) }, 10)).toMatchObject({ severity: "ok" });
	expect(await found({ left: kept(20 * GIGABYTE) }, 10)).toMatchObject({
		severity: "warning",
		message: expect.stringContaining(`keeps ${20 * GIGABYTE} bytes`),
		remedy: "headrace run shop --follow",
	});
	expect(await found({ left: kept(20 * GIGABYTE, 30 * GIGABYTE) }, 10)).toMatchObject({ severity: "ok" });
	expect(await found({ left: kept(20 * GIGABYTE, GIGABYTE / 2) }, 10)).toMatchObject({
		severity: "warning",
		message: expect.stringContaining("more of log"),
	});
});

test("what the source finds wrong with what it keeps for the reader is an error with its cure; a lost connection is none", async () => {
	const fails = (code: "E_SLOT_AHEAD" | "E_CONNECTION_LOST") => () => {
		throw new HeadraceError(code, "it is so");
	};
	expect(await found({ left: fails("E_SLOT_AHEAD") }, 10)).toMatchObject({
		severity: "error",
		message: "E_SLOT_AHEAD it is so",
		remedy: "headrace resync shop",
	});
	await expect(found({ left: fails("E_CONNECTION_LOST") }, 10)).rejects.toMatchObject({ code: "E_CONNECTION_LOST" });
});

test("a slot that is past what is known here is no fault while somebody follows", async () => {
	const asked: unknown[] = [];
	const log = {
		...logOf({ left: () => ({}) }),
		headroom: async (_from: string, about?: { readonly reader?: string }) => {
			asked.push(about?.reader);
			if (about?.reader !== undefined) throw new HeadraceError("E_SLOT_AHEAD", "it is so");
			return { end: "100", bytesBehind: 90 };
		},
	} as ChangeLog;
	const severityIf = async (isFollowed: boolean) =>
		(await standingFindings(PIPELINE, log, known(10, ORDERS), async () => isFollowed))[0]?.severity;
	expect(await severityIf(true)).toBe("ok");
	expect(asked).toEqual(["shop", undefined]);
	expect(await severityIf(false)).toBe("error");
	const status = async (isHeld: boolean) =>
		await changeStatus("shop", known(10, ORDERS), { log, problem: null }, { ms: 0, isHeld, isPaused: false });
	expect(await status(true)).toMatchObject({ bytes_behind: 90, problem: null });
	expect(await status(false)).toMatchObject({ problem: { code: "E_SLOT_AHEAD" } });
});
