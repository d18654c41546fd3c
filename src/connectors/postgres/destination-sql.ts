import {
	type DestinationSql,
	HeadraceError,
	type RebuildRequest,
	type RetypeRequest,
	type SqlRow,
	type TableName,
} from "../../core/index.ts";
import { type PostgresOptions, settingsSql } from "./connect.ts";
import type { ControlConnection } from "./control.ts";
import { inTransaction } from "./positions.ts";
import { rebuild } from "./rebuild.ts";
import { retype } from "./retype.ts";
import { quoteIdentifier, quoteLiteral } from "./sql-text.ts";
import { foldName, Place } from "./target-names.ts";
import { postgresTexts } from "./text-casts.ts";
import { WriteSession } from "./write-session.ts";

/** Rows that are fetched at once. */
const ROWS_AT_ONCE = 2_000;
const USER_PATH = "SET LOCAL search_path TO DEFAULT";

/** PostgreSQL's own SQL, for checks, hooks and summaries. Names without a schema are looked up as the user's session would. */
export class PostgresDestinationSql implements DestinationSql {
	readonly quoteLiteral = quoteLiteral;
	readonly texts = postgresTexts;
	readonly #options: PostgresOptions;
	readonly #control: ControlConnection;

	constructor(options: PostgresOptions, control: ControlConnection) {
		this.#options = options;
		this.#control = control;
	}

	readonly quoteIdentifier = (name: string): string => quoteIdentifier(foldName(name));

	relation(table: TableName): string {
		return new Place(table).sql;
	}

	async query(sql: string, signal?: AbortSignal): Promise<readonly SqlRow[]> {
		return this.#working(signal, async (session) => {
			await session.script(["BEGIN READ ONLY", settingsSql("transaction", "write"), USER_PATH]);
			try {
				return await session.records(sql, undefined, { ownSql: true, single: true });
			} finally {
				if (!session.broken) await session.script(["ROLLBACK"]);
			}
		});
	}

	async *select(sql: string, signal?: AbortSignal): AsyncGenerator<readonly SqlRow[], void, undefined> {
		await using writer = await WriteSession.open(this.#options, this.#control, undefined, signal);
		const { session } = writer;
		try {
			await session.script([
				"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
				settingsSql("transaction", "write"),
				USER_PATH,
			]);
			await session.records(`DECLARE headrace_rows NO SCROLL CURSOR FOR ${sql}`, undefined, {
				ownSql: true,
				single: true,
			});
			for (;;) {
				const rows = await session.records(`FETCH FORWARD ${ROWS_AT_ONCE} FROM headrace_rows`);
				if (rows.length === 0) break;
				yield rows;
			}
		} catch (error) {
			throw signal?.aborted
				? new HeadraceError("E_STOPPED", "stopped while rows were being read", { cause: error })
				: error;
		} finally {
			if (!session.broken) await session.script(["ROLLBACK"]);
		}
	}

	async execute(statements: readonly string[], signal?: AbortSignal): Promise<void> {
		await this.#working(signal, (session) =>
			inTransaction(session, async () => {
				await session.script([USER_PATH]);
				for (const statement of statements) {
					if (signal?.aborted) throw new HeadraceError("E_STOPPED", "stopped; nothing of it was kept");
					await session.records(statement, undefined, { ownSql: true });
				}
			}),
		);
	}

	rebuild(request: RebuildRequest): Promise<{ readonly rows: number }> {
		return rebuild(this.#options, this.#control, request);
	}

	retype(request: RetypeRequest): Promise<void> {
		return retype(this.#options, this.#control, request);
	}

	async #working<T>(
		signal: AbortSignal | undefined,
		work: (session: WriteSession["session"]) => Promise<T>,
	): Promise<T> {
		await using writer = await WriteSession.open(this.#options, this.#control, undefined, signal);
		try {
			return await work(writer.session);
		} catch (error) {
			throw signal?.aborted
				? new HeadraceError("E_STOPPED", "stopped; nothing of it was kept", { cause: error })
				: error;
		}
	}
}
