import {
	beforeImagesOf,
	type ChangedSchema,
	type ChangeEvent,
	type ChangeRequest,
	HeadraceError,
	qualified,
	type SourceColumn,
	type SourceTable,
	type TableName,
	type TypePolicy,
} from "../../../core/index.ts";
import { type Described, layoutOf } from "./layout.ts";
import type { RelationMessage } from "./messages.ts";
import { RowImages } from "./row-images.ts";

/** Asks the catalog for what a RELATION message does not tell. */
export type DescribeRelation = (relation: RelationMessage, policy: TypePolicy) => Promise<Described>;

/** A table whose changes are wanted. */
export class FollowedTable {
	readonly name: TableName;
	readonly policy: TypePolicy;
	readonly requested: SourceTable;
	relation: RelationMessage | null = null;
	images: RowImages | null = null;
	/** As it was seen before it got another name: what comes under this one from then on is another table. */
	gone: SourceTable | null = null;

	constructor(requested: SourceTable, policy: TypePolicy) {
		this.name = requested.name;
		this.policy = policy;
		this.requested = requested;
	}

	/** As the rows that came last had it. */
	get seen(): SourceTable | null {
		return this.images?.layout.table ?? null;
	}
}

/** The tables whose changes are wanted, by the oids that the log has for them. */
export class FollowedTables {
	readonly #byName = new Map<string, FollowedTable>();
	readonly #byOid = new Map<number, FollowedTable | null>();
	readonly #describe: DescribeRelation;
	readonly #request: Pick<ChangeRequest, "before">;
	readonly #textUnchecked: boolean;
	readonly #emit: (event: ChangeEvent) => void;

	constructor(
		request: Pick<ChangeRequest, "tables" | "types" | "before">,
		options: {
			readonly describe: DescribeRelation;
			readonly textUnchecked: boolean;
			readonly emit: (event: ChangeEvent) => void;
		},
	) {
		this.#request = request;
		this.#describe = options.describe;
		this.#textUnchecked = options.textUnchecked;
		this.#emit = options.emit;
		for (const table of request.tables) {
			if (table.kind !== "table")
				throw new HeadraceError(
					"E_UNSUPPORTED",
					`${qualified(table.name)} is a ${table.kind}: the change log has tables only`,
				);
			this.#byName.set(keyOf(table.name), new FollowedTable(table, request.types(table.name)));
		}
	}

	get all(): Iterable<FollowedTable> {
		return this.#byName.values();
	}

	/** Null for a table that is not wanted, undefined for one that the log has not described. */
	get(oid: number): FollowedTable | null | undefined {
		return this.#byOid.get(oid);
	}

	/** Readies a table for rows of a new description; null when nothing has to be looked up. */
	relation(relation: RelationMessage): (() => Promise<void>) | null {
		const known = this.#byOid.get(relation.oid);
		const followed = this.#byName.get(keyOf(relation)) ?? null;
		if (known !== undefined && known !== null && known !== followed) this.#renamedAway(known);
		if (followed === null) {
			this.#byOid.set(relation.oid, null);
			return null;
		}
		if (followed.relation !== null && sameRelation(followed.relation, relation)) {
			this.#byOid.set(relation.oid, followed);
			return null;
		}
		return () => this.#prepare(followed, relation);
	}

	#renamedAway(table: FollowedTable): void {
		const before = table.seen;
		table.images?.flush();
		table.images = null;
		table.relation = null;
		table.gone = before;
		if (before !== null) this.#emit({ kind: "schema", before, after: null, rereads: false, statement: "rename" });
	}

	async #prepare(followed: FollowedTable, relation: RelationMessage): Promise<void> {
		followed.images?.flush();
		let described: Described;
		try {
			described = await this.#describe(relation, followed.policy);
		} catch (error) {
			throw error instanceof HeadraceError ? error.at({ table: qualified(followed.name) }) : error;
		}
		const table = withKey(described, followed.requested);
		const before = followed.seen ?? followed.gone;
		const isOther = followed.gone !== null || (followed.relation !== null && followed.relation.oid !== relation.oid);
		if (followed.relation !== null && isOther) this.#byOid.delete(followed.relation.oid);
		followed.gone = null;
		followed.relation = relation;
		this.#byOid.set(relation.oid, followed);
		followed.images = new RowImages(layoutOf(relation, table, described.values), {
			before: beforeImagesOf(this.#request, followed.name),
			policy: followed.policy,
			textUnchecked: this.#textUnchecked,
			emit: this.#emit,
		});
		if (before === null || (!isOther && sameColumns(before, table))) return;
		const rereads = isOther || rowsChanged(before, table, described.filled);
		const statement = isOther ? "create" : "alter";
		this.#emit({ kind: "schema", before, after: table, rereads, statement } satisfies ChangedSchema);
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

	get heldBytes(): number {
		let bytes = 0;
		for (const { images } of this.all) bytes += images?.heldBytes ?? 0;
		return bytes;
	}
}

function keyOf({ schema, name }: TableName): string {
	return JSON.stringify([schema, name]);
}

function sameRelation(a: RelationMessage, b: RelationMessage): boolean {
	return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** The description with the key that whoever asked for the table said it has, where it is not the table's own. */
function withKey({ table, ownKey }: Described, requested: SourceTable): SourceTable {
	const key = requested.primaryKey;
	const isOwn = JSON.stringify(ownKey) === JSON.stringify(key);
	if (isOwn || key.length === 0 || !key.every((name) => table.columns.some((column) => column.name === name)))
		return table;
	return { ...table, primaryKey: key };
}

/** Whether two descriptions have the same columns and key. */
export function sameColumns(a: SourceTable, b: SourceTable): boolean {
	const shape = (table: SourceTable) =>
		JSON.stringify([
			table.columns.map(({ name, nativeType, collation, identity }) => [name, nativeType, collation, identity]),
			table.primaryKey,
		]);
	return a === b || shape(a) === shape(b);
}

/**
 * Whether rows that were there before may hold other values than the log told: it has nothing of what ALTER TYPE or a
 * new column's default does to them.
 */
function rowsChanged(before: SourceTable, after: SourceTable, filled: ReadonlySet<string>): boolean {
	return after.columns.some((column) => {
		const was = before.columns.find((old) => isSameColumn(old, column));
		return was === undefined ? filled.has(column.name) : was.nativeType !== column.nativeType;
	});
}

/** By its number in the table, which a rename leaves as it is; by name where that is not known. */
function isSameColumn(a: SourceColumn, b: SourceColumn): boolean {
	return a.identity !== undefined && b.identity !== undefined ? a.identity === b.identity : a.name === b.name;
}
