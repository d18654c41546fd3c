import {
	type Batch,
	type Chunk,
	HeadraceError,
	type ReadRequest,
	type Snapshot,
	type SourceTable,
	type TransactionMarks,
	type UnchangedRequest,
} from "../../core/index.ts";
import { type Connected, connect, type PostgresOptions, settingsSql } from "./connect.ts";
import type { ControlConnection } from "./control.ts";
import { type ActivityBefore, activityBefore, marksAfter, parseSnapshot } from "./marks.ts";
import { hasOwnSql, readRows } from "./read.ts";
import { type Reader, Readers } from "./readers.ts";
import { columnNamed, decoderPlan, fromItem } from "./select-sql.ts";
import type { ServerFacts } from "./server-facts.ts";
import type { Session } from "./session.ts";
import { splitTable } from "./split.ts";
import { quoteIdentifier, quoteLiteral } from "./sql-text.ts";
import { stopped } from "./stopped.ts";
import { type CutIds, tableState, unchanged } from "./table-state.ts";

const SAVEPOINT = "headrace";
const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

interface Cut {
	readonly clock: string;
	readonly xmin: bigint;
	readonly xmax: bigint;
	readonly processId: string;
	/** Null when the server or a pooler refuses to export. */
	readonly exported: string | null;
}

/**
 * One cut of the database: a REPEATABLE READ transaction that exports its snapshot, and further connections that
 * import it. As many readers as could be opened; one when the export is refused.
 * https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION
 */
export async function openSnapshot(
	options: PostgresOptions,
	control: ControlConnection,
	request: { readonly readers: number; readonly cut?: { readonly snapshot: string }; readonly signal?: AbortSignal },
): Promise<Snapshot> {
	const { signal } = request;
	if (signal?.aborted) throw stopped(signal);
	const first = await connect(options, "headrace reader");
	const opened: Session[] = [first.session];
	const onAbort = () => {
		for (const session of opened) session.destroy();
	};
	signal?.addEventListener("abort", onAbort, { once: true });
	try {
		const before = await activityBefore(first.session, first.facts);
		const cut = await takeCut(first.session, request.readers > 1, request.cut?.snapshot);
		const readers: Reader[] = [{ session: first.session, processId: cut.processId }];
		if (cut.exported !== null) readers.push(...(await importers(options, cut.exported, request.readers - 1, opened)));
		const transactions = await marks(control, cut, before);
		if (signal?.aborted) throw stopped(signal);
		return new PostgresSnapshot(control, first.facts, readers, cut, transactions);
	} catch (error) {
		for (const session of opened) session.destroy();
		throw signal?.aborted ? stopped(signal) : error;
	} finally {
		signal?.removeEventListener("abort", onAbort);
	}
}

async function takeCut(session: Session, wantExport: boolean, imported?: string): Promise<Cut> {
	// The transaction's start, which is before its snapshot: no row with an earlier time can be missing for its lateness.
	const look = `SELECT pg_catalog.to_char(pg_catalog.transaction_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
		pg_catalog.txid_current_snapshot(), pg_catalog.pg_backend_pid()`;
	const settings = settingsSql("transaction");
	const read = (row: readonly (string | null)[], exported: string | null): Cut => ({
		clock: row[0]!,
		...parseSnapshot(row[1]!),
		processId: row[2]!,
		exported,
	});
	if (imported !== undefined) {
		const take = `SET TRANSACTION SNAPSHOT ${quoteLiteral(imported)}`;
		const answers = await session.script([BEGIN, take, settings, look]);
		return read(answers[3]![0]!, imported);
	}
	if (wantExport)
		try {
			const answers = await session.script([BEGIN, settings, look, "SELECT pg_catalog.pg_export_snapshot()"]);
			return read(answers[2]![0]!, answers[3]![0]![0]!);
		} catch (error) {
			if (session.broken) throw error;
			await session.script(["ROLLBACK"]);
		}
	const answers = await session.script([BEGIN, settings, look]);
	return read(answers[2]![0]!, null);
}

/** Connections on the exported snapshot; those that can't be had are done without. */
async function importers(
	options: PostgresOptions,
	exported: string,
	count: number,
	opened: Session[],
): Promise<Reader[]> {
	const importer = async (): Promise<Reader> => {
		const { session }: Connected = await connect(options, "headrace reader");
		opened.push(session);
		try {
			const answers = await session.script([
				BEGIN,
				`SET TRANSACTION SNAPSHOT ${quoteLiteral(exported)}`,
				settingsSql("transaction"),
				"SELECT pg_catalog.pg_backend_pid()",
			]);
			return { session, processId: answers[3]![0]![0]! };
		} catch (error) {
			session.destroy();
			throw error;
		}
	};
	const results = await Promise.allSettled(Array.from({ length: count }, importer));
	return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

function marks(
	control: ControlConnection,
	cut: Cut,
	before: ActivityBefore | null,
): Promise<TransactionMarks | undefined> {
	return control.run((session, facts) => marksAfter(session, facts, cut, before));
}

class PostgresSnapshot implements Snapshot {
	readonly readers: number;
	readonly clock: string;
	readonly transactions?: TransactionMarks;
	readonly #control: ControlConnection;
	readonly #facts: ServerFacts;
	readonly #readers: Readers;
	readonly #ids: CutIds;
	readonly #closing = new AbortController();
	readonly #active = new Set<() => Promise<void>>();

	constructor(
		control: ControlConnection,
		facts: ServerFacts,
		readers: readonly Reader[],
		cut: Cut,
		transactions: TransactionMarks | undefined,
	) {
		this.#control = control;
		this.#facts = facts;
		this.#readers = new Readers(readers);
		this.readers = readers.length;
		this.clock = cut.clock;
		this.#ids = cut;
		if (transactions !== undefined) this.transactions = transactions;
	}

	async cursorMax(
		table: SourceTable,
		column: string,
	): Promise<{ readonly max: string | null; readonly nulls: number }> {
		const cursor = columnNamed(table, column);
		const name = quoteIdentifier(column);
		const { baseType } = decoderPlan(cursor);
		const own = table.kind === "query";
		const about = { table: table.name, ownSql: own };
		const conditions = [`${name} IS NOT NULL`];
		// Infinity and NaN sort last: one such row would be the highest value for ever and hide all that come.
		if (/"(?:date|timestamp|timestamptz)"$/.test(baseType)) conditions.push(`pg_catalog.isfinite(${name})`);
		if (/"(?:numeric|float4|float8)"$/.test(baseType)) conditions.push(`${name} < 'Infinity'::${baseType}`);
		return this.#withReader(own, async (session) => {
			// By position: ORDER BY with the name would sort the text, which has the same name.
			const [highest] = await session.rows(
				`SELECT h.value::pg_catalog.text FROM (SELECT ${name} AS value FROM ${fromItem(table)}
				 WHERE ${conditions.join(" AND ")} ORDER BY 1 DESC LIMIT 1) AS h`,
				undefined,
				about,
			);
			const max = highest?.[0] ?? null;
			if (!cursor.nullable) return { max, nulls: 0 };
			const [count] = await session.rows(
				`SELECT pg_catalog.count(*) FROM ${fromItem(table)} WHERE ${name} IS NULL`,
				undefined,
				about,
			);
			return { max, nulls: Number(count![0]) };
		});
	}

	async split(table: SourceTable, options: { readonly rows: number; readonly byKey?: boolean }): Promise<Chunk[]> {
		const chunks = await this.#withReader(false, (session) => splitTable(session, this.#facts, table, options));
		return [...chunks];
	}

	tableState(table: SourceTable): Promise<string | null> {
		return this.#withReader(false, (session) => tableState(session, this.#facts, table, this.#ids));
	}

	unchanged(request: UnchangedRequest): Promise<boolean> {
		return this.#withReader(false, (session) => unchanged(session, this.#facts, request, this.#ids));
	}

	async *read(request: ReadRequest): AsyncGenerator<Batch, void, undefined> {
		const reader = await this.#take(hasOwnSql(request), request.signal);
		try {
			yield* readRows(
				{
					reader,
					textUnchecked: this.#facts.textUnchecked,
					cancelBackend: (processId) => this.#cancelBackend(processId),
					closing: this.#closing.signal,
					active: this.#active,
				},
				request,
			);
		} finally {
			await this.#giveBack(reader);
		}
	}

	async #withReader<T>(ownSql: boolean, work: (session: Session) => Promise<T>): Promise<T> {
		const reader = await this.#take(ownSql);
		try {
			return await work(reader.session);
		} finally {
			await this.#giveBack(reader);
		}
	}

	/** A free reader with a savepoint to come back to. */
	async #take(ownSql: boolean, signal?: AbortSignal): Promise<Reader> {
		const reader = await this.#readers.acquire(signal);
		try {
			await reader.session.script([`SAVEPOINT ${SAVEPOINT}`, ...(ownSql ? ["SET LOCAL search_path TO DEFAULT"] : [])]);
			return reader;
		} catch (error) {
			reader.session.destroy();
			this.#readers.release(reader);
			throw error;
		}
	}

	/** Back to where the transaction was before the read, whatever became of it; a connection that can't is dropped. */
	async #giveBack(reader: Reader): Promise<void> {
		for (let attempt = 0; attempt < 2 && !reader.session.broken; attempt++)
			try {
				await reader.session.script([`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`, `RELEASE SAVEPOINT ${SAVEPOINT}`]);
				break;
			} catch (error) {
				// A cancel may come late and hit this statement: once.
				const late = attempt === 0 && error instanceof HeadraceError && error.code === "E_TIMEOUT";
				if (!late) reader.session.destroy();
			}
		this.#readers.release(reader);
	}

	async #cancelBackend(processId: string): Promise<void> {
		await this.#control.run((session) => session.rows("SELECT pg_catalog.pg_cancel_backend($1)", [processId]));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#closing.abort(new HeadraceError("E_STOPPED", "the snapshot is closed"));
		await Promise.all([...this.#active].map((cancel) => cancel()));
		await this.#readers.close();
	}
}
