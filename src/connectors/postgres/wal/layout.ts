import type { SourceColumn, SourceTable, TypePolicy } from "../../../core/index.ts";
import { formatTypes, readAttributes, readPrimaryKeys, TypeCatalog } from "../catalog.ts";
import { columnOf } from "../describe.ts";
import { decoderPlan } from "../select-sql.ts";
import type { ServerFacts } from "../server-facts.ts";
import type { Session } from "../session.ts";
import { readJsonShapes } from "./json-shapes.ts";
import { type LogValues, logValuesOf, needsShape } from "./log-values.ts";
import type { RelationMessage } from "./messages.ts";

/** How the tuples of a table become batches, as long as its RELATION message holds. */
export interface Layout {
	/** Its columns are those that are published, in the order of the tuples. */
	readonly table: SourceTable;
	/** Which field of the batch a place of the tuple is. */
	readonly targets: Int32Array;
	/** 1 for places of the tuple that are in the replica identity. */
	readonly identity: Uint8Array;
	/** A field each. */
	readonly values: readonly LogValues[];
	/** Fields by which a row is known. */
	readonly keys: Int32Array;
}

/** What the catalog says of a table now, which may be later than the rows that are read. */
export interface Described {
	readonly table: SourceTable;
	/** The primary key that the table has by itself. */
	readonly ownKey: readonly string[];
	readonly values: readonly LogValues[];
	/** Names of columns that the server fills in rows that were there before. */
	readonly filled: ReadonlySet<string>;
}

/**
 * Describes the columns that a RELATION message names. Names and types are the message's, since the table may have
 * changed again; what else is told of a column comes from the catalog where it still has it.
 */
export async function describeRelation(
	session: Session,
	facts: ServerFacts,
	relation: RelationMessage,
	policy: TypePolicy,
): Promise<Described> {
	const oid = String(relation.oid);
	const attributes = (await readAttributes(session, [oid])).get(oid) ?? [];
	const keys = (await readPrimaryKeys(session, [oid])).get(oid) ?? [];
	const types = await TypeCatalog.read(
		session,
		relation.columns.map(({ typeOid }) => String(typeOid)),
	);
	const spelled = await formatTypes(
		session,
		relation.columns.map(({ typeOid, modifier }) => ({ type: typeOid, modifier })),
	);
	const columns = relation.columns.map(({ name, typeOid, modifier }, index): SourceColumn => {
		const attribute = attributes.find((found) => found.name === name);
		const isSame = attribute !== undefined && attribute.typeOid === String(typeOid);
		const native = types.resolve(String(typeOid), modifier, isSame ? attribute.dimensions : 0);
		return columnOf(
			{
				name,
				nativeType: spelled[index]!,
				nullable: attribute?.nullable ?? true,
				defaultExpression: attribute?.defaultExpression ?? null,
				looseCollation: attribute?.looseCollation ?? null,
				collation: attribute?.collation ?? null,
				...(attribute === undefined ? {} : { identity: attribute.identity }),
			},
			native,
			policy,
			facts,
		);
	});
	const shapes = await readJsonShapes(session, [
		...new Set(columns.map(decoderPlan).flatMap((plan) => (needsShape(plan) ? [plan.native.oid] : []))),
	]);
	const own = keyOf(relation, keys);
	return {
		table: {
			name: { schema: relation.schema, name: relation.name },
			kind: "table",
			columns,
			primaryKey: own,
			warnings: [],
		},
		ownKey: own,
		values: columns.map((column) => logValuesOf(column, policy, { moneyScale: facts.moneyScale, shapes })),
		filled: new Set(attributes.filter(({ filled }) => filled).map(({ name }) => name)),
	};
}

/** Of the default replica identity the message names the key's columns as they were then. */
function keyOf(relation: RelationMessage, current: readonly string[]): readonly string[] {
	const names = new Set(relation.columns.map(({ name }) => name));
	const flagged = relation.columns.filter(({ isKey }) => isKey).map(({ name }) => name);
	const isCurrent = current.length > 0 && current.every((name) => names.has(name));
	if (relation.identity !== "d") return isCurrent ? current : [];
	const isSame = current.length === flagged.length && flagged.every((name) => current.includes(name));
	return isSame ? current : flagged;
}

export function layoutOf(relation: RelationMessage, table: SourceTable, values: readonly LogValues[]): Layout {
	const { columns, primaryKey } = table;
	// Without a key a row is known by all that it holds.
	const key = primaryKey.length > 0 ? primaryKey : columns.map(({ name }) => name);
	return {
		table,
		targets: Int32Array.from(columns.keys()),
		identity: Uint8Array.from(relation.columns, ({ isKey }) => (isKey ? 1 : 0)),
		values,
		keys: Int32Array.from(key, (name) => columns.findIndex((column) => column.name === name)).filter(
			(index) => index >= 0,
		),
	};
}
