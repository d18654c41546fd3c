import {
	type DestinationSql,
	HeadraceError,
	type RebuildRequest,
	type SqlRow,
	type TableName,
} from "../../core/index.ts";
import type { RedshiftOptions } from "./connect.ts";
import type { ControlConnection } from "./control.ts";
import { rebuild } from "./rebuild.ts";
import { bracketed, quoteIdentifier, quoteLiteral } from "./sql-text.ts";
import { foldName, Place } from "./target-names.ts";
import { Writer } from "./writer.ts";

const ROWS_AT_ONCE = 1000;

/** Redshift's own SQL, for checks, hooks and summaries. Names without a schema are looked up as the user's session would. */
export class RedshiftDestinationSql implements DestinationSql {
	readonly quoteLiteral = quoteLiteral;
	/** Where the pipeline's own SQL has quotes around a template's value. */
	readonly backslashEscapes = true;
	readonly #options: RedshiftOptions;
	readonly #control: ControlConnection;

	constructor(options: RedshiftOptions, control: ControlConnection) {
		this.#options = options;
		this.#control = control;
	}

	readonly quoteIdentifier = (name: string): string => quoteIdentifier(foldName(name));

	relation(table: TableName): string {
		return new Place(table).sql;
	}

	async query(sql: string, signal?: AbortSignal): Promise<readonly SqlRow[]> {
		return this.#working(signal, async ({ session }) => {
			await session.execute("BEGIN READ ONLY");
			try {
				return await session.records(`SELECT * FROM ${bracketed(sql)} AS headrace_query`, { ownSql: true });
			} finally {
				if (!session.broken) await session.execute("ROLLBACK");
			}
		});
	}

	/**
	 * By a cursor, in a transaction that only reads. A thousand rows at once is what a cluster of one node gives at most.
	 * https://docs.aws.amazon.com/redshift/latest/dg/declare.html, …/fetch.html
	 */
	async *select(sql: string, signal?: AbortSignal): AsyncGenerator<readonly SqlRow[], void, undefined> {
		await using writer = await Writer.open(this.#options, this.#control, undefined, signal);
		const { session } = writer;
		try {
			await session.execute("BEGIN READ ONLY");
			await session.execute(`DECLARE headrace_rows CURSOR FOR ${sql}`, { ownSql: true });
			for (;;) {
				const rows = await session.records(`FETCH FORWARD ${ROWS_AT_ONCE} FROM headrace_rows`, { ownSql: true });
				if (rows.length === 0) break;
				yield rows;
			}
		} catch (error) {
			throw signal?.aborted
				? new HeadraceError("E_STOPPED", "stopped while rows were being read", { cause: error })
				: error;
		} finally {
			if (!session.broken) await session.execute("ROLLBACK");
		}
	}

	async execute(statements: readonly string[], signal?: AbortSignal): Promise<void> {
		await this.#working(signal, (writer) =>
			writer.transaction(async () => {
				for (const statement of statements) await writer.userStatement(statement);
			}),
		);
	}

	rebuild(request: RebuildRequest): Promise<{ readonly rows: number }> {
		return rebuild(this.#options, this.#control, request);
	}

	async #working<T>(signal: AbortSignal | undefined, work: (writer: Writer) => Promise<T>): Promise<T> {
		await using writer = await Writer.open(this.#options, this.#control, undefined, signal);
		try {
			return await work(writer);
		} catch (error) {
			throw signal?.aborted
				? new HeadraceError("E_STOPPED", "stopped; nothing of it was kept", { cause: error })
				: error;
		}
	}
}
