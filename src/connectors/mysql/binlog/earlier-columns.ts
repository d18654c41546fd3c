import type { SourceTable } from "../../../core/index.ts";
import type { TableColumn } from "../catalog.ts";
import type { ColumnChanges } from "./alter-clauses.ts";
import type { Charsets } from "./charsets.ts";
import type { DescribedTable } from "./followed-table.ts";
import { agreesByPlace } from "./layout.ts";
import type { TableMap } from "./table-map.ts";

/** A table as rows of the log have it that are older than what the server says of it. */
export interface EarlierTable extends DescribedTable {
	/** Places of columns that have been dropped since: what they held is not read. */
	readonly gone: ReadonlySet<number>;
}

/**
 * Takes changes of columns back, from the table as it is to what it was before the first of them. Null where that is not
 * sure: the text of a DROP tells neither place nor type, so that the types that the log has for its rows have to leave one
 * place only, and a column that could have been part of the key makes rows that nothing tells apart.
 */
export function earlierTable(
	{ table, catalog }: DescribedTable,
	changes: readonly ColumnChanges[],
	map: TableMap,
	charsets: Charsets,
): EarlierTable | null {
	const columns = new Columns(catalog.columns, catalog.primaryKey);
	for (const change of changes.toReversed()) if (!columns.undo(change)) return null;
	const places = onlyPlaces(columns.kept, map, charsets);
	if (places === null) return null;
	const gone = new Set([...map.columns.keys()].filter((index) => !places.includes(index)));
	const names = [...columns.dropped];
	const found: TableColumn[] = [];
	for (const [index, log] of map.columns.entries()) {
		const kept = columns.kept[places.indexOf(index)];
		if (kept === undefined && !log.nullable) return null;
		found.push(kept?.column ?? droppedColumn(names.shift() ?? ""));
	}
	if (names.length > 0) return null;
	return { table: earlier(table, columns), catalog: { ...catalog, columns: found }, gone };
}

interface Kept {
	/** As it was called then. */
	readonly column: TableColumn;
	/** As it is called now. */
	readonly name: string;
}

class Columns {
	kept: Kept[];
	/** Columns that there are no more. */
	dropped: string[] = [];
	readonly #key: readonly string[];

	constructor(columns: readonly TableColumn[], key: readonly string[]) {
		this.kept = columns.map((column) => ({ column, name: column.name }));
		this.#key = key;
	}

	/** Takes one statement back, whose clauses all speak of the table before it; false when the table was another one. */
	undo({ added, renamed, dropped }: ColumnChanges): boolean {
		if (!added.every((name) => this.#take(name))) return false;
		const from = new Map(renamed.map(([old, name]) => [folded(name), old]));
		if (from.size !== renamed.length) return false;
		for (const name of from.keys()) if (!this.#has(name) || this.#key.some((key) => folded(key) === name)) return false;
		this.kept = this.kept.map(({ column, name }) => {
			const old = from.get(folded(column.name));
			return { name, column: old === undefined ? column : { ...column, name: old } };
		});
		this.dropped = this.dropped.map((name) => from.get(folded(name)) ?? name);
		if (dropped.some((name) => this.#has(folded(name)))) return false;
		this.dropped.push(...dropped);
		const names = [...this.kept.map(({ column }) => column.name), ...this.dropped].map(folded);
		return new Set(names).size === names.length;
	}

	#take(name: string): boolean {
		const count = this.kept.length + this.dropped.length;
		if (this.#key.some((key) => folded(key) === folded(name))) return false;
		this.kept = this.kept.filter(({ column }) => folded(column.name) !== folded(name));
		this.dropped = this.dropped.filter((other) => folded(other) !== folded(name));
		return this.kept.length + this.dropped.length === count - 1;
	}

	#has(name: string): boolean {
		return (
			this.kept.some(({ column }) => folded(column.name) === name) ||
			this.dropped.some((other) => folded(other) === name)
		);
	}
}

/**
 * The one way in which the columns lie among those of the log's rows in their order and by their types; null when there is
 * none, or another one.
 */
function onlyPlaces(kept: readonly Kept[], map: TableMap, charsets: Charsets): number[] | null {
	const agrees = (at: number, index: number) => agreesByPlace(map.columns[index]!, kept[at]!.column, charsets);
	const earliest = placesFrom(kept.length, map.columns.length, agrees);
	const latest = placesFrom(kept.length, map.columns.length, (at, index) =>
		agrees(kept.length - 1 - at, map.columns.length - 1 - index),
	);
	if (earliest === null || latest === null) return null;
	const mirrored = latest.map((index) => map.columns.length - 1 - index).reverse();
	return earliest.every((index, at) => index === mirrored[at]) ? earliest : null;
}

/** Each column at the first place that it fits, behind the one before it. */
function placesFrom(count: number, placeCount: number, fits: (at: number, index: number) => boolean): number[] | null {
	const places: number[] = [];
	for (let index = 0; index < placeCount && places.length < count; index++)
		if (fits(places.length, index)) places.push(index);
	return places.length === count ? places : null;
}

function earlier(table: SourceTable, { kept }: Columns): SourceTable {
	const columns = table.columns.flatMap((column) => {
		const found = kept.find(({ name }) => name === column.name);
		return found === undefined ? [] : [{ ...column, name: found.column.name }];
	});
	return { ...table, columns };
}

function droppedColumn(name: string): TableColumn {
	return {
		name,
		dataType: "",
		columnType: "",
		nullable: true,
		precision: null,
		scale: null,
		collation: null,
		isJson: false,
		defaultText: null,
		extra: "",
		readable: false,
	};
}

/** Names of columns are one whatever the case of their letters. */
function folded(name: string): string {
	return name.toLowerCase();
}
