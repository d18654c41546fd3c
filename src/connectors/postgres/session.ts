import type { Duplex } from "node:stream";
import type { Client } from "pg";
import { HeadraceError, type SqlRow, type TableName } from "../../core/index.ts";
import { CopyInStatement, type Feed } from "./copy-in.ts";
import { type ErrorContext, translateError } from "./errors.ts";
import { OneBufferSocket } from "./one-buffer-socket.ts";
import { CopyStatement, DescribeStatement, type ResultColumn } from "./statements.ts";
import { type CopySink, WireTap } from "./wire-tap.ts";

/** Values as the server prints them. */
export type TextRow = readonly (string | null)[];

const END_TIMEOUT_MS = 2_000;

/**
 * One logged-in connection. Statements wait for each other; errors come translated. After the connection broke each
 * statement fails with E_CONNECTION_LOST.
 */
export class Session {
	readonly #client: Client;
	readonly #context: ErrorContext;
	readonly #tap: WireTap;
	#tail: Promise<unknown> = Promise.resolve();
	#broken: Error | null = null;

	constructor(client: Client, context: ErrorContext) {
		this.#client = client;
		this.#context = context;
		this.#tap = new WireTap(client.connection.stream);
		client.on("error", (error) => {
			this.#broken ??= error;
		});
		client.on("end", () => {
			this.#broken ??= new Error("Connection terminated");
		});
	}

	get broken(): boolean {
		return this.#broken !== null;
	}

	get where(): string {
		return this.#context.where;
	}

	/** The rows of one statement; parameters as text, arrays as JavaScript arrays. */
	rows(sql: string, parameters?: readonly unknown[], about: StatementAbout = {}): Promise<TextRow[]> {
		return this.#queue(about, async () => {
			const result = await this.#client.query<(string | null)[]>({
				text: sql,
				rowMode: "array",
				...(parameters === undefined ? {} : { values: [...parameters] }),
			});
			return result.rows;
		});
	}

	/** Runs one statement; gives what the server says it did: `INSERT` and 12 rows, `COMMIT` or `ROLLBACK`. */
	execute(sql: string, parameters?: readonly unknown[], about: StatementAbout = {}): Promise<Outcome> {
		return this.#queue(about, async () => {
			const { command, rowCount } = await this.#client.query({
				text: sql,
				...(parameters === undefined ? {} : { values: [...parameters] }),
			});
			return { command, rows: rowCount ?? 0 };
		});
	}

	/** The rows of one statement by the names of their columns. */
	records(sql: string, parameters?: readonly unknown[], about: StatementAbout = {}): Promise<SqlRow[]> {
		return this.#queue(about, async () => {
			const result = await this.#client.query<SqlRow>({
				text: sql,
				...(parameters === undefined ? {} : { values: [...parameters] }),
				...(about.single === true ? { queryMode: "extended" } : {}),
			});
			return result.rows;
		});
	}

	/** Several statements in one round trip, without parameters; the rows of each. */
	script(statements: readonly string[], about: StatementAbout = {}): Promise<TextRow[][]> {
		return this.#queue(about, async () => {
			const results = (await this.#client.query({ text: statements.join(";\n"), rowMode: "array" })) as unknown as
				| { rows: TextRow[] }
				| { rows: TextRow[] }[];
			return (Array.isArray(results) ? results : [results]).map((result) => result.rows);
		});
	}

	/** Names and types of a statement's result, without running it. */
	describe(sql: string, about: StatementAbout = {}): Promise<readonly ResultColumn[]> {
		return this.#queue(about, () => this.#client.query(new DescribeStatement(sql)).done);
	}

	/**
	 * Starts a COPY … TO STDOUT whose rows go to `sink`; resolves with the number of rows that the server says it sent.
	 * It begins when the statements before it are done.
	 */
	copy(sql: string, sink: CopySink, about: StatementAbout = {}): Promise<number> {
		return this.#queue(about, () => this.#client.query(new CopyStatement(sql, this.#tap, sink)).done);
	}

	/**
	 * COPY … FROM STDIN, its rows written by `feed`, with at most `bytesMax` bytes of them on their way; resolves with the
	 * number of rows that the server says it took. What the feed throws is thrown as it is.
	 */
	async copyIn(sql: string, bytesMax: number, feed: Feed, about: StatementAbout = {}): Promise<number> {
		let own: { readonly error: unknown } | null = null;
		const guarded: Feed = async (writer) => {
			try {
				await feed(writer);
			} catch (error) {
				if (!writer.failed) own = { error };
				throw error;
			}
		};
		try {
			return await this.#queue(about, () => this.#client.query(new CopyInStatement(sql, bytesMax, guarded)).done);
		} catch (error) {
			throw (own as { readonly error: unknown } | null)?.error ?? error;
		}
	}

	/** The socket, with nobody listening to its data any more: for a protocol that pg does not speak. */
	takeOver(): Duplex {
		const { stream } = this.#client.connection;
		stream.removeAllListeners("data");
		if (stream instanceof OneBufferSocket) stream.reuse = false;
		return stream;
	}

	/** Any error of this connection as a HeadraceError. */
	translate(thrown: unknown, about: StatementAbout = {}): HeadraceError {
		return translateError(thrown, { ...this.#context, ...about });
	}

	/** Rows that come from now on are thrown away. */
	discardRows(): void {
		this.#tap.sink = null;
	}

	pause(): void {
		this.#client.connection.stream.pause();
	}

	resume(): void {
		this.#client.connection.stream.resume();
	}

	async #queue<T>(about: StatementAbout, run: () => Promise<T>): Promise<T> {
		const before = this.#tail;
		const mine = (async () => {
			await before.catch(() => {});
			if (this.broken) throw this.#lost();
			try {
				return await run();
			} catch (error) {
				throw this.#violation() ?? translateError(error, { ...this.#context, ...about });
			}
		})();
		this.#tail = mine;
		return mine;
	}

	/** A violation of the protocol destroys the stream with the error that says so. */
	#violation(): HeadraceError | null {
		return this.#broken instanceof HeadraceError ? this.#broken : null;
	}

	#lost(): HeadraceError {
		return (
			this.#violation() ??
			new HeadraceError("E_CONNECTION_LOST", `the connection to ${this.where} broke`, { cause: this.#broken })
		);
	}

	/** Cuts the connection at once; the server notices when it sends or is cancelled. */
	destroy(): void {
		this.#broken ??= new Error("Connection terminated");
		this.#client.connection.stream.destroy();
	}

	/** Says goodbye; twice is harmless. */
	async end(): Promise<void> {
		if (this.broken) return;
		this.resume();
		const timer = setTimeout(() => this.destroy(), END_TIMEOUT_MS);
		await this.#client.end().catch(() => {});
		clearTimeout(timer);
	}
}

export interface Outcome {
	readonly command: string;
	readonly rows: number;
}

/** What a statement is about, for its errors. */
export interface StatementAbout {
	readonly table?: TableName;
	readonly ownSql?: boolean;
	/** The text may be one statement only: a second one, such as COMMIT, is refused by the server. */
	readonly single?: boolean;
}
