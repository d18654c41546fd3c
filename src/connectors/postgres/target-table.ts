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
	type PostgresComparison,
	postgresDialect,
	renameColumn,
	setNotNull,
} from "../../sql/index.ts";
import { readAttributes, readPrimaryKeys, TypeCatalog } from "./catalog.ts";
import { encoderOf } from "./encoders.ts";
import type { Session } from "./session.ts";
import { quoteIdentifier } from "./sql-text.ts";
import type { Place } from "./target-names.ts";
import { pgTypeName, widens } from "./target-types.ts";

/** https://www.postgresql.org/docs/current/limits.html */
export const COLUMNS_MAX = 1600;

export interface RelationColumn {
	readonly name: string;
	/** As `pgTypeName` spells it; the base type of a domain. */
	readonly pgType: string;
	/** As the server spells it in DDL. */
	readonly spelled: string;
	readonly nullable: boolean;
	readonly generated: boolean;
	readonly filled: boolean;
	/** Different texts may be equal. */
	readonly loose: boolean;
}

/** A table that is there. */
export interface Relation {
	readonly oid: string;
	/** pg_class.relkind: r table, p partitioned. */
	readonly relkind: string;
	/** The user may alter and drop it. */
	readonly owned: boolean;
	readonly columns: readonly RelationColumn[];
	readonly primaryKey: readonly string[];
	/** Sets of columns that ON CONFLICT can name. */
	readonly uniqueKeys: readonly (readonly string[])[];
	readonly estimatedRows?: number;
}

/** Null when there is no such table. @throws E_UNSUPPORTED when the name is another kind of relation's */
export async function readRelation(session: Session, place: Place): Promise<Relation | null> {
	const [row] = await session.rows(
		`SELECT c.oid, c.relkind, pg_catalog.pg_has_role(c.relowner, 'USAGE'),
		   CASE WHEN c.reltuples >= 0 THEN c.reltuples::pg_catalog.int8 END
		 FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		 WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind NOT IN ('i', 'I', 'c', 't')`,
		[place.schema, place.name],
	);
	if (row === undefined) return null;
	const [oid, relkind, owned, estimate] = row;
	if (relkind !== "r" && relkind !== "p")
		throw new HeadraceError("E_UNSUPPORTED", `${qualified(place)} is no table, so nothing can be loaded into it`, {
			hint: "Give the table another name by `into:`.",
		});
	const attributes = (await readAttributes(session, [oid!])).get(oid!) ?? [];
	const types = await TypeCatalog.read(
		session,
		attributes.map((attribute) => attribute.typeOid),
	);
	const unique = await session.rows(
		`SELECT pg_catalog.to_json(ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute AS a
		   WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1])))
		 FROM pg_catalog.pg_index AS i
		 WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
		   AND i.indexprs IS NULL`,
		[oid],
	);
	return {
		oid: oid!,
		relkind,
		owned: owned === "t",
		columns: attributes.map((attribute) => ({
			name: attribute.name,
			pgType: pgTypeName(types.resolve(attribute.typeOid, attribute.modifier, attribute.dimensions)),
			spelled: attribute.nativeType,
			nullable: attribute.nullable,
			generated: attribute.generated,
			filled: attribute.filled,
			loose: attribute.looseCollation !== null,
		})),
		primaryKey: (await readPrimaryKeys(session, [oid!])).get(oid!) ?? [],
		uniqueKeys: unique.map(([names]) => JSON.parse(names!) as string[]),
		...(estimate === null || estimate === undefined ? {} : { estimatedRows: Number(estimate) }),
	};
}

export function existingOf(relation: Relation): ExistingTable {
	return {
		columns: relation.columns.map(({ name, pgType, spelled, nullable }) => ({
			name,
			destinationType: /^enum(?:\[\])?$|\./.test(pgType) ? spelled : pgType,
			nullable,
		})),
		key: relation.primaryKey,
		...(relation.estimatedRows === undefined ? {} : { rows: relation.estimatedRows }),
	};
}

export function findColumn(relation: Relation, name: string): RelationColumn | undefined {
	return relation.columns.find((column) => column.name === name);
}

/** Whether ON CONFLICT can name the key. */
export function hasUniqueIndex(relation: Relation, key: readonly string[]): boolean {
	return relation.uniqueKeys.some((names) => names.length === key.length && key.every((name) => names.includes(name)));
}

/** How equality of a column's values is told. */
export function comparisonOf(relation: Relation): (column: string) => PostgresComparison {
	const columns = new Map(relation.columns.map((column) => [column.name, column]));
	return (name) => {
		const { pgType, loose } = columns.get(name) ?? { pgType: "", loose: true };
		if (pgType === "real") return "float4send";
		if (pgType === "double precision") return "float8send";
		if (pgType === "interval") return "interval_send";
		return !loose && ALIKE.test(pgType) ? "value" : "text";
	};
}

/** Types whose equal values are the same bytes, and arrays of them. */
const ALIKE =
	/^(?:boolean|smallint|integer|bigint|numeric\(.*\)|date|time|timestamp|timestamptz|uuid|text|varchar(?:\(\d+\))?|bytea|enum)(?:\[\])?$/;

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
	if (type.kind !== "boolean") return defaultSql;
	return /^'?(?:1|true|t)'?$/i.test(defaultSql) ? "true" : /^null$/i.test(defaultSql) ? "NULL" : "false";
}

export function createDdl(place: Place, target: TargetTable): string {
	refuseTooMany(target);
	return createTable(postgresDialect, place.sql, definitionsOf(target));
}

export function primaryKeyDdl(place: Place, key: readonly string[]): string {
	return `ALTER TABLE ${place.sql} ADD PRIMARY KEY (${key.map(quoteIdentifier).join(", ")})`;
}

export function refuseTooMany({ name, columns }: Pick<TargetTable, "name" | "columns">): void {
	if (columns.length > COLUMNS_MAX)
		throw new HeadraceError(
			"E_UNSUPPORTED",
			`${qualified(name)} would have ${columns.length} columns; a table in PostgreSQL has at most ${COLUMNS_MAX}`,
			{ table: qualified(name), hint: "Drop some by `columns: { …: drop }`." },
		);
}

/**
 * What makes an existing table take the columns: one that was renamed gets its new name if that is free, new ones are
 * added, types widened where every old value stays what it is, and NOT NULL goes where NULL may come. A type of the
 * table's that holds the values is kept. With `anew`, the table has no rows yet: any type can become any other.
 * @throws E_SCHEMA naming both types when neither holds the other
 */
export function evolveDdl(place: Place, relation: Relation, target: TargetTable, anew = false): string[] {
	const ddl = renameDdl(place, relation, target);
	const taken = new Set<string>();
	const definitions = definitionsOf(target);
	for (const [index, column] of target.columns.entries()) {
		const found = findColumn(relation, column.name) ?? renamedOf(relation, column, target);
		if (found === undefined) {
			const definition = definitions[index]!;
			const fill = column.fill === true && definition.defaultSql !== undefined;
			if (anew) ddl.push(`ALTER TABLE ${place.sql} ADD COLUMN ${columnDefinition(postgresDialect, definition)}`);
			else ddl.push(addColumn(postgresDialect, place.sql, definition, fill));
			if (!anew && fill && !definition.nullable && definition.defaultSql !== "NULL")
				ddl.push(setNotNull(postgresDialect, place.sql, column.name));
			continue;
		}
		taken.add(found.name);
		ddl.push(...columnDdl(place, relation, found, column, target, anew));
	}
	// A column that the source dropped stays, and new rows have its default or NULL in it.
	for (const found of relation.columns)
		if (!taken.has(found.name) && !found.nullable && !found.filled && !relation.primaryKey.includes(found.name))
			ddl.push(dropNotNull(postgresDialect, place.sql, found.name));
	const added = target.columns.length + relation.columns.length - taken.size;
	if (added > COLUMNS_MAX) refuseTooMany({ name: target.name, columns: new Array(added) });
	return ddl;
}

/** A column that the table still has under its old name, and that no other column of the rows has. */
function renamedOf(relation: Relation, column: TargetColumn, target: TargetTable): RelationColumn | undefined {
	const { renamedFrom } = column;
	if (renamedFrom === undefined || target.columns.some(({ name }) => name === renamedFrom)) return undefined;
	return findColumn(relation, renamedFrom);
}

/** Columns that get their new names, where those are free. */
export function renameDdl(place: Place, relation: Relation, target: TargetTable): string[] {
	return target.columns.flatMap((column) => {
		const found = findColumn(relation, column.name) === undefined ? renamedOf(relation, column, target) : undefined;
		if (found === undefined) return [];
		return [renameColumn(postgresDialect, place.sql, found.name, column.name)];
	});
}

function columnDdl(
	place: Place,
	relation: Relation,
	found: RelationColumn,
	column: TargetColumn,
	target: TargetTable,
	anew: boolean,
): string[] {
	if (found.generated)
		throw new HeadraceError(
			"E_SCHEMA",
			`column ${found.name} of ${qualified(target.name)} is generated by PostgreSQL`,
			{
				table: qualified(target.name),
				hint: `Leave the source's column out by \`columns: { ${column.name}: drop }\`, or give it another name.`,
			},
		);
	const ddl: string[] = [];
	const isKey = target.key.includes(column.name) || relation.primaryKey.includes(found.name);
	if (column.nullable && !found.nullable && !isKey) ddl.push(dropNotNull(postgresDialect, place.sql, column.name));
	if (encoderOf(column.type, found.pgType, column.destinationType) !== null) return ddl;
	if (anew || widens(column.destinationType, found.pgType)) {
		const type = column.destinationType;
		const using = anew ? ` USING NULL::${type}` : "";
		if (anew && found.filled)
			ddl.push(`ALTER TABLE ${place.sql} ALTER COLUMN ${quoteIdentifier(column.name)} DROP DEFAULT`);
		return [...ddl, `${changeType(postgresDialect, place.sql, column.name, type)}${using}`];
	}
	throw shapeError(target.name, found, column);
}

function shapeError(table: TableName, found: RelationColumn, column: TargetColumn): HeadraceError {
	return new HeadraceError(
		"E_SCHEMA",
		`column ${found.name} of ${qualified(table)} is ${found.spelled} and the rows have ${column.destinationType}`,
		{
			table: qualified(table),
			hint: `Fix the type by \`columns: { ${found.name}: { type: … } }\`, or rebuild the table with --full-refresh.`,
		},
	);
}
