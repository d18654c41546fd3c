import { HeadraceError } from "../../core/index.ts";
import type { Engine, EngineConnection, ErrorContext, Parameter, Value } from "../../engine/index.ts";

/**
 * A connection for one piece of work. Its statements fail with E_STOPPED once the signal is aborted, and after any
 * error the open transaction is rolled back and never committed: DuckDB would commit the half of a transaction whose
 * statement failed while it was bound, and answers OK to the COMMIT of an aborted one.
 */
export class Session implements AsyncDisposable {
	readonly connection: EngineConnection;
	readonly #signal: AbortSignal | undefined;
	readonly #stop = (): void => this.connection.interrupt();

	private constructor(connection: EngineConnection, signal: AbortSignal | undefined) {
		this.connection = connection;
		this.#signal = signal;
		signal?.addEventListener("abort", this.#stop, { once: true });
	}

	static async open(engine: Engine, signal?: AbortSignal): Promise<Session> {
		return new Session(await engine.connect(), signal);
	}

	async execute(sql: string, parameters: readonly Parameter[] = [], context?: ErrorContext): Promise<number> {
		this.#check();
		return this.connection.execute(sql, parameters, context);
	}

	async query(sql: string, parameters: readonly Parameter[] = []): Promise<Record<string, Value>[]> {
		this.#check();
		return this.connection.query(sql, parameters);
	}

	/** The only row of a result, its values as numbers: for counts. */
	async counts(sql: string): Promise<Record<string, number>> {
		const [row] = await this.query(sql);
		return Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, Number(value)]));
	}

	/** Commits what `work` did, or rolls it back. Once the COMMIT is sent, the signal stops nothing any more. */
	async transaction<T>(work: () => Promise<T>): Promise<T> {
		await this.execute("BEGIN TRANSACTION");
		try {
			const result = await work();
			this.#check();
			// An interrupted COMMIT would leave its outcome open.
			this.#signal?.removeEventListener("abort", this.#stop);
			await this.connection.execute("COMMIT");
			return result;
		} catch (error) {
			await this.connection.execute("ROLLBACK").catch(() => {});
			throw error;
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#signal?.removeEventListener("abort", this.#stop);
		await this.connection[Symbol.asyncDispose]();
	}

	#check(): void {
		if (this.#signal?.aborted) throw new HeadraceError("E_STOPPED", "the load was stopped; nothing of it was kept");
	}
}
