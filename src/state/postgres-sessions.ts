import { HeadraceError } from "../core/errors.ts";
import type { ServerSession } from "./postgres-database.ts";
import { quoted } from "./postgres-schema.ts";

/** Enough that what renews a lease need not wait for what reads a history. */
const SESSIONS_MAX = 4;
/** A server that restarts, or fails over, is waited for as long as another program's lock on a file. */
const PATIENCE_MS = 15_000;
const AGAIN_MS = 250;
const TRANSIENT = new Set(["E_CONNECT", "E_CONNECTION_LOST"]);

/**
 * Who freezes, or is cut off, within a transaction must not keep the others from writing: the server ends it, before
 * they give up. A commit that was answered outlives the server's own death, so that no epoch of a lease comes twice.
 */
const SETTINGS = [
	"SET idle_in_transaction_session_timeout = '10s'",
	"SET lock_timeout = '15s'",
	"SET statement_timeout = '60s'",
	"SET synchronous_commit = on",
];

/** Some sessions, opened as they are needed, for whoever comes. */
export class SessionPool {
	/** Whether a server that does not answer is waited for. */
	patient = false;
	readonly #connect: () => Promise<ServerSession>;
	readonly #settings: readonly string[];
	readonly #idle: ServerSession[] = [];
	readonly #waiting: (() => void)[] = [];
	#busy = 0;
	#closed = false;

	constructor(connect: () => Promise<ServerSession>, schema: string) {
		this.#connect = connect;
		this.#settings = [...SETTINGS, `SET search_path = ${quoted(schema)}`];
	}

	/**
	 * Does the work in a session, and again in another one while the connection breaks, unless the work has told that
	 * it may have been done.
	 */
	async use<Result>(work: (session: ServerSession, isUnsure: () => void) => Promise<Result>): Promise<Result> {
		const deadlineMs = performance.now() + PATIENCE_MS;
		for (;;) {
			let unsure = false;
			try {
				return await this.#once((session) =>
					work(session, () => {
						unsure = true;
					}),
				);
			} catch (error) {
				const isTransient = error instanceof HeadraceError && TRANSIENT.has(error.code);
				if (!isTransient || unsure || !this.patient || this.#closed || performance.now() > deadlineMs) throw error;
			}
			await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
		}
	}

	async close(): Promise<void> {
		this.#closed = true;
		await Promise.all(this.#idle.splice(0).map((session) => session.end()));
	}

	async #once<Result>(work: (session: ServerSession) => Promise<Result>): Promise<Result> {
		if (this.#busy >= SESSIONS_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
		else this.#busy++;
		let session: ServerSession | null = null;
		try {
			session = await this.#open();
			return await work(session);
		} finally {
			if (session !== null) await this.#giveBack(session);
			const next = this.#waiting.shift();
			if (next === undefined) this.#busy--;
			else next();
		}
	}

	async #open(): Promise<ServerSession> {
		if (this.#closed) throw new HeadraceError("E_STATE", "the state was closed");
		for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) if (!idle.broken) return idle;
		const session = await this.#connect();
		try {
			await session.script(this.#settings);
			return session;
		} catch (error) {
			session.destroy();
			throw error;
		}
	}

	async #giveBack(session: ServerSession): Promise<void> {
		if (session.broken) return;
		if (this.#closed) await session.end();
		else this.#idle.push(session);
	}
}
