import type { Grant, TableName } from "../../core/index.ts";
import type { ServerFacts } from "./server-facts.ts";
import type { Session } from "./session.ts";
import { quoteIdentifier, quoteTable } from "./sql-text.ts";
import { Place } from "./target-names.ts";

const CONTROL = "_headrace";

/**
 * The least that the loading role needs for these tables, as the database stands: schemas that are missing are made for
 * it, in those that are there it may make tables, and tables that are there become its own: only its owner can change a
 * table's columns or put another in its place.
 * https://www.postgresql.org/docs/current/ddl-priv.html
 */
export async function destinationGrants(
	session: Session,
	facts: ServerFacts,
	tables: readonly TableName[],
): Promise<Grant[]> {
	const isSuperuser = await hasAllRights(session);
	const role = quoteIdentifier(isSuperuser ? "headrace_loader" : facts.user);
	const places = tables.map((table) => new Place(table));
	const schemas = [...new Set([CONTROL, ...places.map(({ schema }) => schema)])];
	const database = quoteIdentifier(facts.database);
	const lines = [
		...(isSuperuser ? [`CREATE ROLE ${role} LOGIN PASSWORD '…';    -- ${facts.user} is a superuser: too much`] : []),
		// Merges go by way of temporary tables.
		`GRANT CONNECT, TEMPORARY ON DATABASE ${database} TO ${role};`,
	];
	const known = await session.rows("SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1)", [schemas]);
	const existing = new Set(known.map(([name]) => name));
	for (const schema of schemas)
		lines.push(
			existing.has(schema)
				? `GRANT USAGE, CREATE ON SCHEMA ${quoteIdentifier(schema)} TO ${role};`
				: `CREATE SCHEMA ${quoteIdentifier(schema)} AUTHORIZATION ${role};`,
		);
	if (existing.has(CONTROL)) lines.push(`GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA ${CONTROL} TO ${role};`);
	for (const name of await tablesOfOthers(session, places, isSuperuser))
		lines.push(
			`ALTER TABLE ${quoteTable(name)} OWNER TO ${role};`,
			`-- or, while its columns stay as they are: GRANT SELECT, INSERT, UPDATE, DELETE ON ${quoteTable(name)} TO ${role};`,
		);
	return [{ title: "the loading role, by an administrator", language: "sql", text: lines.join("\n") }];
}

async function hasAllRights(session: Session): Promise<boolean> {
	const [row] = await session.rows("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user");
	return row?.[0] === "t";
}

/** Of these tables, those that are there and belong to a role that the loader is not a member of. */
async function tablesOfOthers(session: Session, places: readonly Place[], isSuperuser: boolean): Promise<TableName[]> {
	const rows = await session.rows(
		`SELECT n.nspname, c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		 JOIN ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS wanted (schema_name, table_name)
		 ON wanted.schema_name = n.nspname AND wanted.table_name = c.relname
		 WHERE c.relkind IN ('r', 'p') AND ($3::bool OR NOT pg_catalog.pg_has_role(c.relowner, 'MEMBER'))
		 ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
		[places.map(({ schema }) => schema), places.map(({ name }) => name), String(isSuperuser)],
	);
	return rows.map(([schema, name]) => ({ schema: schema!, name: name! }));
}
