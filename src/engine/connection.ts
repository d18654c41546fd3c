import { type Batch, type ColumnType, type Field, HeadraceError } from "../core/index.ts";
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
			if (parameters.length === 0) return duckdb.rows_changed(await duckdb.query(native, checkedSql(sql)));
			const statement = await this.#prepare(sql, parameters);
			try {
				return duckdb.rows_changed(await duckdb.execute_prepared(statement));
			} finally {
				duckdb.destroy_prepare_sync(statement);
			}
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
		const opened = await this.#inTurn(async () => {
			const statement = await this.#prepare(sql, parameters);
			// Before it runs, a statement with parameters does not know its types.
			const wrapped = parameters.length === 0 ? this.#wrap(sql, statement) : { sql, lists: [] };
			const final = wrapped.sql === sql ? statement : await this.#prepare(wrapped.sql, parameters);
			try {
				const result = await duckdb.execute_prepared_streaming(final);
				return { result, fields: this.#fieldsOf(result, wrapped.lists), sql: wrapped.sql, parameters };
			} finally {
				// A statement that waits for the garbage collector keeps the database, and so the file's lock.
				for (const prepared of new Set([statement, final])) duckdb.destroy_prepare_sync(prepared);
			}
		});
		return { fields: opened.fields, batches: this.#batches(opened, options.signal) };
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
			else if (typeof value === "bigint") {
				if (BigInt.asIntN(64, value) === value) duckdb.bind_int64(statement, position, value);
				else duckdb.bind_hugeint(statement, position, value);
			} else if (Number.isSafeInteger(value)) duckdb.bind_int64(statement, position, BigInt(value));
			else duckdb.bind_double(statement, position, value);
		});
		return statement;
	}

	/** The statement with casts around those of its columns that have no canonical type; which of them are lists now. */
	#wrap(sql: string, statement: Awaited<ReturnType<Bindings["prepare"]>>): { sql: string; lists: ColumnType[] } {
		const { duckdb } = this.#parts;
		const items: string[] = [];
		const lists: ColumnType[] = [];
		let casts = false;
		for (let index = 0; index < duckdb.prepared_statement_column_count(statement); index++) {
			const name = duckdb.prepared_statement_column_name(statement, index);
			const native = duckdb.prepared_statement_column_logical_type(statement, index);
			const cast = columnTypeOfResult(duckdb, native) === null ? castOfResult(duckdb, native, `c${index}`) : null;
			if (cast !== null) casts = true;
			if (cast?.list !== undefined) lists[index] = cast.list;
			items.push(`${cast?.sql ?? `c${index}`} AS ${duckdbDialect.quoteIdentifier(name)}`);
		}
		const names = items.map((_, index) => `c${index}`).join(", ");
		return { sql: casts ? `SELECT ${items.join(", ")} FROM (${sql}\n) AS result(${names})` : sql, lists };
	}

	#fieldsOf(result: Result, lists: readonly ColumnType[]): Field[] {
		const { duckdb } = this.#parts;
		return Array.from({ length: duckdb.column_count(result) }, (_, index): Field => {
			const name = duckdb.column_name(result, index);
			const type = lists[index] ?? columnTypeOfResult(duckdb, duckdb.column_logical_type(result, index));
			if (type === null) throw new HeadraceError("E_INTERNAL", `result column ${name} needs a cast in its statement`);
			return { name, type, nullable: true };
		});
	}

	async *#batches(
		opened: { result: Result; fields: readonly Field[]; sql: string; parameters: readonly Parameter[] },
		signal: AbortSignal | undefined,
	): AsyncGenerator<Batch, void, undefined> {
		const { duckdb } = this.#parts;
		const { result, fields } = opened;
		const reader = new ChunkReader(duckdb, fields);
		const wasStreaming = duckdb.result_is_streaming(result);
		const fetch = (): Promise<DataChunk | null> => {
			const fetching = this.#inTurn(() => duckdb.fetch_chunk(result));
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
				if (signal?.aborted) throw new HeadraceError("E_STOPPED", "stopped while rows were being read");
				if (chunk === null || duckdb.data_chunk_get_size(chunk) === 0) break;
				ahead = fetch();
				yield* reader.read(chunk);
			}
			// A statement that fails midway ends like one that is done, but its result is then no stream any more.
			if (wasStreaming && !duckdb.result_is_streaming(result)) throw await this.#failureOf(opened);
		} finally {
			signal?.removeEventListener("abort", stop);
			await ahead.catch(() => {});
		}
	}

	/** The bindings don't tell the error of a stream, so the statement runs again, its rows only counted. */
	async #failureOf(opened: {
		fields: readonly Field[];
		sql: string;
		parameters: readonly Parameter[];
	}): Promise<HeadraceError> {
		const names = opened.fields.map((_, index) => `c${index}`);
		const counts = names.map((name) => `count(${name})`).join(", ");
		try {
			await this.execute(`SELECT ${counts} FROM (${opened.sql}\n) AS result(${names.join(", ")})`, opened.parameters, {
				columns: opened.fields.map((field) => field.name),
			});
		} catch (error) {
			return engineError(error);
		}
		return new HeadraceError("E_DESTINATION", "DuckDB ended a statement before all its rows were read");
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
