import { createHash } from "node:crypto";
import { HeadraceError } from "../../../core/index.ts";
import type { Session } from "../session.ts";
import { formatLsn, parseLsn, type WalPosition } from "./position.ts";

export const PLUGIN = "pgoutput";
const NAME_START = "headrace_";
/** Letters of the reader's name in the slot's: with the hash below the 63 that a name may have. */
const NAME_LETTERS_MAX = 40;
const HASH_LETTERS = 8;

/**
 * The slot of a reader, and the name of its publication: the same for the same reader, whoever asks. Slots of all
 * databases of a server have their names in common.
 */
export function slotName(reader: string, database: string): string {
	const letters = reader
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, "_")
		.slice(0, NAME_LETTERS_MAX);
	const hash = createHash("sha256")
		.update(JSON.stringify([database, reader]))
		.digest("hex")
		.slice(0, HASH_LETTERS);
	return `${NAME_START}${letters}_${hash}`;
}

/** A row of pg_replication_slots. */
export interface Slot {
	readonly name: string;
	readonly plugin: string | null;
	readonly database: string | null;
	readonly temporary: boolean;
	readonly activePid: number | null;
	readonly restartLsn: bigint | null;
	readonly confirmedLsn: bigint | null;
	/** reserved, extended, unreserved, lost; null before 13 and for a slot that keeps nothing. */
	readonly walStatus: string | null;
	/** Why the server has given it up, when it has. */
	readonly invalidated: string | null;
	/** Bytes of log that may still be written before it is given up; null without max_slot_wal_keep_size. */
	readonly safeBytes: number | null;
}

/** The cluster's logical slots, or the one of that name. Columns differ from version to version, so each row is JSON. */
export async function readSlots(session: Session, name?: string): Promise<Slot[]> {
	const rows = await session.rows(
		`SELECT pg_catalog.to_json(s) FROM pg_catalog.pg_replication_slots AS s
		 WHERE ${name === undefined ? "s.slot_type = 'logical'" : "s.slot_name = $1"} ORDER BY s.slot_name`,
		name === undefined ? undefined : [name],
	);
	return rows.map(([json]) => slotOf(JSON.parse(json!) as Record<string, unknown>));
}

function slotOf(row: Record<string, unknown>): Slot {
	const text = (key: string) => (typeof row[key] === "string" ? (row[key] as string) : null);
	const lsn = (key: string) => parseLsn(text(key) ?? "");
	const status = text("wal_status");
	const invalidated = text("invalidation_reason") ?? (row["conflicting"] === true ? "conflict with recovery" : null);
	return {
		name: text("slot_name") ?? "",
		plugin: text("plugin"),
		database: text("database"),
		temporary: row["temporary"] === true,
		activePid: typeof row["active_pid"] === "number" ? row["active_pid"] : null,
		restartLsn: lsn("restart_lsn"),
		confirmedLsn: lsn("confirmed_flush_lsn"),
		walStatus: status,
		invalidated: invalidated ?? (status === "lost" ? "wal_removed" : null),
		safeBytes: typeof row["safe_wal_size"] === "number" ? row["safe_wal_size"] : null,
	};
}

/**
 * Proves that a slot still has the log from a position on. A server asked for a place before the slot's own begins at
 * the slot's without a word.
 * @throws E_HISTORY_GONE, E_HISTORY_MISMATCH, E_SLOT_AHEAD
 */
export function proveSlot(slot: Slot | undefined, name: string, from: WalPosition, database: string): Slot {
	if (slot === undefined)
		throw new HeadraceError("E_HISTORY_GONE", `there is no replication slot ${name}: it was dropped, or never made`);
	if (slot.plugin !== PLUGIN || slot.database !== database)
		throw new HeadraceError(
			"E_HISTORY_MISMATCH",
			`the replication slot ${name} is of ${slot.plugin ?? "physical replication"} and database ${slot.database ?? "none"}, not of ${PLUGIN} and ${database}`,
		);
	if (slot.invalidated !== null || slot.confirmedLsn === null)
		throw new HeadraceError(
			"E_HISTORY_GONE",
			`the server has given up the replication slot ${name}: ${slot.invalidated ?? "it is not ready"}`,
			{
				hint: "Read the tables anew, which makes the slot anew too: `headrace resync <pipeline>`. A greater max_slot_wal_keep_size keeps the log for longer.",
			},
		);
	if (slot.confirmedLsn > from.lsn)
		throw new HeadraceError(
			"E_SLOT_AHEAD",
			`the replication slot ${name} begins at ${formatLsn(slot.confirmedLsn)}, after ${formatLsn(from.lsn)}, up to which was read`,
		);
	return slot;
}
