import { HeadraceError } from "../../core/index.ts";
import type { MysqlConnection } from "./connection.ts";
import { type BinlogPlace, beginStill, logBefore, type ViewPlace } from "./log-place.ts";
import { type CutMarks, type MarksLack, marksAfter, marksBefore } from "./marks.ts";
import { stopped } from "./readers.ts";

/** Tries to open all connections on one cut; under some thousand transactions a second a few are needed. */
const TRIES_MAX = 50;
const READERS_MAX = 16;
/**
 * Times that the server has to tell the same place of a view, one after the other. MariaDB answers by variables of the whole
 * process (TC_LOG_BINLOG::set_status_variables): whoever runs SHOW STATUS at the same moment can put its own place there.
 */
const SAME_PLACES = 4;

export interface Cut extends ViewPlace {
	/** All see the same state. */
	readonly connections: readonly MysqlConnection[];
	/** UTC, `YYYY-MM-DD HH:MM:SS.ffffff`, read just before the cut. */
	readonly clock: string;
	readonly marks: CutMarks | MarksLack;
}

/**
 * Opens one consistent read view on as many connections as can be proved to have the same: MariaDB and Percona Server
 * tell the binlog position of a read view (https://mariadb.com/kb/en/enhancements-for-start-transaction-with-consistent-snapshot/),
 * and equal positions are equal views. MySQL has no such proof: one connection. `forLog`: see `Source.snapshot`.
 */
export async function openCut(
	open: () => Promise<MysqlConnection>,
	readers: number,
	signal: AbortSignal | undefined,
	forLog: boolean | "exact" = false,
): Promise<Cut> {
	const connections = [await open()];
	const first = connections[0]!;
	try {
		const log = forLog === false ? null : await logBefore(first, signal);
		const before = await marksBefore(first);
		let starts = 1;
		let clock = await clockText(first);
		await beginView(first);
		let place = await placeOf(first);
		const still = forLog === "exact" && place === null ? await beginStill(first, () => beginView(first), signal) : null;
		if (readers > 1 && place !== null) {
			connections.push(...(await openMore(open, Math.min(readers, READERS_MAX) - 1)));
			for (let attempt = 0; connections.length > 1; attempt++) {
				if (signal?.aborted) throw stopped(signal);
				if (attempt === TRIES_MAX) {
					// The first one's view is as good as any; the others' differ from it.
					await Promise.all(connections.splice(1).map((connection) => connection.close()));
					break;
				}
				clock = await clockText(first);
				await Promise.all(connections.map(beginView));
				starts += connections.length;
				place = await placeOf(first);
				if (await allHavePlace(connections.slice(1), place)) break;
			}
		}
		if (signal?.aborted) throw stopped(signal);
		const known = log === null ? {} : { before: still ?? log };
		return { connections, clock, binlog: place, marks: await marksAfter(first, before, starts), ...known };
	} catch (error) {
		for (const connection of connections) connection.destroy();
		throw error;
	}
}

async function beginView(connection: MysqlConnection): Promise<void> {
	await connection.rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
}

/** The place in the binlog of a view that has been begun. */
async function placeOf(connection: MysqlConnection): Promise<BinlogPlace | null> {
	let place = await toldPlace(connection);
	for (let same = 1; place !== null && same < SAME_PLACES; same++) {
		const again = await toldPlace(connection);
		if (!isSamePlace(again, place)) same = 0;
		place = again;
	}
	return place;
}

/** One after the other: side by side they would overwrite each other's answers. */
async function allHavePlace(connections: readonly MysqlConnection[], place: BinlogPlace | null): Promise<boolean> {
	for (const connection of connections) if (!isSamePlace(await placeOf(connection), place)) return false;
	return true;
}

function isSamePlace(one: BinlogPlace | null, other: BinlogPlace | null): boolean {
	return one?.file === other?.file && one?.offset === other?.offset;
}

async function toldPlace(connection: MysqlConnection): Promise<BinlogPlace | null> {
	const rows = await connection.rows("SHOW STATUS LIKE 'binlog_snapshot_%'");
	const status = new Map(rows.map(([name, value]) => [(name ?? "").toLowerCase(), value ?? ""]));
	const file = status.get("binlog_snapshot_file") ?? "";
	const position = status.get("binlog_snapshot_position") ?? "";
	if (file === "" || position === "") return null;
	const gtid = (status.get("binlog_snapshot_gtid_executed") ?? "").replaceAll(/\s/g, "");
	return { file, offset: Number(position), ...(gtid.includes(":") ? { gtid } : {}) };
}

async function clockText(connection: MysqlConnection): Promise<string> {
	const [row] = await connection.rows("SELECT UTC_TIMESTAMP(6)");
	return row?.[0] ?? "";
}

/** A server that has no more connections to give makes for fewer readers, not for an error. */
async function openMore(open: () => Promise<MysqlConnection>, count: number): Promise<MysqlConnection[]> {
	const results = await Promise.allSettled(Array.from({ length: count }, open));
	const opened = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
	const failed = results.find((result) => result.status === "rejected");
	const reason: unknown = failed?.reason;
	if (failed !== undefined && !(reason instanceof HeadraceError && reason.code === "E_CONNECT")) {
		for (const connection of opened) connection.destroy();
		throw reason;
	}
	return opened;
}
