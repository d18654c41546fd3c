import type { Client } from "pg";
import { HeadraceError, type SqlRow } from "../../core/index.ts";
import { type ErrorContext, translateError } from "./errors.ts";

/** Values as the server prints them. */
export type TextRow = readonly (string | null)[];
type About = Pick<ErrorContext, "table" | "ownSql" | "copyRole">;

const END_TIMEOUT_MS = 2_000;

/**
 * One logged-in connection. Statements wait for each other and go by the simple protocol, with no parameters: the
 * leader node compiles a statement once whatever its values. Errors come translated. After the connection broke each
 * statement fails with E_CONNECTION_LOST.
 */
export class Session {
	readonly context: ErrorContext;
	readonly #client: Client;
	#tail: Promise<unknown> = Promise.resolve();
	#broken: Error | null = null;

	constructor(client: Client, context: ErrorContext) {
		this.#client = client;
		this.context = context;
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

	/** Number of the process at the server that works for this session; null before the login gave it. */
	get processId(): number | null {
		return (this.#client as Client & { readonly processID: number | null }).processID;
	}

	/** The rows of one statement. */
	async rows(sql: string, about: About = {}): Promise<TextRow[]> {
		const result = await this.#ask(sql, about);
		return result.rows;
	}

	/** The rows of one statement by the names of their columns. */
	async records(sql: string, about: About = {}): Promise<SqlRow[]> {
		const { names, rows } = await this.#ask(sql, about);
		return rows.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at] ?? null])));
	}

	/** The only row of a result, its values as numbers: for counts. */
	async counts(sql: string, about: About = {}): Promise<Record<string, number>> {
		const [row] = await this.records(sql, about);
		return Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, Number(value)]));
	}

	/** Runs one statement; gives the rows that it says it touched. */
	async execute(sql: string, about: About = {}): Promise<number> {
		return (await this.#ask(sql, about)).touched;
	}

	/** Runs one statement; gives the word of its end: `COMMIT`, or `ROLLBACK` for the COMMIT of what has failed. */
	async command(sql: string, about: About = {}): Promise<string> {
		return (await this.#ask(sql, about)).command;
	}

	/** Cuts the connection at once; what was not committed is rolled back when the server notices. */
	destroy(): void {
		this.#broken ??= new Error("Connection terminated");
		this.#client.connection.stream.destroy();
	}

	/** Says goodbye; twice is harmless. */
	async end(): Promise<void> {
		if (this.broken) return;
		const timer = setTimeout(() => this.destroy(), END_TIMEOUT_MS);
		await this.#client.end().catch(() => {});
		clearTimeout(timer);
	}

	#ask(sql: string, about: About): Promise<Answer> {
		const before = this.#tail;
		const mine = (async (): Promise<Answer> => {
			await before.catch(() => {});
			if (this.#broken !== null)
				throw new HeadraceError("E_CONNECTION_LOST", `the connection to ${this.context.where} broke`, {
					cause: this.#broken,
				});
			try {
				const result = await this.#client.query<(string | null)[]>({ text: sql, rowMode: "array" });
				return {
					rows: result.rows,
					names: (result.fields ?? []).map((field) => field.name),
					touched: result.rowCount ?? 0,
					command: result.command,
				};
			} catch (error) {
				throw translateError(error, { ...this.context, ...about });
			}
		})();
		this.#tail = mine;
		return mine;
	}
}

interface Answer {
	readonly rows: TextRow[];
	readonly names: readonly string[];
	readonly touched: number;
	readonly command: string;
}
