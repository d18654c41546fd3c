import { HeadraceError } from "../../../core/index.ts";
import { checksumOf, EventType, type LogEvent, readRotate } from "./event.ts";
import { type GtidSet, MysqlGtids, parseGtids } from "./gtid.ts";
import { comparePlaces, encodeLogPosition, FIRST_OFFSET, type LogPosition } from "./position.ts";

const WRAP_BYTES = 4294967296;

/** Where a log has been read to, and the proof that it is the log that an earlier position is of. */
export class LogCursor {
	readonly #from: LogPosition;
	readonly #server: string;
	readonly #flavour: "mariadb" | "mysql";
	#file: string;
	#offset: number;
	#created: number | undefined;
	/** The last event up to the position; null before any was read: then the position's own is still it. */
	#lastEvent: LogEvent | null = null;
	#last: LogPosition["last"];
	#gtids: GtidSet | null;
	/** Everything up to here was read before. */
	#readBefore: LogPosition | null;
	/** The last event that was read before has to be met again. */
	#proof: NonNullable<LogPosition["last"]> | null;
	#arrives = false;
	/** File and offset are where it was read to; else it began by GTIDs, and what came until now was passed over. */
	#isPlaced: boolean;

	/** `server`: see LogPosition.server. */
	constructor(from: LogPosition, server: string, flavour: "mariadb" | "mysql") {
		this.#from = from;
		this.#server = server;
		this.#flavour = flavour;
		this.#file = from.file;
		this.#offset = from.offset;
		this.#created = from.created;
		this.#last = from.last;
		this.#isPlaced = from.file !== "";
		this.#gtids = from.gtid === undefined ? null : parseGtids(from.gtid, flavour);
		const startsThere = from.last === undefined && from.prepared === undefined && from.offset < WRAP_BYTES;
		this.#readBefore = from.file === "" || startsThere ? null : from;
		this.#proof = from.file === "" ? null : (from.last ?? null);
	}

	get place(): { readonly file: string; readonly offset: number } {
		return { file: this.#file, offset: this.#offset };
	}

	/** For messages. */
	get text(): string {
		return `${this.#file}:${this.#offset}`;
	}

	get gtids(): GtidSet | null {
		return this.#gtids;
	}

	/** Whether what comes was read before: it is not given out again. */
	get isBehind(): boolean {
		return this.#readBefore !== null;
	}

	/** Whether the event just moved past is the last one that was read before; `arrive` says that it was dealt with. */
	get arrives(): boolean {
		return this.#arrives;
	}

	arrive(): void {
		this.#arrives = false;
		this.#readBefore = null;
	}

	/**
	 * Whether a transaction was read before though it lies behind the position: after a change of servers their logs need
	 * not have one order. MariaDB's GTIDs say up to where, not which.
	 */
	knows(gtid: string): boolean {
		return this.#readBefore === null && this.#gtids instanceof MysqlGtids && this.#gtids.has(gtid);
	}

	/** A transaction has ended here. */
	commit(gtid: string | undefined): void {
		this.#isPlaced = true;
		if (gtid !== undefined) this.#gtids = (this.#gtids ?? parseGtids("", this.#flavour)).add(gtid);
	}

	position(prepared: LogPosition["prepared"]): string {
		const gtid = this.#gtids?.toString();
		// The server begins with the head of some file; read from there, the log would tell again what was passed over.
		if (!this.#isPlaced && gtid !== undefined) return encodeLogPosition({ file: "", offset: FIRST_OFFSET, gtid });
		const last = this.#lastEvent === null ? this.#last : lastOf(this.#lastEvent, this.#offset);
		return encodeLogPosition({
			...this.place,
			server: this.#server,
			...(gtid === undefined ? {} : { gtid }),
			...(this.#created === undefined ? {} : { created: this.#created }),
			...(last === undefined ? {} : { last }),
			...(prepared === undefined ? {} : { prepared }),
		});
	}

	/**
	 * Moves past an event; false when nothing in it matters, since it was read before.
	 * @throws E_HISTORY_MISMATCH
	 */
	moveTo(event: LogEvent): boolean {
		if (event.artificial || event.endOffset === 0) return true;
		const from = Math.floor(this.#offset / WRAP_BYTES) * WRAP_BYTES;
		let offset = from + event.endOffset;
		// The event's own offset has 32 bits; files may be larger.
		if (offset < this.#offset - WRAP_BYTES / 2) offset += WRAP_BYTES;
		const start = offset - event.size;
		this.#offset = offset;
		const before = this.#readBefore;
		if (before === null) {
			this.#lastEvent = event;
			return true;
		}
		if (event.type === EventType.formatDescription) return true;
		this.#prove(event, start, before);
		const order = comparePlaces({ file: this.#file, offset }, before);
		const isWithin = order > 0 && this.#file === before.file && start < before.offset;
		if (isWithin || (order >= 0 && this.#proof !== null))
			throw mismatch(`the log has no event that ends at ${before.file}:${before.offset}`);
		this.#arrives = order === 0;
		if (order > 0) {
			this.#readBefore = null;
			this.#lastEvent = event;
			return true;
		}
		// Only XA transactions that are not ended are read again.
		return before.prepared !== undefined;
	}

	/** The last event that was read has to be there again, byte for byte. */
	#prove(event: LogEvent, start: number, before: LogPosition): void {
		const proof = this.#proof;
		if (proof === null || this.#file !== before.file || start !== proof.start) return;
		if (event.size !== proof.size || checksumOf(event) !== proof.crc32)
			throw mismatch(`the event before ${before.file}:${before.offset} is not the one that was read there`);
		this.#proof = null;
	}

	/**
	 * Goes on to another file; true when it is another one than before.
	 * @throws E_HISTORY_MISMATCH
	 */
	rotate(event: LogEvent): boolean {
		const { file, offset } = readRotate(event);
		const isOther = file !== this.#file;
		if (!isOther && event.artificial) {
			// The begin of a dump, which may lie before what is to be read.
			this.#offset = offset;
			return false;
		}
		if (this.#readBefore !== null && comparePlaces({ file, offset }, this.#readBefore) > 0) {
			if (this.#proof !== null) throw mismatch(`the log's file ${this.#file} ends before the position`);
			this.#readBefore = null;
		}
		this.#file = file;
		this.#offset = offset;
		if (event.artificial && offset !== FIRST_OFFSET) return isOther;
		this.#created = undefined;
		this.#last = undefined;
		this.#lastEvent = null;
		return isOther;
	}

	/**
	 * Takes the first event of a file, by whose time files of one name are told apart.
	 * @throws E_HISTORY_MISMATCH
	 */
	describe(event: LogEvent): void {
		const { file, created } = this.#from;
		if (this.#file === file && created !== undefined && created !== event.timestamp)
			throw mismatch(`the log's file ${file} is another one of the same name`);
		this.#created = event.timestamp;
	}
}

function mismatch(message: string): HeadraceError {
	return new HeadraceError("E_HISTORY_MISMATCH", message);
}

/** The header of a file changes when the file is closed: it proves nothing. */
function lastOf(event: LogEvent, end: number): LogPosition["last"] {
	if (event.type === EventType.formatDescription) return undefined;
	return { start: end - event.size, size: event.size, crc32: checksumOf(event) };
}
