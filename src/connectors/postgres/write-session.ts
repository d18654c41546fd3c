import { HeadraceError, qualified, type SqlRow, type TableName } from "../../core/index.ts";
import { connect, type PostgresOptions, settingsSql } from "./connect.ts";
import type { ControlConnection } from "./control.ts";
import type { Feed } from "./copy-in.ts";
import type { ServerFacts } from "./server-facts.ts";
import type { Session, TextRow } from "./session.ts";

const BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
const SAVEPOINT = "headrace";

/**
 * A connection of its own for one load. Once the signal is aborted its statement is cancelled at the server and every
 * further one fails with E_STOPPED; a COMMIT that was sent is waited for.
 */
export class WriteSession implements AsyncDisposable {
	readonly facts: ServerFacts;
	readonly #session: Session;
	readonly #control: ControlConnection;
	#about: { readonly table?: TableName };
	readonly #signal: AbortSignal | undefined;
	readonly #stop = (): void => {
		void this.#cancel();
	};

	private constructor(
		connected: { readonly session: Session; readonly facts: ServerFacts },
		control: ControlConnection,
		table: TableName | undefined,
		signal: AbortSignal | undefined,
	) {
		this.facts = connected.facts;
		this.#session = connected.session;
		this.#control = control;
		this.#about = table === undefined ? {} : { table };
		this.#signal = signal;
		signal?.addEventListener("abort", this.#stop, { once: true });
	}

	static async open(
		options: PostgresOptions,
		control: ControlConnection,
		table?: TableName,
		signal?: AbortSignal,
	): Promise<WriteSession> {
		return new WriteSession(await connect(options, "headrace writer"), control, table, signal);
	}

	/** What the statements from now on are about, for their errors. */
	set table(table: TableName | undefined) {
		this.#about = table === undefined ? {} : { table };
	}

	/** For look-ups that take a plain session. */
	get session(): Session {
		return this.#session;
	}

	/** How many rows the statement touched. */
	async execute(sql: string, parameters?: readonly unknown[]): Promise<number> {
		this.#check();
		return (await this.#stopped(this.#session.execute(sql, parameters, this.#about))).rows;
	}

	async rows(sql: string, parameters?: readonly unknown[]): Promise<TextRow[]> {
		this.#check();
		return this.#stopped(this.#session.rows(sql, parameters, this.#about));
	}

	/** The only row of a result, its values as numbers: for counts. */
	async counts(sql: string): Promise<Record<string, number>> {
		this.#check();
		const [row] = await this.#stopped(this.#session.records(sql, undefined, this.#about));
		return Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, Number(value)]));
	}

	async copyIn(sql: string, bytesMax: number, feed: Feed): Promise<number> {
		this.#check();
		try {
			return await this.#stopped(this.#session.copyIn(sql, bytesMax, feed, this.#about));
		} catch (error) {
			const { table } = this.#about;
			throw error instanceof HeadraceError && table !== undefined ? error.at({ table: qualified(table) }) : error;
		}
	}

	/**
	 * Commits what `work` did, or rolls it back; after any error it is a ROLLBACK.
	 * @throws E_CONNECTION_LOST when the answer to COMMIT was lost: whether it took effect must be asked
	 */
	async transaction<T>(work: () => Promise<T>): Promise<T> {
		this.#check();
		await this.#session.script([BEGIN, settingsSql("transaction", "write")]);
		let result: T;
		try {
			result = await work();
			this.#check();
		} catch (error) {
			if (!this.#session.broken) await this.#session.execute("ROLLBACK").catch(() => this.#session.destroy());
			throw error;
		}
		// A cancelled COMMIT would leave its outcome open.
		this.#signal?.removeEventListener("abort", this.#stop);
		const { command } = await this.#session.execute("COMMIT", undefined, this.#about);
		this.#signal?.addEventListener("abort", this.#stop, { once: true });
		// The server answers the COMMIT of a failed transaction with ROLLBACK, and no error.
		if (command !== "COMMIT") throw new HeadraceError("E_DESTINATION", "the transaction was rolled back by the server");
		return result;
	}

	/** Part of a transaction that may fail without the rest: an error takes back what the part did, and is thrown. */
	async part<T>(work: () => Promise<T>): Promise<T> {
		await this.execute(`SAVEPOINT ${SAVEPOINT}`);
		try {
			const result = await work();
			await this.execute(`RELEASE SAVEPOINT ${SAVEPOINT}`);
			return result;
		} catch (error) {
			if (!this.#session.broken) await this.#session.script([`ROLLBACK TO ${SAVEPOINT}`, `RELEASE ${SAVEPOINT}`]);
			throw error;
		}
	}

	/** A query of the pipeline's, which may name tables as the user's own session would, and must not write. */
	async userQuery(sql: string): Promise<SqlRow[]> {
		await this.execute(`SAVEPOINT ${SAVEPOINT}`);
		try {
			await this.#session.script(["SET LOCAL transaction_read_only = on", "SET LOCAL search_path TO DEFAULT"]);
			return await this.#stopped(this.#session.records(sql, undefined, { ...this.#about, ownSql: true, single: true }));
		} finally {
			if (!this.#session.broken) await this.#session.script([`ROLLBACK TO ${SAVEPOINT}`, `RELEASE ${SAVEPOINT}`]);
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#signal?.removeEventListener("abort", this.#stop);
		await this.#session.end();
	}

	#check(): void {
		if (this.#signal?.aborted) throw stopped();
	}

	async #stopped<T>(work: Promise<T>): Promise<T> {
		try {
			return await work;
		} catch (error) {
			// What a cancelled statement fails with is not why.
			if (this.#signal?.aborted && error instanceof HeadraceError && error.code === "E_TIMEOUT") throw stopped();
			throw error;
		}
	}

	async #cancel(): Promise<void> {
		try {
			await this.#control.run((session) =>
				session.rows("SELECT pg_catalog.pg_cancel_backend($1)", [this.facts.processId]),
			);
		} catch {
			this.#session.destroy();
		}
	}
}

function stopped(): HeadraceError {
	return new HeadraceError("E_STOPPED", "the load was stopped; nothing of it was kept");
}
