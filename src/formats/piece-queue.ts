const ARENA_BYTES = 256 << 10;
/** Arenas that have been read before their memory is used again. */
const SPENT_MAX = 8;

/** What feeds a queue of pieces: a socket. */
export interface PieceValve {
	pause(): void;
	resume(): void;
}

export interface PieceQueueOptions {
	/** Bytes that wait before the valve is closed. */
	readonly bytesMax: number;
	/** Pieces are of memory that is about to be written again: they are copied. */
	readonly copies: boolean;
}

/** Memory that pieces are copied into, one after the other. */
interface Arena {
	readonly bytes: Buffer;
	used: number;
	/** Pieces in it that nobody has taken. */
	waiting: number;
}

interface Waiting {
	readonly piece: Buffer;
	readonly arena: Arena | null;
}

/**
 * Pieces of a stream of bytes on their way from a socket to a decoder. Copies lie in memory that is used again and again:
 * fresh memory for each takes a sixth of all CPU of following a log, in page faults and garbage collection.
 */
export class PieceQueue {
	/**
	 * Asked before memory is used again: whoever still looks into pieces, but for the one that `next` gave last, is done
	 * with them when this returns true.
	 */
	settle: () => boolean = () => false;
	readonly #valve: PieceValve;
	readonly #options: PieceQueueOptions;
	#waiting: Waiting[] = [];
	#waitingBytes = 0;
	#isClosed = false;
	#filling: Arena | null = null;
	#last: Arena | null = null;
	#spent: Arena[] = [];
	readonly #free: Arena[] = [];

	constructor(valve: PieceValve, options: PieceQueueOptions) {
		this.#valve = valve;
		this.#options = options;
	}

	get isEmpty(): boolean {
		return this.#waiting.length === 0;
	}

	/** Whether the valve is closed. */
	get isClosed(): boolean {
		return this.#isClosed;
	}

	push(piece: Buffer): void {
		this.#waiting.push(this.#options.copies ? this.#copy(piece) : { piece, arena: null });
		this.#waitingBytes += piece.length;
		if (this.#waitingBytes < this.#options.bytesMax || this.#isClosed) return;
		this.#isClosed = true;
		this.#valve.pause();
	}

	#copy(piece: Buffer): Waiting {
		// Memory for one huge value is not kept.
		if (piece.length > ARENA_BYTES) return { piece: Buffer.from(piece), arena: null };
		let arena = this.#filling;
		if (arena === null || arena.used + piece.length > ARENA_BYTES) {
			const full = arena;
			arena = this.#free.pop() ?? { bytes: Buffer.allocUnsafeSlow(ARENA_BYTES), used: 0, waiting: 0 };
			this.#filling = arena;
			this.#retire(full);
		}
		const start = arena.used;
		arena.used += piece.copy(arena.bytes, start);
		arena.waiting++;
		return { piece: arena.bytes.subarray(start, arena.used), arena };
	}

	/** The next piece; it stays as it is at least until the next one but one is taken. @throws what `settle` throws */
	next(): Buffer | undefined {
		if (this.#spent.length >= SPENT_MAX) this.#reuse();
		const next = this.#waiting.shift();
		if (next === undefined) return undefined;
		const { piece, arena } = next;
		const before = this.#last;
		this.#last = arena;
		if (arena !== null) arena.waiting--;
		if (before !== arena) this.#retire(before);
		this.#waitingBytes -= piece.length;
		if (this.#isClosed && this.#waitingBytes < this.#options.bytesMax / 2) {
			this.#isClosed = false;
			this.#valve.resume();
		}
		return piece;
	}

	#retire(arena: Arena | null): void {
		if (arena !== null && arena.waiting === 0 && arena !== this.#filling && arena !== this.#last)
			this.#spent.push(arena);
	}

	#reuse(): void {
		const spent = this.#spent;
		if (this.settle())
			for (const arena of spent) {
				arena.used = 0;
				this.#free.push(arena);
			}
		// Otherwise it is left to the collector, which knows when nobody looks any more.
		this.#spent = [];
	}
}
