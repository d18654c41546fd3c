import { setTimeout as delay } from "node:timers/promises";
import { type Finding, HeadraceError, type LogPlace } from "../../core/index.ts";
import { logEnd, logFiles, mariadbGtid, serverName } from "./binlog/log-files.ts";
import { encodeLogPosition, FIRST_OFFSET, type LogPosition } from "./binlog/position.ts";
import type { MysqlConnection } from "./connection.ts";
import { writingTransactions } from "./marks.ts";
import { stopped } from "./readers.ts";
import { atLeast } from "./server.ts";

/** How long transactions that may be about to commit are waited for. */
const WAIT_MS_MAX = 60_000;
/** InnoDB renews its list of transactions no sooner. */
const LIST_PAUSE_MS = 120;
/** How long a moment is looked for at which nothing is committed. */
const STILL_MS_MAX = 30_000;

/** What was learnt of the log before a view was opened. */
export interface LogBefore {
	/** Everything before it is visible to views that are opened later; null where the server tells the place of a view. */
	readonly position: LogPosition | null;
	/** The log's end before the view. */
	readonly end?: LogPosition;
	/** Nothing else is visible to the view: see `beginStill`. */
	readonly exact?: boolean;
	/** Where the log is to be read from to know the XA transactions that were prepared already. */
	readonly prepared?: LogPosition["prepared"];
}

/**
 * Looks at the log before a view is opened, on the connection that will open it. MariaDB and Percona Server tell the exact
 * place of each view themselves.
 *
 * MySQL with GTIDs from 5.7 on: gtid_executed, which a transaction gets into after InnoDB has committed it
 * (MYSQL_BIN_LOG::process_commit_stage_queue), so that whatever is in the set is visible. Before 5.7, and the log's end
 * as file and offset in every version, it is there before (at the flush): it is waited until all those are visible.
 * @throws E_LOG_SETTINGS without a log, E_RIGHTS, E_TIMEOUT
 */
export async function logBefore(connection: MysqlConnection, signal: AbortSignal | undefined): Promise<LogBefore> {
	const { server } = connection;
	if (server.flavour === "mariadb") return { position: null, ...(await preparedBefore(connection)) };
	if (await tellsPlaces(connection)) return { position: null };
	const end = await logEnd(connection);
	const { gtids, mode } = await executedGtids(connection);
	if (needsWait(connection, mode)) await waitForCommits(connection, signal);
	if (mode !== "ON") return { position: placeOnly(end), end };
	if (gtids !== "") return { position: { file: "", offset: FIRST_OFFSET, gtid: gtids }, end };
	// Nothing has ever been committed: all that the log will have is to be read.
	const [first] = await logFiles(connection);
	return { position: { ...placeOnly(end), file: first?.name ?? end.file, offset: FIRST_OFFSET }, end };
}

/**
 * Begins views until nothing was written to the log from before one was begun until after it, while whatever the log had
 * was visible already. A transaction is in the log before it is visible (MYSQL_BIN_LOG::ordered_commit), so that nothing
 * became visible meanwhile: the log's end is the view's exact place. From 5.7 on transactions own their GTID from before
 * they are in the log until after they are visible; without GTIDs, and before 5.7, InnoDB's list is asked.
 * Null when somebody committed at each try. For servers that don't tell the place of a view.
 */
export async function beginStill(
	connection: MysqlConnection,
	begin: () => Promise<void>,
	signal: AbortSignal | undefined,
): Promise<LogBefore | null> {
	const begunMs = performance.now();
	while (performance.now() - begunMs < STILL_MS_MAX) {
		// What was listed before is too old to be told again; and others' commits may come at one pace.
		await delay(LIST_PAUSE_MS * (1 + Math.random()));
		if (signal?.aborted) throw stopped(signal);
		const end = await logEnd(connection);
		const [owned] = await connection.rows("SELECT @@global.gtid_owned");
		const { gtids, mode } = await executedGtids(connection);
		if (needsWait(connection, mode)) await waitForCommits(connection, signal);
		else if (owned?.[0] !== "") continue;
		await begin();
		const after = await logEnd(connection);
		if (after.file !== end.file || after.offset !== end.offset) continue;
		const hasGtids = mode === "ON" && gtids !== "";
		const position = hasGtids ? { file: "", offset: FIRST_OFFSET, gtid: gtids } : placeOnly(end);
		return { position, end, exact: true };
	}
	return null;
}

async function executedGtids(connection: MysqlConnection): Promise<{ readonly gtids: string; readonly mode: string }> {
	const [row] = await connection.rows("SELECT @@global.gtid_mode, @@global.gtid_executed");
	return { mode: row?.[0] ?? "", gtids: (row?.[1] ?? "").replaceAll(/\s/g, "") };
}

function placeOnly({ file, offset, server }: LogPosition): LogPosition {
	return { file, offset, ...(server === undefined ? {} : { server }) };
}

function needsWait({ server }: MysqlConnection, gtidMode: string | null | undefined): boolean {
	return gtidMode !== "ON" || !atLeast(server, 5, 7);
}

/** Whether the server tells the place of each view: MariaDB, and Percona Server by the same variables. */
async function tellsPlaces(connection: MysqlConnection): Promise<boolean> {
	if (connection.server.flavour === "mariadb") return true;
	const [row] = await connection.rows("SHOW STATUS LIKE 'binlog_snapshot_file'");
	return (row?.[1] ?? "") !== "";
}

/** Whether `logBefore` takes the PROCESS right on this server. */
export async function placeTakesProcess(connection: MysqlConnection): Promise<boolean> {
	if (await tellsPlaces(connection)) return false;
	const [row] = await connection.rows("SELECT @@global.gtid_mode");
	return needsWait(connection, row?.[0]);
}

/** The right without which `logBefore` fails, when it is missing. */
export async function checkLogPlace(connection: MysqlConnection): Promise<Finding[]> {
	if (!(await placeTakesProcess(connection))) return [];
	try {
		await connection.rows("SELECT trx_id FROM information_schema.INNODB_TRX LIMIT 1");
		return [];
	} catch (error) {
		if (!(error instanceof HeadraceError) || error.code !== "E_RIGHTS") throw error;
		const { message, hint } = lacksProcess(connection, error);
		return [{ severity: "warning", message: `${message}: rows can't be read for mode cdc`, remedy: hint }];
	}
}

function lacksProcess({ server: { account } }: MysqlConnection, cause: HeadraceError): HeadraceError {
	return new HeadraceError("E_RIGHTS", `${account} may not see transactions that are about to commit (PROCESS)`, {
		hint: `GRANT PROCESS ON *.* TO ${account}; -- from MySQL 5.7 on, gtid_mode = ON does without`,
		cause,
	});
}

/** What is known of where a view lies in the log. */
export interface ViewPlace {
	/** Null when the server tells none. */
	readonly binlog: BinlogPlace | null;
	/** What was asked of the log before the view was opened; absent when nobody wants the log's place. */
	readonly before?: LogBefore;
}

/** Where the server says that a view lies in its log. */
export interface BinlogPlace {
	readonly file: string;
	readonly offset: number;
	/** Percona Server: the GTIDs that the view sees. */
	readonly gtid?: string;
}

/** The place of a view that `openCut` has opened. @throws E_LOG_SETTINGS without a log, E_RIGHTS */
export async function logPlace(connection: MysqlConnection, { binlog, before }: ViewPlace): Promise<LogPlace> {
	if (binlog !== null) {
		const { file, offset } = binlog;
		const isMariadb = connection.server.flavour === "mariadb";
		const gtid = isMariadb ? await mariadbGtid(connection, { file, offset }) : (binlog.gtid ?? "");
		const prepared = before?.prepared;
		const position = encodeLogPosition({
			file,
			offset,
			server: await serverName(connection),
			...(gtid === "" ? {} : { gtid }),
			...(prepared === undefined ? {} : { prepared }),
		});
		return { position, exact: true };
	}
	if (before?.exact && before.position !== null) return { position: encodeLogPosition(before.position), exact: true };
	const end = await logEnd(connection);
	// Whatever a view sees was in the log before it was seen.
	if (before?.position != null)
		return { position: encodeLogPosition(before.position), exact: false, until: encodeLogPosition(end) };
	throw new HeadraceError("E_INTERNAL", "the place of a snapshot in the log is asked, and it was not opened for that");
}

/**
 * Rows of an XA transaction are in MariaDB's log when it is prepared, and count when it is committed: with some prepared
 * already, the log has to be read from where they may be. A place without them would stop the stream at their commit.
 */
async function preparedBefore(connection: MysqlConnection): Promise<Pick<LogBefore, "prepared">> {
	if ((await connection.rows("XA RECOVER")).length === 0) return {};
	const [first] = await logFiles(connection);
	return first === undefined ? {} : { prepared: { file: first.name, offset: FIRST_OFFSET } };
}

/**
 * Waits until every transaction that is in the log now is visible to views that are opened later. Such a one stands in
 * InnoDB's list until it is visible; so those that are listed are waited for, but for the ones that were not about to commit:
 * they have changed nothing, their session rests, or they wait for a lock (of rows, or of a table that somebody alters), roll
 * back or change further rows, which nothing does between log and commit.
 * @throws E_RIGHTS, E_TIMEOUT
 */
async function waitForCommits(connection: MysqlConnection, signal: AbortSignal | undefined): Promise<void> {
	await connection.rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
	let pending = new Map([...(await listed(connection))].filter(([, { rowsChanged }]) => rowsChanged !== "0"));
	const begunMs = performance.now();
	while (pending.size > 0) {
		if (signal?.aborted) throw stopped(signal);
		if (performance.now() - begunMs > WAIT_MS_MAX) throw waitedTooLong([...pending.values()]);
		const resting = await restingSessions(connection);
		await delay(LIST_PAUSE_MS);
		const now = await listed(connection);
		const still = [...pending].flatMap(([id, before]) => {
			const after = now.get(id);
			const isDone = after === undefined || isBusy(before, after) || resting.has(after.session);
			return isDone ? [] : [[id, after] as const];
		});
		pending = new Map(still);
	}
	await connection.rows("COMMIT");
}

interface Listed {
	readonly session: string;
	readonly state: string;
	readonly rowsChanged: string;
}

async function listed(connection: MysqlConnection): Promise<Map<string, Listed>> {
	const columns = "trx_id, trx_mysql_thread_id, trx_state, trx_rows_modified";
	const rows = await writingTransactions(connection, columns).catch((error: unknown) => {
		if (!(error instanceof HeadraceError) || error.code !== "E_RIGHTS") throw error;
		throw lacksProcess(connection, error);
	});
	if (rows === null)
		throw new HeadraceError(
			"E_TIMEOUT",
			"InnoDB's list of transactions is not renewed: somebody reads it all the time",
		);
	return new Map(
		rows.map(([id, session, state, rowsChanged]) => [
			id ?? "",
			{ session: session ?? "", state: state ?? "", rowsChanged: rowsChanged ?? "" },
		]),
	);
}

/** Whether the transaction was still at work after it was listed first. */
function isBusy(before: Listed, after: Listed): boolean {
	return ["LOCK WAIT", "ROLLING BACK"].includes(after.state) || after.rowsChanged !== before.rowsChanged;
}

/**
 * Sessions that nobody asks anything, and those whose statement has yet to get a table: a commit takes no metadata lock after
 * it is in the log (ha_commit_trans in handler.cc), and who changes a table has its own before it writes to the log.
 */
async function restingSessions(connection: MysqlConnection): Promise<ReadonlySet<string>> {
	const rows = await connection.rows(
		"SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Sleep' OR STATE = 'Waiting for table metadata lock'",
	);
	return new Set(rows.map(([id]) => id ?? ""));
}

function waitedTooLong(pending: readonly Listed[]): HeadraceError {
	const sessions = pending.map(({ session }) => session).join(", ");
	return new HeadraceError(
		"E_TIMEOUT",
		`the transactions of sessions ${sessions} neither end nor rest, so that it can't be known whether they are in the log`,
		{ hint: "See SHOW PROCESSLIST; the run is retried." },
	);
}
