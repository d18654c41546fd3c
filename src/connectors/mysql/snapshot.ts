import { setTimeout as delay } from "node:timers/promises";
import {
	type Batch,
	type Chunk,
	HeadraceError,
	type LogPlace,
	qualified,
	type ReadRequest,
	type Snapshot,
	type SourceColumn,
	type SourceTable,
	type TransactionMarks,
	type UnchangedRequest,
} from "../../core/index.ts";
import type { MysqlConnection } from "./connection.ts";
import type { Cut } from "./cut.ts";
import { logPlace } from "./log-place.ts";
import { fromSql, readTable } from "./read.ts";
import { Readers } from "./readers.ts";
import { decoderOf } from "./row-decoder.ts";
import { atLeast } from "./server.ts";
import { splitTable } from "./split.ts";
import { bearsOldStamp, STAMP_DELAY_MS, stoodStill, tableState } from "./table-state.ts";

export class MysqlSnapshot implements Snapshot {
	readonly clock: string;
	readonly transactions?: TransactionMarks;
	readonly transactionsHidden?: string;
	readonly #readers: Readers;
	readonly #cut: Cut;
	readonly #openedMs = performance.now();
	readonly #kill: (threadId: number) => Promise<void>;

	constructor(cut: Cut, kill: (threadId: number) => Promise<void>) {
		this.clock = cut.clock;
		this.#cut = cut;
		if ("lacks" in cut.marks) this.transactionsHidden = cut.marks.lacks;
		else this.transactions = cut.marks.marks;
		this.#readers = new Readers(cut.connections);
		this.#kill = kill;
	}

	get readers(): number {
		return this.#readers.count;
	}

	async cursorMax(table: SourceTable, name: string): Promise<{ readonly max: string | null; readonly nulls: number }> {
		const column = table.columns.find((candidate) => candidate.name === name);
		if (column === undefined)
			throw new HeadraceError("E_UNKNOWN_COLUMN", `${qualified(table.name)} has no column ${name}`);
		const decoder = decoderOf(column);
		return this.#borrow(table, async (connection) => {
			// MAX alone is one look at an index; the NULLs are another.
			const highest = `MAX(${decoder.column})${decoder.wire === "real" ? " * 1e0" : ""}`;
			const [row] = await connection.rows(`SELECT ${highest} FROM ${fromSql(table)}`, table.name);
			const max = row?.[0] ?? null;
			if (!column.nullable) return { max: canonical(column, max), nulls: 0 };
			const [count] = await connection.rows(
				`SELECT COUNT(*) FROM ${fromSql(table)} WHERE ${decoder.column} IS NULL`,
				table.name,
			);
			return { max: canonical(column, max), nulls: Number(count?.[0] ?? 0) };
		});
	}

	async logPlace(): Promise<LogPlace> {
		const connection = await this.#readers.take();
		try {
			const place = await logPlace(connection, this.#cut);
			const { server } = connection;
			// Only MySQL 8 has the microseconds of commits in its log.
			const unit = server.flavour === "mariadb" || !atLeast(server, 8, 0, 1) ? 1_000_000n : 1n;
			const [row] = await connection.rows("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)");
			const at = BigInt(row![0]!);
			return { ...place, at: at - (at % unit) };
		} finally {
			this.#readers.give(connection);
		}
	}

	split(table: SourceTable, { rows }: { readonly rows: number }): Promise<Chunk[]> {
		return this.#borrow(table, (connection) => splitTable(connection, table, rows));
	}

	tableState(table: SourceTable): Promise<string | null> {
		return this.#borrow(table, (connection) => tableState(connection, table, this.#cut));
	}

	async unchanged({ table, since }: UnchangedRequest): Promise<boolean> {
		const now = await this.tableState(table);
		if (now === null) return false;
		if (stoodStill(since, now)) return true;
		// A commit may be seen a moment before its stamp is.
		await delay(Math.max(0, STAMP_DELAY_MS - (performance.now() - this.#openedMs)));
		const later = await this.tableState(table);
		return later !== null && bearsOldStamp(since, later);
	}

	read(request: ReadRequest): AsyncIterable<Batch> {
		return readTable(this.#readers, request, this.#kill);
	}

	async #borrow<T>(table: SourceTable, use: (connection: MysqlConnection) => Promise<T>): Promise<T> {
		const connection = await this.#readers.take();
		try {
			return await use(connection);
		} catch (error) {
			throw error instanceof HeadraceError ? error.at({ table: qualified(table.name) }) : error;
		} finally {
			this.#readers.give(connection);
		}
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.#readers[Symbol.asyncDispose]();
	}
}

/** Times without the zeros behind their last decimal and with the zone, as the canonical text has them. */
function canonical({ type }: SourceColumn, text: string | null): string | null {
	if (text === null || (type.kind !== "timestamp" && type.kind !== "timestamptz")) return text;
	const short = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
	return type.kind === "timestamptz" ? `${short}+00` : short;
}
