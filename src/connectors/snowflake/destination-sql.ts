import { randomBytes } from "node:crypto";
import {
	type DestinationSql,
	HeadraceError,
	type RebuildRequest,
	type SqlRow,
	type TableName,
} from "../../core/index.ts";
import { quoteDouble, quoteEscaped } from "../../sql/index.ts";
import { asQuery, ensureSchema } from "./load.ts";
import { foldName, Place } from "./names.ts";
import { type Session, transactionName } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import { type Relation, readRelation } from "./table.ts";

const ROWS_AT_ONCE = 1000;

/** Snowflake's own SQL, for checks, hooks and summaries. */
export class SnowflakeDestinationSql implements DestinationSql {
	readonly quoteLiteral = quoteEscaped;
	readonly backslashEscapes = true;
	readonly #sessions: Sessions;
	readonly #schemaDefault: string | undefined;

	constructor(sessions: Sessions, schemaDefault: string | undefined) {
		this.#sessions = sessions;
		this.#schemaDefault = schemaDefault;
	}

	readonly quoteIdentifier = (name: string): string => quoteDouble(foldName(name));

	relation(table: TableName): string {
		return new Place(table, this.#schemaDefault).sql;
	}

	/** As a subquery of ours, which can't be anything but a query. */
	query(sql: string, signal?: AbortSignal): Promise<readonly SqlRow[]> {
		return this.#sessions.write(signal, async (session) => {
			const rows = await session.records(asQuery(sql), [], { ownSql: true });
			await session.rollback();
			return rows;
		});
	}

	async *select(sql: string, signal?: AbortSignal): AsyncGenerator<readonly SqlRow[], void, undefined> {
		const begun = Promise.withResolvers<Session>();
		const over = Promise.withResolvers<void>();
		const working = this.#sessions.write(signal, async (session) => {
			begun.resolve(session);
			await over.promise;
			await session.rollback();
		});
		working.catch(begun.reject);
		try {
			yield* (await begun.promise).stream(sql, ROWS_AT_ONCE, { ownSql: true });
		} finally {
			over.resolve();
			await working;
		}
	}

	/** In one transaction, as far as they are no DDL: that commits what came before it. */
	execute(statements: readonly string[], signal?: AbortSignal): Promise<void> {
		return this.#sessions.write(signal, (session) =>
			session.transaction(transactionName("sql", ""), async () => {
				for (const statement of statements) await session.run(statement, [], { ownSql: true });
			}),
		);
	}

	rebuild(request: RebuildRequest): Promise<{ readonly rows: number }> {
		return this.#sessions.write(request.signal, (session) =>
			rebuild(session, request, new Place(request.table, this.#schemaDefault)),
		);
	}
}

/** The rows of a SELECT instead of those of a table: built beside, shown, then swapped in by one atomic statement. */
async function rebuild(session: Session, request: RebuildRequest, place: Place): Promise<{ readonly rows: number }> {
	await ensureSchema(session, place);
	const build = place.beside(`_HEADRACE_BUILD_${randomBytes(8).toString("hex").toUpperCase()}`);
	const select = asQuery(request.select);
	const about = { ownSql: true };
	try {
		const there = await readRelation(session, place);
		if (there === null) await session.run(`CREATE TABLE ${build.sql} AS ${select}`, [], about);
		else {
			await session.run(`CREATE TABLE ${build.sql} LIKE ${place.sql} COPY GRANTS`, [], { table: place });
			const columns = await columnsOf(session, select, there, place);
			const list = columns.map(quoteDouble).join(", ");
			await session.transaction(transactionName("rebuild", build.name), () =>
				session.run(`INSERT INTO ${build.sql} (${list}) SELECT ${list} FROM (${select}) AS Q`, [], about),
			);
			if (there.comment !== "") await session.run(`COMMENT ON TABLE ${build.sql} IS ${quoteEscaped(there.comment)}`);
		}
		await request.verify?.({
			relation: build.sql,
			query: (sql) => session.records(asQuery(sql), [], about),
		});
		const rows = (await session.counts(`SELECT count(*) AS N FROM ${build.sql}`))["n"]!;
		if (there === null) await session.run(`ALTER TABLE ${build.sql} RENAME TO ${place.sql}`);
		else await session.run(`ALTER TABLE ${place.sql} SWAP WITH ${build.sql}`, [], { table: place });
		return { rows };
	} finally {
		session.signal = undefined;
		if (!session.broken) await session.run(`DROP TABLE IF EXISTS ${build.sql}`).catch(() => {});
	}
}

/** The SELECT's columns, which the table must have. */
async function columnsOf(session: Session, select: string, there: Relation, place: Place): Promise<readonly string[]> {
	const { columns } = await session.run(`SELECT * FROM (${select}) AS Q LIMIT 0`, [], { ownSql: true });
	const unknown = columns.filter((name) => !there.columns.some((column) => column.name === name));
	if (unknown.length > 0)
		throw new HeadraceError("E_SCHEMA", `${place.sql} has no column ${unknown.join(", ")}, which the SELECT gives`);
	return columns;
}
