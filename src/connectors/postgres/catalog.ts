/** What pg_catalog says, in a fixed number of statements however many tables are asked for. */
import { HeadraceError, type TableName } from "../../core/index.ts";
import type { NativeType } from "./native-type.ts";
import type { Session } from "./session.ts";

export interface Relation {
	readonly oid: string;
	/** pg_class.relkind: r table, p partitioned, v view, m materialized view, f foreign. */
	readonly relkind: string;
	readonly schemaUsable: boolean;
	readonly selectable: boolean;
	readonly rowSecurity: boolean;
	readonly populated: boolean;
	/** Tables that inherit from it; for a table with rows of its own. */
	readonly children: number;
	readonly estimatedRows?: number;
}

/** Row count as the planner sees it: density at the last ANALYZE times the size now. Unknown before the first. */
const ESTIMATE = `
	WITH RECURSIVE members(oid) AS (
		SELECT c.oid
		UNION ALL
		SELECT i.inhrelid FROM members AS p JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid
	)
	SELECT pg_catalog.count(*) - 1 AS children,
	  pg_catalog.round(pg_catalog.sum(CASE
	    WHEN m.relpages > 0 AND m.relkind IN ('r', 'm') THEN m.reltuples::pg_catalog.float8 / m.relpages
	      * (pg_catalog.pg_relation_size(m.oid) / pg_catalog.current_setting('block_size')::pg_catalog.int8)
	    WHEN m.reltuples > 0 THEN m.reltuples::pg_catalog.float8
	    WHEN m.relkind IN ('r', 'm') AND pg_catalog.pg_relation_size(m.oid) = 0 THEN 0
	  END)::pg_catalog.numeric) AS rows
	FROM members JOIN pg_catalog.pg_class AS m ON m.oid = members.oid
	WHERE m.relkind IN ('r', 'm', 'f')`;

/** The relations of the names, null where there is none that can be read. */
export async function readRelations(session: Session, names: readonly TableName[]): Promise<(Relation | null)[]> {
	const found: (Relation | null)[] = names.map(() => null);
	const wanted = names.map((name, index) => ({ ...name, index })).filter((n) => !`${n.schema}${n.name}`.includes("\0"));
	if (wanted.length === 0) return found;
	const rows = await session.rows(
		`SELECT w.position, c.oid, c.relkind, pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
		   pg_catalog.has_any_column_privilege(c.oid, 'SELECT'), pg_catalog.row_security_active(c.oid),
		   c.relispopulated, e.children, e.rows
		 FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[]),
		   pg_catalog.unnest($3::pg_catalog.int4[])) AS w(schema, name, position)
		 JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
		 JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
		 CROSS JOIN LATERAL (${ESTIMATE}) AS e
		 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')`,
		[wanted.map((n) => n.schema), wanted.map((n) => n.name), wanted.map((n) => String(n.index))],
	);
	for (const [position, oid, relkind, usable, selectable, rowSecurity, populated, children, estimate] of rows) {
		// The functions see the catalog as it is by now: a table that another took the place of has no rights.
		if (usable === null || selectable === null) throw replacedMeanwhile();
		found[Number(position)] = {
			oid: oid!,
			relkind: relkind!,
			schemaUsable: usable === "t",
			selectable: selectable === "t",
			rowSecurity: rowSecurity === "t",
			populated: populated === "t",
			children: Number(children),
			...(estimate === null || estimate === undefined ? {} : { estimatedRows: Number(estimate) }),
		};
	}
	return found;
}

/** A table was dropped, or another took its name, between two look-ups. */
export function replacedMeanwhile(): HeadraceError {
	return new HeadraceError("E_CONFLICT", "a table was replaced while it was described", { hint: "Run again." });
}

export interface Attribute {
	readonly name: string;
	/** The table and the number of the column in it, which a rename leaves as they are. */
	readonly identity: string;
	readonly typeOid: string;
	readonly modifier: number;
	readonly dimensions: number;
	readonly nativeType: string;
	readonly nullable: boolean;
	/** pg_get_expr of a default that is no generation expression. */
	readonly defaultExpression: string | null;
	readonly readable: boolean;
	/** Null for types that have none. */
	readonly collation: string | null;
	/** A collation that calls different texts equal. */
	readonly looseCollation: string | null;
	/** Computed from other columns: nothing can be written to it. */
	readonly generated: boolean;
	/** The server fills it when nothing is written: a default, an identity or a generation expression. */
	readonly filled: boolean;
}

/** Columns of each relation in their order. */
export async function readAttributes(session: Session, oids: readonly string[]): Promise<Map<string, Attribute[]>> {
	const rows = await session.rows(
		`SELECT a.attrelid, a.attname, a.atttypid, a.atttypmod, a.attndims,
		   pg_catalog.format_type(a.atttypid, a.atttypmod),
		   -- PostgreSQL 18 has NOT NULL constraints that old rows may break.
		   NOT a.attnotnull OR EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = a.attrelid
		     AND k.contype = 'n' AND NOT k.convalidated AND a.attnum = ANY (k.conkey)),
		   CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,
		   pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
		   CASE WHEN NOT l.collisdeterministic THEN l.collname END,
		   a.attgenerated <> '', a.atthasdef OR a.attidentity <> '', l.collname, a.attnum
		 FROM pg_catalog.pg_attribute AS a
		 LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		 LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
		 WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped
		 ORDER BY a.attrelid, a.attnum`,
		[oids],
	);
	const byRelation = new Map<string, Attribute[]>(oids.map((oid) => [oid, []]));
	for (const row of rows) {
		const [relation, name, typeOid, modifier, dimensions, nativeType, nullable, expression, readable] = row;
		const [loose, generated, filled, collation, number] = row.slice(9);
		// The functions see the catalog as it is by now: a table that is gone has no rights.
		if (readable === null) throw replacedMeanwhile();
		byRelation.get(relation!)?.push({
			name: name!,
			identity: `${relation}.${number}`,
			typeOid: typeOid!,
			modifier: Number(modifier),
			dimensions: Number(dimensions),
			nativeType: nativeType!,
			nullable: nullable === "t",
			defaultExpression: expression ?? null,
			readable: readable === "t",
			collation: collation ?? null,
			looseCollation: loose ?? null,
			generated: generated === "t",
			filled: filled === "t",
		});
	}
	return byRelation;
}

/** Columns of each relation's primary key, in key order. */
export async function readPrimaryKeys(session: Session, oids: readonly string[]): Promise<Map<string, string[]>> {
	const rows = await session.rows(
		`SELECT i.indrelid, a.attname
		 FROM pg_catalog.pg_index AS i
		 CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, position)
		 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
		 WHERE i.indisprimary AND i.indrelid = ANY ($1::pg_catalog.oid[]) AND k.position <= i.indnkeyatts
		 ORDER BY i.indrelid, k.position`,
		[oids],
	);
	const keys = new Map<string, string[]>();
	for (const [relation, name] of rows) keys.set(relation!, [...(keys.get(relation!) ?? []), name!]);
	return keys;
}

interface TypeRow {
	readonly schema: string;
	readonly name: string;
	readonly typtype: string;
	readonly base: string;
	readonly modifier: number;
	readonly element: string;
	readonly dimensions: number;
	readonly printer: string | null;
}

/** Types by oid, with everything that they are made of. */
export class TypeCatalog {
	readonly #rows: ReadonlyMap<string, TypeRow>;

	private constructor(rows: ReadonlyMap<string, TypeRow>) {
		this.#rows = rows;
	}

	static async read(session: Session, oids: Iterable<string>): Promise<TypeCatalog> {
		const rows = await session.rows(
			`WITH RECURSIVE wanted(oid) AS (
				SELECT pg_catalog.unnest($1::pg_catalog.oid[])
				UNION
				SELECT part.oid FROM wanted JOIN pg_catalog.pg_type AS t ON t.oid = wanted.oid
				CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem)) AS part(oid) WHERE part.oid <> 0
			)
			SELECT t.oid, n.nspname, t.typname, t.typtype, t.typbasetype, t.typtypmod,
			  CASE WHEN t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc THEN t.typelem ELSE 0 END, t.typndims,
			  -- A cast to text that is a function, or xml's that keeps a stale encoding, prints something else.
			  (SELECT pg_catalog.quote_ident(f.nspname) || '.' || pg_catalog.quote_ident(p.proname)
			   FROM pg_catalog.pg_cast AS c JOIN pg_catalog.pg_proc AS p ON p.oid = t.typoutput
			   JOIN pg_catalog.pg_namespace AS f ON f.oid = p.pronamespace
			   WHERE c.castsource = t.oid AND c.casttarget = 'pg_catalog.text'::pg_catalog.regtype
			     AND (c.castmethod = 'f' OR t.typname = 'xml'))
			FROM wanted JOIN pg_catalog.pg_type AS t ON t.oid = wanted.oid
			JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace`,
			[[...new Set(oids)]],
		);
		const byOid = new Map<string, TypeRow>();
		for (const [oid, schema, name, typtype, base, modifier, element, dimensions, printer] of rows)
			byOid.set(oid!, {
				schema: schema!,
				name: name!,
				typtype: typtype!,
				base: base!,
				modifier: Number(modifier),
				element: element!,
				dimensions: Number(dimensions),
				printer: printer ?? null,
			});
		return new TypeCatalog(byOid);
	}

	/** The base type of a column's type; the modifier of the innermost domain holds where the column has none. */
	resolve(oid: string, modifier: number, dimensions: number, viaDomain = false): NativeType {
		const row = this.#rows.get(oid);
		// A type that was dropped meanwhile is read as text, or fails when it is.
		if (row === undefined)
			return { oid: Number(oid), schema: "", name: oid, kind: "base", modifier, dimensions, viaDomain };
		if (row.typtype === "d")
			return this.resolve(row.base, modifier === -1 ? row.modifier : modifier, dimensions || row.dimensions, true);
		return {
			oid: Number(oid),
			schema: row.schema,
			name: row.name,
			kind: row.element === "0" ? kindOf(row.typtype) : "array",
			modifier,
			dimensions,
			viaDomain,
			...(row.element === "0" ? {} : { element: this.resolve(row.element, modifier, 0) }),
			...(row.printer === null ? {} : { printer: row.printer }),
		};
	}
}

function kindOf(typtype: string): NativeType["kind"] {
	switch (typtype) {
		case "e":
			return "enum";
		// A row without a declared type has the pseudo-type record.
		case "c":
		case "p":
			return "composite";
		case "r":
		case "m":
			return "range";
		default:
			return "base";
	}
}

/** Every table and view that the user may read, in order; partitions, extensions' own and system schemas are left out. */
export async function readTableNames(session: Session): Promise<TableName[]> {
	const rows = await session.rows(
		`SELECT n.nspname, c.relname
		 FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
		   AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
		   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
		   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS d WHERE d.deptype = 'e'
		     AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid)
		 ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
	);
	return rows.map(([schema, name]) => ({ schema: schema!, name: name! }));
}

/** The server's own spelling of types. */
export async function formatTypes(
	session: Session,
	types: readonly { type: number; modifier: number }[],
): Promise<string[]> {
	const rows = await session.rows(
		`SELECT pg_catalog.format_type(t.oid, t.modifier)
		 FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.int4[]))
		   WITH ORDINALITY AS t(oid, modifier, position)
		 ORDER BY t.position`,
		[types.map((t) => String(t.type)), types.map((t) => String(t.modifier))],
	);
	return rows.map(([name]) => name!);
}
