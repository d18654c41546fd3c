import { setTimeout as delay } from "node:timers/promises";
import { HeadraceError, type SqlRow, type TableName } from "../../core/index.ts";
import { connect, type RedshiftOptions } from "./connect.ts";
import type { ControlConnection } from "./control.ts";
import type { Session, TextRow } from "./session.ts";
import { bracketed } from "./sql-text.ts";

/** Error 1023 is answered by doing the transaction again: its writes are gone, and what it read is read anew. */
const CONFLICT_ATTEMPTS_MAX = 6;
const CONFLICT_PAUSE_MS = 200;

/**
 * A connection of its own for one load. Once the signal is aborted its statement is cancelled at the server and every
 * further one fails with E_STOPPED; a COMMIT that was sent is waited for.
 */
export class Writer implements AsyncDisposable {
	readonly session: Session;
	readonly #control: ControlConnection;
	#about: { readonly table?: TableName };
	readonly #signal: AbortSignal | undefined;
	readonly #stop = (): void => {
		void this.#cancel();
	};

	private constructor(
		session: Session,
		control: ControlConnection,
		table: TableName | undefined,
		signal: AbortSignal | undefined,
	) {
		this.session = session;
		this.#control = control;
		this.#about = table === undefined ? {} : { table };
		this.#signal = signal;
		signal?.addEventListener("abort", this.#stop, { once: true });
	}

	static async open(
		options: RedshiftOptions,
		control: ControlConnection,
		table?: TableName,
		signal?: AbortSignal,
	): Promise<Writer> {
		return new Writer(await connect(options), control, table, signal);
	}

	/** The table that errors name from now on. */
	set table(table: TableName | undefined) {
		this.#about = table === undefined ? {} : { table };
	}

	/** How many rows the statement touched. */
	async execute(sql: string, about: { readonly copyRole?: string } = {}): Promise<number> {
		return this.#ask(() => this.session.execute(sql, { ...this.#about, ...about }));
	}

	async rows(sql: string): Promise<TextRow[]> {
		return this.#ask(() => this.session.rows(sql, this.#about));
	}

	/** The only row of a result, its values as numbers: for counts. */
	async counts(sql: string): Promise<Record<string, number>> {
		return this.#ask(() => this.session.counts(sql, this.#about));
	}

	/** A query of the pipeline's: as a part of a SELECT it can't write, nor be two statements. */
	async userQuery(sql: string): Promise<SqlRow[]> {
		return this.#ask(() =>
			this.session.records(`SELECT * FROM ${bracketed(sql)} AS headrace_query`, { ...this.#about, ownSql: true }),
		);
	}

	/** SQL of the pipeline's. */
	async userStatement(sql: string): Promise<number> {
		return this.#ask(() => this.session.execute(sql, { ...this.#about, ownSql: true }));
	}

	/**
	 * Commits what `work` did, or rolls it back; after any error it is a ROLLBACK. A serialization conflict has it done
	 * again from its start.
	 * @throws E_CONNECTION_LOST when the answer to COMMIT was lost: whether it took effect must be asked
	 */
	async transaction<T>(work: () => Promise<T>): Promise<T> {
		for (let attempt = 1; ; attempt++)
			try {
				return await this.#once(work);
			} catch (error) {
				const conflict = error instanceof HeadraceError && error.code === "E_CONFLICT";
				if (!conflict || attempt === CONFLICT_ATTEMPTS_MAX || this.session.broken) throw error;
				await delay(CONFLICT_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()));
			}
	}

	async #once<T>(work: () => Promise<T>): Promise<T> {
		this.#check();
		await this.session.execute("BEGIN", this.#about);
		let result: T;
		try {
			result = await work();
			this.#check();
		} catch (error) {
			if (!this.session.broken) await this.session.execute("ROLLBACK").catch(() => this.session.destroy());
			throw error;
		}
		// A cancelled COMMIT would leave its outcome open.
		this.#signal?.removeEventListener("abort", this.#stop);
		let command: string;
		try {
			command = await this.session.command("COMMIT", this.#about);
		} finally {
			this.#signal?.addEventListener("abort", this.#stop, { once: true });
		}
		// The server answers the COMMIT of a failed transaction with ROLLBACK, and no error.
		if (command !== "COMMIT") throw new HeadraceError("E_DESTINATION", "the transaction was rolled back by the server");
		return result;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#signal?.removeEventListener("abort", this.#stop);
		await this.session.end();
	}

	#check(): void {
		if (this.#signal?.aborted) throw stopped();
	}

	async #ask<T>(ask: () => Promise<T>): Promise<T> {
		this.#check();
		try {
			return await ask();
		} catch (error) {
			// What a cancelled statement fails with is not why.
			if (this.#signal?.aborted && error instanceof HeadraceError) throw stopped();
			throw error;
		}
	}

	/** https://docs.aws.amazon.com/redshift/latest/dg/PG_CANCEL_BACKEND.html */
	async #cancel(): Promise<void> {
		const { processId } = this.session;
		try {
			if (processId === null) throw new HeadraceError("E_INTERNAL", "a session without a process");
			await this.#control.run((session) => session.rows(`SELECT pg_cancel_backend(${processId})`));
		} catch {
			this.session.destroy();
		}
	}
}

function stopped(): HeadraceError {
	return new HeadraceError("E_STOPPED", "the load was stopped; nothing of it was kept");
}
