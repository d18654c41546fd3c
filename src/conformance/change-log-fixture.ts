import assert from "node:assert/strict";
import {
	type BeforeImages,
	type ChangeBoundary,
	type ChangeEvent,
	type ChangeLog,
	ChangeOperation,
	type ChangeRequest,
	type ChangeStream,
} from "../core/changes.ts";
import type { SourceTable, TableName } from "../core/table.ts";
import { type CaseBody, type Setup, within } from "./case.ts";
import type { TextRow } from "./rows.ts";
import { POLICY, type SourceFixture } from "./source-fixture.ts";
import { readText } from "./values.ts";

/** A source with a change log, and what can be done to its tables by another way. */
export interface ChangeLogFixture extends SourceFixture {
	/** Takes all rows of a table by one statement, where the log tells it as one. */
	truncate?(table: TableName): Promise<void>;
}

export type ChangeLogSetup = Setup<ChangeLogFixture>;
export type ChangeLogCase = readonly [name: string, body: CaseBody<ChangeLogFixture>];

const NAMES = Object.fromEntries(Object.entries(ChangeOperation).map(([name, code]) => [code, name]));

/** A row of the log; columns that it does not tell are undefined. */
export interface LoggedRow {
	readonly table: string;
	readonly operation: string;
	readonly transaction: number;
	readonly values: readonly (string | null | undefined)[];
}

export type LoggedEvent = LoggedRow | Exclude<ChangeEvent, { kind: "rows" }>;

export interface FollowOptions {
	readonly from: string;
	readonly until?: string;
	readonly before?: BeforeImages;
	/** Most rows between two boundaries, about; default one boundary for all. */
	readonly rows?: number;
	readonly signal?: AbortSignal;
}

let readers = 0;

/** The log of a source, read by a reader of its own. */
export class Follower implements AsyncDisposable {
	readonly log: ChangeLog;
	readonly reader: string;
	readonly tables: readonly SourceTable[];
	/** Where the log begins for it. */
	readonly begin: string;
	readonly #waitMs: number;

	private constructor(log: ChangeLog, reader: string, tables: readonly SourceTable[], begin: string, waitMs: number) {
		this.log = log;
		this.reader = reader;
		this.tables = tables;
		this.begin = begin;
		this.#waitMs = waitMs;
	}

	static async of({ source, endMs = 20_000 }: ChangeLogFixture, tables: readonly SourceTable[]): Promise<Follower> {
		const log = source.changeLog;
		assert.ok(log !== undefined, "the source has no change log");
		const reader = `conformance_${process.pid}_${++readers}`;
		if (log.begin === undefined) return new Follower(log, reader, tables, await log.end(), endMs);
		const insertsOnly = tables.filter(({ primaryKey }) => primaryKey.length === 0).map(({ name }) => name);
		await using cut = await log.begin({ reader, tables, insertsOnly });
		return new Follower(log, reader, tables, cut.position, endMs);
	}

	open(options: FollowOptions): Promise<ChangeStream> {
		const { from, until, before = "all", rows = 1_000_000, signal } = options;
		const request: ChangeRequest = {
			reader: this.reader,
			from,
			tables: this.tables,
			types: () => POLICY,
			before,
			flush: { seconds: rows === 1_000_000 ? 3600 : 0.05, rows, bytes: 1e9 },
			...(until === undefined ? {} : { until }),
			...(signal === undefined ? {} : { signal }),
		};
		return within(this.#waitMs, "opening the log", this.log.open(request));
	}

	/** Everything from a position to another one, or to where the log ends now. */
	async read(options: Partial<FollowOptions> = {}): Promise<Logged> {
		const until = options.until ?? (await this.log.end());
		await using stream = await this.open({ from: this.begin, ...options, until });
		return await within(this.#waitMs, "reading the log to its end", readAll(stream));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.log.forget?.(this.reader);
	}
}

/** What a stream gave. */
export class Logged {
	readonly events: LoggedEvent[] = [];

	get rows(): LoggedRow[] {
		return this.events.filter((event): event is LoggedRow => !("kind" in event));
	}

	get boundaries(): ChangeBoundary[] {
		return this.events.filter((event): event is ChangeBoundary => "kind" in event && event.kind === "boundary");
	}

	/** Rows with the position of the transaction that they are of. */
	get placed(): { readonly row: LoggedRow; readonly boundary: string; readonly position: string }[] {
		const placed: { row: LoggedRow; boundary: string; position: string }[] = [];
		let waiting: LoggedRow[] = [];
		for (const event of this.events) {
			if (!("kind" in event)) waiting.push(event);
			else if (event.kind === "boundary") {
				for (const row of waiting) {
					const transaction = event.transactions[row.transaction];
					assert.ok(
						transaction !== undefined,
						`a row names the transaction ${row.transaction}, which the boundary lacks`,
					);
					placed.push({ row, boundary: event.position, position: transaction.position });
				}
				waiting = [];
			}
		}
		assert.deepEqual(waiting, [], "rows without a boundary after them");
		return placed;
	}

	/** `insert t 1,one`. */
	get texts(): string[] {
		return this.rows.map(rowWords);
	}
}

export function rowWords({ table, operation, values }: LoggedRow): string {
	return `${operation} ${table} ${values.map((value) => value ?? (value === null ? "NULL" : "?")).join(",")}`;
}

/** Takes events until the stream ends, or enough came. */
export async function readAll(
	stream: ChangeStream,
	isEnough: (logged: Logged) => boolean = () => false,
): Promise<Logged> {
	const logged = new Logged();
	for await (const event of stream) {
		if (event.kind === "rows") logged.events.push(...rowsOf(event));
		else logged.events.push(event);
		if (isEnough(logged)) break;
	}
	return logged;
}

function rowsOf(event: Extract<ChangeEvent, { kind: "rows" }>): LoggedRow[] {
	const { batch, operations, transactions, absent, table } = event;
	assert.deepEqual(
		batch.columns.map(({ name }) => name),
		table.columns.map(({ name }) => name),
		"a batch's fields are its table's columns",
	);
	const rows = Array.from({ length: batch.rowCount }, (_, row): LoggedRow => {
		const isAbsent = (column: number) => (((absent?.[column]?.[row >> 3] ?? 0) >> (row & 7)) & 1) === 1;
		const operation = NAMES[operations[row]!];
		assert.ok(operation !== undefined, `no operation has the code ${operations[row]}`);
		const values = batch.columns.map((column, i) => (isAbsent(i) ? undefined : readText(column, row)));
		return { table: table.name.name, operation, transaction: transactions[row]!, values };
	});
	batch.release();
	return rows;
}

/** Writes by another client, in one transaction. */
export async function commit(
	fixture: ChangeLogFixture,
	...statements: readonly (
		| { readonly insert: SourceTable; readonly rows: readonly TextRow[] }
		| { readonly update: SourceTable; readonly id: string; readonly set: string; readonly to: string }
		| { readonly delete: SourceTable; readonly id: string }
	)[]
): Promise<void> {
	await using writer = await fixture.begin();
	for (const statement of statements)
		if ("insert" in statement) await writer.insert(statement.insert.name, statement.rows);
		else if ("update" in statement)
			await writer.update(
				statement.update.name,
				{ column: "id", value: statement.id },
				{ column: statement.set, value: statement.to },
			);
		else await writer.delete(statement.delete.name, { column: "id", value: statement.id });
	await writer.commit();
}
