import {
	type ChangedSchema,
	type ChangeEvent,
	HeadraceError,
	qualified,
	type SourceTable,
	type TableName,
} from "../../../core/index.ts";
import type { FollowedTable, LogPlace } from "./followed-table.ts";
import { type FollowedTables, sameColumns } from "./followed-tables.ts";
import type { Statement } from "./statement.ts";

/** A statement that makes, changes or empties tables. */
export type TableStatement = Extract<
	Statement,
	{ kind: "create" | "alter" | "drop" | "drop-schema" | "rename" | "truncate" }
>;

/** What statements need to know of the log that they stand in, and do to it. */
export interface StatementHost {
	readonly tables: FollowedTables;
	readonly emit: (event: ChangeEvent) => void;
	/** Whether they were read before. */
	readonly isPassed: () => boolean;
	readonly place: () => LogPlace;
	/** The table when its changes that lie here are wanted. */
	readonly wanted: (table: FollowedTable | undefined) => FollowedTable | undefined;
	/** Hands over the rows of before. */
	readonly flush: () => void;
	/** What the log says of its tables holds no longer. */
	readonly forgetMaps: () => void;
	/** Notes that the transaction which is open changes a table; gives which one it is, see ChangedRows. */
	readonly changes: () => number;
}

/** What a statement that changes a table may have done to its columns: see Statement. */
interface Described {
	readonly kind: string;
	readonly rereads: boolean;
	readonly onlyAdds?: boolean;
	readonly gone?: readonly string[] | null;
}

/** What statements, which are in the log as text, do to the tables that are followed. */
export class TableStatements {
	readonly #host: StatementHost;

	constructor(host: StatementHost) {
		this.#host = host;
	}

	/** @throws E_STATEMENT_EVENT when rows of a followed table were changed by a statement */
	rows({ table, schemas }: Extract<Statement, { kind: "rows" }>): void {
		if (this.#host.isPassed()) return;
		const place = textOf(this.#host.place());
		if (
			table !== undefined
				? this.#host.wanted(this.#host.tables.get(table)) === undefined
				: !schemas.some((name) => this.#host.tables.hasSchema(name))
		)
			return;
		const about = table === undefined ? `of ${schemas.join(", ")}` : qualified(table);
		throw new HeadraceError(
			"E_STATEMENT_EVENT",
			`rows of a table ${about} were changed at ${place} by a statement that is in the log as text`,
			table === undefined ? {} : { table: qualified(table) },
		);
	}

	/** What a statement does to followed tables; null when it is about none. */
	of(statement: TableStatement): (() => Promise<void>) | null {
		const followed = (name: TableName) => this.#host.wanted(this.#host.tables.get(name));
		switch (statement.kind) {
			case "truncate": {
				const table = followed(statement.table);
				return table === undefined ? null : async () => this.#truncate(table);
			}
			case "create": {
				const table = followed(statement.table);
				if (table === undefined) return null;
				if (statement.selects) this.rows({ kind: "rows", table: statement.table, schemas: [statement.table.schema] });
				return async () => {
					if (statement.replaces) this.#gone(table, "drop");
					await this.#redescribed([table], { kind: "create", rereads: false });
				};
			}
			case "alter": {
				const table = followed(statement.table);
				const renamed = statement.renamed === undefined ? undefined : followed(statement.renamed);
				if (statement.renamed === undefined)
					return table === undefined ? null : () => this.#redescribed([table], statement);
				return this.#renames([table, renamed]);
			}
			case "drop": {
				const tables = statement.tables.map(followed).filter((table) => table !== undefined);
				return tables.length === 0 ? null : async () => this.#allGone(tables);
			}
			case "drop-schema": {
				const tables = this.#host.tables
					.inSchema(statement.schema)
					.filter((table) => this.#host.wanted(table) !== undefined);
				return tables.length === 0 ? null : async () => this.#allGone(tables);
			}
			case "rename":
				return this.#renames(statement.pairs.flat().map(followed));
		}
	}

	/** Names that lost their table or got another one: what they stand for is asked of the server. */
	#renames(tables: readonly (FollowedTable | undefined)[]): (() => Promise<void>) | null {
		const affected = [...new Set(tables.filter((table) => table !== undefined))];
		return affected.length === 0 ? null : () => this.#redescribed(affected, { kind: "rename", rereads: true });
	}

	#allGone(tables: readonly FollowedTable[]): void {
		for (const table of tables) this.#gone(table, "drop");
	}

	#gone(table: FollowedTable, statement: string): void {
		if (this.#host.isPassed()) return;
		this.#changed({ kind: "schema", before: table.seen ?? table.table, after: null, rereads: false, statement });
		this.#forget(table);
		table.seen = null;
	}

	#forget(table: FollowedTable): void {
		table.images?.abandon();
		table.images = null;
		this.#host.forgetMaps();
	}

	#truncate(table: FollowedTable): void {
		if (this.#host.isPassed()) return;
		this.#host.flush();
		this.#host.emit({ kind: "truncate", table: table.seen ?? table.table, transaction: this.#host.changes() });
	}

	/**
	 * `gone`: names whose columns are others now, if there are such: the rows that are there have nothing of what they had
	 * under them, which descriptions of before and after need not show. Null when they are not known.
	 */
	async #redescribed(tables: readonly FollowedTable[], { kind, gone = [], ...changes }: Described): Promise<void> {
		if (this.#host.isPassed()) return;
		this.#host.flush();
		const before = tables.map((table) => table.seen ?? table.table);
		const isBack = tables.map((table) => table.seen === null && kind === "create");
		await this.#host.tables.describe(tables);
		for (const [index, table] of tables.entries()) {
			const was = before[index]!;
			this.#forget(table);
			const after = table.catalog === null ? null : table.table;
			table.seen = after;
			const replaced = gone?.filter((name) => hasColumn(after, name)) ?? [];
			const rereads = changes.rereads || gone === null || replaced.length > 0;
			const onlyAdds = replaced.length > 0 ? false : changes.onlyAdds;
			if (after === null || rereads || isBack[index] || !sameColumns(was, after))
				this.#changed({
					kind: "schema",
					before: was,
					after,
					rereads: after !== null && rereads,
					...(onlyAdds === undefined ? {} : { onlyAdds }),
					statement: kind,
				});
		}
	}

	#changed(event: ChangedSchema): void {
		this.#host.flush();
		this.#host.emit(event);
	}
}

function hasColumn(table: SourceTable | null, name: string): boolean {
	return table?.columns.some((column) => column.name.toLowerCase() === name.toLowerCase()) === true;
}

function textOf({ file, offset }: LogPlace): string {
	return `${file}:${offset}`;
}
