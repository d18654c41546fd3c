import { appendFile } from "node:fs/promises";
import { DeliveryError } from "./alerts/delivery.ts";
import { post } from "./alerts/http.ts";
import type { LineageTransport } from "./lineage-settings.ts";

/** Events that may wait: whoever does not take them does not get the memory of a run. */
const WAITING_MAX = 1_000;
/** So often in a row no answer came: what follows is not tried any more. */
const FAILURES_MAX = 3;

/**
 * Sends events one after the other, in their order, beside the run: it is never waited for before `finish`, and
 * what can't be sent is counted and dropped.
 */
export class LineageSender {
	readonly #transport: LineageTransport;
	readonly #stop = new AbortController();
	#waiting: string[] = [];
	#sending: Promise<void> | null = null;
	#failuresInRow = 0;
	#lost = 0;
	#reason = "";

	constructor(transport: LineageTransport) {
		this.#transport = transport;
	}

	add(event: object): void {
		if (this.#waiting.length >= WAITING_MAX || this.#failuresInRow >= FAILURES_MAX) {
			this.#lost++;
			this.#reason ||= "too many were waiting";
			return;
		}
		this.#waiting.push(JSON.stringify(event));
		this.#sending ??= this.#send();
	}

	/** Waits until all are sent, so many milliseconds at most; why some were not, if so. */
	async finish(msMax: number): Promise<string | null> {
		const timer = setTimeout(() => this.#stop.abort(), msMax);
		await this.#sending;
		clearTimeout(timer);
		if (this.#lost === 0) return null;
		return `${this.#lost} ${this.#lost === 1 ? "event was" : "events were"} not sent: ${this.#reason}`;
	}

	async #send(): Promise<void> {
		// What one turn adds goes together where it can.
		await Promise.resolve();
		for (let batch = this.#next(); batch.length > 0; batch = this.#next()) {
			try {
				await this.#deliver(batch);
				this.#failuresInRow = 0;
			} catch (error) {
				this.#lost += batch.length;
				this.#failuresInRow++;
				this.#reason =
					error instanceof DeliveryError ? error.message : `${(error as NodeJS.ErrnoException).code ?? "failed"}`;
			}
		}
		this.#sending = null;
	}

	/** A file takes all that wait, an address one by one. */
	#next(): string[] {
		if (this.#stop.signal.aborted || this.#failuresInRow >= FAILURES_MAX) {
			this.#lost += this.#waiting.length;
			this.#reason ||= "they took too long";
			this.#waiting = [];
		}
		return this.#waiting.splice(0, this.#transport.type === "file" ? this.#waiting.length : 1);
	}

	async #deliver(events: readonly string[]): Promise<void> {
		const { signal } = this.#stop;
		if (this.#transport.type === "file") return appendFile(this.#transport.path, `${events.join("\n")}\n`);
		const { url, apiKey, timeoutMs } = this.#transport;
		const headers: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
		const timed = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
		await post({ url, body: events[0]!, headers, allowPrivate: true, signal: timed });
	}
}
