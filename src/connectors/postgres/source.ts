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
import { readTableNames } from "./catalog.ts";
import { findings } from "./check.ts";
import type { PostgresOptions } from "./connect.ts";
import { ControlConnection } from "./control.ts";
import { describeAll } from "./describe.ts";
import { grantStatements } from "./errors.ts";
import { execute } from "./execute.ts";
import { openSnapshot } from "./snapshot.ts";
import { quoteLiteral } from "./sql-text.ts";
import { PostgresChangeLog } from "./wal/change-log.ts";

const DESCRIBE_TRIES = 3;

/**
 * A PostgreSQL database (12 and later) to read from. Nothing is connected until it is used; the driver is imported
 * then, too. All its connections but those of hooks are read-only.
 */
export async function createPostgresSource(options: PostgresOptions): Promise<Source> {
	return new PostgresSource(options);
}

class PostgresSource implements Source {
	readonly system = "postgres";
	readonly defaultSchema = "public";
	readonly queries = true;
	readonly quoteString = quoteLiteral;
	/** standard_conforming_strings is on in every session of ours. */
	readonly backslashEscapes = false;
	readonly changeLog: PostgresChangeLog;
	readonly #options: PostgresOptions;
	readonly #control: ControlConnection;

	constructor(options: PostgresOptions) {
		this.#options = options;
		this.#control = new ControlConnection(options);
		this.changeLog = new PostgresChangeLog(options, this.#control);
	}

	check(): Promise<Finding[]> {
		return this.#control.run(findings);
	}

	grants(tables: readonly TableName[]): Promise<Grant[]> {
		return this.#control.run(async (_session, facts) => {
			const lines = tables.flatMap((table) => grantStatements(facts.user, table).split(/(?<=;) /));
			return [{ title: "the reading role", language: "sql", text: [...new Set(lines)].join("\n") }];
		});
	}

	listTables(): Promise<TableName[]> {
		return this.#control.run(readTableNames);
	}

	async describe(requests: readonly DescribeRequest[]): Promise<SourceTable[]> {
		for (let attempt = 1; ; attempt++)
			try {
				return await this.#control.run((session, facts) => describeAll(session, facts, requests));
			} catch (error) {
				// A table that is altered at this moment is another one at the next.
				const isPassing = error instanceof HeadraceError && error.code === "E_CONFLICT";
				if (!isPassing || attempt === DESCRIBE_TRIES) throw error;
			}
	}

	snapshot(request: Parameters<Source["snapshot"]>[0]): Promise<Snapshot> {
		return openSnapshot(this.#options, this.#control, request);
	}

	execute(statements: readonly string[], signal?: AbortSignal): Promise<void> {
		return execute(this.#options, this.#control, statements, signal);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#control.close();
	}
}
