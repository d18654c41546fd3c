import {
	type ColumnType,
	type ExistingTable,
	HeadraceError,
	qualified,
	type TableName,
	type TargetColumn,
	type TargetTable,
} from "../../core/index.ts";
import {
	addColumn,
	type ColumnDefinition,
	changeType,
	columnDefinition,
	createTable,
	dropNotNull,
	quoteDouble,
	quoteEscaped,
	renameColumn,
	setNotNull,
	snowflakeDialect,
} from "../../sql/index.ts";
import { isNotThere } from "./errors.ts";
import type { Place } from "./names.ts";
import type { Session } from "./session.ts";
import { holds, typeName, widens } from "./types.ts";

export interface RelationColumn {
	readonly name: string;
	/** As `mapType` spells it. */
	readonly type: string;
	readonly nullable: boolean;
	readonly filled: boolean;
}

/** A table that is there. */
export interface Relation {
	readonly columns: readonly RelationColumn[];
	readonly primaryKey: readonly string[];
	readonly comment: string;
	readonly owner: string;
	readonly rows?: number;
}

/** Null when there is no such table, or none that the role may see. @throws E_UNSUPPORTED when it is a view */
export async function readRelation(session: Session, place: Place): Promise<Relation | null> {
	const found = await showTable(session, place);
	try {
		const { columns, rows } = await session.run(`DESCRIBE TABLE ${place.sql}`);
		if (found === null)
			throw new HeadraceError("E_UNSUPPORTED", `${qualified(place)} is no table, so nothing can be loaded into it`, {
				hint: "Give the table another name by `into:`.",
			});
		const at = (name: string) => columns.indexOf(name);
		const [name, type, nullable, filled, key] = ["name", "type", "null?", "default", "primary key"].map(at) as number[];
		return {
			columns: rows.map((row) => ({
				name: row[name!]!,
				type: typeName(row[type!]!),
				nullable: row[nullable!] === "Y",
				filled: (row[filled!] ?? null) !== null,
			})),
			primaryKey: rows.filter((row) => row[key!] === "Y").map((row) => row[name!]!),
			...found,
		};
	} catch (error) {
		if (isNotThere(error)) return null;
		throw error;
	}
}

async function showTable(session: Session, place: Place) {
	const [row] = await tablesStarting(session, place.schema, place.name, true);
	if (row === undefined) return null;
	return { comment: row.comment, owner: row.owner, ...(row.rows === undefined ? {} : { rows: row.rows }) };
}

/** Tables of a schema whose name begins so. Empty when there is no such schema. */
export async function tablesStarting(session: Session, schema: string, prefix: string, whole = false) {
	try {
		const sql = `SHOW TABLES IN SCHEMA ${quoteDouble(schema)} STARTS WITH ${quoteEscaped(prefix)}`;
		const rows = await session.records(sql);
		return rows
			.filter((row) => !whole || row["name"] === prefix)
			.map((row) => ({
				name: row["name"]!,
				comment: row["comment"] ?? "",
				owner: row["owner"] ?? "",
				...(row["rows"] === null || row["rows"] === undefined ? {} : { rows: Number(row["rows"]) }),
			}));
	} catch (error) {
		if (isNotThere(error)) return [];
		throw error;
	}
}

export function existingOf(relation: Relation): ExistingTable {
	return {
		columns: relation.columns.map(({ name, type, nullable }) => ({ name, destinationType: type, nullable })),
		key: relation.primaryKey,
		...(relation.rows === undefined ? {} : { rows: relation.rows }),
	};
}

export function findColumn(relation: Relation, name: string): RelationColumn | undefined {
	return relation.columns.find((column) => column.name === name);
}

export function definitionsOf(target: TargetTable): ColumnDefinition[] {
	return target.columns.map(({ name, type, destinationType, nullable, defaultSql }) => ({
		name,
		type: destinationType,
		nullable: nullable && !target.key.includes(name),
		...(defaultSql === undefined ? {} : { defaultSql: defaultOf(defaultSql, type) }),
	}));
}

/** Other engines write truth as 1. */
function defaultOf(defaultSql: string, type: ColumnType): string {
	if (type.kind !== "boolean") return defaultSql.includes("\\") ? defaultSql.replaceAll("\\", "\\\\") : defaultSql;
	return /^'?(?:1|true|t)'?$/i.test(defaultSql) ? "TRUE" : /^null$/i.test(defaultSql) ? "NULL" : "FALSE";
}

/**
 * A new table. The key is declared for people and for tools that read it: Snowflake does not enforce it.
 * https://docs.snowflake.com/en/sql-reference/constraints-overview
 */
export function createDdl(place: Place, target: TargetTable, options: { readonly ifNotExists?: boolean } = {}): string {
	const sql = createTable(snowflakeDialect, place.sql, definitionsOf(target), options);
	if (target.key.length === 0) return sql;
	return `${sql.slice(0, -2)},\n\tPRIMARY KEY (${target.key.map(quoteDouble).join(", ")})\n)`;
}

/**
 * What makes an existing table take the columns: one that was renamed gets its new name if that is free, new ones are
 * added, types widened where Snowflake can, and NOT NULL goes where NULL may come. A type of the table's that holds the
 * values is kept. With `anew`, the table has no rows yet: a column of another type is dropped and made again.
 * @throws E_SCHEMA naming both types when neither holds the other
 */
export function evolveDdl(place: Place, relation: Relation, target: TargetTable, anew = false): string[] {
	const ddl: string[] = [];
	const taken = new Set<string>();
	const definitions = definitionsOf(target);
	for (const [index, column] of target.columns.entries()) {
		const renamed = renamedOf(relation, column, target);
		const found = findColumn(relation, column.name) ?? renamed;
		const definition = definitions[index]!;
		if (found === undefined) {
			ddl.push(...addDdl(place, definition, column.fill === true, anew));
			continue;
		}
		if (found === renamed && found.name !== column.name)
			ddl.push(renameColumn(snowflakeDialect, place.sql, found.name, column.name));
		taken.add(found.name);
		ddl.push(...columnDdl(place, relation, found, column, definition, target, anew));
	}
	// A column that the source dropped stays, and new rows have its default or NULL in it.
	for (const found of relation.columns)
		if (!taken.has(found.name) && !found.nullable && !found.filled && !relation.primaryKey.includes(found.name))
			ddl.push(dropNotNull(snowflakeDialect, place.sql, found.name));
	return ddl;
}

/** A default of a column that is added is that of rows to come and of those that are there. */
function addDdl(place: Place, definition: ColumnDefinition, fill: boolean, anew: boolean): string[] {
	if (anew) return [`ALTER TABLE ${place.sql} ADD COLUMN ${columnDefinition(snowflakeDialect, definition)}`];
	const filled = fill && definition.defaultSql !== undefined;
	const ddl = [addColumn(snowflakeDialect, place.sql, definition, filled)];
	if (filled && !definition.nullable && definition.defaultSql !== "NULL")
		ddl.push(setNotNull(snowflakeDialect, place.sql, definition.name));
	return ddl;
}

/** A column that the table still has under its old name, and that no other column of the rows has. */
function renamedOf(relation: Relation, column: TargetColumn, target: TargetTable): RelationColumn | undefined {
	const { renamedFrom } = column;
	if (renamedFrom === undefined || target.columns.some(({ name }) => name === renamedFrom)) return undefined;
	if (findColumn(relation, column.name) !== undefined) return undefined;
	return findColumn(relation, renamedFrom);
}

function columnDdl(
	place: Place,
	relation: Relation,
	found: RelationColumn,
	column: TargetColumn,
	definition: ColumnDefinition,
	target: TargetTable,
	anew: boolean,
): string[] {
	const isKey = target.key.includes(column.name) || relation.primaryKey.includes(found.name);
	const ddl =
		column.nullable && !found.nullable && !isKey ? [dropNotNull(snowflakeDialect, place.sql, column.name)] : [];
	if (holds(found.type, column.destinationType)) return ddl;
	if (widens(found.type, column.destinationType))
		return [...ddl, changeType(snowflakeDialect, place.sql, column.name, column.destinationType)];
	if (anew)
		return [
			`ALTER TABLE ${place.sql} DROP COLUMN ${quoteDouble(column.name)}`,
			`ALTER TABLE ${place.sql} ADD COLUMN ${columnDefinition(snowflakeDialect, definition)}`,
		];
	throw shapeError(target.name, found, column);
}

function shapeError(table: TableName, found: RelationColumn, column: TargetColumn): HeadraceError {
	return new HeadraceError(
		"E_SCHEMA",
		`column ${found.name} of ${qualified(table)} is ${found.type} and the rows have ${column.destinationType}`,
		{
			table: qualified(table),
			hint: `Fix the type by \`columns: { ${found.name}: { type: … } }\`, or rebuild the table with --full-refresh.`,
		},
	);
}
