import { MessageSpools, type MessageSpoolsOptions } from "../../../formats/index.ts";
import { ByteReader } from "./bytes.ts";
import { type LogEvent, readEvent } from "./event.ts";
import type { LogPlace } from "./followed-table.ts";

/** The events of a transaction that is being prepared, or is prepared: kept until it is known what becomes of them. */
export class PreparedEvents {
	readonly #spools: MessageSpools<PreparedEvents>;
	/** Whether an event has a checksum behind its body, as the log's file has it. */
	#checksums = false;

	constructor(spools: MessageSpools<PreparedEvents>) {
		this.#spools = spools;
	}

	/** @throws E_NO_SPACE */
	add({ bytes, start, size, bodyEnd }: LogEvent): void {
		this.#checksums = bodyEnd < start + size;
		this.#spools.begin(this);
		this.#spools.append(this, bytes, start, start + size);
	}

	/** The events, in memory that is not used again. Gone afterwards. @throws E_CORRUPT_FILE */
	*take(): Generator<LogEvent, void, undefined> {
		for (const bytes of this.#spools.take(this))
			for (let at = 0; at < bytes.length; ) {
				const start = at + 4;
				at = start + bytes.readUInt32BE(at);
				yield readEvent(bytes, start, at, this.#checksums);
			}
	}

	drop(): void {
		this.#spools.drop(this);
	}
}

interface Prepared extends LogPlace {
	readonly events: PreparedEvents;
}

/** XA transactions that were prepared and neither committed nor rolled back so far. */
export class PreparedTransactions {
	readonly #prepared = new Map<string, Prepared>();
	readonly #spools: MessageSpools<PreparedEvents>;

	constructor(options: MessageSpoolsOptions = {}) {
		this.#spools = new MessageSpools(options);
	}

	/** For the events of a transaction whose id is not known yet. */
	begin(): PreparedEvents {
		return new PreparedEvents(this.#spools);
	}

	keep(id: string, prepared: Prepared): void {
		this.#prepared.get(id)?.events.drop();
		this.#prepared.set(id, prepared);
	}

	take(id: string): PreparedEvents | undefined {
		const prepared = this.#prepared.get(id);
		this.#prepared.delete(id);
		return prepared?.events;
	}

	/** Where the oldest one begins: a stream that is taken up later has to read from there. */
	get oldest(): LogPlace | undefined {
		// In the order in which they were prepared.
		const [first] = this.#prepared.values();
		return first === undefined ? undefined : { file: first.file, offset: first.offset };
	}

	close(): void {
		this.#prepared.clear();
		this.#spools.close();
	}
}

/** The id of an XA_PREPARE event, and whether it commits at once. */
export function readXaPrepare(event: LogEvent): { readonly id: string; readonly onePhase: boolean } {
	const reader = new ByteReader(event.bytes, event.body, event.bodyEnd, "an XA transaction");
	const onePhase = reader.uint8() !== 0;
	const format = reader.uint(4);
	const global = reader.uint(4);
	const branch = reader.uint(4);
	const id = `${format}:${reader.slice(global).toString("hex")}:${reader.slice(branch).toString("hex")}`;
	return { id, onePhase };
}
