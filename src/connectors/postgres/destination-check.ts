import type { Finding } from "../../core/index.ts";
import { encryption } from "./check.ts";
import type { ServerFacts } from "./server-facts.ts";
import type { Session } from "./session.ts";
import { quoteIdentifier } from "./sql-text.ts";

/** Looks at server, encryption and the rights to write; what is not good has the statement that mends it. */
export async function destinationFindings(session: Session, facts: ServerFacts): Promise<Finding[]> {
	return [
		{ severity: "ok", message: `PostgreSQL ${facts.versionText} at ${session.where}` },
		...(await encryption(session, facts)),
		...settings(facts),
		...(await rights(session, facts)),
	];
}

function settings(facts: ServerFacts): Finding[] {
	const found: Finding[] = [];
	if (facts.standby)
		found.push({ severity: "error", message: "this is a standby: nothing can be written to it; use the primary" });
	if (facts.textUnchecked)
		found.push({
			severity: "warning",
			message: "the database's encoding is SQL_ASCII: text is stored as the UTF-8 that it comes in, and not checked",
		});
	return found;
}

async function rights(session: Session, facts: ServerFacts): Promise<Finding[]> {
	const [row] = await session.rows(
		`SELECT r.rolsuper, pg_catalog.has_database_privilege(current_user, pg_catalog.current_database(), 'CREATE'),
		   pg_catalog.has_database_privilege(current_user, pg_catalog.current_database(), 'TEMPORARY'),
		   n.oid IS NOT NULL, coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE, CREATE'), FALSE),
		   coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), FALSE),
		   (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS c WHERE c.relnamespace = n.oid
		    AND c.relname IN ('positions', 'loads') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
		    AND pg_catalog.has_table_privilege(c.oid, 'INSERT') AND pg_catalog.has_table_privilege(c.oid, 'UPDATE')),
		   (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS c WHERE c.relnamespace = n.oid
		    AND c.relname IN ('positions', 'loads'))
		 FROM pg_catalog.pg_roles AS r LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = '_headrace'
		 WHERE r.rolname = current_user`,
	);
	const [superuser, create, temporary, schemaThere, schemaCreate, schemaUse, tablesUsable, tablesThere] = row ?? [];
	const role = quoteIdentifier(facts.user);
	const database = quoteIdentifier(facts.database);
	const found: Finding[] = [];
	if (superuser === "t")
		found.push({
			severity: "warning",
			message: `${facts.user} is a superuser; loading needs the right to create schemas only`,
			remedy: `CREATE ROLE headrace_loader LOGIN PASSWORD '…'; GRANT CREATE, TEMPORARY ON DATABASE ${database} TO headrace_loader;`,
		});
	if (create === "t") found.push({ severity: "ok", message: `schemas can be made in ${facts.database}` });
	else
		found.push({
			severity: schemaThere === "t" ? "warning" : "error",
			message: `${facts.user} may not make schemas in ${facts.database}: the schemas of the tables, and _headrace, must be there`,
			remedy: `GRANT CREATE ON DATABASE ${database} TO ${role};`,
		});
	if (temporary !== "t")
		found.push({
			severity: "error",
			message: `${facts.user} may not make temporary tables, which merges go by way of`,
			remedy: `GRANT TEMPORARY ON DATABASE ${database} TO ${role};`,
		});
	const usable = tablesThere === "2" ? schemaUse === "t" && tablesUsable === "2" : schemaCreate === "t";
	if (schemaThere === "t" && !usable)
		found.push({
			severity: "error",
			message: `${facts.user} may not use the control tables in the schema _headrace`,
			remedy: `GRANT USAGE, CREATE ON SCHEMA _headrace TO ${role}; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA _headrace TO ${role};`,
		});
	return found;
}
