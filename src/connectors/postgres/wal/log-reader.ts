import {
	type ChangeEvent,
	ChangeOperation,
	type ChangeRequest,
	type ChangeTransaction,
	HeadraceError,
	qualified,
} from "../../../core/index.ts";
import { corrupt, MessageReader } from "./bytes.ts";
import type { FollowedTable, FollowedTables } from "./followed-tables.ts";
import { MessageType, readBegin, readCommit, readRelation, readTruncate } from "./messages.ts";
import { encodeWalPosition, type WalPosition } from "./position.ts";
import type { Spools } from "./spool.ts";

export interface LogReaderOptions {
	readonly tables: FollowedTables;
	readonly from: WalPosition;
	readonly flush: ChangeRequest["flush"];
	readonly spools: Spools;
	/** Takes what the log holds, in its order. */
	readonly emit: (event: ChangeEvent) => void;
}

/** Work that can't be done while the message is looked at; between its steps what was emitted can be handed on. */
export type Steps = AsyncIterable<void>;

interface Transaction {
	readonly xid: number;
	readonly committedAt: bigint;
	/** Was read before: the server sends none, and none is taken twice. */
	readonly isKnown: boolean;
	hasRows: boolean;
}

/** Batches that are being filled may hold so many bytes together, however many tables they are of. */
const OPEN_BATCH_BYTES_MAX = 64 << 20;
const XID_BYTES = 4;
const OID_BYTES = 4;

/**
 * Follows a log message by message: keeps the position, finds where transactions begin and end, and emits rows, changes
 * of tables and boundaries. Transactions come in the order of their commits; those in progress are spooled.
 */
export class LogReader {
	readonly #options: LogReaderOptions;
	readonly #tables: FollowedTables;
	readonly #emit: (event: ChangeEvent) => void;
	readonly #spools: Spools;
	#lsn: bigint;
	#transaction: Transaction | null = null;
	/** Whose part is being sent. */
	#streamed: number | null = null;
	#transactions: ChangeTransaction[] = [];
	#rows = 0;
	#bytes = 0;
	#since: number | null = null;
	#told: bigint;
	#open = new Set<FollowedTable>();

	constructor(options: LogReaderOptions) {
		this.#options = options;
		this.#tables = options.tables;
		this.#emit = options.emit;
		this.#spools = options.spools;
		this.#lsn = options.from.lsn;
		this.#told = options.from.lsn;
	}

	/** Everything that was committed up to here has been read. */
	get lsn(): bigint {
		return this.#lsn;
	}

	/** Whether a position may be taken here: no transaction is open. */
	get isBetween(): boolean {
		return this.#transaction === null && this.#streamed === null;
	}

	/** Milliseconds until what came since the last boundary has to be handed on; null when nothing came. */
	get dueInMs(): number | null {
		if (this.#since === null) {
			if (!this.isBetween || this.#told === this.#lsn) return null;
			this.#since = performance.now();
		}
		return Math.max(0, this.#since + this.#options.flush.seconds * 1000 - performance.now());
	}

	/** The server has sent everything up to here: between transactions the position moves without one. */
	sentTo(lsn: bigint): void {
		if (this.isBetween && lsn > this.#lsn) this.#lsn = lsn;
	}

	/** Hands on what there is, and says that all of it is whole transactions. Only between transactions. */
	boundary(): void {
		this.#flush();
		const position = this.#position(this.#lsn);
		this.#emit({ kind: "boundary", position, transactions: this.#transactions });
		this.#told = this.#lsn;
		this.#transactions = [];
		this.#rows = 0;
		this.#bytes = 0;
		this.#since = null;
	}

	#position(lsn: bigint): string {
		return encodeWalPosition({ ...this.#options.from, lsn });
	}

	#flush(): void {
		this.#tables.flush();
		this.#open.clear();
	}

	/**
	 * Takes a message of pgoutput, [start, end) of `bytes`, which stay as they are until the tables are asked to `settle`.
	 * @throws E_CORRUPT_EVENT, E_SCHEMA_AMBIGUOUS and what values give
	 */
	handle(bytes: Buffer, start: number, end: number): Steps | undefined {
		const type = bytes[start];
		if (this.#streamed !== null) {
			if (type === MessageType.streamStop) this.#streamed = null;
			else this.#spools.append(this.#streamed, bytes, start, end);
			return undefined;
		}
		switch (type) {
			case MessageType.begin: {
				const { commitLsn, committedAt, xid } = readBegin(new MessageReader(bytes, start + 1, end));
				this.#begin(xid, committedAt, commitLsn);
				return undefined;
			}
			case MessageType.commit:
				this.#commit(readCommit(new MessageReader(bytes, start + 1, end)).endLsn);
				return undefined;
			case MessageType.streamStart:
				this.#streamed = new MessageReader(bytes, start + 1, end).uint32();
				this.#spools.begin(this.#streamed);
				return undefined;
			case MessageType.streamAbort: {
				const message = new MessageReader(bytes, start + 1, end);
				this.#spools.abort(message.uint32(), message.uint32());
				return undefined;
			}
			case MessageType.streamCommit:
				return this.#replay(bytes, start, end);
			default:
				return this.#change(bytes, start, end, start + 1);
		}
	}

	#begin(xid: number, committedAt: bigint, commitLsn: bigint): void {
		if (this.#transaction !== null) throw corrupt("a transaction inside another one");
		const isKnown = commitLsn < this.#options.from.lsn;
		this.#transaction = { xid, committedAt, isKnown, hasRows: false };
	}

	#commit(endLsn: bigint): void {
		const transaction = this.#transaction;
		if (transaction === null) throw corrupt("the end of a transaction that has not begun");
		this.#transaction = null;
		if (endLsn > this.#lsn) this.#lsn = endLsn;
		if (!transaction.hasRows) return;
		const { committedAt, xid } = transaction;
		this.#transactions.push({ position: this.#position(endLsn), committedAt, id: String(xid) });
		this.#since ??= performance.now();
		const { rows, bytes } = this.#options.flush;
		if (this.#rows >= rows || this.#bytes >= bytes) this.boundary();
	}

	/** A part of a transaction; its own fields begin at `body`. */
	#change(bytes: Buffer, start: number, end: number, body: number): Steps | undefined {
		switch (bytes[start]) {
			case MessageType.insert:
				this.#takeRow(bytes, body, end, ChangeOperation.insert);
				return undefined;
			case MessageType.update:
				this.#takeRow(bytes, body, end, ChangeOperation.update);
				return undefined;
			case MessageType.delete:
				this.#takeRow(bytes, body, end, ChangeOperation.delete);
				return undefined;
			case MessageType.relation: {
				const ready = this.#tables.relation(readRelation(new MessageReader(bytes, body, end)));
				return ready === null ? undefined : step(ready);
			}
			case MessageType.truncate:
				this.#truncate(readTruncate(new MessageReader(bytes, body, end)));
				return undefined;
			case MessageType.type:
			case MessageType.origin:
			case MessageType.message:
				return undefined;
			default:
				throw corrupt("a message of an unknown kind");
		}
	}

	#takeRow(bytes: Buffer, body: number, end: number, operation: ChangeOperation): void {
		const transaction = this.#transaction;
		if (transaction === null) throw corrupt("a row outside of transactions");
		const oid = bytes.readUInt32BE(body);
		const followed = this.#tables.get(oid);
		if (followed === undefined) throw corrupt("rows of a table that it has not described");
		if (followed === null || transaction.isKnown) return;
		try {
			followed.images!.take(bytes, body + OID_BYTES, end, operation, this.#transactions.length);
		} catch (error) {
			throw error instanceof HeadraceError ? error.at({ table: qualified(followed.name) }) : error;
		}
		transaction.hasRows = true;
		this.#rows++;
		this.#bytes += end - body;
		if (this.#open.has(followed)) return;
		this.#open.add(followed);
		if (this.#tables.heldBytes > OPEN_BATCH_BYTES_MAX) this.#flush();
	}

	#truncate(oids: readonly number[]): void {
		const transaction = this.#transaction;
		if (transaction === null) throw corrupt("a TRUNCATE outside of transactions");
		for (const oid of oids) {
			const followed = this.#tables.get(oid) ?? null;
			if (followed === null || transaction.isKnown) continue;
			this.#flush();
			this.#emit({
				kind: "truncate",
				table: followed.seen ?? followed.requested,
				transaction: this.#transactions.length,
			});
			transaction.hasRows = true;
		}
	}

	/** What was spooled of a transaction that is committed now; rolled back subtransactions are left out. */
	async *#replay(bytes: Buffer, start: number, end: number): AsyncGenerator<void, void, undefined> {
		const message = new MessageReader(bytes, start + 1, end);
		const xid = message.uint32();
		const { commitLsn, endLsn, committedAt } = readCommit(message);
		this.#begin(xid, committedAt, commitLsn);
		for (const { bytes: piece, aborted } of this.#spools.take(xid)) {
			for (let at = 0; at < piece.length; ) {
				const from = at + 4;
				const to = from + piece.readUInt32BE(at);
				at = to;
				const type = piece[from];
				// What a table is like holds for the whole transaction, whichever part it was said in.
				if (type !== MessageType.relation && aborted.has(piece.readUInt32BE(from + 1))) continue;
				const steps = this.#change(piece, from, to, from + 1 + XID_BYTES);
				if (steps !== undefined) yield* steps;
			}
			yield;
		}
		this.#commit(endLsn);
	}
}

async function* step(work: () => Promise<void>): AsyncGenerator<void, void, undefined> {
	await work();
	yield;
}
