import { HeadraceError } from "../../../core/index.ts";
import { ByteReader } from "./bytes.ts";
import type { LogEvent } from "./event.ts";

/** Events of prepared transactions that are kept until it is known what becomes of them. */
const KEPT_BYTES_MAX = 256 << 20;

interface Prepared {
	readonly file: string;
	readonly offset: number;
	readonly events: readonly LogEvent[];
}

/** XA transactions that were prepared and neither committed nor rolled back so far. */
export class PreparedTransactions {
	readonly #prepared = new Map<string, Prepared>();
	#bytes = 0;

	/** @throws E_TOO_LARGE */
	keep(id: string, prepared: Prepared): void {
		this.#prepared.set(id, prepared);
		for (const event of prepared.events) this.#bytes += event.size;
		if (this.#bytes > KEPT_BYTES_MAX)
			throw new HeadraceError("E_TOO_LARGE", "XA transactions that are prepared and not ended hold over 256 MiB", {
				hint: "Run: XA RECOVER; and end those that nobody is going to end.",
			});
	}

	take(id: string): Prepared | undefined {
		const prepared = this.#prepared.get(id);
		if (prepared === undefined) return undefined;
		this.#prepared.delete(id);
		for (const event of prepared.events) this.#bytes -= event.size;
		return prepared;
	}

	/** Where the oldest one begins: a stream that is taken up later has to read from there. */
	get oldest(): { readonly file: string; readonly offset: number } | undefined {
		// In the order in which they were prepared.
		const [first] = this.#prepared.values();
		return first === undefined ? undefined : { file: first.file, offset: first.offset };
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
