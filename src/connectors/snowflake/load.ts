import {
	crashPoint,
	HeadraceError,
	INTERVAL_TAG_COLUMN,
	type LoadRequest,
	type LoadResult,
	qualified,
	ROW_NUMBER_COLUMN,
	type TargetColumn,
	type TargetTable,
} from "../../core/index.ts";
import {
	COPY_FILES_MAX,
	type ColumnDefinition,
	copyInto,
	createTable,
	deleteRange,
	deleteTagged,
	type MergeTables,
	quoteDouble,
	quoteEscaped,
	rangeCondition,
	snowflakeCountKeys,
	snowflakeDialect,
} from "../../sql/index.ts";
import { CONTROL_SCHEMA } from "./control.ts";
import { isNotThere, isNullOf, isThere } from "./errors.ts";
import { foldName, type Place, quotePath } from "./names.ts";
import type { SnowflakeOptions } from "./options.ts";
import { type Session, transactionName } from "./session.ts";
import type { StagedFiles } from "./stage-files.ts";
import { createDdl, evolveDdl, findColumn, type Relation, type RelationColumn, readRelation } from "./table.ts";
import { copyItem } from "./types.ts";

/** What each write works with. */
export interface LoadContext {
	readonly session: Session;
	readonly options: SnowflakeOptions;
	readonly place: Place;
	/** The target, with the column that tags an interval when the load tags. */
	readonly target: TargetTable;
	readonly request: LoadRequest;
	readonly staged: StagedFiles;
}

const TAG = foldName(INTERVAL_TAG_COLUMN);

/** The column and text that say which interval the rows came with; undefined when the interval has a column. */
export function tagOf({ interval }: LoadRequest): { readonly column: string; readonly text: string } | undefined {
	if (interval === undefined || interval.column !== undefined) return undefined;
	return { column: TAG, text: `${interval.start}/${interval.end}` };
}

export function targetOf(request: LoadRequest): TargetTable {
	if (tagOf(request) === undefined) return request.target;
	const tag: TargetColumn = { name: TAG, type: { kind: "text" }, nullable: true, destinationType: "VARCHAR" };
	return { ...request.target, columns: [...request.target.columns, tag] };
}

/** One transaction of this load, by the name of its stream. */
export function transaction<T>({ session, request }: LoadContext, work: () => Promise<T>): Promise<T> {
	return session.transaction(transactionName(request.pipeline, request.stream), work);
}

export async function ensureSchema(session: Session, place: Place): Promise<void> {
	try {
		await session.run(`DESCRIBE SCHEMA ${place.schemaSql}`);
	} catch (error) {
		if (!isNotThere(error)) throw error;
		await session.run(`CREATE SCHEMA IF NOT EXISTS ${place.schemaSql}`, [], { table: place });
	}
}

/**
 * The table with the load's columns. DDL commits whatever is open, so it comes before the transaction; it only adds, so
 * a load that dies afterwards leaves nothing to mend. https://docs.snowflake.com/en/sql-reference/transactions#ddl
 * @throws E_SCHEMA
 */
export async function tableFor({ session, place, target }: LoadContext): Promise<Relation> {
	const about = { table: place };
	const there = await readRelation(session, place);
	if (there === null) await session.run(createDdl(place, target, { ifNotExists: true }), [], about);
	else
		for (const statement of evolveDdl(place, there, target)) {
			try {
				await session.run(statement, [], about);
			} catch (error) {
				// Another load may have done it meanwhile: what is there is looked at again.
				if (!isThere(error)) throw error;
			}
		}
	const relation = await readRelation(session, place);
	if (relation === null) throw new HeadraceError("E_INTERNAL", `${qualified(place)} was made and is not there`);
	return relation;
}

/** Where a load's rows wait: a temporary table of the session, which nobody else sees. */
export function stagePlace({ request }: LoadContext, what = "STAGE"): string {
	return quotePath(CONTROL_SCHEMA, `${what}_${request.loadId}`);
}

/** Makes the stage, with the types of the table's columns, so that what does not fit is told by COPY, with its row. */
export async function createStage(context: LoadContext, relation: Relation): Promise<string> {
	const stage = stagePlace(context);
	const columns = stageColumns(context, relation);
	await context.session.run(`DROP TABLE IF EXISTS ${stage}`);
	await context.session.run(createTable(snowflakeDialect, stage, columns, { temporary: true }));
	return stage;
}

/** Columns of a stage: those of the rows, with the table's types, and their numbers. */
export function stageColumns({ target }: LoadContext, relation: Relation): ColumnDefinition[] {
	const columns = target.columns.map(({ name, destinationType }) => ({
		name,
		type: findColumn(relation, name)?.type ?? destinationType,
		nullable: true,
	}));
	return [...columns, { name: ROW_NUMBER_COLUMN, type: "NUMBER(19,0)", nullable: false }];
}

export function tablesOf({ place, target }: LoadContext, stage: string): MergeTables {
	return { target: place.sql, stage, key: target.key, columns: target.columns.map((column) => column.name) };
}

/**
 * The load's files into a table; `numbered` says that it has the column of row numbers. Gives how many rows there were.
 * @throws E_RECEIPT when COPY loaded another number of rows than were staged; E_VALUE naming file, row and column
 */
export async function copyRows(
	context: LoadContext,
	table: string,
	types: Relation | null,
	numbered: boolean,
): Promise<number> {
	const { session, request, target, staged, place } = context;
	const { input } = request;
	if (input.kind !== "files") throw new HeadraceError("E_UNSUPPORTED", "Snowflake is loaded from staged files only");
	const format = input.format.name;
	if (format === "jsonl")
		throw new HeadraceError(
			"E_UNSUPPORTED",
			"Snowflake is loaded from Parquet or CSV files, and these are JSON lines",
			{
				hint: "Set `format: parquet` or `format: csv` in the staging connection.",
			},
		);
	const tag = tagOf(request);
	const columns = target.columns.filter(({ name }) => name !== tag?.column);
	const items = columns.map(({ name, destinationType }, index) => {
		const type = (types === null ? undefined : findColumn(types, name)?.type) ?? destinationType;
		return copyItem({ name: input.fields[index]!.name, index }, type, format);
	});
	const names = columns.map(({ name }) => name);
	if (tag !== undefined) {
		names.push(tag.column);
		items.push(quoteEscaped(tag.text));
	}
	if (numbered) {
		names.push(ROW_NUMBER_COLUMN);
		items.push(copyItem({ name: ROW_NUMBER_COLUMN, index: columns.length }, "NUMBER(19,0)", format));
	}
	const files = [...staged.files.keys()];
	let received = 0;
	for (let from = 0; from < files.length; from += COPY_FILES_MAX) {
		const copy = copyInto({
			table,
			columns: names,
			items,
			location: staged.location,
			files: files.slice(from, from + COPY_FILES_MAX),
			format,
			...(input.remote?.nullText === undefined ? {} : { nullText: input.remote.nullText }),
		});
		const loaded = await session.records(copy, [], { table: place }).catch((error: unknown) => {
			throw isNullOf(error, target.key) ? nullKey(place, "rows") : error;
		});
		for (const row of loaded) received += Number(row["rows_loaded"] ?? 0);
	}
	const wanted = [...staged.files.values()].reduce((sum, rows) => sum + rows, 0);
	if (received !== wanted)
		throw new HeadraceError(
			"E_RECEIPT",
			`COPY loaded ${received} rows of ${qualified(place)}, and ${wanted} were staged`,
			{
				table: qualified(place),
			},
		);
	crashPoint("c08");
	return received;
}

/** Refuses NULL in the key; gives how many rows and keys a table has. @throws E_NULL_KEY */
export async function countKeys(context: LoadContext, table: string): Promise<{ rows: number; keys: number }> {
	const { session, target, place } = context;
	const counted = await session.counts(snowflakeCountKeys(table, target.key));
	if (counted["nulls"]! > 0) throw nullKey(place, `${counted["nulls"]} rows`);
	return { rows: counted["row_count"]!, keys: counted["keys"]! };
}

function nullKey(place: Place, rows: string): HeadraceError {
	const table = qualified(place);
	return new HeadraceError("E_NULL_KEY", `${rows} for ${table} have NULL in the key`, { table });
}

/** Takes away what an earlier load of the interval left; gives how many rows that were. */
export async function deleteInterval(context: LoadContext, relation: Relation): Promise<number> {
	const { session, place, request } = context;
	const { interval } = request;
	if (interval === undefined) return 0;
	const tag = tagOf(request);
	if (tag !== undefined) {
		return (await session.change(deleteTagged(snowflakeDialect, place.sql, tag.column, tag.text))).deleted;
	}
	const column = columnOf(relation, interval.column!, request);
	const range = { from: interval.start, to: interval.end };
	return (await session.change(deleteRange(snowflakeDialect, place.sql, column.name, column.type, range))).deleted;
}

/** Condition on the table's rows of an overlap; empty: all of them. */
export function overlapCondition(context: LoadContext, relation: Relation): string {
	const { request } = context;
	const { column, from } = request.overlap!;
	const { name, type } = columnOf(relation, column, request);
	return from === null ? "" : rangeCondition(snowflakeDialect, name, type, { from });
}

export function columnOf(relation: Relation, name: string, request: LoadRequest): RelationColumn {
	const column = findColumn(relation, name);
	if (column === undefined)
		throw new HeadraceError("E_UNKNOWN_COLUMN", `${qualified(request.target.name)} has no column ${name}`);
	return column;
}

export function resultOf(counts: Partial<LoadResult> & Pick<LoadResult, "rowsReceived">): LoadResult {
	return { rowsInserted: 0, rowsUpdated: 0, rowsDeleted: 0, rowsSuperseded: 0, ...counts };
}

/** Shows the new rows to whoever asked to see them first. */
export async function verify({ session, request }: LoadContext, relation: string): Promise<void> {
	await request.verify?.({
		relation,
		query: (sql) => session.records(asQuery(sql), [], { ownSql: true }),
	});
}

/** A user's query as a part of ours: whatever it is, it can only read. */
export function asQuery(sql: string): string {
	return `SELECT * FROM (\n${sql.replace(/[\s;]+$/, "")}\n) AS ${quoteDouble("_headrace_query")}`;
}
