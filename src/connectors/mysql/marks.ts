import { randomUUID } from "node:crypto";
import { HeadraceError, type TransactionMarks } from "../../core/index.ts";
import type { MysqlConnection, TextRow } from "./connection.ts";
import { atLeast } from "./server.ts";

/** InnoDB renews what INNODB_TRX shows only when nobody has read it for 0.1 s (CACHE_MIN_IDLE_TIME_NS). */
const LIST_PAUSE_MS = 120;
const LIST_PAUSE_MAX_MS = 1_500;
const LIST_TRIES = 20;

/** What is known of the transactions at a cut. */
export interface CutMarks {
	readonly marks: TransactionMarks;
	/** InnoDB's counter of transaction ids, when no transaction that may write was open. */
	readonly quietAt: bigint | null;
	/** A transaction that the cut does not see began at this time or later, microseconds since 1970. */
	readonly unseenFrom: bigint;
}

/** What it would take to have marks, for people. */
export interface MarksLack {
	readonly lacks: string;
}

/** What was seen before a cut. */
interface Before {
	/** InnoDB's counter of transaction ids. */
	readonly counter: bigint;
	/** The server's clock, microseconds since 1970. */
	readonly clock: bigint;
	/** When each transaction began that was open and may write. */
	readonly began: readonly bigint[];
}

/**
 * Watches InnoDB's transactions around a cut, so that a row that becomes visible after it can be told from those before
 * it. It takes the PROCESS right.
 *
 * Sound because (1) the list is taken before the cut, and every transaction that is open at the cut is in it or got its
 * id afterwards; (2) whoever got an id between list and end of the cut moved the counter, and then the time of the list
 * counts as the oldest beginning; (3) the list is fresh: it shows our own statement, which no earlier list can; (4) start times
 * are whole seconds, rounded down, and of two readings in the hour that a change of clocks repeats the earlier is taken.
 */
export async function marksBefore(connection: MysqlConnection): Promise<Before | MarksLack> {
	try {
		// A replica has its primary's rows later than the primary's transactions wrote them: nothing here tells.
		const [row] = await connection.rows("SELECT @@global.read_only");
		if (row?.[0] !== "0") return { lacks: "a server that is no replica" };
		await connection.rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
		const counter = await transactionCounter(connection);
		const clock = await clockMicros(connection);
		const began = await openTransactions(connection);
		if (counter === null) return NO_COUNTER;
		if (began === null) return { lacks: "an INNODB_TRX that nobody reads all the time, since that keeps it old" };
		return { counter, clock, began };
	} catch (error) {
		if (error instanceof HeadraceError && error.code === "E_RIGHTS") return { lacks: "the PROCESS right" };
		throw error;
	}
}

/** `starts`: transactions that we began ourselves since `marksBefore`. */
export async function marksAfter(
	connection: MysqlConnection,
	before: Before | MarksLack,
	starts: number,
): Promise<CutMarks | MarksLack> {
	if ("lacks" in before) return before;
	const now = await clockMicros(connection);
	const counter = await transactionCounter(connection);
	if (counter === null) return NO_COUNTER;
	const { server } = connection;
	// Before 5.7 a read-only transaction takes an id as well.
	const ours = server.flavour === "mysql" && !atLeast(server, 5, 7) ? starts : 0;
	const candidates = [...before.began];
	if (counter - before.counter !== BigInt(ours)) candidates.push(before.clock);
	let [oldestOpen, unseenFrom] = [now, before.clock];
	for (const began of candidates) {
		if (began < oldestOpen) oldestOpen = began;
		if (began < unseenFrom) unseenFrom = began;
	}
	return {
		marks: { kind: "clock", now, oldestOpen: candidates.length > 0 && oldestOpen === now ? now - 1n : oldestOpen },
		quietAt: candidates.length === 0 ? counter : null,
		// One that began after the list, and had not written when the counter was read, is in neither.
		unseenFrom,
	};
}

const NO_COUNTER: MarksLack = { lacks: "a SHOW ENGINE INNODB STATUS that tells its counter of transactions" };

async function transactionCounter(connection: MysqlConnection): Promise<bigint | null> {
	const [row] = await connection.rows("SHOW ENGINE INNODB STATUS");
	const counter = /^Trx id counter (\d+)/m.exec(row?.[2] ?? "");
	return counter === null ? null : BigInt(counter[1]!);
}

async function clockMicros(connection: MysqlConnection): Promise<bigint> {
	const [row] = await connection.rows("SELECT UNIX_TIMESTAMP(NOW(6))");
	return micros(row?.[0] ?? "0");
}

function micros(secondsText: string): bigint {
	const [seconds = "0", fraction = ""] = secondsText.split(".");
	return BigInt(seconds) * 1000000n + BigInt(fraction.padEnd(6, "0").slice(0, 6));
}

/** Null when the list could not be proved fresh. */
async function openTransactions(connection: MysqlConnection): Promise<bigint[] | null> {
	// trx_started is in the zone of the server's process.
	const earlier = (seconds: number) =>
		`IF(FROM_UNIXTIME(UNIX_TIMESTAMP(trx_started) - ${seconds}) = trx_started, ${seconds}, 0)`;
	await connection.rows("SET SESSION time_zone = 'SYSTEM'");
	try {
		const rows = await writingTransactions(
			connection,
			`UNIX_TIMESTAMP(trx_started) - GREATEST(${earlier(3600)}, ${earlier(1800)})`,
		);
		return rows === null ? null : rows.map(([seconds]) => micros(seconds ?? "0"));
	} finally {
		if (connection.lost === null) await connection.rows("SET SESSION time_zone = '+00:00'");
	}
}

/**
 * Columns of INNODB_TRX for each transaction that is open now and may write; null when the list could not be proved to
 * be of now. The connection has a transaction of its own open. @throws E_RIGHTS without PROCESS
 */
export async function writingTransactions(connection: MysqlConnection, columns: string): Promise<TextRow[] | null> {
	// A list shows the statement that each transaction is at: ours, with a word that no earlier list can have.
	const word = randomUUID();
	const list = `SELECT /* ${word} */ INSTR(COALESCE(trx_query, ''), '${word}'), trx_is_read_only, trx_autocommit_non_locking,
		${columns} FROM information_schema.INNODB_TRX`;
	for (let attempt = 0; attempt < LIST_TRIES; attempt++) {
		const rows = await connection.rows(list);
		if (rows.some(([found]) => found !== null && found !== "0"))
			return rows
				.filter(([, readOnly, nonLocking]) => readOnly !== "1" && nonLocking !== "1")
				.map(([, , , ...wanted]) => wanted);
		// Several that ask at one pace would keep the list old for each other: the pauses grow, by chance.
		const more = Math.random() * Math.min(LIST_PAUSE_MAX_MS, LIST_PAUSE_MS * 2 ** attempt);
		await new Promise((resolve) => setTimeout(resolve, LIST_PAUSE_MS + more));
	}
	return null;
}
