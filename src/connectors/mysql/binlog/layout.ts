import { HeadraceError, qualified, type SourceColumn, type SourceTable, type TypePolicy } from "../../../core/index.ts";
import type { CatalogTable, TableColumn } from "../catalog.ts";
import type { Decode } from "../decode.ts";
import { nativeOfCatalog } from "../native.ts";
import { decoderOf } from "../row-decoder.ts";
import { sourceColumn } from "../types.ts";
import type { Charsets } from "./charsets.ts";
import { labelsOf } from "./labels.ts";
import { agrees, nativeOfLog } from "./log-native.ts";
import { extent, logDecode } from "./log-values.ts";
import { type LogColumn, LogType, type TableMap } from "./table-map.ts";

/** How the images of a table's rows are read, at one place of the log. */
export interface Layout {
	/** Its columns are those of the batches. */
	readonly table: SourceTable;
	/** For each column of the image, which column of the table it is; -1 for one that is not wanted. */
	readonly targets: Int32Array;
	/** For each column of the image: how many bytes a value has, -1 when it has a length of its own. */
	readonly fixedBytes: Int32Array;
	/** Bytes of that length. */
	readonly lengthBytes: Uint8Array;
	/** For each column of the table. */
	readonly decodes: readonly Decode[];
}

/** What is known of a table when its description in the log comes by. */
export interface KnownTable {
	/** As it was described last. */
	readonly table: SourceTable;
	/** All columns as the catalog had them then, also those that may not be read; null when it has no such table. */
	readonly catalog: CatalogTable | null;
	/** Places in the catalog's columns of those that there are no more; absent for none. */
	readonly gone?: ReadonlySet<number>;
	readonly policy: TypePolicy;
}

/** Character sets that reading the table takes. */
export function charsetsOf(map: TableMap, known: KnownTable, charsets: Charsets): Set<string> {
	const names = new Set<string>();
	for (const [index, log] of map.columns.entries()) {
		const name = charsetOf(log, catalogColumn(map, index, known), charsets);
		if (name !== undefined) names.add(name);
	}
	return names;
}

function catalogColumn(map: TableMap, index: number, { catalog }: KnownTable): TableColumn | undefined {
	const name = map.columns[index]!.name;
	return name === undefined
		? catalog?.columns[index]
		: catalog?.columns.find((column) => column.name.toLowerCase() === name.toLowerCase());
}

function charsetOf(log: LogColumn, column: TableColumn | undefined, charsets: Charsets): string | undefined {
	if (log.collation !== undefined) {
		const name = charsets.nameOf(log.collation);
		if (name !== undefined) return name;
	}
	return column?.collation?.split("_")[0];
}

/**
 * Lays a table's description in the log over what is known of it: by name where the log has names, else by place, and
 * then only when count and types agree.
 * @throws E_SCHEMA_AMBIGUOUS, E_UNSUPPORTED
 */
export function layoutOf(map: TableMap, known: KnownTable, charsets: Charsets): Layout {
	const { table, policy } = known;
	const place = qualified(table.name);
	if (!map.full) proveByPlace(map, known, charsets);
	const columns: SourceColumn[] = [];
	const targets = new Int32Array(map.columns.length).fill(-1);
	let asDescribed = true;
	for (const [index, log] of map.columns.entries()) {
		const catalog = catalogColumn(map, index, known);
		const name = log.name ?? catalog!.name;
		const described = table.columns.find((column) => column.name.toLowerCase() === name.toLowerCase());
		// Not described though the catalog has it: it may not be read. Neither: hidden by the server itself, such as the
		// times of a system-versioned table, or a column that is gone or new.
		if (described === undefined && (catalog !== undefined || log.visible === false)) continue;
		const charset = charsetOf(log, catalog, charsets);
		targets[index] = columns.length;
		if (described?.decoder !== undefined && agrees(log, decoderOf(described).native, charset)) columns.push(described);
		else {
			asDescribed = false;
			columns.push(sourceColumn(nativeOfLog(name, log, charset), policy));
		}
	}
	if (columns.length === 0)
		throw new HeadraceError("E_SCHEMA_AMBIGUOUS", `the log's rows of ${place} have none of the table's columns`);
	asDescribed &&= columns.length === table.columns.length;
	if (asDescribed) {
		// In the order of the description, so that it is the table that was asked for.
		for (const [index, target] of targets.entries())
			if (target >= 0) targets[index] = table.columns.indexOf(columns[target]!);
	}
	const laid = asDescribed ? table : asLogged(map, table, columns, targets);
	const decodes: Decode[] = [];
	for (const [index, target] of targets.entries()) {
		if (target < 0) continue;
		const log = map.columns[index]!;
		const column = laid.columns[target]!;
		const catalog = catalogColumn(map, index, known);
		const charset = charsetOf(log, catalog, charsets);
		refuseOldFractions(log, column, place);
		const labels = labelsOf(log, charset, catalog, charsets);
		decodes[target] = logDecode({
			field: column,
			decoder: decoderOf(column),
			log,
			charsets,
			...(charset === undefined ? {} : { charset }),
			...(labels === undefined ? {} : { labels }),
		});
	}
	const extents = map.columns.map(extent);
	return {
		table: laid,
		targets,
		decodes,
		fixedBytes: Int32Array.from(extents, (size) => ("bytes" in size ? size.bytes : -1)),
		lengthBytes: Uint8Array.from(extents, (size) => ("bytes" in size ? 0 : size.lengthBytes)),
	};
}

/** Whether the catalog's columns can be those of the log, each at its place. */
export function fitsByPlace(map: TableMap, { catalog, gone }: KnownTable, charsets: Charsets): boolean {
	const found = catalog?.columns ?? [];
	return (
		found.length === map.columns.length &&
		map.columns.every((log, index) => gone?.has(index) === true || agreesByPlace(log, found[index]!, charsets))
	);
}

/** Whether a column of the catalog can be one of the log that has no name. */
export function agreesByPlace(log: LogColumn, column: TableColumn, charsets: Charsets): boolean {
	const native = nativeOfCatalog(column);
	return native !== null && agrees(log, native, charsetOf(log, column, charsets));
}

/** Without names the place of a column is all there is: it is taken only when everything else agrees. */
function proveByPlace(map: TableMap, known: KnownTable, charsets: Charsets): void {
	if (fitsByPlace(map, known, charsets)) return;
	throw unknownColumns(map, known);
}

export function unknownColumns(map: TableMap, { table }: Pick<KnownTable, "table">): HeadraceError {
	const place = qualified(table.name);
	return new HeadraceError(
		"E_SCHEMA_AMBIGUOUS",
		`the log's rows of ${place} have ${map.columns.length} columns without names, which may not be those that the table has now`,
		{ table: place },
	);
}

function asLogged(
	map: TableMap,
	table: SourceTable,
	columns: readonly SourceColumn[],
	targets: Int32Array,
): SourceTable {
	const key = map.primaryKey?.map((index) => columns[targets[index]!]?.name);
	const primaryKey =
		key?.every((name) => name !== undefined) === true
			? key
			: table.primaryKey.every((name) => columns.some((column) => column.name === name))
				? table.primaryKey
				: [];
	return { ...table, columns, primaryKey };
}

/** The times with fractions of MariaDB 5.3 have a length that the log does not tell. */
function refuseOldFractions(log: LogColumn, column: SourceColumn, place: string): void {
	const old = log.type === LogType.time || log.type === LogType.datetime || log.type === LogType.timestamp;
	if (!old || !/\([1-6]\)/.test(column.nativeType)) return;
	throw new HeadraceError(
		"E_UNSUPPORTED",
		`${place}.${column.name} is a ${column.nativeType} in the format of MariaDB 5.3, which the log does not describe`,
		{ table: place, hint: `Run: SET GLOBAL mysql56_temporal_format = ON; then ALTER TABLE ${place} FORCE;` },
	);
}
