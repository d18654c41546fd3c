import type { SourceTable, TableName } from "../../core/index.ts";
import type { MysqlConnection } from "./connection.ts";
import type { Cut } from "./cut.ts";
import { atLeast } from "./server.ts";
import { quoteString } from "./sql.ts";

/** How long after a cut the stamps of all commits that it sees are there. */
export const STAMP_DELAY_MS = 1_000;

/** What is known of a table at a cut, that later proves whether it was changed. */
interface TableState {
	/** The server and the files of the table: another server, or a table made anew, has other ones. */
	readonly identity: string;
	/** InnoDB's counter of transactions, when none that may write was open at the cut; else null. */
	readonly quietAt: string | null;
	/** The cut's position in the binlog, where all that is written here is written to it; else null. */
	readonly binlog: string | null;
	/** InnoDB's id of the table, another one after TRUNCATE; null when it can't be seen. */
	readonly innodbId: string | null;
	/** UPDATE_TIME, seconds since 1970; null when the server does not know it. */
	readonly stampedAt: string | null;
	/** A transaction that the cut does not see began at this time or later: microseconds since 1970; null: not known. */
	readonly unseenFrom: string | null;
}

/**
 * The state of a table at a cut. Null for tables whose engine tells nothing, and for partitioned ones: each partition
 * may forget its stamp.
 */
export async function tableState(connection: MysqlConnection, table: SourceTable, cut: Cut): Promise<string | null> {
	const { schema, name } = table.name;
	const { flavour } = connection.server;
	const unique = flavour === "mysql" ? "@@server_uuid" : "''";
	const [row] = await connection.rows(
		`SELECT ENGINE, CREATE_OPTIONS, UNIX_TIMESTAMP(CREATE_TIME), UNIX_TIMESTAMP(UPDATE_TIME), @@global.read_only,
			CONCAT_WS('/', @@hostname, @@port, @@server_id, @@datadir, @@version, ${unique})
		FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${quoteString(schema)} AND TABLE_NAME = ${quoteString(name)}`,
		table.name,
	);
	const [engine, options, createdAt, stampedAt, readOnly, server] = row ?? [];
	if (engine?.toLowerCase() !== "innodb" || /\bpartitioned\b/i.test(options ?? "")) return null;
	const { binlog } = cut;
	const marks = "lacks" in cut.marks ? undefined : cut.marks;
	const state: TableState = {
		identity: JSON.stringify([server, createdAt ?? null]),
		quietAt: marks?.quietAt === null || marks === undefined ? null : String(marks.quietAt),
		// A replica writes what it gets from its primary to no log of its own, unless it is told to.
		binlog: readOnly === "0" && binlog !== null ? `${binlog.file}:${binlog.offset}` : null,
		innodbId: marks === undefined ? null : await innodbId(connection, table.name),
		stampedAt: stampedAt ?? null,
		unseenFrom: marks === undefined ? null : String(marks.unseenFrom),
	};
	return JSON.stringify(state);
}

/** Takes the PROCESS right, as the marks do. */
async function innodbId(connection: MysqlConnection, { schema, name }: TableName): Promise<string | null> {
	const { server } = connection;
	const view = server.flavour === "mysql" && atLeast(server, 8) ? "INNODB_TABLES" : "INNODB_SYS_TABLES";
	// Names are as those of files: `@0020` for a blank.
	const encoded = [schema, name].map((part) => `CAST(CONVERT(${quoteString(part)} USING filename) AS BINARY)`);
	const [row] = await connection.rows(
		`SELECT TABLE_ID, SPACE FROM information_schema.${view} WHERE CAST(NAME AS BINARY) = CONCAT(${encoded.join(", '/', ")})`,
	);
	return row === undefined ? null : row.join("/");
}

/**
 * Whether nothing at all was committed on the server between two cuts. Either no transaction began: none that may
 * write was open at the first, and the counter of their ids stands still. Or nothing was written to the binlog; since a
 * session may leave the binlog out, the table's stamp must then be there and be the same, too.
 */
export function stoodStill(since: string, now: string): boolean {
	const [then, current] = parse(since, now);
	if (then.identity !== current.identity) return false;
	if (then.quietAt !== null && then.quietAt === current.quietAt) return true;
	const stamped = then.stampedAt !== null && then.stampedAt === current.stampedAt;
	return stamped && then.binlog !== null && then.binlog === current.binlog;
}

/**
 * Whether the last commit to the table is one that the first cut saw. InnoDB stamps a table when a transaction that
 * changed it commits, MySQL with the time of the commit, MariaDB with that of the transaction's begin (commit_tables in
 * trx0trx.cc). Either is not before the transaction's begin, and what a cut does not see began, as the cut's marks tell,
 * at `unseenFrom` or later. A server that was restarted, or forgot the table meanwhile, has no stamp.
 */
export function bearsOldStamp(since: string, now: string): boolean {
	const [then, current] = parse(since, now);
	const { stampedAt } = current;
	if (then.identity !== current.identity || then.unseenFrom === null || stampedAt === null) return false;
	if (then.innodbId === null || then.innodbId !== current.innodbId) return false;
	const whole = /^(\d+)(?:\.\d+)?$/.exec(stampedAt)?.[1];
	// The stamp is a whole second, rounded down; so is what the server tells of a transaction's begin.
	return whole !== undefined && (BigInt(whole) + 1n) * 1_000_000n <= BigInt(then.unseenFrom);
}

function parse(since: string, now: string): [TableState, TableState] {
	return [JSON.parse(since) as TableState, JSON.parse(now) as TableState];
}
