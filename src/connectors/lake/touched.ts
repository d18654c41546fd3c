import { type Field, HeadraceError, type LoadInterval, type LoadRequest, type Staging } from "../../core/index.ts";
import { duckdbType, type EngineConnection, intervalCondition, tagOf } from "../../engine/index.ts";
import { duckdbDialect } from "../../sql/index.ts";
import { withLocal } from "./local-files.ts";
import { type PartitionColumn, partitionSql } from "./partition.ts";
import { relationOf } from "./relation.ts";
import type { LakeFile, TableState } from "./table-state.ts";

const { quoteIdentifier, quoteLiteral } = duckdbDialect;

/** Bytes of files that are on this machine's disk at once while they are only looked at. */
const LOOK_BYTES_MAX = 1 << 30;
const PLACE = "_headrace_place";
const RANGE_KINDS = new Set(["int32", "int64", "decimal", "date", "timestamp", "timestamptz", "text"]);

/** What finding files takes. `fields` are the table's columns before the load. */
export interface Search {
	readonly connection: EngineConnection;
	readonly store: Staging;
	readonly state: TableState;
	readonly fields: readonly Field[];
	readonly levels: readonly PartitionColumn[];
}

/** A column of a table's key, and the SQL of its value in the rows that came (`s`). */
export interface KeyColumn {
	readonly column: string;
	readonly staged: string;
}

type RangedBy = Pick<LoadRequest, "target" | "orderColumn" | "overlap" | "interval">;

/** Columns that loads look for rows by: their ranges are worth keeping. */
export function rangedColumns(request: RangedBy, fields: readonly Field[], known: readonly string[]): string[] {
	const { target, orderColumn, overlap, interval } = request;
	const wanted = [target.key[0], orderColumn, overlap?.column, interval && (interval.column ?? "_headrace_interval")];
	const names = new Set([...known, ...wanted.filter((name) => name !== undefined)]);
	return fields.filter(({ name, type }) => names.has(name) && RANGE_KINDS.has(type.kind)).map(({ name }) => name);
}

/**
 * Files that hold rows with a key of the rows that came, in the relation `incoming`; `among`: only rows of the table with
 * this condition, on `t`.
 */
export async function filesOfKeys(
	search: Search,
	incoming: string,
	key: readonly KeyColumn[],
	among?: { readonly condition: string; readonly columns: readonly Field[] },
): Promise<LakeFile[]> {
	const { connection, state, levels } = search;
	const [first] = key;
	if (first === undefined) throw new HeadraceError("E_KEY_REQUIRED", "merge needs a key");
	const [ends] = await connection.query(
		`SELECT CAST(min(s.${first.staged}) AS VARCHAR) AS least, CAST(max(s.${first.staged}) AS VARCHAR) AS greatest FROM ${incoming} AS s`,
	);
	const { least, greatest } = ends as { least: string | null; greatest: string | null };
	if (least === null || greatest === null) return [];
	let files = await inRange(search, state.files, first.column, { least, greatest });
	const names = key.map(({ column }) => column);
	// A row whose folder follows from its key can only be in that folder.
	if (levels.length > 0 && levels.every(({ column }) => names.includes(column))) {
		const items = key.map(({ column, staged }) => `s.${staged} AS ${quoteIdentifier(column)}`).join(", ");
		const rows = await connection.query(
			`SELECT DISTINCT ${levels.map((level, index) => `${partitionSql(level)} AS v${index}`).join(", ")} FROM (SELECT ${items} FROM ${incoming} AS s) AS keys`,
		);
		const wanted = new Set(rows.map((row) => JSON.stringify(levels.map((_, index) => row[`v${index}`]))));
		files = files.filter((file) => wanted.has(JSON.stringify(file.partition)));
	}
	const columns = search.fields.filter(({ name }) => names.includes(name));
	if (columns.length < key.length) return [];
	const same = key.map(({ column, staged }) => `t.${quoteIdentifier(column)} = s.${staged}`);
	return filesHolding(
		search,
		files,
		[...columns, ...(among?.columns ?? []).filter(({ name }) => !names.includes(name))],
		[
			`EXISTS (SELECT 1 FROM ${incoming} AS s WHERE ${same.join(" AND ")})`,
			...(among === undefined ? [] : [among.condition]),
		].join(" AND "),
	);
}

/** Files that hold rows of the interval that the load replaces. */
export async function filesOfInterval(search: Search, interval: LoadInterval): Promise<LakeFile[]> {
	const { state, fields } = search;
	const name = interval.column ?? "_headrace_interval";
	const field = fields.find((other) => other.name === name);
	if (field === undefined) return [];
	const { start: least, end: greatest } =
		interval.column === undefined ? { start: tagOf(interval), end: tagOf(interval) } : interval;
	const files = await inRange(search, state.files, name, { least, greatest });
	return filesHolding(search, files, [field], intervalCondition(interval, fields));
}

/** Files that may hold rows from a value of a column on. */
export function filesFrom(search: Search, column: string, least: string | null): Promise<readonly LakeFile[]> {
	const { state } = search;
	return least === null ? Promise.resolve(state.files) : inRange(search, state.files, column, { least });
}

/** Those of the files whose range of a column meets the given one, as far as their ranges are known. */
async function inRange(
	{ connection, fields }: Search,
	files: readonly LakeFile[],
	column: string,
	range: { readonly least: string; readonly greatest?: string },
): Promise<LakeFile[]> {
	const field = fields.find(({ name }) => name === column);
	const known = files.flatMap((file, index) => {
		const ends = file.ranges[column];
		return ends === undefined ? [] : [{ index, ends }];
	});
	if (field === undefined || known.length === 0) return [...files];
	const type = duckdbType(field.type);
	const text = (value: string | null) => (value === null ? "NULL" : quoteLiteral(value));
	const rows = known.map(({ index, ends: [least, greatest] }) => `(${index}, ${text(least)}, ${text(greatest)})`);
	const bound = (value: string) => `CAST(${quoteLiteral(value)} AS ${type})`;
	const meets = [
		`CAST(greatest AS ${type}) >= ${bound(range.least)}`,
		...(range.greatest === undefined ? [] : [`CAST(least AS ${type}) <= ${bound(range.greatest)}`]),
	].join(" AND ");
	const found = await connection.query(
		`SELECT place FROM (VALUES ${rows.join(", ")}) AS ranges(place, least, greatest) WHERE ${meets}`,
	);
	const kept = new Set(found.map((row) => Number(row["place"])));
	const unknown = new Set(known.map(({ index }) => index));
	return files.filter((_, index) => kept.has(index) || !unknown.has(index));
}

/** Those of the files that have a row (`t`) with the condition. They are looked at a few at a time. */
export async function filesHolding(
	{ connection, store, state }: Search,
	files: readonly LakeFile[],
	columns: readonly Field[],
	condition: string,
): Promise<LakeFile[]> {
	const found: LakeFile[] = [];
	for (const group of groupsOf(files)) {
		await withLocal(store, group, async (local) => {
			const rows = await connection.query(
				`SELECT DISTINCT t.${quoteIdentifier(PLACE)} AS place FROM ${relationOf(local, state.schemas, columns, PLACE)} AS t WHERE ${condition}`,
			);
			const places = new Set(rows.map((row) => row["place"]));
			for (const { file, localPath } of local) if (places.has(localPath)) found.push(file);
		});
	}
	return found;
}

function groupsOf(files: readonly LakeFile[]): LakeFile[][] {
	const groups: LakeFile[][] = [];
	let bytes = 0;
	for (const file of files) {
		if (groups.length === 0 || bytes + file.bytes > LOOK_BYTES_MAX) {
			groups.push([]);
			bytes = 0;
		}
		groups.at(-1)!.push(file);
		bytes += file.bytes;
	}
	return groups;
}
