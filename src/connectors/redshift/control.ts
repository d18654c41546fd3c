import { HeadraceError } from "../../core/index.ts";
import { connect, type RedshiftOptions } from "./connect.ts";
import type { Session } from "./session.ts";

/** The connection for look-ups and cancels: one at a time, opened on first use and again after it broke. */
export class ControlConnection {
	readonly #options: RedshiftOptions;
	#session: Session | null = null;
	#tail: Promise<unknown> = Promise.resolve();

	constructor(options: RedshiftOptions) {
		this.#options = options;
	}

	/** Runs `work` alone on the connection: its statements are not mixed with others'. It may be run twice. */
	run<T>(work: (session: Session) => Promise<T>): Promise<T> {
		const before = this.#tail;
		const mine = (async () => {
			await before.catch(() => {});
			const kept = this.#session;
			if (kept !== null && !kept.broken)
				try {
					return await work(kept);
				} catch (error) {
					// It may have died while it was idle, which shows only now. Look-ups can be asked twice.
					if (!(error instanceof HeadraceError) || error.code !== "E_CONNECTION_LOST") throw error;
				}
			this.#session = await connect(this.#options);
			return work(this.#session);
		})();
		this.#tail = mine;
		return mine;
	}

	async close(): Promise<void> {
		await this.#tail.catch(() => {});
		await this.#session?.end();
		this.#session = null;
	}
}
