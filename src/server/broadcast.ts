import type { EventLog } from "../app/service/event-log.ts";
import { eventText, type ServerSentEvent } from "./sse.ts";

/** What comes within so long is sent together: many who watch many runs cost a write each for it, not one an event. */
const TOGETHER_MS = 50;

/** Events of a log for everybody who listens: each is put into words once, whoever there is to be told. */
export class Broadcast<Event> {
	readonly #events: EventLog<Event>;
	readonly #sent: (id: number, event: Event) => ServerSentEvent;
	readonly #listeners = new Set<(bytes: Uint8Array) => void>();
	readonly #encoder = new TextEncoder();
	#text = "";
	#timer: NodeJS.Timeout | null = null;
	#toldMs = Number.NEGATIVE_INFINITY;
	#leave: (() => void) | null = null;

	constructor(events: EventLog<Event>, sent: (id: number, event: Event) => ServerSentEvent) {
		this.#events = events;
		this.#sent = sent;
	}

	/**
	 * Tells what came after the event `after`, and what comes from now on, until the result is called. Where that can't
	 * be known any more, and for null, it begins with `reset`.
	 */
	join(after: number | null, tell: (bytes: Uint8Array) => void): () => void {
		// What waits is for those who were there when it came; the log has it for the new one.
		this.#flush();
		const missed = after === null ? null : this.#events.since(after);
		const reset = { id: this.#events.lastId, event: "reset", data: { type: "reset" } };
		const first = missed === null ? [reset] : missed.map(({ id, event }) => this.#sent(id, event));
		if (first.length > 0) tell(this.#encoder.encode(first.map(eventText).join("")));
		this.#leave ??= this.#events.listen((id, event) => this.#add(id, event));
		this.#listeners.add(tell);
		return () => {
			this.#listeners.delete(tell);
			if (this.#listeners.size > 0) return;
			this.#leave?.();
			this.#leave = null;
			if (this.#timer !== null) clearTimeout(this.#timer);
			this.#timer = null;
			this.#text = "";
		};
	}

	#add(id: number, event: Event): void {
		this.#text += eventText(this.#sent(id, event));
		// The first one for a while is not held back.
		const waitMs = this.#toldMs + TOGETHER_MS - performance.now();
		this.#timer ??= setTimeout(() => this.#flush(), Math.max(0, waitMs));
	}

	#flush(): void {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
		if (this.#text === "") return;
		const bytes = this.#encoder.encode(this.#text);
		this.#text = "";
		this.#toldMs = performance.now();
		for (const tell of [...this.#listeners]) tell(bytes);
	}
}
