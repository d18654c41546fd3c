import { HeadraceError } from "../../../core/index.ts";
import type { Dump } from "./dump.ts";
import { EventType, readEvent, readFormatDescription, readQuery } from "./event.ts";
import type { LoggedStatement, LogPlace } from "./followed-table.ts";
import { inflateEvent } from "./inflate.ts";
import { LogCursor } from "./log-cursor.ts";
import { comparePlaces } from "./position.ts";
import { readStatement, type Statement } from "./statement.ts";

const PACKET_EVENT = 0;
const PACKET_ERROR = 0xff;
const WAIT_MS = 3_600_000;

export interface StatementScan {
	readonly dump: Dump;
	readonly flavour: "mariadb" | "mysql";
	/** Where the dump begins. */
	readonly from: LogPlace;
	/** The end of some event of the log. */
	readonly until: LogPlace;
	/** Whether events carry checksums before the log has said so. */
	readonly checksums: boolean;
	readonly isWanted: (statement: Statement) => boolean;
}

/**
 * Statements between two places of a log, in their order; rows are passed over.
 * @throws E_CONNECTION_LOST, E_CORRUPT_EVENT, and what the server answers to the dump
 */
export async function scanStatements(scan: StatementScan): Promise<LoggedStatement[]> {
	const { dump, flavour, from, until, isWanted } = scan;
	const found: LoggedStatement[] = [];
	const cursor = new LogCursor(from, "", flavour);
	let { checksums } = scan;
	while (comparePlaces(cursor.place, until) < 0) {
		while (!dump.next()) await dump.wait(WAIT_MS);
		const { bytes, start, end } = dump;
		if (bytes[start] === PACKET_ERROR) throw dump.refusal();
		if (bytes[start] !== PACKET_EVENT || end === start)
			throw new HeadraceError("E_CONNECTION_LOST", "the server ended the change log");
		const event = readEvent(bytes, start + 1, end, checksums);
		if (event.type === EventType.heartbeat || event.type === EventType.heartbeatV2) continue;
		if (event.type === EventType.rotate) {
			cursor.rotate(event);
			continue;
		}
		const isBehind = cursor.moveTo(event);
		if (event.type === EventType.formatDescription) checksums = readFormatDescription(event).checksums;
		const isPacked = event.type === EventType.mariadbQueryCompressed;
		if (isBehind && (isPacked || event.type === EventType.query)) {
			const { text, schema, sqlMode } = readQuery(event, isPacked ? inflateEvent : null);
			const statement = readStatement(text, schema, sqlMode);
			if (isWanted(statement)) found.push({ ...cursor.place, statement });
		}
		if (cursor.arrives) cursor.arrive();
	}
	return found;
}
