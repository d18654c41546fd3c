/** Events with their numbers, kept for a while so that who was away for a moment can go on. */
export class EventLog<Event> {
	readonly #kept: number;
	#events: { readonly id: number; readonly event: Event }[] = [];
	#nextId = 1;
	readonly #listeners = new Set<(id: number, event: Event) => void>();

	constructor(kept = 2_000) {
		this.#kept = kept;
	}

	get listeners(): number {
		return this.#listeners.size;
	}

	get lastId(): number {
		return this.#nextId - 1;
	}

	add(event: Event): void {
		const id = this.#nextId++;
		this.#events.push({ id, event });
		if (this.#events.length > 2 * this.#kept) this.#events = this.#events.slice(-this.#kept);
		for (const listener of this.#listeners) listener(id, event);
	}

	/** What came after an event; null when that can no longer be known: then everything is to be read anew. */
	since(id: number): readonly { readonly id: number; readonly event: Event }[] | null {
		if (id > this.lastId || id < (this.#events[0]?.id ?? this.#nextId) - 1) return null;
		return this.#events.filter((each) => each.id > id);
	}

	/** Told of every event from now on, until the result is called. */
	listen(listener: (id: number, event: Event) => void): () => void {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}
}
