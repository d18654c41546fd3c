import { type Batch, type Field, HeadraceError } from "../core/index.ts";
import { duckdbDialect } from "../sql/index.ts";
import type { Bindings, Connection, DataChunk, Result } from "./bindings.ts";
import { type ConsumeRequest, type ConsumeResult, consumeBatches, type GroupRunner } from "./consume.ts";
import { type ErrorContext, engineError } from "./errors.ts";
import type { Feed } from "./feed.ts";
import { ChunkReader } from "./stream.ts";
import { castOfResult, columnTypeOfResult } from "./types.ts";
import { readValue } from "./value.ts";

export type Parameter = string | number | bigint | boolean | null;
/** Decimals, dates, times, identifiers and intervals are text. */
export type Value = string | bigint | number | boolean | null;

export interface ResultStream {
	readonly fields: Field[];
	/** The caller releases each batch. Breaking out of the loop ends the statement. */
	readonly batches: AsyncIterable<Batch>;
}

interface Parts {
	readonly duckdb: Bindings;
	readonly native: Connection;
	readonly feed: Feed;
	readonly threads: number;
	readonly closed: () => void;
}

/**
 * A session of the engine with its own transaction. Its statements run one after another, each on native threads;
 * nothing here blocks the event loop for longer than a copy of one chunk.
 */
export class EngineConnection implements AsyncDisposable {
	readonly #parts: Parts;
	#last: Promise<unknown> = Promise.resolve();
	#closed = false;

	constructor(parts: Parts) {
		this.#parts = parts;
	}

	/** Runs one statement, or several without parameters. Gives the rows that the last one changed. */
	async execute(sql: string, parameters: readonly Parameter[] = [], context?: ErrorContext): Promise<number> {
		return this.#inTurn(async () => {
			const { duckdb, native } = this.#parts;
			const result =
				parameters.length === 0
					? await duckdb.query(native, checkedSql(sql))
					: await duckdb.execute_prepared(await this.#prepare(sql, parameters));
			return duckdb.rows_changed(result);
		}, context);
	}

	/** All rows of a small result. */
	async query(sql: string, parameters: readonly Parameter[] = []): Promise<Record<string, Value>[]> {
		const { fields, batches } = await this.stream(sql, { parameters });
		const rows: Record<string, Value>[] = [];
		for await (const batch of batches) {
			for (let row = 0; row < batch.rowCount; row++) {
				const values: Record<string, Value> = {};
				fields.forEach((field, index) => {
					values[field.name] = readValue(batch.columns[index]!, row);
				});
				rows.push(values);
			}
			batch.release();
		}
		return rows;
	}

	/**
	 * A query's rows as batches, a chunk fetched ahead of the one in use. Types without a canonical type are cast:
	 * HUGEINT, ENUM and the like to text, lists to JSON text of strings, nested ones to JSON.
	 */
	async stream(
		sql: string,
		options: { readonly parameters?: readonly Parameter[]; readonly signal?: AbortSignal } = {},
	): Promise<ResultStream> {
		const parameters = options.parameters ?? [];
		const { duckdb } = this.#parts;
		const { result, fields } = await this.#inTurn(async () => {
			const first = await this.#prepare(sql, parameters);
			const fitted = this.#fit(sql, first);
			const statement = fitted.sql === sql ? first : await this.#prepare(fitted.sql, parameters);
			return { result: await duckdb.execute_prepared_streaming(statement), fields: fitted.fields };
		});
		return { fields, batches: this.#batches(result, fields, options.signal) };
	}

	/** Rows in, in their order: see `consumeBatches`. */
	consume(request: ConsumeRequest): Promise<ConsumeResult> {
		return consumeBatches([this.#runner()], request);
	}

	/** Rows in by way of several connections at once: faster, and each has its own transaction. */
	static consumeInLanes(lanes: readonly EngineConnection[], request: ConsumeRequest): Promise<ConsumeResult> {
		return consumeBatches(
			lanes.map((lane) => lane.#runner()),
			request,
		);
	}

	#runner(): GroupRunner {
		const { duckdb, feed, threads, native } = this.#parts;
		return {
			feed,
			threads,
			run: (sql) =>
				this.#inTurn(async () => {
					await duckdb.query(native, checkedSql(sql));
				}, null),
			interrupt: () => this.interrupt(),
			translate: engineError,
		};
	}

	/** Makes the running statement fail with E_STOPPED. Without one it does nothing. */
	interrupt(): void {
		if (!this.#closed) this.#parts.duckdb.interrupt(this.#parts.native);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.#closed) return;
		this.interrupt();
		this.#closed = true;
		await this.#last.catch(() => {});
		this.#parts.duckdb.disconnect_sync(this.#parts.native);
		this.#parts.closed();
	}

	/** One after another. `context` null leaves errors as they are, for a caller who knows more. */
	#inTurn<T>(work: () => Promise<T>, context: ErrorContext | null = {}): Promise<T> {
		const run = this.#last
			.catch(() => {})
			.then(async () => {
				if (this.#closed) throw new HeadraceError("E_STOPPED", "the engine's connection was closed");
				try {
					return await work();
				} catch (error) {
					throw context === null ? error : engineError(error, context);
				}
			});
		this.#last = run;
		return run;
	}

	async #prepare(sql: string, parameters: readonly Parameter[]) {
		const { duckdb, native } = this.#parts;
		const statement = await duckdb.prepare(native, checkedSql(sql));
		parameters.forEach((value, index) => {
			const position = index + 1;
			if (value === null) duckdb.bind_null(statement, position);
			else if (typeof value === "string") duckdb.bind_varchar(statement, position, value);
			else if (typeof value === "boolean") duckdb.bind_boolean(statement, position, value);
			else if (typeof value === "bigint") duckdb.bind_hugeint(statement, position, value);
			else if (Number.isSafeInteger(value)) duckdb.bind_int64(statement, position, BigInt(value));
			else duckdb.bind_double(statement, position, value);
		});
		return statement;
	}

	/** The fields of a result, and the statement with casts around columns that have no canonical type. */
	#fit(sql: string, statement: Awaited<ReturnType<Bindings["prepare"]>>): { sql: string; fields: Field[] } {
		const { duckdb } = this.#parts;
		const count = duckdb.prepared_statement_column_count(statement);
		const fields: Field[] = [];
		const items: string[] = [];
		let casts = false;
		for (let index = 0; index < count; index++) {
			const name = duckdb.prepared_statement_column_name(statement, index);
			const native = duckdb.prepared_statement_column_logical_type(statement, index);
			const type = columnTypeOfResult(duckdb, native);
			const cast = type === null ? castOfResult(duckdb, native, `c${index}`) : null;
			if (cast !== null) casts = true;
			fields.push({ name, type: cast?.type ?? type!, nullable: true });
			items.push(`${cast?.sql ?? `c${index}`} AS ${duckdbDialect.quoteIdentifier(name)}`);
		}
		if (!casts) return { sql, fields };
		const names = items.map((_, index) => `c${index}`).join(", ");
		return { sql: `SELECT ${items.join(", ")} FROM (${sql}\n) AS result(${names})`, fields };
	}

	async *#batches(
		result: Result,
		fields: readonly Field[],
		signal: AbortSignal | undefined,
	): AsyncGenerator<Batch, void, undefined> {
		const { duckdb } = this.#parts;
		const reader = new ChunkReader(duckdb, fields);
		const fetch = (): Promise<DataChunk | null> => {
			const fetching = this.#inTurn(async () => {
				if (signal?.aborted) throw new HeadraceError("E_STOPPED", "stopped while rows were being read");
				return duckdb.fetch_chunk(result);
			});
			// Its error is thrown where it is awaited; until then it must not count as unhandled.
			fetching.catch(() => {});
			return fetching;
		};
		const stop = (): void => this.interrupt();
		signal?.addEventListener("abort", stop, { once: true });
		let ahead = fetch();
		try {
			while (true) {
				const chunk = await ahead;
				if (chunk === null || duckdb.data_chunk_get_size(chunk) === 0) return;
				ahead = fetch();
				yield* reader.read(chunk);
			}
		} catch (error) {
			throw engineError(signal?.aborted ? new HeadraceError("E_STOPPED", "stopped while rows were being read") : error);
		} finally {
			signal?.removeEventListener("abort", stop);
			await ahead.catch(() => {});
		}
	}
}

/** The C API ends a statement at a NUL, so that half a statement would run. */
function checkedSql(sql: string): string {
	if (sql.includes("\0"))
		throw new HeadraceError(
			"E_INVALID_VALUE",
			"a name or a statement holds a NUL character, which no database can take",
		);
	return sql;
}
