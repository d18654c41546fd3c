import { HeadraceError, qualified, type TableName } from "../../../core/index.ts";
import type { Session } from "../session.ts";
import { quoteIdentifier, quoteTable } from "../sql-text.ts";

/** A publication and what it has of the tables. */
export interface Publication {
	readonly name: string;
	readonly inserts: boolean;
	readonly updates: boolean;
	readonly deletes: boolean;
	readonly truncates: boolean;
	/** Rows of partitions come as rows of their root. */
	readonly viaRoot: boolean;
	readonly owned: boolean;
	/** By JSON of schema and name. */
	readonly tables: ReadonlySet<string>;
}

export const tableKey = ({ schema, name }: TableName): string => JSON.stringify([schema, name]);

/** Publications of the database that have any of the tables, or have that name. */
export async function readPublications(
	session: Session,
	tables: readonly TableName[],
	own: readonly string[],
): Promise<Publication[]> {
	const rows = await session.rows(
		`SELECT p.pubname, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate,
		   (pg_catalog.to_json(p)->>'pubviaroot')::pg_catalog.bool, pg_catalog.pg_has_role(p.pubowner, 'USAGE'),
		   (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(t.schemaname, t.tablename))
		    FROM pg_catalog.pg_publication_tables AS t
		    JOIN ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS w(schema, name)
		      ON w.schema = t.schemaname AND w.name = t.tablename
		    WHERE t.pubname = p.pubname)
		 FROM pg_catalog.pg_publication AS p ORDER BY p.pubname COLLATE "C"`,
		[tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
	);
	return rows
		.map(
			([name, inserts, updates, deletes, truncates, viaRoot, owned, found]): Publication => ({
				name: name!,
				inserts: inserts === "t",
				updates: updates === "t",
				deletes: deletes === "t",
				truncates: truncates === "t",
				viaRoot: viaRoot === "t",
				owned: owned === "t",
				tables: new Set(
					found === null || found === undefined
						? []
						: (JSON.parse(found) as [string, string][]).map((pair) => JSON.stringify(pair)),
				),
			}),
		)
		.filter(({ name, tables: has }) => has.size > 0 || own.includes(name));
}

/** The name of a reader's second publication: of tables whose rows are only inserted. */
export function insertsName(name: string): string {
	return `${name}_in`;
}

/**
 * The publications that a reader's stream takes: its own, or, where it has none, others that have all tables.
 * @throws E_LOG_SETTINGS naming the tables that none has
 */
export async function choosePublications(
	session: Session,
	reader: string,
	tables: readonly TableName[],
): Promise<string[]> {
	const names = [reader, insertsName(reader)];
	const found = await readPublications(session, tables, names);
	const own = found.filter(({ name }) => names.includes(name));
	const chosen = own.length > 0 ? own : covering(found, tables);
	const missing = tables.filter((table) => !chosen.some((publication) => publication.tables.has(tableKey(table))));
	if (missing.length > 0 || chosen.length === 0) throw unpublished(reader, missing, own.length > 0);
	return chosen.map(({ name }) => name);
}

/** As few as will do: those that publish all kinds of changes first. */
function covering(found: readonly Publication[], tables: readonly TableName[]): Publication[] {
	const kinds = ({ inserts, updates, deletes, truncates }: Publication) =>
		[inserts, updates, deletes, truncates].filter(Boolean).length;
	const chosen: Publication[] = [];
	for (const publication of [...found].sort((a, b) => kinds(b) - kinds(a) || b.tables.size - a.tables.size)) {
		const isNeeded = tables.some(
			(table) => publication.tables.has(tableKey(table)) && !chosen.some(({ tables: has }) => has.has(tableKey(table))),
		);
		if (isNeeded) chosen.push(publication);
	}
	return chosen;
}

function unpublished(name: string, missing: readonly TableName[], exists: boolean): HeadraceError {
	const list = missing.map(qualified).join(", ");
	return new HeadraceError("E_LOG_SETTINGS", `no publication tells the changes of ${list || "any table"}`, {
		hint: `Run as the tables' owner: ${publicationStatement(name, missing, exists)}`,
	});
}

/** The statement that publishes tables: rows of partitions as their root's, all kinds of changes. */
export function publicationStatement(
	name: string,
	tables: readonly TableName[],
	exists: boolean,
	publish = "insert, update, delete, truncate",
): string {
	const list = tables.map(quoteTable).join(", ");
	return exists
		? `ALTER PUBLICATION ${quoteIdentifier(name)} ADD TABLE ${list};`
		: `CREATE PUBLICATION ${quoteIdentifier(name)} FOR TABLE ${list} WITH (publish = '${publish}', publish_via_partition_root = true);`;
}

/** How a table's rows are told apart in the log. */
export interface ReplicaIdentity {
	readonly table: TableName;
	/** pg_class.relreplident: d default, n nothing, f full, i index. */
	readonly kind: "d" | "n" | "f" | "i";
	readonly hasKey: boolean;
	/** Published, its UPDATE and DELETE would fail: for the application, not for us. */
	readonly isMissing: boolean;
	/** pg_class.relkind and relpersistence. */
	readonly relkind: string;
	readonly persistence: string;
	readonly rowSecurity: boolean;
	readonly generated: readonly string[];
}

/** Of partitioned tables the identity is that of the partitions: the one that can do least counts. */
export async function readReplicaIdentities(
	session: Session,
	tables: readonly TableName[],
): Promise<ReplicaIdentity[]> {
	const rows = await session.rows(
		`SELECT w.schema, w.name, c.relkind, c.relpersistence, c.relrowsecurity,
		   (SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a
		    WHERE a.attrelid = c.oid AND a.attgenerated <> '' AND NOT a.attisdropped),
		   EXISTS (SELECT 1 FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary),
		   (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(m.relreplident, EXISTS (
		      SELECT 1 FROM pg_catalog.pg_index AS i WHERE i.indrelid = m.oid AND i.indisvalid
		        AND CASE m.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)))
		    FROM pg_catalog.pg_class AS m
		    WHERE m.oid = c.oid AND m.relkind = 'r' OR m.relkind = 'r' AND m.oid IN (
		      WITH RECURSIVE members(oid) AS (SELECT c.oid UNION ALL SELECT i.inhrelid FROM members AS p
		        JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid)
		      SELECT members.oid FROM members WHERE c.relkind = 'p'))
		 FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[]))
		   WITH ORDINALITY AS w(schema, name, place)
		 JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
		 JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
		 ORDER BY w.place`,
		[tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
	);
	return rows.map(([schema, name, relkind, persistence, rowSecurity, generated, hasKey, members]) => {
		const identities =
			members === null || members === undefined ? [] : (JSON.parse(members) as [ReplicaIdentity["kind"], boolean][]);
		const weak = identities.find(([kind, hasIndex]) => kind === "n" || (kind !== "f" && !hasIndex));
		return {
			table: { schema: schema!, name: name! },
			kind: (weak ?? identities[0])?.[0] ?? "d",
			hasKey: hasKey === "t",
			isMissing: identities.length === 0 ? hasKey !== "t" : weak !== undefined,
			relkind: relkind!,
			persistence: persistence!,
			rowSecurity: rowSecurity === "t",
			generated: generated === null || generated === undefined ? [] : (JSON.parse(generated) as string[]),
		};
	});
}
