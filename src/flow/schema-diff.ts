import { type ColumnType, type RecordedColumn, typeName } from "../core/index.ts";

/** A column as the source and the pipeline's configuration have it now. */
export interface CurrentColumn {
	/** In the source. */
	readonly name: string;
	/** In the destination, by the configuration. */
	readonly target: string;
	/** As the source's DDL names it. */
	readonly sourceType: string;
	/** The type that it would land as. */
	readonly type: ColumnType;
	readonly nullable: boolean;
	/** Place in the source's table, from 1. */
	readonly ordinal: number;
	readonly defaultSql?: string;
	readonly identity?: string;
	readonly collation?: string;
	/** The configuration says that it had this name. */
	readonly renamedFrom?: string;
	/** The configuration gives it this type, though it landed as text. */
	readonly fixed?: boolean;
}

/** Columns of now and those that were recorded, put together. */
export interface ColumnPairs {
	/** In the order of the source's columns. */
	readonly pairs: readonly ColumnPair[];
	/** Recorded ones that are no longer there. */
	readonly gone: readonly RecordedColumn[];
}

export interface ColumnPair {
	readonly column: CurrentColumn;
	/** What it was; null for a column that is new. */
	readonly before: RecordedColumn | null;
	/**
	 * It had another name: `identity` by the source's catalog, `declared` by the pipeline's `renamed_from`. `target`: the
	 * pipeline names the destination's column otherwise.
	 */
	readonly renamed?: "identity" | "declared" | "target";
	/** A column that went when this one came, of the same type: perhaps it was that one. */
	readonly perhaps?: RecordedColumn;
}

/** Finds out which column is which: by identity, then by declared renames, then by name. */
export function pairColumns(current: readonly CurrentColumn[], recorded: readonly RecordedColumn[]): ColumnPairs {
	const left = new Map(recorded.filter((column) => column.dropped !== true).map((column) => [column.name, column]));
	const pairs = new Map<string, ColumnPair>();
	const take = (column: CurrentColumn, before: RecordedColumn, renamed?: ColumnPair["renamed"]) => {
		left.delete(before.name);
		pairs.set(column.name, { column, before, ...(renamed === undefined ? {} : { renamed }) });
	};
	for (const column of current) {
		if (column.identity === undefined) continue;
		const before = [...left.values()].find(({ identity }) => identity === column.identity);
		if (before === undefined) continue;
		if (before.name === column.name) take(column, before);
		else take(column, before, "identity");
	}
	const names = new Set(current.map((column) => column.name));
	for (const column of current) {
		const { renamedFrom } = column;
		if (pairs.has(column.name) || renamedFrom === undefined || names.has(renamedFrom)) continue;
		const before = left.get(renamedFrom);
		if (before !== undefined && !left.has(column.name)) take(column, before, "declared");
	}
	for (const column of current) {
		const before = left.get(column.name);
		if (pairs.has(column.name) || before === undefined || isAnother(column, before)) continue;
		take(column, before);
	}
	for (const column of current) {
		if (pairs.has(column.name)) continue;
		const perhaps = perhapsRenamed(column, [...left.values()], pairs);
		pairs.set(column.name, { column, before: null, ...(perhaps === undefined ? {} : { perhaps }) });
	}
	const ordered = current.map((column) => withNewTarget(pairs.get(column.name) as ColumnPair));
	return { pairs: ordered, gone: [...left.values()] };
}

/** One name, one table, and not the same column: it was dropped and another one was added. */
function isAnother(column: CurrentColumn, before: RecordedColumn): boolean {
	if (column.identity === undefined || before.identity === undefined) return false;
	const table = (identity: string) => identity.slice(0, identity.lastIndexOf("."));
	return column.identity !== before.identity && table(column.identity) === table(before.identity);
}

function perhapsRenamed(
	column: CurrentColumn,
	gone: readonly RecordedColumn[],
	pairs: ReadonlyMap<string, ColumnPair>,
): RecordedColumn | undefined {
	// A source that knows its columns by more than their names would have told.
	if (column.identity !== undefined) return undefined;
	const taken = new Set([...pairs.values()].map((pair) => pair.perhaps?.name));
	const alike = gone.filter(
		(before) =>
			before.identity === undefined &&
			!taken.has(before.name) &&
			before.name !== column.name &&
			before.type === typeName(column.type),
	);
	return alike.find((before) => before.ordinal === column.ordinal) ?? alike[0];
}

/** The configuration may name a column otherwise than it did: that is a rename in the destination. */
function withNewTarget(pair: ColumnPair): ColumnPair {
	const { column, before, renamed } = pair;
	if (before === null || renamed !== undefined || before.variant !== undefined || before.target === column.target)
		return pair;
	return { ...pair, renamed: "target" };
}
