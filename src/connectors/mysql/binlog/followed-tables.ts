import {
	beforeImagesOf,
	type ChangedRows,
	type ChangedSchema,
	type ChangeRequest,
	HeadraceError,
	qualified,
	type SourceTable,
	type TableName,
	type TypePolicy,
} from "../../../core/index.ts";
import type { CatalogTable } from "../catalog.ts";
import type { Charsets } from "./charsets.ts";
import { charsetsOf, layoutOf } from "./layout.ts";
import type { LogPosition } from "./position.ts";
import { RowImages } from "./row-images.ts";
import type { TableMap } from "./table-map.ts";

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
}

/** A table whose changes are wanted. */
export class FollowedTable {
	readonly name: TableName;
	readonly policy: TypePolicy;
	/** The key that whoever asked for the table said it has, when it is not the table's own. */
	readonly #key: readonly string[] | null;
	/** As it was described last. */
	table: SourceTable;
	catalog: CatalogTable | null;
	/** As the rows that came last had it; null before any came, and when the table is gone. */
	seen: SourceTable | null = null;
	images: RowImages | null = null;
	/** Rows were read by the place of their columns, as the catalog had them when it was asked at `describedAt`. */
	readByPlace = false;
	describedAt: LogPlace;

	constructor(table: SourceTable, policy: TypePolicy, described: DescribedTable | null, describedAt: LogPlace) {
		this.describedAt = describedAt;
		this.name = table.name;
		this.policy = policy;
		this.table = table;
		this.catalog = described?.catalog ?? null;
		const own = described?.table.primaryKey ?? table.primaryKey;
		this.#key = JSON.stringify(own) === JSON.stringify(table.primaryKey) ? null : table.primaryKey;
	}

	/** The description with the key that was asked for, as long as its columns are there. */
	withKey(table: SourceTable): SourceTable {
		const key = this.#key;
		if (key === null || !key.every((name) => table.columns.some((column) => column.name === name))) return table;
		return { ...table, primaryKey: key };
	}
}

/** The tables whose changes are wanted, by the names that the log has for them. */
export class FollowedTables {
	readonly #tables = new Map<string, FollowedTable>();
	readonly #schemas = new Set<string>();
	readonly #dictionary: Dictionary;
	readonly #folds: boolean;
	readonly #before: ChangeRequest["before"];
	readonly #emit: (rows: ChangedRows) => void;

	private constructor(
		dictionary: Dictionary,
		folds: boolean,
		before: ChangeRequest["before"],
		emit: (rows: ChangedRows) => void,
	) {
		this.#dictionary = dictionary;
		this.#folds = folds;
		this.#before = before;
		this.#emit = emit;
	}

	static async of(
		tables: readonly SourceTable[],
		types: (table: TableName) => TypePolicy,
		dictionary: Dictionary,
		options: {
			readonly folds: boolean;
			readonly before: ChangeRequest["before"];
			readonly emit: (rows: ChangedRows) => void;
		},
	): Promise<FollowedTables> {
		const made = new FollowedTables(dictionary, options.folds, options.before, options.emit);
		for (const { kind, name } of tables)
			if (kind !== "table")
				throw new HeadraceError("E_UNSUPPORTED", `${qualified(name)} is a ${kind}: the change log has tables only`);
		const described = await dictionary.describe(tables.map(({ name }) => ({ name, types: types(name) })));
		const { at } = described;
		for (const [index, table] of tables.entries()) {
			const followed = new FollowedTable(table, types(table.name), described.tables[index] ?? null, at);
			made.#tables.set(made.#key(table.name), followed);
			made.#schemas.add(made.#fold(table.name.schema));
		}
		return made;
	}

	get all(): Iterable<FollowedTable> {
		return this.#tables.values();
	}

	get(name: TableName): FollowedTable | undefined {
		return this.#tables.get(this.#key(name));
	}

	/** Whether any table of the database is followed. */
	hasSchema(schema: string): boolean {
		return this.#schemas.has(this.#fold(schema));
	}

	inSchema(schema: string): FollowedTable[] {
		return [...this.all].filter((table) => this.#fold(table.name.schema) === this.#fold(schema));
	}

	#fold(text: string): string {
		return this.#folds ? text.toLowerCase() : text;
	}

	#key({ schema, name }: TableName): string {
		return this.#fold(JSON.stringify([schema, name]));
	}

	/** Character sets that reading these rows takes and that are not ready. */
	missingCharsets(map: TableMap, followed: FollowedTable): string[] {
		const { charsets } = this.#dictionary;
		return [...charsetsOf(map, followed, charsets)].filter((name) => !charsets.isReady(name));
	}

	async loadCharsets(names: readonly string[]): Promise<void> {
		for (const name of names) await this.#dictionary.loadCharset(name);
	}

	/**
	 * Readies a table for rows of this description; gives the change of its columns, when it has one.
	 * @throws E_SCHEMA_AMBIGUOUS
	 */
	prepare(map: TableMap, followed: FollowedTable): ChangedSchema | null {
		const layout = layoutOf(map, followed, this.#dictionary.charsets);
		if (!map.full) followed.readByPlace = true;
		const before = followed.seen;
		const changed = before !== null && !sameColumns(before, layout.table);
		followed.images?.flush();
		followed.seen = layout.table;
		followed.images = new RowImages(
			layout,
			beforeImagesOf({ before: this.#before }, followed.name),
			followed.policy,
			this.#emit,
		);
		return changed ? { kind: "schema", before, after: layout.table, rereads: false, statement: "alter" } : null;
	}

	/** Describes tables anew after a statement that may have changed them. */
	async describe(tables: readonly FollowedTable[]): Promise<void> {
		const described = await this.#dictionary.describe(tables.map(({ name, policy }) => ({ name, types: policy })));
		for (const [index, followed] of tables.entries()) {
			const found = described.tables[index] ?? null;
			followed.describedAt = described.at;
			followed.readByPlace = false;
			followed.catalog = found?.catalog ?? null;
			if (found !== null) followed.table = followed.withKey(found.table);
		}
	}

	/** Decodes what was taken: the bytes that it lies in may change from here on. */
	settle(): void {
		for (const { images } of this.all) images?.settle();
	}

	flush(): void {
		for (const { images } of this.all) images?.flush();
	}

	abandon(): void {
		for (const { images } of this.all) images?.abandon();
	}
}

/** Whether two descriptions have the same columns and key. */
export function sameColumns(a: SourceTable, b: SourceTable): boolean {
	const shape = (table: SourceTable) =>
		JSON.stringify([
			table.columns.map(({ name, nativeType, nullable, collation }) => [name, nativeType, nullable, collation]),
			table.primaryKey,
		]);
	return a === b || shape(a) === shape(b);
}
