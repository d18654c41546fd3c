import {
	HeadraceError,
	INTERVAL_TAG_COLUMN,
	type LoadRequest,
	type LoadResult,
	qualified,
	type TargetColumn,
	type TargetTable,
} from "../../core/index.ts";
import { type RedshiftColumn, type RedshiftMerge, redshiftDialect } from "../../sql/index.ts";
import { buildBeside, putInPlace } from "./beside.ts";
import type { LoadContext, Shape } from "./load-context.ts";
import { quoteIdentifier, quoteLiteral } from "./sql-text.ts";
import { createDdl, evolve, findColumn, type Relation, type RelationColumn, readRelation } from "./target-table.ts";
import { conversionOf, familyOf } from "./target-types.ts";

export async function ensureSchema({ writer, place }: Pick<LoadContext, "writer" | "place">): Promise<void> {
	const find = `SELECT 1 FROM pg_namespace WHERE nspname = ${quoteLiteral(place.schema)}`;
	if ((await writer.rows(find)).length > 0) return;
	try {
		await writer.execute(`CREATE SCHEMA ${quoteIdentifier(place.schema)}`);
	} catch (error) {
		// Another load has made it.
		if ((await writer.rows(find)).length === 0) throw error;
	}
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
		destinationType: "VARCHAR(64)",
	};
	return { ...request.target, columns: [...request.target.columns, tag] };
}

/** Whether the load brings all rows that the table will have. */
export function isWhole({ write, interval }: LoadRequest): boolean {
	return write === "replace" && interval === undefined;
}

/**
 * Gives a table that is there the load's columns, before the load's transaction: a change of type can't be in one. It
 * only adds, so a load that dies afterwards leaves nothing to mend.
 * @throws E_SCHEMA
 */
export async function shape(context: LoadContext): Promise<Shape> {
	const { writer, place, target, request } = context;
	const before = await readRelation(writer.session, place);
	if (before === null)
		return {
			relation: null,
			rebuilt: [],
			typeOf: (name) => target.columns.find((column) => column.name === name)!.destinationType,
		};
	const { alter, rebuilt } = evolve(place, before, target, isWhole(request));
	for (const statement of alter) await writer.execute(statement);
	if (rebuilt.length > 0 && !isWhole(request))
		await writer.transaction(async () => {
			const build = await buildBeside(context, rebuilt, request.loadId);
			const columns = (alter.length === 0 ? before : (await readRelation(writer.session, place))!).columns;
			const types = new Map(rebuilt.map(({ name, destinationType }) => [name, destinationType]));
			const names = columns.map(({ name }) => quoteIdentifier(name));
			const values = columns.map(({ name, type }) => {
				const wanted = types.get(name);
				return wanted === undefined || wanted === type
					? quoteIdentifier(name)
					: `CAST(${quoteIdentifier(name)} AS ${wanted})`;
			});
			await writer.execute(
				`INSERT INTO ${build.sql} (${names.join(", ")}) SELECT ${values.join(", ")} FROM ${place.sql}`,
			);
			await putInPlace(context, build);
		});
	const relation = alter.length === 0 && rebuilt.length === 0 ? before : await readRelation(writer.session, place);
	if (relation === null) throw new HeadraceError("E_CONFLICT", `${qualified(place)} was dropped by another session`);
	const pending = isWhole(request) ? rebuilt : [];
	const wanted = new Map(pending.map(({ name, destinationType }) => [name, destinationType]));
	return {
		relation,
		rebuilt: pending,
		typeOf: (name) => wanted.get(name) ?? columnOf(relation, name, request).type,
	};
}

/**
 * What the load found before its transaction, as it is once the positions are locked: another run of the stream may have
 * made the table meanwhile, as those of a backfill do that begin at once.
 * @throws E_CONFLICT when the table is another one than this load would have made
 */
export async function lockedShape(context: LoadContext, shaped: Shape): Promise<Shape> {
	const { writer, place, target } = context;
	if (shaped.relation !== null) return shaped;
	const made = await readRelation(writer.session, place);
	if (made === null) return shaped;
	const { alter, rebuilt } = evolve(place, made, target, false);
	const other = target.columns.some(({ name, destinationType }) => findColumn(made, name)?.type !== destinationType);
	if (alter.length > 0 || rebuilt.length > 0 || other)
		throw new HeadraceError("E_CONFLICT", `another session has made ${qualified(place)} with other columns`);
	return { ...shaped, relation: made };
}

/** The table, made in this transaction when there is none. */
export async function ensureTable(context: LoadContext, { relation }: Shape): Promise<void> {
	if (relation === null) await context.writer.execute(createDdl(context.place, context.target));
}

/** What a merge's SQL needs to know. */
export function mergeOf(
	{ place, target, request, stage }: LoadContext,
	{ typeOf }: Pick<Shape, "typeOf">,
): RedshiftMerge {
	const tag = tagOf(request);
	return {
		target: place.sql,
		targetName: place.quotedName,
		stage,
		key: target.key,
		columns: target.columns.map(({ name, type }): RedshiftColumn => {
			const tableType = typeOf(name);
			const constant = tag?.column === name ? quoteLiteral(tag.text) : undefined;
			return {
				name,
				family: familyOf(tableType),
				convert: constant === undefined ? conversionOf(type, tableType) : () => constant,
			};
		}),
	};
}

/** Takes away what an earlier load of the interval left; gives how many rows that were. */
export async function deleteInterval(context: LoadContext, { typeOf }: Shape): Promise<number> {
	const { writer, place, request } = context;
	const { interval } = request;
	if (interval === undefined) return 0;
	const tag = tagOf(request);
	if (tag !== undefined)
		return writer.execute(`DELETE FROM ${place.sql} WHERE ${quoteIdentifier(tag.column)} = ${quoteLiteral(tag.text)}`);
	const column = interval.column!;
	return writer.execute(
		`DELETE FROM ${place.sql} WHERE ${range(column, typeOf(column), { from: interval.start, to: interval.end })}`,
	);
}

/** The condition of `[from, to)` of a column; a bound that is absent is open. */
export function range(column: string, type: string, bounds: { readonly from: string; readonly to?: string }): string {
	const name = redshiftDialect.quoteIdentifier(column);
	// A date is compared as the midnight it begins with, so that an interval of hours does not take whole days.
	const isDate = type === "DATE";
	const expression = isDate ? `CAST(${name} AS TIMESTAMP)` : name;
	const bound = (value: string) =>
		familyOf(type) === "VARCHAR"
			? quoteLiteral(value)
			: `CAST(${quoteLiteral(value)} AS ${isDate ? "TIMESTAMP" : type})`;
	const upper = bounds.to === undefined ? "" : ` AND ${expression} < ${bound(bounds.to)}`;
	return `${expression} >= ${bound(bounds.from)}${upper}`;
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

/** Shows the new rows to whoever asked to see them first. `relation` is quoted. */
export async function verify({ writer, request }: LoadContext, relation: string): Promise<void> {
	await request.verify?.({ relation, query: (sql) => writer.userQuery(sql) });
}
