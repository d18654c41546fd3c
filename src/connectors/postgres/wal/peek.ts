import type { HeadraceError } from "../../../core/index.ts";
import type { Session } from "../session.ts";
import { quoteLiteral } from "../sql-text.ts";
import type { CopySink } from "../wire-tap.ts";
import { formatLsn } from "./position.ts";
import type { LogFeed } from "./stream.ts";

/** The header of COPY's binary format. */
const HEADER_BYTES = 19;
/** Two bytes of a field count and four of a length come before the only field of a row. */
const ROW_BYTES = 6;
const PIECE_BYTES = 64 << 10;
const WAITING_BYTES_MAX = 4 << 20;

interface Message {
	readonly bytes: Buffer;
	readonly start: number;
	readonly end: number;
}

/**
 * What a slot holds up to a place, without a bit of it being used up: `pg_logical_slot_peek_binary_changes`. The slot
 * has to be free meanwhile.
 */
export class Peek implements LogFeed, CopySink {
	sentLsn: bigint;
	bytes: Buffer = Buffer.alloc(0);
	start = 0;
	end = 0;
	readonly #session: Session;
	#messages: Message[] = [];
	#at = 0;
	#waitingBytes = 0;
	#paused = false;
	#piece: Buffer = Buffer.alloc(0);
	#used = 0;
	#isFirst = true;
	#done = false;
	#failure: unknown = null;
	#wake: (() => void) | null = null;

	constructor(
		session: Session,
		slot: string,
		range: { readonly from: bigint; readonly to: bigint },
		publications: readonly string[],
	) {
		this.#session = session;
		this.sentLsn = range.from;
		const options = ["proto_version", "1", "publication_names", publicationList(publications)].map(quoteLiteral);
		const peek = `pg_catalog.pg_logical_slot_peek_binary_changes(${quoteLiteral(slot)}, ${quoteLiteral(formatLsn(range.to))}, NULL, ${options.join(", ")})`;
		session.copy(`COPY (SELECT c.data FROM ${peek} AS c) TO STDOUT (FORMAT binary)`, this).then(
			() => {
				this.#done = true;
				this.#wake?.();
			},
			(error: unknown) => this.failed(error),
		);
		this.#to = range.to;
	}

	readonly #to: bigint;

	message(buffer: Buffer, start: number, end: number): void {
		const at = this.#isFirst ? start + HEADER_BYTES : start;
		this.#isFirst = false;
		if (end - at < ROW_BYTES) return;
		const length = end - at - ROW_BYTES;
		if (this.#used + length > this.#piece.length) {
			this.#piece = Buffer.allocUnsafeSlow(Math.max(PIECE_BYTES, length));
			this.#used = 0;
		}
		buffer.copy(this.#piece, this.#used, at + ROW_BYTES, end);
		this.#messages.push({ bytes: this.#piece, start: this.#used, end: this.#used + length });
		this.#used += length;
		this.#waitingBytes += length;
		if (this.#waitingBytes > WAITING_BYTES_MAX && !this.#paused) {
			this.#paused = true;
			this.#session.pause();
		}
	}

	flush(): void {
		this.#wake?.();
	}

	failed(error: unknown): void {
		this.#failure ??= error;
		this.#wake?.();
	}

	next(): boolean {
		const message = this.#messages[this.#at];
		if (message === undefined) {
			this.#messages = [];
			this.#at = 0;
			this.#waitingBytes = 0;
			if (this.#paused) {
				this.#paused = false;
				this.#session.resume();
			}
			if (this.#done) this.sentLsn = this.#to;
			return false;
		}
		this.#at++;
		this.bytes = message.bytes;
		this.start = message.start;
		this.end = message.end;
		return true;
	}

	async wait(ms: number): Promise<boolean> {
		const isReady = () => this.#messages.length > 0 || (this.#done && this.sentLsn < this.#to);
		if (isReady()) return true;
		if (this.#failure !== null) throw this.#failure;
		const { promise, resolve } = Promise.withResolvers<void>();
		this.#wake = resolve;
		const timer = setTimeout(resolve, ms);
		await promise;
		clearTimeout(timer);
		this.#wake = null;
		if (this.#failure !== null) throw this.#failure;
		return isReady();
	}

	/** Nothing is used up by looking. */
	acknowledge(): void {}

	ask(): void {}

	interrupt(error: HeadraceError): void {
		this.failed(error);
	}

	close(): void {
		this.#session.destroy();
	}
}

/** The option's value: quoted identifiers in a list. */
export function publicationList(names: readonly string[]): string {
	return names.map((name) => `"${name.replaceAll('"', '""')}"`).join(",");
}
