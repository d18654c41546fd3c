import type { Connection, Submittable } from "pg";
import type { CopySink, WireTap } from "./wire-tap.ts";

/** A column of a result: type oid and modifier are those of the base type where the column's own is a domain. */
export interface ResultColumn {
	readonly name: string;
	readonly type: number;
	readonly modifier: number;
}

/** What pg calls on a query that is its own: see lib/client.js of pg, the same that pg-copy-streams relies on. */
abstract class Statement<T> implements Submittable {
	readonly done: Promise<T>;
	protected resolve!: (value: T) => void;
	protected reject!: (error: unknown) => void;

	constructor() {
		this.done = new Promise<T>((resolve, reject) => {
			this.resolve = resolve;
			this.reject = reject;
		});
	}

	abstract submit(connection: Connection): void;
	abstract handleReadyForQuery(): void;

	handleError(error: unknown): void {
		this.reject(error);
	}

	handleRowDescription(_message: unknown): void {}
	handleCommandComplete(_message: unknown): void {}
	handleDataRow(): void {}
	handlePortalSuspended(): void {}
	handleEmptyQuery(): void {}
	handleCopyInResponse(): void {}
	handleCopyData(): void {}
}

/** Parse and describe, never run. */
export class DescribeStatement extends Statement<readonly ResultColumn[]> {
	readonly #sql: string;
	#columns: readonly ResultColumn[] = [];

	constructor(sql: string) {
		super();
		this.#sql = sql;
	}

	override submit(connection: Connection): void {
		connection.parse({ name: "", text: this.#sql, types: [] }, true);
		connection.describe({ type: "S", name: "" }, true);
		connection.sync();
	}

	override handleRowDescription(message: {
		readonly fields: readonly { name: string; dataTypeID: number; dataTypeModifier: number }[];
	}): void {
		this.#columns = message.fields.map(({ name, dataTypeID, dataTypeModifier }) => ({
			name,
			type: dataTypeID,
			modifier: dataTypeModifier,
		}));
	}

	override handleReadyForQuery(): void {
		this.resolve(this.#columns);
	}
}

/** COPY … TO STDOUT: rows pass pg by, through the tap. */
export class CopyStatement extends Statement<number> {
	readonly #sql: string;
	readonly #tap: WireTap;
	readonly #sink: CopySink;
	#rows = -1;

	constructor(sql: string, tap: WireTap, sink: CopySink) {
		super();
		this.#sql = sql;
		this.#tap = tap;
		this.#sink = sink;
	}

	override submit(connection: Connection): void {
		this.#tap.sink = this.#sink;
		connection.query(this.#sql);
	}

	override handleCommandComplete(message: { readonly text: string }): void {
		const count = /^COPY (\d+)$/.exec(message.text);
		if (count) this.#rows = Number(count[1]);
	}

	override handleError(error: unknown): void {
		this.#tap.sink = null;
		this.reject(error);
	}

	override handleReadyForQuery(): void {
		this.#tap.sink = null;
		this.resolve(this.#rows);
	}
}
