import { randomBytes } from "node:crypto";
import { HeadraceError, qualified, type RetypeRequest } from "../../core/index.ts";
import type { PostgresOptions } from "./connect.ts";
import type { ControlConnection } from "./control.ts";
import { readKeepsakes } from "./keepsakes.ts";
import { quoteIdentifier } from "./sql-text.ts";
import { buildPlace, createBuild, createIndexes, type Swap, swap } from "./swap.ts";
import { foldName, Place } from "./target-names.ts";
import { readRelation } from "./target-table.ts";
import { WriteSession } from "./write-session.ts";

/**
 * See `DestinationSql.retype`: the rows are written into a table beside, whose columns have their new types before it
 * has rows, and it is put in the old one's place. Readers wait for the swap only, not while rows are written, as they
 * would for ALTER COLUMN TYPE. A default of the old type goes.
 */
export async function retype(
	options: PostgresOptions,
	control: ControlConnection,
	request: RetypeRequest,
): Promise<void> {
	const place = new Place(request.table);
	await using writer = await WriteSession.open(options, control, place, request.signal);
	const relation = await readRelation(writer.session, place);
	if (relation === null)
		throw new HeadraceError("E_UNKNOWN_TABLE", `there is no table ${qualified(place)}`, { table: qualified(place) });
	const kept = await readKeepsakes(writer.session, writer.facts.version, relation.oid, place);
	if (kept.obstacles.length > 0)
		throw new HeadraceError("E_UNSUPPORTED", `${qualified(place)} can't be built anew: ${kept.obstacles.join(", ")}`, {
			table: qualified(place),
			hint: "Drop what depends on the table, and make it again afterwards.",
		});
	const build = buildPlace(place, randomBytes(13).toString("hex"));
	const parts: Swap = { writer, place, relation, kept, build };
	const changes = new Map(request.columns.map((column) => [foldName(column.name), column]));
	const written = relation.columns.filter((column) => !column.generated).map(({ name }) => name);
	await writer.transaction(async () => {
		// Rows that came to the old table meanwhile would be lost with it.
		await writer.execute(`LOCK TABLE ${place.sql} IN SHARE MODE`);
		await createBuild(parts);
		for (const [name, { destinationType }] of changes) {
			const column = `ALTER COLUMN ${quoteIdentifier(name)}`;
			await writer.execute(
				`ALTER TABLE ${build.sql} ${column} DROP DEFAULT, ${column} TYPE ${destinationType} USING NULL::${destinationType}`,
			);
		}
		const columns = written.map(quoteIdentifier).join(", ");
		const values = written.map((name) => changes.get(name)?.value ?? quoteIdentifier(name)).join(", ");
		await writer.execute(
			`INSERT INTO ${build.sql} (${columns}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM ${place.sql}`,
		);
		await createIndexes(parts);
		await writer.execute(`ANALYZE ${build.sql}`);
		await request.verify?.({ relation: build.sql, query: (sql) => writer.userQuery(sql) });
		if (!(await swap(parts)))
			throw new HeadraceError("E_CONFLICT", `${qualified(place)} is in use, so no other table could take its place`);
	});
}
