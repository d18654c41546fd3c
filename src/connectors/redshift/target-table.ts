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
	columnDefinition,
	createTable,
	redshiftDialect,
	renameColumn,
} from "../../sql/index.ts";
import type { Session } from "./session.ts";
import { quoteIdentifier, quoteLiteral } from "./sql-text.ts";
import type { Place } from "./target-names.ts";
import { familyOf, holds } from "./target-types.ts";

/** https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_usage.html */
export const COLUMNS_MAX = 1600;
/** https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html: columns of a compound sort key. */
const SORT_COLUMNS_MAX = 400;

export interface RelationColumn {
	readonly name: string;
	/** As `mapType` spells it: `VARCHAR(200)`. */
	readonly type: string;
	readonly nullable: boolean;
	readonly filled: boolean;
}

/** A table that is there. */
export interface Relation {
	readonly oid: string;
	readonly columns: readonly RelationColumn[];
}

/** Null when there is no such table. @throws E_UNSUPPORTED when the name is another kind of relation's */
export async function readRelation(session: Session, place: Place): Promise<Relation | null> {
	const [row] = await session.rows(
		`SELECT c.oid, c.relkind FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ${quoteLiteral(place.schema)} AND c.relname = ${quoteLiteral(place.name)} AND c.relkind IN ('r', 'v', 'm')`,
	);
	if (row === undefined) return null;
	const [oid, relkind] = row;
	if (relkind !== "r")
		throw new HeadraceError("E_UNSUPPORTED", `${qualified(place)} is a view, so nothing can be loaded into it`, {
			hint: "Give the table another name by `into:`.",
		});
	const columns = await session.rows(
		`SELECT attname, format_type(atttypid, atttypmod), attnotnull, atthasdef
FROM pg_attribute WHERE attrelid = ${oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
	);
	return {
		oid: oid!,
		columns: columns.map(([name, type, notNull, filled]) => ({
			name: name!,
			type: typeName(type!),
			nullable: notNull !== "t",
			filled: filled === "t",
		})),
	};
}

const SPELLED: Readonly<Record<string, string>> = {
	"character varying": "VARCHAR",
	character: "CHAR",
	"binary varying": "VARBYTE",
	"timestamp without time zone": "TIMESTAMP",
	"timestamp with time zone": "TIMESTAMPTZ",
	"time without time zone": "TIME",
	"time with time zone": "TIMETZ",
};

/** The catalog's name of a type as DDL is written here. */
function typeName(formatted: string): string {
	const [, base = "", length = ""] = /^([^(]*?)\s*(\([\d,\s]+\))?$/.exec(formatted) ?? [];
	return `${SPELLED[base] ?? base.toUpperCase()}${length.replaceAll(" ", "")}`;
}

export function existingOf(relation: Relation): ExistingTable {
	return {
		columns: relation.columns.map(({ name, type, nullable }) => ({ name, destinationType: type, nullable })),
		key: [],
	};
}

export function findColumn(relation: Relation, name: string): RelationColumn | undefined {
	return relation.columns.find((column) => column.name === name);
}

function definitionsOf(target: TargetTable): ColumnDefinition[] {
	return target.columns.map(({ name, type, destinationType, defaultSql }) => ({
		name,
		type: destinationType,
		// NOT NULL can never be taken from a column again, so only the key's have it.
		nullable: !target.key.includes(name),
		...(defaultSql === undefined ? {} : { defaultSql: defaultOf(defaultSql, type) }),
	}));
}

/** Other engines write truth as 1, and may have a default that is no JSON. */
function defaultOf(defaultSql: string, type: ColumnType): string {
	if (type.kind === "json" || type.kind === "list") return "NULL";
	if (type.kind !== "boolean") return defaultSql;
	return /^'?(?:1|true|t)'?$/i.test(defaultSql) ? "TRUE" : /^null$/i.test(defaultSql) ? "NULL" : "FALSE";
}

/**
 * A new table. Distribution and sort order are Redshift's to choose from the queries that come, unless the pipeline
 * says: https://docs.aws.amazon.com/redshift/latest/dg/t_Creating_tables.html (automatic table optimization).
 */
export function createDdl(place: Place, target: TargetTable): string {
	refuseTooMany(target);
	const { distKey, sortKey = [] } = target;
	for (const name of [...(distKey === undefined ? [] : [distKey]), ...sortKey]) {
		const column = target.columns.find((other) => other.name === name);
		if (column === undefined)
			throw new HeadraceError("E_UNKNOWN_COLUMN", `${qualified(target.name)} has no column ${name} to lie by`);
		if (["SUPER", "VARBYTE"].includes(familyOf(column.destinationType)))
			throw new HeadraceError("E_UNSUPPORTED", `a table can't lie by ${name}, which is ${column.destinationType}`);
	}
	if (sortKey.length > SORT_COLUMNS_MAX)
		throw new HeadraceError("E_UNSUPPORTED", `a sort key has at most ${SORT_COLUMNS_MAX} columns`);
	const distribution = distKey === undefined ? "DISTSTYLE AUTO" : `DISTSTYLE KEY DISTKEY (${quoteIdentifier(distKey)})`;
	const order = sortKey.length === 0 ? "SORTKEY AUTO" : `COMPOUND SORTKEY (${sortKey.map(quoteIdentifier).join(", ")})`;
	return `${createTable(redshiftDialect, place.sql, definitionsOf(target))}\n${distribution} ${order}`;
}

export function refuseTooMany({ name, columns }: Pick<TargetTable, "name" | "columns">, more = 0): void {
	const count = columns.length + more;
	if (count > COLUMNS_MAX)
		throw new HeadraceError(
			"E_UNSUPPORTED",
			`${qualified(name)} would have ${count} columns; a table in Redshift has at most ${COLUMNS_MAX}`,
			{ table: qualified(name), hint: "Drop some by `columns: { …: drop }`." },
		);
}

/** What makes a table that is there take the rows. */
export interface Evolution {
	/** Each a transaction of its own, which only adds. */
	readonly alter: readonly string[];
	/** Columns whose type Redshift can't change where it is: the table must be built beside. Empty: it need not. */
	readonly rebuilt: readonly TargetColumn[];
}

/**
 * Redshift changes one thing of a column's type, the length of a VARCHAR, and never NOT NULL:
 * https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE.html. With `anew` the table gets all its rows anew.
 * @throws E_SCHEMA naming both types when neither holds the other
 */
export function evolve(place: Place, relation: Relation, target: TargetTable, anew: boolean): Evolution {
	const alter: string[] = [];
	const rebuilt: TargetColumn[] = [];
	const definitions = definitionsOf(target);
	const taken = new Set<string>();
	for (const [index, column] of target.columns.entries()) {
		const found = findColumn(relation, column.name) ?? renamedOf(relation, column, target);
		if (found === undefined) {
			const definition = definitions[index]!;
			const fill = column.fill === true && definition.defaultSql !== undefined;
			alter.push(addColumn(redshiftDialect, place.sql, definition, fill));
			continue;
		}
		taken.add(found.name);
		if (found.name !== column.name) alter.push(renameColumn(redshiftDialect, place.sql, found.name, column.name));
		const mustLoosen = column.nullable && !found.nullable && !target.key.includes(column.name);
		if (accepts(found.type, column) && !mustLoosen) continue;
		if (!mustLoosen && familyOf(found.type) === "VARCHAR" && familyOf(column.destinationType) === "VARCHAR")
			alter.push(
				`ALTER TABLE ${place.sql} ALTER COLUMN ${quoteIdentifier(column.name)} TYPE ${column.destinationType}`,
			);
		else if (anew || accepts(found.type, column))
			rebuilt.push(accepts(found.type, column) ? keepType(column, found) : column);
		else if (holds(column.destinationType, found.type)) rebuilt.push(column);
		else throw shapeError(target.name, found, column);
	}
	// A column that the source dropped stays, and new rows have NULL in it.
	for (const found of relation.columns)
		if (!taken.has(found.name) && !found.nullable && !found.filled)
			rebuilt.push({ name: found.name, type: { kind: "text" }, nullable: true, destinationType: found.type });
	refuseTooMany(target, relation.columns.length - taken.size);
	return { alter, rebuilt };
}

function keepType(column: TargetColumn, { type }: RelationColumn): TargetColumn {
	return { ...column, destinationType: type };
}

/** Whether a column of the table's takes the values as it is. */
function accepts(type: string, column: TargetColumn): boolean {
	if (holds(type, column.destinationType)) return true;
	// A document's text is one, too.
	return familyOf(column.destinationType) === "SUPER" && type === "VARCHAR(65535)";
}

/** A column that the table still has under its old name, and that no other column of the rows has. */
function renamedOf(relation: Relation, column: TargetColumn, target: TargetTable): RelationColumn | undefined {
	const { renamedFrom } = column;
	if (renamedFrom === undefined || target.columns.some(({ name }) => name === renamedFrom)) return undefined;
	return findColumn(relation, renamedFrom);
}

/**
 * A table like another but for the types of some columns, which come last in it: distribution, sort order, encodings
 * and defaults stay. https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html#create-table-like
 */
export function buildBesideDdl(place: Place, build: Place, rebuilt: readonly TargetColumn[]): string[] {
	return [
		`CREATE TABLE ${build.sql} (LIKE ${place.sql} INCLUDING DEFAULTS)`,
		...rebuilt.flatMap(({ name, destinationType }) => [
			`ALTER TABLE ${build.sql} DROP COLUMN ${quoteIdentifier(name)}`,
			`ALTER TABLE ${build.sql} ADD COLUMN ${columnDefinition(redshiftDialect, { name, type: destinationType, nullable: true })}`,
		]),
	];
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
