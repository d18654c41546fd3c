import { HeadraceError } from "../../core/index.ts";
import type { MysqlConnection } from "./connection.ts";

interface Waiter {
	resolve(connection: MysqlConnection): void;
	reject(error: HeadraceError): void;
}

/** The error of work that was stopped by a signal. */
export function stopped(signal: AbortSignal): HeadraceError {
	return signal.reason instanceof HeadraceError
		? signal.reason
		: new HeadraceError("E_STOPPED", "the read was stopped", { cause: signal.reason });
}

/** Connections that see the same cut, lent to one read each. A connection that broke is not replaced: its cut is gone. */
export class Readers implements AsyncDisposable {
	readonly #all: Set<MysqlConnection>;
	readonly #free: MysqlConnection[];
	readonly #waiters = new Set<Waiter>();
	#lost: HeadraceError | null = null;

	constructor(connections: readonly MysqlConnection[]) {
		this.#all = new Set(connections);
		this.#free = [...connections];
	}

	/** Connections that still see the cut, lent or not. */
	get count(): number {
		return this.#all.size;
	}

	/** @throws E_CONNECTION_LOST when none is left, E_STOPPED by the signal */
	async take(signal?: AbortSignal): Promise<MysqlConnection> {
		if (signal?.aborted) throw stopped(signal);
		for (let connection = this.#free.pop(); connection !== undefined; connection = this.#free.pop()) {
			if (connection.lost === null) return connection;
			this.#drop(connection);
		}
		if (this.#lost !== null) throw this.#lost;
		const { promise, resolve, reject } = Promise.withResolvers<MysqlConnection>();
		const waiter: Waiter = { resolve, reject };
		const abort = () => {
			if (this.#waiters.delete(waiter) && signal !== undefined) reject(stopped(signal));
		};
		this.#waiters.add(waiter);
		signal?.addEventListener("abort", abort, { once: true });
		try {
			return await promise;
		} finally {
			signal?.removeEventListener("abort", abort);
		}
	}

	give(connection: MysqlConnection): void {
		if (connection.lost !== null) {
			this.#drop(connection);
			return;
		}
		const [waiter] = this.#waiters;
		if (waiter === undefined) {
			this.#free.push(connection);
			return;
		}
		this.#waiters.delete(waiter);
		waiter.resolve(connection);
	}

	#drop(connection: MysqlConnection): void {
		this.#all.delete(connection);
		if (this.#all.size > 0) return;
		this.#lost = new HeadraceError("E_CONNECTION_LOST", "no connection of the snapshot is left", {
			cause: connection.lost,
		});
		for (const waiter of this.#waiters) waiter.reject(this.#lost);
		this.#waiters.clear();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#lost ??= new HeadraceError("E_CONNECTION_LOST", "the snapshot is closed");
		for (const waiter of this.#waiters) waiter.reject(this.#lost);
		this.#waiters.clear();
		const idle = new Set(this.#free);
		this.#free.length = 0;
		await Promise.all(
			[...this.#all].map(async (connection) => {
				// One that is lent is in the middle of an answer that nobody will read to its end.
				if (idle.has(connection)) await connection.close();
				else connection.destroy();
			}),
		);
		this.#all.clear();
	}
}
