import type { TargetColumn } from "../../core/index.ts";
import { quoteIdentifier, quoteLiteral } from "./sql-text.ts";
import type { Place } from "./target-names.ts";
import { buildBesideDdl } from "./target-table.ts";
import type { Writer } from "./writer.ts";

interface Parts {
	readonly writer: Writer;
	readonly place: Place;
}

/** A table like the load's with other columns, in the transaction that is open. */
export async function buildBeside(
	{ writer, place }: Parts,
	rebuilt: readonly TargetColumn[],
	loadId: string,
): Promise<Place> {
	const build = place.beside(`${place.name}__new_${loadId}`);
	for (const statement of buildBesideDdl(place, build, rebuilt)) await writer.execute(statement);
	return build;
}

/**
 * A built table in the place of the old one: with its grants, for readers at once. Views WITH NO SCHEMA BINDING follow
 * the name; others hold the old table, which then can't be dropped, and all is rolled back.
 * @throws E_SCHEMA naming such views
 */
export async function putInPlace({ writer, place }: Parts, build: Place): Promise<void> {
	for (const statement of await grantsOf({ writer, place }, build)) await writer.execute(statement);
	await writer.execute(`DROP TABLE ${place.sql}`);
	await writer.execute(`ALTER TABLE ${build.sql} RENAME TO ${place.quotedName}`);
}

const PRIVILEGES = new Set(["SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES", "DROP", "TRUNCATE", "ALTER"]);

/** https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_RELATION_PRIVILEGES.html */
async function grantsOf({ writer, place }: Parts, build: Place): Promise<string[]> {
	const rows = await writer.rows(
		`SELECT privilege_type, identity_type, identity_name, admin_option FROM svv_relation_privileges
WHERE namespace_name = ${quoteLiteral(place.schema)} AND relation_name = ${quoteLiteral(place.name)}`,
	);
	return rows.flatMap(([privilege, type, name, admin]) => {
		if (!PRIVILEGES.has(privilege!.toUpperCase())) return [];
		const word = type === "role" ? "ROLE " : type === "group" ? "GROUP " : "";
		const to = type === "public" ? "PUBLIC" : `${word}${quoteIdentifier(name!)}`;
		const option = admin === "t" && type !== "public" && type !== "group" ? " WITH GRANT OPTION" : "";
		return [`GRANT ${privilege!.toUpperCase()} ON ${build.sql} TO ${to}${option}`];
	});
}
