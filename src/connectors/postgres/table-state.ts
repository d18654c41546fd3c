import { setTimeout as delay } from "node:timers/promises";
import type { SourceTable, UnchangedRequest } from "../../core/index.ts";
import { fromItem } from "./select-sql.ts";
import type { ServerFacts } from "./server-facts.ts";
import type { Session } from "./session.ts";

const FLUSH_WAIT_MS = 5_000;
const FLUSH_POLL_MS = 50;

/** Which transactions a cut sees, as txid_current_snapshot() tells it. */
export interface CutIds {
	readonly xmin: bigint;
	readonly xmax: bigint;
}

/** What is known of a table at a cut, that later proves of a chunk whether its rows have changed. */
interface TableState {
	/** The server and its history, the table's files and columns: none of them may be another. */
	readonly identity: string;
	readonly xmin: string;
	readonly xmax: string;
}

/**
 * The state of a table within a snapshot. Null where row versions prove nothing: for tables that are no heap, and for
 * columns that are worked out when they are read.
 */
export async function tableState(
	session: Session,
	facts: ServerFacts,
	table: SourceTable,
	ids: CutIds,
): Promise<string | null> {
	if (table.kind !== "table") return null;
	const identity = await identityOf(session, facts, table);
	if (identity === null) return null;
	const state: TableState = { identity, xmin: String(ids.xmin), xmax: String(ids.xmax) };
	return JSON.stringify(state);
}

/**
 * Whether a chunk has the rows at this cut that it had at an earlier one. A row version never changes, and says by its
 * xmin which transaction made it. What an earlier cut does not see, or may not have seen, has an xmin from that cut's
 * own xmin on: when no version in the chunk has, all that are seen now were seen then. Those that were seen then and are
 * gone are told by the number.
 *
 * That takes ids that stand for the same transactions (one cluster, one timeline, less than 2^31 transactions), the same
 * files (a rewrite moves rows), and a cut that is truly the later one, which on a standby only its ids tell.
 */
export async function unchanged(
	session: Session,
	facts: ServerFacts,
	request: UnchangedRequest,
	ids: CutIds,
): Promise<boolean> {
	const { table, chunk, rows } = request;
	const since = JSON.parse(request.since) as TableState;
	const [xmin, xmax] = [BigInt(since.xmin), BigInt(since.xmax)];
	if (ids.xmin < (facts.standby ? xmax : xmin) || ids.xmax - xmin >= 1n << 31n) return false;
	const from = chunk.condition ?? fromItem(table);
	const [row] = await session.rows(
		`SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE pg_catalog.age(xmin) <= pg_catalog.age($1::pg_catalog.xid))
		FROM ${from}`,
		[String(xmin % (1n << 32n))],
		{ table: table.name },
	);
	if (row?.[0] !== String(rows) || row[1] !== "0") return false;
	// Behind the count, whose lock on the table keeps rewrites out from here on.
	return (await identityOf(session, facts, table)) === since.identity;
}

async function identityOf(session: Session, facts: ServerFacts, table: SourceTable): Promise<string | null> {
	const server = await serverIdentity(session, facts);
	const [row] = await session.rows(
		`WITH RECURSIVE members(oid) AS (
			SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
			WHERE n.nspname = $1 AND c.relname = $2
			UNION
			SELECT i.inhrelid FROM members AS p JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid
		), relations AS (
			SELECT c.oid, c.relkind, m.amname, pg_catalog.pg_relation_filenode(c.oid) AS file
			FROM members JOIN pg_catalog.pg_class AS c ON c.oid = members.oid LEFT JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
		)
		SELECT
		  (SELECT pg_catalog.string_agg(r.oid || ':' || coalesce(r.file, 0), ',' ORDER BY r.oid) FROM relations AS r),
		  (SELECT pg_catalog.bool_and(r.relkind = 'p' OR r.relkind = 'r' AND r.amname = 'heap') FROM relations AS r),
		  (SELECT pg_catalog.string_agg(a.attrelid || '.' || a.attnum || ':' || a.atttypid || ':' || a.atttypmod || ':' || a.attname,
		     ',' ORDER BY a.attrelid, a.attnum) FROM pg_catalog.pg_attribute AS a JOIN relations AS r ON r.oid = a.attrelid
		   WHERE a.attnum > 0 AND NOT a.attisdropped),
		  EXISTS (SELECT 1 FROM pg_catalog.pg_attribute AS a JOIN relations AS r ON r.oid = a.attrelid WHERE a.attgenerated = 'v'),
		  -- A label that is renamed changes values, not rows.
		  (SELECT pg_catalog.md5(pg_catalog.string_agg(e.oid || ':' || e.enumlabel, ',' ORDER BY e.oid)) FROM pg_catalog.pg_enum AS e)`,
		[table.name.schema, table.name.name],
	);
	const [files, heap, columns, computed, labels] = row ?? [];
	if (server === null || files === null || files === undefined || heap !== "t" || computed === "t") return null;
	return JSON.stringify([...server, files, columns ?? null, labels ?? null]);
}

/**
 * The history that transaction ids belong to: cluster, timeline, database. A standby may be another one than before, or
 * follow another primary: its start and its address stand for it. Where commits are not awaited (synchronous_commit
 * off), a crash may take back what was seen and give its id to another: then the ids count only once the log is on
 * disk, and within one start of the server. Null when that can't be told.
 */
async function serverIdentity(session: Session, facts: ServerFacts): Promise<readonly string[] | null> {
	const started = "pg_catalog.pg_postmaster_start_time()::pg_catalog.text";
	const timeline = facts.standby
		? `${started} || ' ' || (SELECT c.timeline_id FROM pg_catalog.pg_control_checkpoint() AS c)`
		: "pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8)";
	const [row] = await session.rows(
		`SELECT (SELECT s.system_identifier FROM pg_catalog.pg_control_system() AS s), ${timeline},
			(SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()),
			pg_catalog.current_setting('synchronous_commit'), ${started}`,
	);
	const [cluster, history, database, synchronous, start] = row ?? [];
	if (cluster === null || cluster === undefined || history === null || history === undefined) return null;
	const identity = [cluster, history, database ?? ""];
	if (synchronous !== "off" || facts.standby) return identity;
	return (await isOnDisk(session)) ? [...identity, start ?? ""] : null;
}

/** Waits for the log that there is now. */
async function isOnDisk(session: Session): Promise<boolean> {
	const [row] = await session.rows("SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text");
	for (let waitedMs = 0; waitedMs < FLUSH_WAIT_MS; waitedMs += FLUSH_POLL_MS) {
		const [flushed] = await session.rows("SELECT pg_catalog.pg_current_wal_flush_lsn() >= $1::pg_catalog.pg_lsn", [
			row?.[0],
		]);
		if (flushed?.[0] === "t") return true;
		await delay(FLUSH_POLL_MS);
	}
	return false;
}
