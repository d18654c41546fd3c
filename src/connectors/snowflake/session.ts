import { createHash } from "node:crypto";
import { HeadraceError, type SqlRow } from "../../core/index.ts";
import { type DriverConnection, loadDriver, type RowStatement } from "./driver.ts";
import { type StatementAbout, translateError } from "./errors.ts";
import { unfoldName } from "./names.ts";
import type { SnowflakeOptions } from "./options.ts";
import { noteReach, reachable } from "./reach.ts";
import { connectionOptions, SETTINGS } from "./settings.ts";

/** Values as Snowflake prints them. */
export type TextRow = readonly (string | null)[];

export interface Result {
	readonly columns: readonly string[];
	readonly rows: readonly TextRow[];
}

type Bind = string | number | null;

/** One login. Its statements wait for each other. Once the signal is aborted its statement is cancelled. */
export class Session {
	readonly #options: SnowflakeOptions;
	readonly #connection: DriverConnection;
	#tail: Promise<unknown> = Promise.resolve();
	#broken = false;
	readonly #autocommit: boolean;
	#inTransaction = false;
	/** A query outside of a transaction may have begun one: a BEGIN would then be ignored, and its name lost. */
	#mayBeOpen = false;
	signal: AbortSignal | undefined;

	private constructor(options: SnowflakeOptions, connection: DriverConnection, autocommit: boolean) {
		this.#options = options;
		this.#autocommit = autocommit;
		this.#connection = connection;
	}

	/**
	 * Logs in and fixes the session's settings. `autocommit` false: every change waits for a COMMIT, so that one whose
	 * transaction was ended by another run can't take effect on its own.
	 * @throws E_CONNECT, E_LOGIN, E_TLS, E_RIGHTS, E_MISSING_PACKAGE
	 */
	static async open(options: SnowflakeOptions, autocommit: boolean): Promise<Session> {
		const sdk = await loadDriver();
		let connection: DriverConnection;
		try {
			connection = sdk.createConnection(connectionOptions(options) as Parameters<typeof sdk.createConnection>[0]);
			// Its promise resolves whether or not the login succeeds.
			await new Promise<void>((resolve, reject) => {
				connection.connectAsync((error) => (error ? reject(error) : resolve())).catch(reject);
			});
		} catch (error) {
			throw translateError(error, options, { connecting: true });
		}
		const session = new Session(options, connection, autocommit);
		noteReach(options);
		const all = { ...SETTINGS, AUTOCOMMIT: autocommit ? "TRUE" : "FALSE", QUERY_TAG: "'headrace'" };
		const list = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
		await session.run(`ALTER SESSION SET ${list.join(", ")}`);
		return session;
	}

	get broken(): boolean {
		return this.#broken;
	}

	/** Rows and names of the columns of one statement's result. */
	run(sql: string, binds: readonly Bind[] = [], about: StatementAbout = {}): Promise<Result> {
		const before = this.#tail;
		const mine = (async () => {
			await before.catch(() => {});
			if (this.signal?.aborted) throw stopped();
			if (!this.#autocommit && !this.#inTransaction && /^\s*SELECT\b/i.test(sql)) this.#mayBeOpen = true;
			try {
				return await this.#send(sql, binds);
			} catch (error) {
				const translated = translateError(error, this.#options, about);
				if (translated.code === "E_CONNECTION_LOST") this.#broken = true;
				throw this.signal?.aborted && translated.code === "E_TIMEOUT" ? stopped() : translated;
			}
		})();
		this.#tail = mine;
		return mine;
	}

	async rows(sql: string, binds?: readonly Bind[], about?: StatementAbout): Promise<readonly TextRow[]> {
		return (await this.run(sql, binds, about)).rows;
	}

	/** Rows by the names of their columns, as people write those. */
	async records(sql: string, binds?: readonly Bind[], about?: StatementAbout): Promise<SqlRow[]> {
		const { columns, rows } = await this.run(sql, binds, about);
		return rows.map((row) => Object.fromEntries(columns.map((name, index) => [unfoldName(name), row[index] ?? null])));
	}

	/** The only row of a result as numbers. */
	async counts(sql: string, about?: StatementAbout): Promise<Record<string, number>> {
		const [record] = await this.records(sql, [], about);
		return Object.fromEntries(Object.entries(record ?? {}).map(([name, value]) => [name, Number(value)]));
	}

	/** Rows of one query by the names of their columns, some at a time as they come: a result may be of any size. */
	async *stream(
		sql: string,
		rowsAtOnce: number,
		about: StatementAbout,
	): AsyncGenerator<readonly SqlRow[], void, undefined> {
		await this.#tail.catch(() => {});
		if (this.signal?.aborted) throw stopped();
		if (!this.#autocommit && !this.#inTransaction) this.#mayBeOpen = true;
		try {
			const statement = await this.#begin(sql);
			const names = (statement.getColumns() ?? []).map((column) => unfoldName(column.getName()));
			let rows: SqlRow[] = [];
			for await (const values of statement.streamRows() as AsyncIterable<TextRow>) {
				rows.push(Object.fromEntries(names.map((name, index) => [name, values[index] ?? null])));
				if (rows.length < rowsAtOnce) continue;
				if (this.signal?.aborted) throw stopped();
				yield rows;
				rows = [];
			}
			if (rows.length > 0) yield rows;
		} catch (error) {
			const translated = translateError(error, this.#options, about);
			if (translated.code === "E_CONNECTION_LOST") this.#broken = true;
			throw translated;
		}
	}

	/** A statement whose rows are to be streamed. */
	#begin(sql: string): Promise<RowStatement> {
		return new Promise((resolve, reject) => {
			const watch = reachable(this.#options, (error) => finish(() => reject(error)));
			const finish = (settle: () => void) => {
				watch.stop();
				settle();
			};
			this.#connection.execute({
				sqlText: sql,
				rowMode: "array",
				streamResult: true,
				fetchAsString: ["Boolean", "Number", "Date", "JSON", "Buffer"],
				complete: (error, done) => finish(() => (error ? reject(error) : resolve(done))),
			});
		});
	}

	/** How many rows a statement inserted, updated and deleted. */
	async change(sql: string, binds?: readonly Bind[], about?: StatementAbout): Promise<Changed> {
		const { columns, rows } = await this.run(sql, binds, about);
		const count = (word: string) =>
			Number(rows[0]?.[columns.findIndex((name) => name.toLowerCase() === `number of rows ${word}`)] ?? 0);
		return { inserted: count("inserted"), updated: count("updated"), deleted: count("deleted") };
	}

	/**
	 * Commits what `work` did, or rolls it back; after any error it is a ROLLBACK. `name` is told by SHOW TRANSACTIONS.
	 * @throws E_CONNECTION_LOST when the answer to COMMIT was lost: whether it took effect must be asked
	 */
	async transaction<T>(name: string, work: () => Promise<T>): Promise<T> {
		if (this.#mayBeOpen) await this.run("ROLLBACK");
		this.#mayBeOpen = false;
		await this.run(`BEGIN TRANSACTION NAME ${name}`);
		this.#inTransaction = true;
		let result: T;
		try {
			result = await work();
			if (this.signal?.aborted) throw stopped();
		} catch (error) {
			await this.rollback();
			throw error;
		}
		const { signal } = this;
		// A cancelled COMMIT would leave its outcome open.
		this.signal = undefined;
		try {
			await this.run("COMMIT");
		} finally {
			this.#inTransaction = false;
			this.signal = signal;
		}
		return result;
	}

	async rollback(): Promise<void> {
		const { signal } = this;
		this.signal = undefined;
		try {
			if (!this.#broken) await this.run("ROLLBACK");
		} catch {
			this.#broken = true;
		} finally {
			this.#inTransaction = false;
			this.#mayBeOpen = false;
			this.signal = signal;
		}
	}

	#send(sql: string, binds: readonly Bind[]): Promise<Result> {
		return new Promise((resolve, reject) => {
			const watch = reachable(this.#options, (error) => finish(() => reject(error)));
			const cancel = () => statement.cancel(() => {});
			const finish = (settle: () => void) => {
				watch.stop();
				this.signal?.removeEventListener("abort", cancel);
				settle();
			};
			this.signal?.addEventListener("abort", cancel, { once: true });
			const statement = this.#connection.execute({
				sqlText: sql,
				...(binds.length === 0 ? {} : { binds: [...binds] }),
				rowMode: "array",
				fetchAsString: ["Boolean", "Number", "Date", "JSON", "Buffer"],
				complete: (error, done, rows) => {
					if (error) finish(() => reject(error));
					else
						finish(() =>
							resolve({
								columns: (done.getColumns() ?? []).map((column) => column.getName()),
								rows: (rows ?? []) as unknown as TextRow[],
							}),
						);
				},
			});
		});
	}

	/** Logs out; twice is harmless. What is open is rolled back by the server. */
	async end(): Promise<void> {
		if (!this.#connection.isUp()) return;
		await new Promise<void>((resolve) => {
			const timer = setTimeout(resolve, 2_000);
			this.#connection.destroy(() => {
				clearTimeout(timer);
				resolve();
			});
		});
	}
}

export interface Changed {
	readonly inserted: number;
	readonly updated: number;
	readonly deleted: number;
}

/** The name of the transactions of a stream, so that a later run finds and ends what a dead one left open. */
export function transactionName(pipeline: string, stream: string): string {
	const hash = createHash("sha256")
		.update(JSON.stringify([pipeline, stream]))
		.digest("hex");
	return `HEADRACE_${hash.slice(0, 32).toUpperCase()}`;
}

/**
 * What is found in Snowflake's own history of queries; at most 2000 characters:
 * https://docs.snowflake.com/en/sql-reference/parameters#query-tag
 */
export function queryTag(of: {
	readonly pipeline: string;
	readonly runId: string | undefined;
	readonly table: string;
}): string {
	const { pipeline, runId, table } = of;
	const tag = { app: "headrace", pipeline, ...(runId === undefined ? {} : { run: runId }), table };
	return JSON.stringify(tag).slice(0, 2000);
}

export function stopped(): HeadraceError {
	return new HeadraceError("E_STOPPED", "the load was stopped; nothing of it was kept");
}
