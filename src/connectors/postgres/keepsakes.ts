import type { Session } from "./session.ts";
import { quoteIdentifier, quoteLiteral, quoteTable } from "./sql-text.ts";
import type { Place } from "./target-names.ts";

/** What a table is besides its columns and rows, so that another can take its place. */
export interface Keepsakes {
	/** Why no other table can: what depends on it, or can't be moved. Empty when one can. */
	readonly obstacles: readonly string[];
	/** Of CREATE TABLE, behind the columns: access method, storage parameters, tablespace. */
	readonly storage: string;
	readonly unlogged: boolean;
	readonly indexes: readonly KeptIndex[];
	/** Columns of sequences that the table owns, as ALTER SEQUENCE … OWNED BY gave them. */
	readonly sequences: readonly { readonly sql: string; readonly column: string }[];
	/** Identity columns with their sequences, quoted. */
	readonly identities: readonly { readonly sql: string; readonly name: string; readonly column: string }[];
	/** Statements for the new table under any name; `TABLE` stands for it. */
	readonly statements: readonly string[];
	/** Statements that name the table, for when it has its name. */
	readonly lastStatements: readonly string[];
	/** The planner has statistics of it. */
	readonly analyzed: boolean;
}

export interface KeptIndex {
	readonly name: string;
	readonly unique: boolean;
	/** From USING on. */
	readonly definition: string;
	/** "" when it is the database's own. */
	readonly tablespace: string;
	/** `PRIMARY KEY` or `UNIQUE`, when it is a constraint's; then `name` is the constraint's, too. */
	readonly constraint?: { readonly kind: string; readonly suffix: string };
	readonly statements: readonly string[];
}

/** Placeholder in statements; no quoted identifier is spelled so. */
export const TABLE = "\u0001TABLE\u0001";

/**
 * Objects that depend on the table or its row type, but for those that are made anew or moved: its indexes, their
 * constraints, checks, defaults, sequences, statistics, TOAST table and type.
 */
const DEPENDENTS = `
	SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
	FROM pg_catalog.pg_class AS c
	LEFT JOIN pg_catalog.pg_type AS y ON y.oid = c.reltype
	JOIN pg_catalog.pg_depend AS d ON (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid)
	  OR (d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid IN (y.oid, y.typarray))
	WHERE c.oid = $1 AND NOT CASE d.classid
	  WHEN 'pg_catalog.pg_type'::pg_catalog.regclass THEN d.objid IN (y.oid, y.typarray)
	  WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN d.objid = c.oid OR d.objid = c.reltoastrelid OR EXISTS (
	    SELECT FROM pg_catalog.pg_class AS o LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = o.oid
	    WHERE o.oid = d.objid AND ((i.indrelid = c.oid AND NOT i.indisexclusion) OR (o.relkind = 'S' AND d.deptype IN ('a', 'i'))))
	  WHEN 'pg_catalog.pg_constraint'::pg_catalog.regclass THEN EXISTS (
	    SELECT FROM pg_catalog.pg_constraint AS k WHERE k.oid = d.objid AND k.conrelid = c.oid AND k.contype IN ('p', 'u', 'c', 'n'))
	  WHEN 'pg_catalog.pg_attrdef'::pg_catalog.regclass THEN EXISTS (
	    SELECT FROM pg_catalog.pg_attrdef AS a WHERE a.oid = d.objid AND a.adrelid = c.oid)
	  WHEN 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass THEN TRUE
	  ELSE FALSE END`;

/** A publication would send the rows under the name that the table has while it is built, or not at all. */
const PUBLICATIONS = `
	SELECT 'publication ' || p.pubname FROM pg_catalog.pg_publication AS p WHERE p.puballtables`;
const PUBLICATIONS_OF_SCHEMA = `
	UNION ALL SELECT 'publication ' || p.pubname FROM pg_catalog.pg_publication AS p
	JOIN pg_catalog.pg_publication_namespace AS s ON s.pnpubid = p.oid
	JOIN pg_catalog.pg_class AS c ON c.relnamespace = s.pnnspid WHERE c.oid = $1`;

const OTHER_OBSTACLES = `
	SELECT x.what FROM pg_catalog.pg_class AS c
	CROSS JOIN LATERAL (VALUES
	  (c.relkind <> 'r', 'it is partitioned'),
	  (NOT pg_catalog.pg_has_role(c.relowner, 'USAGE'), 'it belongs to ' || pg_catalog.pg_get_userbyid(c.relowner)),
	  (c.relispartition OR EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE c.oid IN (i.inhrelid, i.inhparent)), 'inheritance'),
	  (c.relrowsecurity OR c.relforcerowsecurity, 'row security'),
	  (c.reloftype <> 0, 'its declared type'),
	  (EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
	     AND d.objid = c.oid AND d.deptype IN ('e', 'x')), 'it belongs to an extension'),
	  (EXISTS (SELECT FROM pg_catalog.pg_seclabel AS l WHERE l.objoid = c.oid), 'security labels'),
	  (EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) AS a WHERE a.grantor <> c.relowner)
	   OR EXISTS (SELECT FROM pg_catalog.pg_attribute AS t, pg_catalog.aclexplode(t.attacl) AS a
	     WHERE t.attrelid = c.oid AND t.attacl IS NOT NULL AND a.grantor <> c.relowner), 'grants that its owner did not give'),
	  (EXISTS (SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
	     WHERE d.refobjid = c.oid AND d.deptype = 'i' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
	       AND s.relacl IS NOT NULL), 'grants on its identity sequence')
	) AS x(applies, what) WHERE c.oid = $1 AND x.applies`;

/** Everything that the catalog says about a table and its objects; the same answer twice means that nothing changed. */
export async function readKeepsakes(session: Session, version: number, oid: string, place: Place): Promise<Keepsakes> {
	const texts = async (sql: string) => (await session.rows(sql, [oid])).map(([text]) => text!);
	const publications = version >= 150000 ? PUBLICATIONS + PUBLICATIONS_OF_SCHEMA : `${PUBLICATIONS} AND $1 <> ''`;
	const obstacles = [...(await texts(OTHER_OBSTACLES)), ...(await texts(DEPENDENTS)), ...(await texts(publications))];
	const [facts] = await session.rows(
		`SELECT pg_catalog.quote_ident(m.amname), c.reloptions, x.reloptions, s.spcname, c.relpersistence, c.relreplident,
		   CASE WHEN c.relowner <> current_user::pg_catalog.regrole THEN pg_catalog.pg_get_userbyid(c.relowner) END,
		   c.reltuples > 0 OR c.relpages > 0
		 FROM pg_catalog.pg_class AS c
		 LEFT JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
		 LEFT JOIN pg_catalog.pg_class AS x ON x.oid = c.reltoastrelid
		 LEFT JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace
		 WHERE c.oid = $1`,
		[oid],
	);
	const [method, options, toastOptions, tablespace, persistence, identity, owner, analyzed] = facts ?? [];
	const parameters = [...arrayOf(options), ...arrayOf(toastOptions).map((option) => `toast.${option}`)].map(parameter);
	const statements = [
		// First: grants are the owner's, and a later change of it would take what the user itself was granted.
		...(owner === null || owner === undefined ? [] : [`ALTER TABLE ${TABLE} OWNER TO ${quoteIdentifier(owner)}`]),
		...(await columnStatements(session, oid)),
		...(await grantStatements(session, oid, owner ?? null)),
		...(identity === "f" ? [`ALTER TABLE ${TABLE} REPLICA IDENTITY FULL`] : []),
		...(identity === "n" ? [`ALTER TABLE ${TABLE} REPLICA IDENTITY NOTHING`] : []),
	];
	const sequences = await readSequences(session, oid);
	return {
		obstacles: [...new Set(obstacles)],
		storage: [
			method === null || method === undefined ? "" : ` USING ${method}`,
			parameters.length === 0 ? "" : ` WITH (${parameters.join(", ")})`,
			tablespace === null || tablespace === undefined ? "" : ` TABLESPACE ${quoteIdentifier(tablespace)}`,
		].join(""),
		unlogged: persistence === "u",
		indexes: await readIndexes(session, oid, place),
		sequences: sequences.filter(({ internal }) => !internal),
		identities: sequences.filter(({ internal }) => internal),
		statements,
		lastStatements: await texts(
			"SELECT pg_catalog.pg_get_statisticsobjdef(s.oid) FROM pg_catalog.pg_statistic_ext AS s WHERE s.stxrelid = $1 ORDER BY s.oid",
		),
		analyzed: analyzed === "t",
	};
}

function parameter(option: string): string {
	const at = option.indexOf("=");
	return `${option.slice(0, at)} = ${quoteLiteral(option.slice(at + 1))}`;
}

/** A text[] as the server prints it, of storage parameters: they hold no quotes, commas or braces. */
function arrayOf(text: string | null | undefined): string[] {
	const inner = text?.slice(1, -1) ?? "";
	return inner === "" ? [] : inner.split(",").map((item) => item.replace(/^"(.*)"$/, "$1"));
}

async function columnStatements(session: Session, oid: string): Promise<string[]> {
	const rows = await session.rows(
		`SELECT a.attname, a.attstattarget, a.attoptions, pg_catalog.col_description(a.attrelid, a.attnum),
		   pg_catalog.obj_description(a.attrelid, 'pg_class')
		 FROM pg_catalog.pg_attribute AS a
		 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
		[oid],
	);
	const statements: string[] = [];
	const comment = rows[0]?.[4];
	if (comment) statements.push(`COMMENT ON TABLE ${TABLE} IS ${quoteLiteral(comment)}`);
	for (const [name, target, options, text] of rows) {
		const column = quoteIdentifier(name!);
		if (target !== null && target !== "-1")
			statements.push(`ALTER TABLE ${TABLE} ALTER COLUMN ${column} SET STATISTICS ${target}`);
		const parameters = arrayOf(options)
			.filter((option) => option.startsWith("n_distinct"))
			.map(parameter);
		if (parameters.length > 0)
			statements.push(`ALTER TABLE ${TABLE} ALTER COLUMN ${column} SET (${parameters.join(", ")})`);
		if (text) statements.push(`COMMENT ON COLUMN ${TABLE}.${column} IS ${quoteLiteral(text)}`);
	}
	return statements;
}

/**
 * The grants of the table and its columns. Rights that ALTER DEFAULT PRIVILEGES gives to every new table are taken away
 * first, and those that the owner took from itself stay taken.
 */
async function grantStatements(session: Session, oid: string, owner: string | null): Promise<string[]> {
	const rows = await session.rows(
		`SELECT g.column_name, CASE WHEN a.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
		   a.privilege_type, a.is_grantable
		 FROM (SELECT NULL::pg_catalog.name AS column_name, coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner)) AS acl
		       FROM pg_catalog.pg_class AS c WHERE c.oid = $1
		       UNION ALL
		       SELECT t.attname, t.attacl FROM pg_catalog.pg_attribute AS t
		       WHERE t.attrelid = $1 AND t.attacl IS NOT NULL AND NOT t.attisdropped) AS g
		 CROSS JOIN LATERAL pg_catalog.aclexplode(g.acl) AS a
		 ORDER BY 1 NULLS FIRST, 2 NULLS FIRST, 4, 3`,
		[oid],
	);
	const defaults = await session.rows(
		`SELECT DISTINCT CASE WHEN a.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END
		 FROM pg_catalog.pg_default_acl AS d CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) AS a
		 WHERE d.defaclobjtype = 'r' AND d.defaclrole = current_user::pg_catalog.regrole
		   AND d.defaclnamespace IN (0, (SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid = $1))
		 ORDER BY 1`,
		[oid],
	);
	const role = (name: string | null) => (name === null ? "PUBLIC" : quoteIdentifier(name));
	const revoked = [
		...new Set([owner === null ? "CURRENT_USER" : role(owner), ...defaults.map(([name]) => role(name!))]),
	];
	return [
		...revoked.map((name) => `REVOKE ALL ON ${TABLE} FROM ${name}`),
		...rows.map(([column, grantee, privilege, grantable]) => {
			const columns = column === null ? "" : ` (${quoteIdentifier(column!)})`;
			const option = grantable === "t" ? " WITH GRANT OPTION" : "";
			return `GRANT ${privilege}${columns} ON ${TABLE} TO ${role(grantee!)}${option}`;
		}),
	];
}

async function readIndexes(session: Session, oid: string, place: Place): Promise<KeptIndex[]> {
	const rows = await session.rows(
		`SELECT x.relname, i.indisunique, pg_catalog.pg_get_indexdef(x.oid), coalesce(s.spcname, ''), k.contype,
		   CASE WHEN k.condeferrable THEN ' DEFERRABLE' ELSE '' END || CASE WHEN k.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END,
		   i.indisclustered, i.indisreplident, pg_catalog.obj_description(x.oid, 'pg_class'),
		   pg_catalog.obj_description(k.oid, 'pg_constraint')
		 FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
		 LEFT JOIN pg_catalog.pg_tablespace AS s ON s.oid = x.reltablespace
		 LEFT JOIN pg_catalog.pg_constraint AS k ON k.conindid = x.oid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u')
		 WHERE i.indrelid = $1 AND NOT i.indisexclusion ORDER BY i.indisprimary DESC, x.relname COLLATE "C"`,
		[oid],
	);
	return rows.map((row) => {
		const [name, unique, definition, tablespace, contype, suffix, clustered, replica, comment, constraintComment] = row;
		const index = quoteTable({ schema: place.schema, name: name! });
		return {
			name: name!,
			unique: unique === "t",
			// Names before it are quoted by the server: the first USING outside of quotes begins the definition.
			definition: /^(?:[^"U]|"(?:[^"]|"")*"|U(?!SING ))*(USING .*)$/s.exec(definition!)![1]!,
			tablespace: tablespace!,
			...(contype === null
				? {}
				: { constraint: { kind: contype === "p" ? "PRIMARY KEY" : "UNIQUE", suffix: suffix! } }),
			statements: [
				...(clustered === "t" ? [`ALTER TABLE ${TABLE} CLUSTER ON ${quoteIdentifier(name!)}`] : []),
				...(replica === "t" ? [`ALTER TABLE ${TABLE} REPLICA IDENTITY USING INDEX ${quoteIdentifier(name!)}`] : []),
				...(comment ? [`COMMENT ON INDEX ${index} IS ${quoteLiteral(comment)}`] : []),
				...(constraintComment
					? [`COMMENT ON CONSTRAINT ${quoteIdentifier(name!)} ON ${TABLE} IS ${quoteLiteral(constraintComment)}`]
					: []),
			],
		};
	});
}

async function readSequences(session: Session, oid: string) {
	const rows = await session.rows(
		`SELECT n.nspname, s.relname, a.attname, d.deptype = 'i'
		 FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
		 JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace
		 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
		   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1 ORDER BY s.oid`,
		[oid],
	);
	return rows.map(([schema, name, column, internal]) => ({
		sql: quoteTable({ schema: schema!, name: name! }),
		name: name!,
		column: column!,
		internal: internal === "t",
	}));
}
