import {
	type DescribeRequest,
	type Finding,
	type Grant,
	HeadraceError,
	type Snapshot,
	type Source,
	type SourceTable,
	type TableName,
} from "../../core/index.ts";
import { MysqlChangeLog } from "./binlog/change-log.ts";
import { listTables } from "./catalog.ts";
import { checkServer } from "./check.ts";
import { MysqlConnection } from "./connection.ts";
import { openCut } from "./cut.ts";
import { describeAll } from "./describe.ts";
import { grantSelect } from "./errors.ts";
import { execute } from "./execute.ts";
import type { MysqlOptions } from "./options.ts";
import { stopped } from "./readers.ts";
import { MysqlSnapshot } from "./snapshot.ts";
import { quoteString } from "./sql.ts";

class MysqlSource implements Source {
	readonly defaultSchema: string;
	readonly queries = true;
	readonly quoteString = quoteString;
	// `sessionSettings` takes NO_BACKSLASH_ESCAPES away.
	readonly backslashEscapes = true;
	readonly changeLog = new MysqlChangeLog({
		ask: (question) => this.#ask(question),
		open: () => this.#open(),
	});
	readonly #options: MysqlOptions;
	#control: Promise<MysqlConnection>;
	/** A refused login is not tried again: accounts are locked after a few. */
	#refused: HeadraceError | null = null;
	#closed = false;

	constructor(options: MysqlOptions, control: MysqlConnection) {
		this.#options = options;
		this.defaultSchema = options.database ?? "";
		this.#control = Promise.resolve(control);
	}

	async check(): Promise<Finding[]> {
		return this.#ask((connection) => checkServer(connection, this.#options));
	}

	async grants(tables: readonly TableName[]): Promise<Grant[]> {
		const { account } = await this.#ask(async ({ server }) => server);
		const lines = tables.map((table) => grantSelect(table, account));
		lines.push(
			`GRANT PROCESS ON *.* TO ${account};    -- incremental tables: open transactions, so that no late commit is missed`,
		);
		return [{ title: "the reading account", language: "sql", text: lines.join("\n") }];
	}

	async listTables(): Promise<TableName[]> {
		return this.#ask(listTables);
	}

	async describe(requests: readonly DescribeRequest[]): Promise<SourceTable[]> {
		return this.#ask((connection) => describeAll(connection, requests, this.defaultSchema));
	}

	async snapshot({ readers, forLog, signal }: Parameters<Source["snapshot"]>[0]): Promise<Snapshot> {
		if (signal?.aborted) throw stopped(signal);
		const cut = await openCut(() => this.#open(), readers, signal, forLog);
		return new MysqlSnapshot(cut, (threadId) => this.#killQuery(threadId));
	}

	execute(statements: readonly string[], signal?: AbortSignal): Promise<void> {
		return execute(
			() => this.#open(),
			(threadId) => this.#killQuery(threadId),
			statements,
			signal,
		);
	}

	async #killQuery(threadId: number): Promise<void> {
		await this.#ask((connection) => connection.rows(`KILL QUERY ${threadId}`));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		await (await this.#control.catch(() => null))?.close();
	}

	/** Asks a short question; once more when the connection turns out to have broken while nobody needed it. */
	async #ask<T>(question: (connection: MysqlConnection) => Promise<T>): Promise<T> {
		const connection = await this.#connection();
		try {
			return await question(connection);
		} catch (error) {
			if (connection.lost === null || this.#closed) throw error;
			return question(await this.#connection());
		}
	}

	/** The connection for short questions; made anew when it is known to have broken. */
	async #connection(): Promise<MysqlConnection> {
		const asked = this.#control;
		const current = await asked.catch(() => null);
		if (current !== null && current.lost === null) return current;
		if (this.#control === asked) this.#control = this.#open();
		return this.#control;
	}

	async #open(): Promise<MysqlConnection> {
		if (this.#closed) throw new HeadraceError("E_CONNECTION_LOST", "the source is closed");
		if (this.#refused !== null) throw this.#refused;
		try {
			return await MysqlConnection.open(this.#options);
		} catch (error) {
			if (error instanceof HeadraceError && error.code === "E_LOGIN") this.#refused = error;
			throw error;
		}
	}
}

/**
 * A MySQL or MariaDB server to read from: MySQL 5.6 and later, MariaDB 10.5 and later. Logs in at once.
 * @throws E_CONNECT, E_LOGIN, E_TLS, E_UNSUPPORTED, E_MISSING_PACKAGE
 */
export async function createMysqlSource(options: MysqlOptions): Promise<Source> {
	return new MysqlSource(options, await MysqlConnection.open(options));
}
