import { HeadraceError } from "../../../core/index.ts";

/** The last event before a position, by which a log is known again. */
export interface LastEvent {
	/** Where it begins in the file. */
	readonly start: number;
	readonly size: number;
	readonly crc32: number;
}

/**
 * A place in a change log, between two transactions. Written as
 * `mysql-bin.000003:8812 gtid=0-1-42 server=1 created=1732200000 last=8781+31:5f3a9c01`, everything behind the
 * offset optional.
 */
export interface LogPosition {
	/** Empty: only the GTIDs say where. */
	readonly file: string;
	/** Bytes, not cut at 32 bits. */
	readonly offset: number;
	/** All transactions before, as the server writes sets of GTIDs. */
	readonly gtid?: string;
	/** MySQL: server_uuid. MariaDB, which has none: server_id. */
	readonly server?: string;
	/** Seconds since 1970 in the header of the file's first event. */
	readonly created?: number;
	readonly last?: LastEvent;
	/** Where the oldest XA transaction begins that was prepared before this position and not ended. */
	readonly prepared?: { readonly file: string; readonly offset: number };
}

/** No event begins before: the file begins with four bytes that say what it is. */
export const FIRST_OFFSET = 4;

export function encodeLogPosition(position: LogPosition): string {
	const { file, offset, gtid, server, created, last, prepared } = position;
	return [
		file === "" ? "" : place(file, offset),
		gtid === undefined || gtid === "" ? "" : `gtid=${gtid}`,
		server === undefined ? "" : `server=${server}`,
		created === undefined ? "" : `created=${created}`,
		last === undefined ? "" : `last=${last.start}+${last.size}:${last.crc32.toString(16).padStart(8, "0")}`,
		prepared === undefined ? "" : `xa=${place(prepared.file, prepared.offset)}`,
	]
		.filter((part) => part !== "")
		.join(" ");
}

function place(file: string, offset: number): string {
	return `${file.replace(/[\s%]/g, encodeURIComponent)}:${offset}`;
}

function invalid(text: string): HeadraceError {
	return new HeadraceError("E_INVALID_VALUE", `${JSON.stringify(text)} is not a position in a MySQL change log`, {
		hint: "Write the file and the offset, such as mysql-bin.000003:4, or a set of GTIDs, such as 0-1-42.",
	});
}

function readPlace(text: string, whole: string): { file: string; offset: number } {
	const match = /^(.+):(\d{1,15})$/.exec(text);
	if (match === null) throw invalid(whole);
	try {
		return { file: decodeURIComponent(match[1]!), offset: Number(match[2]) };
	} catch {
		throw invalid(whole);
	}
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:/i;
const MARIADB_GTID = /^\d+-\d+-\d+(?:,|$)/;

/** @throws E_INVALID_VALUE */
export function decodeLogPosition(text: string): LogPosition {
	const made: { -readonly [Key in keyof LogPosition]: LogPosition[Key] } = { file: "", offset: FIRST_OFFSET };
	const words = text.trim().replace(/,\s+/g, ",").split(/\s+/);
	for (const [index, word] of words.entries()) {
		const option = /^(gtid|server|created|last|xa)=(.*)$/s.exec(word);
		const value = option?.[2] ?? "";
		if (option === null) {
			if (index > 0 || word === "") throw invalid(text);
			if (UUID.test(word) || MARIADB_GTID.test(word)) made.gtid = word;
			else {
				const { file, offset } = readPlace(word, text);
				if (offset < FIRST_OFFSET) throw invalid(text);
				made.file = file;
				made.offset = offset;
			}
		} else if (option[1] === "gtid") made.gtid = value;
		else if (option[1] === "server") made.server = value;
		else if (option[1] === "created" && /^\d{1,10}$/.test(value)) made.created = Number(value);
		else if (option[1] === "xa") made.prepared = readPlace(value, text);
		else {
			const last = /^(\d{1,15})\+(\d{1,10}):([0-9a-f]{8})$/.exec(value);
			if (option[1] !== "last" || last === null) throw invalid(text);
			made.last = { start: Number(last[1]), size: Number(last[2]), crc32: Number.parseInt(last[3]!, 16) };
		}
	}
	if (made.file === "" && made.gtid === undefined) throw invalid(text);
	return made;
}

/** Files are numbered: `mysql-bin.000009` comes before `mysql-bin.000010` and before `mysql-bin.1000000`. */
export function compareFiles(a: string, b: string): number {
	const number = (file: string) => Number(/\.(\d+)$/.exec(file)?.[1] ?? 0);
	return number(a) - number(b) || (a < b ? -1 : a > b ? 1 : 0);
}

export function comparePlaces(
	a: Pick<LogPosition, "file" | "offset">,
	b: Pick<LogPosition, "file" | "offset">,
): number {
	return compareFiles(a.file, b.file) || a.offset - b.offset;
}

export function formatLogPosition({ file, offset, gtid }: LogPosition): string {
	return file === "" ? (gtid ?? "") : `${file}:${offset}`;
}
