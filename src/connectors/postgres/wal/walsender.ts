/** Commands of a connection that is a walsender. https://www.postgresql.org/docs/current/protocol-replication.html */
import { HeadraceError } from "../../../core/index.ts";
import { type Connected, connect, type PostgresOptions } from "../connect.ts";
import type { ServerFacts } from "../server-facts.ts";
import type { Session } from "../session.ts";
import { quoteIdentifier } from "../sql-text.ts";
import { formatLsn, parseLsn, type WalPosition } from "./position.ts";
import { PLUGIN } from "./slot.ts";

const VERSION_OPTIONS = 150000;
const VERSION_FAILOVER = 170000;

/**
 * A connection that takes commands of replication.
 * @throws what `connect` throws; E_RIGHTS with the statement that lets the user replicate
 */
export async function openWalsender(options: PostgresOptions): Promise<Connected> {
	try {
		return await connect(options, "headrace log");
	} catch (error) {
		if (!(error instanceof HeadraceError) || error.code !== "E_RIGHTS") throw error;
		const user = quoteIdentifier(options.user ?? "<user>");
		throw new HeadraceError("E_RIGHTS", error.message, {
			hint: `Run as a superuser: ALTER ROLE ${user} REPLICATION;    -- on RDS: GRANT rds_replication TO ${user};`,
			cause: error,
		});
	}
}

export interface CreatedSlot {
	/** What is committed before is in the snapshot, what is committed after in the stream. */
	readonly lsn: bigint;
	/** While the connection lives and runs no other command. */
	readonly snapshot: string | null;
}

/** Makes a slot; the server first waits for the transactions that are open. */
export async function createSlot(
	session: Session,
	facts: Pick<ServerFacts, "version" | "standby">,
	slot: { readonly name: string; readonly kind: "kept" | "temporary" },
): Promise<CreatedSlot> {
	const { name, kind } = slot;
	const what = kind === "kept" ? "export" : "nothing";
	const failover = kind === "kept" && facts.version >= VERSION_FAILOVER && !facts.standby ? ", FAILOVER true" : "";
	const options =
		facts.version >= VERSION_OPTIONS
			? `(SNAPSHOT '${what}'${failover})`
			: kind === "kept"
				? "EXPORT_SNAPSHOT"
				: "NOEXPORT_SNAPSHOT";
	const [row] = await session.rows(
		`CREATE_REPLICATION_SLOT ${quoteIdentifier(name)} ${kind === "temporary" ? "TEMPORARY " : ""}LOGICAL ${PLUGIN} ${options}`,
	);
	const lsn = parseLsn(row?.[1] ?? "");
	if (lsn === null) throw new HeadraceError("E_SOURCE", `the server did not say where the slot ${name} begins`);
	return { lsn, snapshot: row?.[2] ?? null };
}

/** What names this log among others. */
export interface LogIdentity {
	readonly system: string;
	readonly timeline: number;
	readonly database: string;
}

export async function identify(session: Session): Promise<LogIdentity> {
	const [row] = await session.rows(
		`SELECT s.system_identifier, COALESCE(
		   (SELECT ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::pg_catalog.bit(32)::pg_catalog.int4
		    WHERE NOT pg_catalog.pg_is_in_recovery()), c.timeline_id), pg_catalog.current_database()
		 FROM pg_catalog.pg_control_system() AS s, pg_catalog.pg_control_checkpoint() AS c`,
	);
	const [system, timeline, database] = row ?? [];
	return { system: system ?? "", timeline: Number(timeline), database: database ?? "" };
}

/**
 * Proves that a position is of this log.
 * @throws E_HISTORY_MISMATCH when it is of another cluster, database, or a history that this one has not gone through
 */
export async function proveTimeline(session: Session, from: WalPosition): Promise<void> {
	const here = await identify(session);
	const mismatch = (what: string) => new HeadraceError("E_HISTORY_MISMATCH", `the position is of ${what}`);
	if (from.system !== undefined && from.system !== here.system)
		throw mismatch(`the cluster ${from.system}, and this one is ${here.system}`);
	if (from.database !== undefined && from.database !== here.database)
		throw mismatch(`the database ${from.database}, and this one is ${here.database}`);
	if (from.timeline !== undefined && from.timeline > here.timeline)
		throw mismatch(`timeline ${from.timeline}, which this server, on ${here.timeline}, has not reached`);
}

/**
 * Proves that this server has gone through the history that a position of an older timeline is of: a promoted standby
 * lacks what the old primary wrote after the timelines parted.
 * @throws E_HISTORY_MISMATCH
 */
export async function proveHistory(session: Session, from: WalPosition, timeline: number): Promise<void> {
	if (from.timeline === undefined || from.timeline === timeline) return;
	const [row] = await session.rows(`TIMELINE_HISTORY ${timeline}`);
	const parted = switchPoint(row?.[1] ?? "", from.timeline);
	if (parted === null || parted < from.lsn)
		throw new HeadraceError(
			"E_HISTORY_MISMATCH",
			`the position is of timeline ${from.timeline}, which this server's, ${timeline}, parted from ${parted === null ? "never" : `at ${formatLsn(parted)}, before ${formatLsn(from.lsn)}`}`,
		);
}

/** Where a timeline ended, by a history file: a line of its number, the place and the reason each. */
export function switchPoint(history: string, timeline: number): bigint | null {
	for (const line of history.split("\n")) {
		const [, number, place] = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line) ?? [];
		if (number !== undefined && Number(number) === timeline) return parseLsn(place!);
	}
	return null;
}
