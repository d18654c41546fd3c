import {
	HeadraceError,
	INTERVAL_TAG_COLUMN,
	type LoadRequest,
	type LoadResult,
	qualified,
	type SqlRow,
	type TargetColumn,
	type TargetTable,
} from "../../core/index.ts";
import { deleteRange, deleteTagged, isFlagged, postgresDialect } from "../../sql/index.ts";
import { patiently } from "./lock-patience.ts";
import { quoteIdentifier } from "./sql-text.ts";
import type { Place } from "./target-names.ts";
import {
	createDdl,
	evolveDdl,
	findColumn,
	primaryKeyDdl,
	type Relation,
	type RelationColumn,
	readRelation,
	renameDdl,
} from "./target-table.ts";
import type { WriteSession } from "./write-session.ts";

/** What each write works with. */
export interface LoadContext {
	readonly writer: WriteSession;
	readonly place: Place;
	/** The target, with the column that tags an interval when the load tags. */
	readonly target: TargetTable;
	readonly request: LoadRequest;
}

/** Makes the schema, on its own: two loads that make the same one would be in each other's way until they end. */
export async function ensureSchema({ writer, place }: Pick<LoadContext, "writer" | "place">): Promise<void> {
	const find = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1";
	if ((await writer.rows(find, [place.schema])).length > 0) return;
	const name = quoteIdentifier(place.schema);
	await writer.transaction(async () => {
		await writer.execute("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))", [name]);
		if ((await writer.rows(find, [place.schema])).length === 0) await writer.execute(`CREATE SCHEMA ${name}`);
	});
}

/** The column and text that say which interval the rows came with; undefined when the interval has a column. */
export function tagOf(request: LoadRequest): { readonly column: string; readonly text: string } | undefined {
	const { interval } = request;
	if (interval === undefined || interval.column !== undefined) return undefined;
	return { column: INTERVAL_TAG_COLUMN, text: `${interval.start}/${interval.end}` };
}

export function targetOf(request: LoadRequest): TargetTable {
	if (tagOf(request) === undefined) return request.target;
	const tag: TargetColumn = {
		name: INTERVAL_TAG_COLUMN,
		type: { kind: "text" },
		nullable: true,
		destinationType: "text",
	};
	return { ...request.target, columns: [...request.target.columns, tag] };
}

/** DDL for a table that rows are added to. The key becomes a primary key only of a new table that is merged into. */
export function tableDdl(
	place: Place,
	target: TargetTable,
	relation: Relation | null,
	withKey: boolean,
): readonly string[] {
	if (relation !== null) return evolveDdl(place, relation, target);
	const ddl = createDdl(place, target);
	return withKey && target.key.length > 0 ? [ddl, primaryKeyDdl(place, target.key)] : [ddl];
}

/**
 * A table that is there gets the load's columns in a short transaction of its own: the ALTERs lock readers out, which
 * must not last as long as the rows take. It only adds, so a load that dies afterwards leaves nothing to mend.
 * @throws E_SCHEMA, E_TIMEOUT when the table stays locked
 */
export async function evolve(context: LoadContext): Promise<Relation | null> {
	const { writer, place, target } = context;
	const relation = await readRelation(writer.session, place);
	if (relation === null) return null;
	return alter(context, relation, (there) => evolveDdl(place, there, target));
}

/**
 * As `evolve`, within the transaction that is open: what came before in it is of the old columns.
 * @throws E_SCHEMA, E_TIMEOUT when the table stays locked
 */
export async function evolveHere(context: LoadContext, relation: Relation): Promise<Relation> {
	const { writer, place, target } = context;
	const ddl = evolveDdl(place, relation, target);
	if (ddl.length === 0) return relation;
	await patiently(writer, async () => {
		await writer.execute(`LOCK TABLE ${place.sql} IN ACCESS EXCLUSIVE MODE`);
		for (const statement of ddl) await writer.execute(statement);
	});
	return requireRelation(context);
}

/** Columns that were renamed at the source get their new names before anything else: what names them follows. */
export async function renameColumns(context: LoadContext, relation: Relation | null): Promise<Relation | null> {
	if (relation === null) return null;
	return alter(context, relation, (there) => renameDdl(context.place, there, context.target));
}

async function alter(
	{ writer, place }: LoadContext,
	relation: Relation,
	ddlOf: (relation: Relation) => readonly string[],
): Promise<Relation | null> {
	if (ddlOf(relation).length === 0) return relation;
	await writer.transaction(() =>
		patiently(writer, async () => {
			await writer.execute(`LOCK TABLE ${place.sql} IN ACCESS EXCLUSIVE MODE`);
			// Another load may have done it meanwhile.
			const locked = await readRelation(writer.session, place);
			if (locked !== null) for (const statement of ddlOf(locked)) await writer.execute(statement);
		}),
	);
	return readRelation(writer.session, place);
}

/**
 * The table, made in this transaction when there is none. Of loads that would make the same one, the second waits for
 * the first to end, and then finds it.
 */
export async function tableFor(context: LoadContext, relation: Relation | null): Promise<Relation> {
	const { writer, place, target, request } = context;
	if (relation !== null) return relation;
	await writer.execute("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))", [place.sql]);
	const meanwhile = await readRelation(writer.session, place);
	if (meanwhile !== null && evolveDdl(place, meanwhile, target).length === 0) return meanwhile;
	for (const statement of tableDdl(place, target, null, request.write === "merge")) await writer.execute(statement);
	return requireRelation(context);
}

async function requireRelation({ writer, place }: LoadContext): Promise<Relation> {
	const relation = await readRelation(writer.session, place);
	if (relation === null) throw new HeadraceError("E_INTERNAL", `${qualified(place)} was made and is not there`);
	return relation;
}

/** Takes away what an earlier load of the interval left; gives how many rows that were. */
export async function deleteInterval(context: LoadContext, relation: Relation): Promise<number> {
	const { writer, place, request } = context;
	const { interval } = request;
	if (interval === undefined) return 0;
	const tag = tagOf(request);
	if (tag !== undefined) return writer.execute(deleteTagged(postgresDialect, place.sql, tag.column, tag.text));
	const column = columnOf(relation, interval.column!, request);
	const range = { from: interval.start, to: interval.end };
	return writer.execute(deleteRange(postgresDialect, place.sql, column.name, column.pgType, range));
}

export function columnOf(relation: Relation, name: string, request: LoadRequest): RelationColumn {
	const column = findColumn(relation, name);
	if (column === undefined)
		throw new HeadraceError("E_UNKNOWN_COLUMN", `${qualified(request.target.name)} has no column ${name}`);
	return column;
}

/** Rows that the source flags as deleted are not in a merged table, so neither in a replaced one. */
export function keptRows({ request }: LoadContext, relation: Relation): { readonly where?: string } {
	const { deletedColumn } = request;
	if (deletedColumn === undefined) return {};
	const column = columnOf(relation, deletedColumn, request);
	return { where: `NOT ${isFlagged(quoteIdentifier(column.name), column.pgType)}` };
}

export function resultOf(counts: Partial<LoadResult> & Pick<LoadResult, "rowsReceived">): LoadResult {
	return { rowsInserted: 0, rowsUpdated: 0, rowsDeleted: 0, rowsSuperseded: 0, ...counts };
}

/** Shows the new rows to whoever asked to see them first. `relation` is quoted. */
export async function verify({ writer, request }: LoadContext, relation: string): Promise<void> {
	await request.verify?.({ relation, query: (sql): Promise<readonly SqlRow[]> => writer.userQuery(sql) });
}
