import { HeadraceError } from "../../core/index.ts";
import type { SnowflakeOptions } from "./options.ts";
import { Session } from "./session.ts";

/** Logins that are kept: one for look-ups, one at a time, and those of loads, each with its own transaction. */
export class Sessions {
	readonly #options: SnowflakeOptions;
	readonly #idle: Session[] = [];
	#control: Session | null = null;
	#tail: Promise<unknown> = Promise.resolve();
	#closed = false;

	constructor(options: SnowflakeOptions) {
		this.#options = options;
	}

	/** Runs `work` alone on the session for look-ups, in which each statement commits by itself. */
	look<T>(work: (session: Session) => Promise<T>): Promise<T> {
		const before = this.#tail;
		const mine = (async () => {
			await before.catch(() => {});
			const kept = this.#control;
			if (kept !== null && !kept.broken)
				try {
					return await work(kept);
				} catch (error) {
					// It may have died while it was idle, which shows only now. Look-ups can be asked twice.
					if (!(error instanceof HeadraceError) || error.code !== "E_CONNECTION_LOST") throw error;
				}
			await this.#control?.end();
			this.#control = await Session.open(this.#options, true);
			return work(this.#control);
		})();
		this.#tail = mine;
		return mine;
	}

	/** A session of its own for `work`; its changes wait for a COMMIT. */
	async write<T>(signal: AbortSignal | undefined, work: (session: Session) => Promise<T>): Promise<T> {
		const session = this.#idle.pop() ?? (await Session.open(this.#options, false));
		session.signal = signal;
		let fit = false;
		try {
			const result = await work(session);
			fit = true;
			return result;
		} finally {
			session.signal = undefined;
			if (fit && !session.broken && !this.#closed) this.#idle.push(session);
			else await session.end();
		}
	}

	async close(): Promise<void> {
		this.#closed = true;
		await this.#tail.catch(() => {});
		const open = [...this.#idle.splice(0), ...(this.#control === null ? [] : [this.#control])];
		this.#control = null;
		await Promise.all(open.map((session) => session.end()));
	}
}
