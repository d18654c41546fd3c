import type { SourceTable, TableName, TypePolicy } from "../../../core/index.ts";
import type { CatalogTable } from "../catalog.ts";
import type { Charsets } from "./charsets.ts";
import type { MysqlGtids } from "./gtid.ts";
import { comparePlaces, type LogPosition } from "./position.ts";
import type { RowImages } from "./row-images.ts";
import type { Statement } from "./statement.ts";

/** What the server says of a table now. */
export interface DescribedTable {
	readonly table: SourceTable;
	readonly catalog: CatalogTable;
}

export type LogPlace = Pick<LogPosition, "file" | "offset">;

/** Looks things up on the server while the log is read. */
export interface Dictionary {
	readonly charsets: Charsets;
	/** Tables as they are now, null for one that is not there; and where the log ended after they were looked at. */
	describe(
		tables: readonly { name: TableName; types: TypePolicy }[],
	): Promise<{ readonly tables: readonly (DescribedTable | null)[]; readonly at: LogPlace }>;
	loadCharset(name: string): Promise<void>;
	/** Where the log ends. */
	end(): Promise<LogPlace>;
	/** Statements of the log that are wanted, of those that end behind one place and not behind another. */
	statements(
		from: LogPlace,
		until: LogPlace,
		isWanted: (statement: Statement) => boolean,
	): Promise<readonly LoggedStatement[]>;
}

/** Up to where changes are known: a place of this server's log, or transactions. */
export type KnownUntil = LogPlace | { readonly gtids: MysqlGtids };

/** A statement, and where it ends. */
export interface LoggedStatement extends LogPlace {
	readonly statement: Statement;
}

export const NONE: ReadonlySet<number> = new Set();

/** A table whose changes are wanted. */
export class FollowedTable {
	readonly name: TableName;
	readonly policy: TypePolicy;
	/** The key that whoever asked for the table said it has, when it is not the table's own. */
	readonly #key: readonly string[] | null;
	/** Up to where its changes are known to whoever follows it. */
	readonly #knownUntil: KnownUntil | null;
	/** As it was described last. */
	table: SourceTable;
	catalog: CatalogTable | null;
	/** See EarlierTable; of the description. */
	gone: ReadonlySet<number> = NONE;
	/** As the rows that came last had it; null before any came, and when the table is gone. */
	seen: SourceTable | null = null;
	images: RowImages | null = null;
	/** The description is of this place of the log, or of before it with nothing that changed the table in between. */
	describedAt: LogPlace;
	/** The columns of its rows can't be known: nothing more is told of it. */
	isLost = false;

	constructor(
		table: SourceTable,
		policy: TypePolicy,
		described: DescribedTable | null,
		{ describedAt, knownUntil }: { readonly describedAt: LogPlace; readonly knownUntil: KnownUntil | null },
	) {
		this.describedAt = describedAt;
		this.#knownUntil = knownUntil;
		this.name = table.name;
		this.policy = policy;
		this.table = table;
		this.catalog = described?.catalog ?? null;
		const own = described?.table.primaryKey ?? table.primaryKey;
		this.#key = JSON.stringify(own) === JSON.stringify(table.primaryKey) ? null : table.primaryKey;
	}

	/** Whether an event that ends at a place, in the transaction of a GTID, is known to whoever follows the table. */
	isKnown(at: LogPlace, gtid: string | undefined): boolean {
		const until = this.#knownUntil;
		if (until === null) return false;
		return "gtids" in until ? gtid !== undefined && until.gtids.has(gtid) : comparePlaces(at, until) <= 0;
	}

	/** The description with the key that was asked for, as long as its columns are there. */
	withKey(table: SourceTable): SourceTable {
		const key = this.#key;
		if (key === null || !key.every((name) => table.columns.some((column) => column.name === name))) return table;
		return { ...table, primaryKey: key };
	}
}
