import { qualified, type TargetTable, type Write } from "../../core/index.ts";
import { postgresDialect, quotedList } from "../../sql/index.ts";
import { readKeepsakes } from "./keepsakes.ts";
import type { ServerFacts } from "./server-facts.ts";
import type { Session } from "./session.ts";
import { quoteIdentifier } from "./sql-text.ts";
import type { Place } from "./target-names.ts";
import { createDdl, evolveDdl, hasUniqueIndex, primaryKeyDdl, readRelation, refuseTooMany } from "./target-table.ts";
import { currentIndexDdl, hasIndex } from "./write-changes.ts";

/** Obstacles in one line. */
const NAMES_MAX = 3;

/** The DDL of a load, and in a comment how a table that others hold on to is replaced. */
export async function planDdl(
	session: Session,
	facts: ServerFacts,
	place: Place,
	target: TargetTable,
	write: Write,
): Promise<string[]> {
	refuseTooMany(target);
	const relation = await readRelation(session, place);
	const key = target.key.length > 0 && write !== "append";
	const current = write === "history" && key ? [currentIndexDdl(place, target.key)] : [];
	if (relation === null) {
		const schema = await session.rows("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", [place.schema]);
		return [
			...(schema.length === 0 ? [`CREATE SCHEMA ${quoteIdentifier(place.schema)}`] : []),
			createDdl(place, target),
			...(key && write !== "history" ? [primaryKeyDdl(place, target.key)] : []),
			...current,
		];
	}
	if (write !== "replace") {
		const index = `CREATE UNIQUE INDEX ON ${place.sql} (${quotedList(postgresDialect, target.key)})`;
		const needed = write === "merge" && key && !hasUniqueIndex(relation, target.key);
		const known = current.length > 0 && (await hasIndex(session, relation, target.key));
		return [...evolveDdl(place, relation, target), ...(needed ? [index] : []), ...(known ? [] : current)];
	}
	const { obstacles } = await readKeepsakes(session, facts.version, relation.oid, place);
	if (obstacles.length === 0) return evolveDdl(place, relation, target, true);
	const named = obstacles.slice(0, NAMES_MAX).join(", ") + (obstacles.length > NAMES_MAX ? ", …" : "");
	const way = target.key.length > 0 ? "rows that differ are exchanged by key" : "DELETE and INSERT";
	return [
		...evolveDdl(place, relation, target),
		`-- ${qualified(place)} stays, and ${way} in one transaction, because of: ${named.replaceAll(/[\r\n]/g, " ")}`,
	];
}
