import type { TransactionMarks } from "../../core/index.ts";
import type { ServerFacts } from "./server-facts.ts";
import type { Session } from "./session.ts";

/**
 * Which transactions were open at a cut. `pg_current_snapshot()` alone does not say: its xmax is one past the highest
 * *completed* transaction, and those above it that run have no place in it, so `737:737:` may hide an open 737. So the
 * highest running transaction id is read after the cut from pg_locks, which everyone may see.
 *
 * With pg_read_all_stats the marks are times: a row stamped by now() bears its transaction's start, and that may lie
 * long before the transaction wrote and got an id.
 */
const OTHER_SESSIONS = `
	FROM pg_catalog.pg_stat_activity AS a
	WHERE a.xact_start IS NOT NULL AND a.pid <> ALL ($1::pg_catalog.int4[])
	  AND a.datid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
	  -- Readers of ours are read-only; these processes write no rows of tables.
	  AND a.application_name <> 'headrace reader'
	  AND a.backend_type NOT IN ('walsender', 'autovacuum worker', 'autovacuum launcher', 'parallel worker')`;

const micros = (time: string) =>
	`pg_catalog.round((extract(epoch FROM ${time}) * 1000000)::pg_catalog.numeric)::pg_catalog.int8`;

/** The clock and the oldest other transaction before a cut. */
export interface ActivityBefore {
	readonly clock: bigint;
	readonly oldest: bigint | null;
}

export async function activityBefore(session: Session, facts: ServerFacts): Promise<ActivityBefore | null> {
	if (!facts.seesActivity || facts.standby) return null;
	const [row] = await session.rows(
		`SELECT ${micros("pg_catalog.clock_timestamp()")}, (SELECT ${micros("pg_catalog.min(a.xact_start)")} ${OTHER_SESSIONS})`,
		[[facts.processId]],
	);
	return { clock: BigInt(row![0]!), oldest: row![1] === null || row![1] === undefined ? null : BigInt(row![1]) };
}

/** The snapshot's own xmin and xmax, as txid_current_snapshot() prints them: `100:104:101,103`. */
export function parseSnapshot(text: string): { readonly xmin: bigint; readonly xmax: bigint } {
	const [xmin, xmax] = text.split(":");
	return { xmin: BigInt(xmin!), xmax: BigInt(xmax!) };
}

/**
 * The marks of a cut, read after it on another connection. `readers` are the sessions of the cut itself.
 * A standby does not see the primary's transactions: none.
 */
export async function marksAfter(
	session: Session,
	facts: ServerFacts,
	cut: { readonly xmin: bigint; readonly xmax: bigint; readonly processId: string },
	before: ActivityBefore | null,
): Promise<TransactionMarks | undefined> {
	if (facts.standby) return undefined;
	const [row] = await session.rows(
		`SELECT ${micros("pg_catalog.clock_timestamp()")},
		   (SELECT ${micros("pg_catalog.min(a.xact_start)")} ${OTHER_SESSIONS}),
		   -- Ids of 32 bits become distances from the cut's xmax, right across a wrap-around.
		   (SELECT pg_catalog.max((l.transactionid::pg_catalog.text::pg_catalog.int8 - ($2::pg_catalog.int8 % 4294967296)
		      + 6442450944) % 4294967296 - 2147483648)
		    FROM pg_catalog.pg_locks AS l WHERE l.locktype = 'transactionid' AND l.granted AND l.mode = 'ExclusiveLock'),
		   pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()),
		   EXISTS (SELECT 1 FROM pg_catalog.pg_prepared_xacts AS p WHERE p.database = pg_catalog.current_database())`,
		[[facts.processId, cut.processId], String(cut.xmax)],
	);
	const [clock, oldestAfter, distance, xmaxAfter, prepared] = row!;
	let next = BigInt(xmaxAfter!);
	if (distance !== null && distance !== undefined && cut.xmax + BigInt(distance) + 1n > next)
		next = cut.xmax + BigInt(distance) + 1n;
	const noneWrote = cut.xmin === cut.xmax && next === cut.xmax;
	if (before === null) return { kind: "xid", now: next, oldestOpen: noneWrote ? next : cut.xmin };
	const now = BigInt(clock!);
	// When a prepared transaction began is not to be seen.
	if (prepared === "t") return { kind: "clock", now, oldestOpen: 0n };
	const noneOpen = noneWrote && before.oldest === null && (oldestAfter === null || BigInt(oldestAfter!) > now);
	if (noneOpen) return { kind: "clock", now, oldestOpen: now };
	// What began after the first look began after every earlier cut too.
	return { kind: "clock", now, oldestOpen: before.oldest ?? before.clock };
}
