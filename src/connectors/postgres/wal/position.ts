import { HeadraceError } from "../../../core/index.ts";

/**
 * A place in a write-ahead log, at the end of a transaction or between two. Written as
 * `0/16B3748 system=7234567890123456789 timeline=1 database=shop`, everything behind the place optional.
 */
export interface WalPosition {
	/** Bytes since the cluster's log began. */
	readonly lsn: bigint;
	/** Of the cluster, made by initdb: copies of it have it too. */
	readonly system?: string;
	/** Changes when a standby is promoted or a backup restored. */
	readonly timeline?: number;
	readonly database?: string;
	/** The slot that keeps the log from here on, when it is not the reader's own. */
	readonly slot?: string;
}

export function encodeWalPosition({ lsn, system, timeline, database, slot }: WalPosition): string {
	return [
		formatLsn(lsn),
		system === undefined ? "" : `system=${system}`,
		timeline === undefined ? "" : `timeline=${timeline}`,
		database === undefined ? "" : `database=${encodeURIComponent(database)}`,
		slot === undefined ? "" : `slot=${slot}`,
	]
		.filter((part) => part !== "")
		.join(" ");
}

/** As the server prints a pg_lsn: `0/16B3748`. */
export function formatLsn(lsn: bigint): string {
	return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Null when the text is no pg_lsn. */
export function parseLsn(text: string): bigint | null {
	const match = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i.exec(text);
	return match === null ? null : (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** @throws E_INVALID_VALUE */
export function decodeWalPosition(text: string): WalPosition {
	const [place = "", ...options] = text.trim().split(/\s+/);
	const lsn = parseLsn(place);
	if (lsn === null) throw invalid(text);
	const made: { -readonly [Key in keyof WalPosition]: WalPosition[Key] } = { lsn };
	for (const word of options) {
		const [, name, value = ""] = /^(system|timeline|database|slot)=(.+)$/.exec(word) ?? [];
		if (name === "system" && /^\d{1,20}$/.test(value)) made.system = value;
		else if (name === "timeline" && /^\d{1,10}$/.test(value)) made.timeline = Number(value);
		else if (name === "slot" && /^[a-z0-9_]{1,63}$/.test(value)) made.slot = value;
		else if (name === "database") made.database = decoded(value, text);
		else throw invalid(text);
	}
	return made;
}

function decoded(value: string, text: string): string {
	try {
		return decodeURIComponent(value);
	} catch {
		throw invalid(text);
	}
}

function invalid(text: string): HeadraceError {
	return new HeadraceError("E_INVALID_VALUE", `${JSON.stringify(text)} is not a position in a PostgreSQL change log`, {
		hint: "Write it as the server prints it, such as 0/16B3748.",
	});
}
