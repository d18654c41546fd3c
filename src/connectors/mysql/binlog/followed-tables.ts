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
import { earlierTable } from "./earlier-columns.ts";
import {
	type Dictionary,
	FollowedTable,
	type KnownUntil,
	type LoggedStatement,
	type LogPlace,
	NONE,
} from "./followed-table.ts";
import { charsetsOf, fitsByPlace, layoutOf } from "./layout.ts";
import { comparePlaces } from "./position.ts";
import { RowImages } from "./row-images.ts";
import type { Statement } from "./statement.ts";
import type { TableMap } from "./table-map.ts";

/** A table is looked at so often, when statements change it meanwhile. */
const LOOKS_MAX = 5;

export interface FollowedOptions extends Pick<ChangeRequest, "before" | "canReadAnew"> {
	/** Names are one whatever the case of their letters. */
	readonly folds: boolean;
	readonly knownUntil: (table: TableName) => KnownUntil | null;
	readonly emit: (rows: ChangedRows) => void;
}

/** The tables whose changes are wanted, by the names that the log has for them. */
export class FollowedTables {
	readonly #tables = new Map<string, FollowedTable>();
	readonly #schemas = new Set<string>();
	readonly #dictionary: Dictionary;
	readonly #folds: boolean;
	readonly #before: ChangeRequest["before"];
	readonly #emit: (rows: ChangedRows) => void;
	readonly #canReadAnew: ChangeRequest["canReadAnew"];
	/** Statements that may have changed any table, as far as they were looked for. */
	#scanned: { readonly from: LogPlace; readonly until: LogPlace; readonly found: readonly LoggedStatement[] } | null =
		null;

	private constructor(dictionary: Dictionary, { folds, before, canReadAnew, emit }: FollowedOptions) {
		this.#dictionary = dictionary;
		this.#folds = folds;
		this.#before = before;
		this.#canReadAnew = canReadAnew;
		this.#emit = emit;
	}

	static async of(
		tables: readonly SourceTable[],
		types: (table: TableName) => TypePolicy,
		dictionary: Dictionary,
		options: FollowedOptions,
	): Promise<FollowedTables> {
		const made = new FollowedTables(dictionary, options);
		for (const { kind, name } of tables)
			if (kind !== "table")
				throw new HeadraceError("E_UNSUPPORTED", `${qualified(name)} is a ${kind}: the change log has tables only`);
		const described = await dictionary.describe(tables.map(({ name }) => ({ name, types: types(name) })));
		const { at } = described;
		for (const [index, table] of tables.entries()) {
			const followed = new FollowedTable(table, types(table.name), described.tables[index] ?? null, {
				describedAt: at,
				knownUntil: options.knownUntil(table.name),
			});
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

	/** Tables whose columns may be others after the statement. */
	#changedBy(statement: Statement): (FollowedTable | undefined)[] {
		switch (statement.kind) {
			case "alter":
				return [statement.table, statement.renamed].map((name) => name && this.get(name));
			case "create":
				// IF NOT EXISTS is in the log too where the table was there; where it was not, it had to go before.
				return statement.replaces ? [this.get(statement.table)] : [];
			case "drop":
				return statement.tables.map((name) => this.get(name));
			case "drop-schema":
				return this.inSchema(statement.schema);
			case "rename":
				return statement.pairs.flat().map((name) => this.get(name));
		}
		return [];
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

	/** Whether the columns of rows that lie here are known: the log names them, or the description is no newer, and fits. */
	fits(map: TableMap, followed: FollowedTable, at: LogPlace): boolean {
		if (map.full) return true;
		return comparePlaces(followed.describedAt, at) <= 0 && fitsByPlace(map, followed, this.#dictionary.charsets);
	}

	/**
	 * Proves the description of a table for rows that lie before it: looks in the log for what made the table what it is
	 * now, and describes it as it was then. False where that is not sure.
	 */
	async recall(map: TableMap, followed: FollowedTable, at: LogPlace): Promise<boolean> {
		const { charsets } = this.#dictionary;
		const isOlder = comparePlaces(at, followed.describedAt) < 0;
		if (isOlder && (await this.#changesOf(followed, at, followed.describedAt)).length === 0) {
			followed.describedAt = at;
			if (fitsByPlace(map, followed, charsets)) return true;
		}
		for (let look = 0; look < LOOKS_MAX; look++) {
			const before = await this.#dictionary.end();
			const { tables, at: until } = await this.#dictionary.describe([{ name: followed.name, types: followed.policy }]);
			const found = tables[0];
			if (found == null) return false;
			const statements = await this.#changesOf(followed, at, until);
			// The catalog may be that of before or after such a one.
			if (statements.some((statement) => comparePlaces(statement, before) > 0)) continue;
			const changes = statements.map(({ statement }) => (statement.kind === "alter" ? statement.columns : null));
			if (!changes.every((change) => change !== null) || !changes.every(({ isSure }) => isSure)) return false;
			const earlier = earlierTable(found, changes, map, charsets);
			if (earlier === null) return false;
			followed.catalog = earlier.catalog;
			followed.gone = earlier.gone;
			followed.table = followed.withKey(earlier.table);
			followed.describedAt = at;
			return true;
		}
		return false;
	}

	/** Statements behind one place and not behind another that may have changed the table. */
	async #changesOf(followed: FollowedTable, from: LogPlace, until: LogPlace): Promise<readonly LoggedStatement[]> {
		const scanned = this.#scanned;
		const goesOn =
			scanned !== null && comparePlaces(scanned.from, from) <= 0 && comparePlaces(scanned.until, from) >= 0;
		let known = goesOn ? scanned : { from, until: from, found: [] };
		if (comparePlaces(known.until, until) < 0) {
			const isWanted = (statement: Statement) => this.#changedBy(statement).some((table) => table !== undefined);
			const more = await this.#dictionary.statements(known.until, until, isWanted);
			known = { from: known.from, until, found: [...known.found, ...more] };
			this.#scanned = known;
		}
		return known.found.filter(
			(found) =>
				comparePlaces(found, from) > 0 &&
				comparePlaces(found, until) <= 0 &&
				this.#changedBy(found.statement).includes(followed),
		);
	}

	/** Whether the table can be read anew by whoever follows it: see ChangeRequest. */
	canReadAnew(followed: FollowedTable): boolean {
		return this.#canReadAnew?.(followed.name) === true;
	}

	/**
	 * Readies a table for rows of this description; gives the change of its columns, when it has one.
	 * @throws E_SCHEMA_AMBIGUOUS
	 */
	prepare(map: TableMap, followed: FollowedTable): ChangedSchema | null {
		const layout = layoutOf(map, followed, this.#dictionary.charsets);
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
			followed.gone = NONE;
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
