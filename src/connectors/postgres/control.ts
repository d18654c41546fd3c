import { HeadraceError } from "../../core/index.ts";
import { type Connected, connect, type PostgresOptions, type SessionRole } from "./connect.ts";
import type { ServerFacts } from "./server-facts.ts";
import type { Session } from "./session.ts";

/** The connection for look-ups and cancels: one at a time, opened on first use and again after it broke. */
export class ControlConnection {
	readonly #options: PostgresOptions;
	readonly #role: SessionRole;
	#connected: Connected | null = null;
	#tail: Promise<unknown> = Promise.resolve();

	constructor(options: PostgresOptions, role: SessionRole = "headrace") {
		this.#options = options;
		this.#role = role;
	}

	/** Runs `work` alone on the connection: its statements are not mixed with others'. */
	run<T>(work: (session: Session, facts: ServerFacts) => Promise<T>): Promise<T> {
		const before = this.#tail;
		const mine = (async () => {
			await before.catch(() => {});
			const kept = this.#connected;
			if (kept !== null && !kept.session.broken)
				try {
					return await work(kept.session, kept.facts);
				} catch (error) {
					// It may have died while it was idle, which shows only now. Look-ups can be asked twice.
					if (!(error instanceof HeadraceError) || error.code !== "E_CONNECTION_LOST") throw error;
				}
			this.#connected = await connect(this.#options, this.#role);
			return work(this.#connected.session, this.#connected.facts);
		})();
		this.#tail = mine;
		return mine;
	}

	async close(): Promise<void> {
		await this.#tail.catch(() => {});
		await this.#connected?.session.end();
		this.#connected = null;
	}
}
