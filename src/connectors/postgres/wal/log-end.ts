import type { Session } from "../session.ts";
import { parseLsn } from "./position.ts";

/** Commits that do not wait for their log are flushed by the walwriter in three of its rounds, 200 ms each by default. */
const FLUSH_WAIT_MS = 1_000;
const FLUSH_TRY_MS = 50;
const PAGE_BYTES = 8192n;
/** Headers of a page, and of a segment's first one: what is inserted next goes behind them. */
const PAGE_HEADERS = new Set([24n, 40n]);

/**
 * Where the log ends: what was committed before the call is before it. A decoder sees only what is flushed, so that a
 * commit that did not wait (synchronous_commit = off) is waited for here.
 */
export async function logEnd(session: Session): Promise<bigint> {
	let inserted: bigint | null = null;
	const begun = performance.now();
	while (true) {
		const [row] = await session.rows(
			`SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
			   ELSE pg_catalog.pg_current_wal_insert_lsn() END,
			 CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
			   ELSE pg_catalog.pg_current_wal_flush_lsn() END`,
		);
		inserted ??= withoutHeader(parseLsn(row?.[0] ?? "") ?? 0n);
		const flushed = parseLsn(row?.[1] ?? "") ?? 0n;
		if (flushed >= inserted) return inserted;
		// What is left then is of transactions that are not committed.
		if (performance.now() - begun > FLUSH_WAIT_MS) return flushed;
		await new Promise((resolve) => setTimeout(resolve, FLUSH_TRY_MS));
	}
}

/** At the border of two pages the server names the place behind the next one's header, which nothing ends at. */
function withoutHeader(lsn: bigint): bigint {
	const offset = lsn % PAGE_BYTES;
	return PAGE_HEADERS.has(offset) ? lsn - offset : lsn;
}
