import { crashPoint, HeadraceError, qualified } from "../../core/index.ts";
import { type Keepsakes, type KeptIndex, readKeepsakes, TABLE } from "./keepsakes.ts";
import { patiently } from "./lock-patience.ts";
import { quoteIdentifier, quoteLiteral, quoteTable } from "./sql-text.ts";
import type { Place } from "./target-names.ts";
import { type Relation, readRelation } from "./target-table.ts";
import type { WriteSession } from "./write-session.ts";

/** A table that is built beside another to take its place, all in one transaction. */
export interface Swap {
	readonly writer: WriteSession;
	readonly place: Place;
	readonly relation: Relation;
	readonly kept: Keepsakes;
	readonly build: Place;
	/** The new table is not to have the old one's primary key: a column of it is in no row any more. */
	readonly losesKey?: boolean;
}

function indexesOf({ kept, losesKey }: Swap): readonly KeptIndex[] {
	return losesKey === true ? kept.indexes.filter(({ constraint }) => constraint?.kind !== "PRIMARY KEY") : kept.indexes;
}

/** Where a table is built: a name that nobody else takes. */
export function buildPlace(place: Place, loadId: string): Place {
	return place.beside(`_headrace_new_${loadId}`);
}

/** The empty table, with the columns, defaults, checks and storage of the old one; its identities go on counting. */
export async function createBuild({ writer, place, kept, build }: Swap): Promise<void> {
	const kind = kept.unlogged ? "UNLOGGED TABLE" : "TABLE";
	const like = `LIKE ${place.sql} INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS`;
	await writer.execute(`CREATE ${kind} ${build.sql} (${like})${kept.storage}`);
	for (const { sql, column } of kept.identities)
		await writer.execute(continueSequence(await identitySequence(writer, build, column), sql));
}

/** Sets a sequence to where it or the other is, whichever has counted further. */
function continueSequence(fresh: string, old: string): string {
	return `SELECT pg_catalog.setval(${quoteLiteral(fresh)}, CASE WHEN q.seqincrement > 0
	THEN greatest(f.last_value, o.last_value) ELSE least(f.last_value, o.last_value) END, f.is_called OR o.is_called)
FROM ${fresh} AS f, ${old} AS o, pg_catalog.pg_sequence AS q WHERE q.seqrelid = ${quoteLiteral(old)}::pg_catalog.regclass`;
}

const indexName = (build: Place, index: number): string => `${build.name}_${index}`;

/** The old table's indexes on the new one, after the rows. @throws E_DUPLICATE_KEY naming the index that the rows break */
export async function createIndexes(parts: Swap): Promise<void> {
	const { writer, place, build } = parts;
	for (const [position, index] of indexesOf(parts).entries())
		try {
			await writer.execute(`SET LOCAL default_tablespace = ${quoteLiteral(index.tablespace)}`);
			const name = quoteIdentifier(indexName(build, position));
			await writer.execute(`CREATE ${index.unique ? "UNIQUE " : ""}INDEX ${name} ON ${build.sql} ${index.definition}`);
			await writer.execute("SET LOCAL default_tablespace = ''");
		} catch (error) {
			throw error instanceof HeadraceError && error.code === "E_DUPLICATE_KEY" ? notUnique(place, index) : error;
		}
}

function notUnique(place: Place, index: KeptIndex): HeadraceError {
	const table = qualified(place);
	const what = index.constraint === undefined ? "index" : "constraint";
	return new HeadraceError("E_DUPLICATE_KEY", `the rows for ${table} are not unique by its ${what} ${index.name}`, {
		table,
	});
}

/**
 * Puts what was built in the place of the old table, with its name and everything that belonged to it. False when other
 * sessions never let go of the table, or a right for it is lacking.
 * @throws E_CONFLICT when the old table was changed while the rows came
 */
export async function swap(parts: Swap): Promise<boolean> {
	const { writer, place, kept, build } = parts;
	try {
		await writer.part(async () => {
			for (const statement of kept.statements) await writer.execute(statement.replaceAll(TABLE, build.sql));
		});
	} catch (error) {
		if (error instanceof HeadraceError && error.code === "E_RIGHTS") return false;
		throw error;
	}
	try {
		await patiently(writer, async () => {
			await writer.execute(`LOCK TABLE ${place.sql} IN ACCESS EXCLUSIVE MODE`);
			await expectUnchanged(parts);
			for (const statement of await swapStatements(parts)) {
				await writer.execute(statement);
				crashPoint("c15");
			}
		});
		return true;
	} catch (error) {
		if (error instanceof HeadraceError && error.code === "E_TIMEOUT") return false;
		throw error;
	}
}

/** Now that nobody can change it: it must still be the table whose belongings were noted. */
async function expectUnchanged({ writer, place, relation, kept }: Swap): Promise<void> {
	const now = await readRelation(writer.session, place);
	if (now !== null && now.oid === relation.oid) {
		const again = await readKeepsakes(writer.session, writer.facts.version, now.oid, place);
		const { estimatedRows: _now, ...shapeNow } = now;
		const { estimatedRows: _then, ...shape } = relation;
		const text = (of: object, belongings: Keepsakes) => JSON.stringify([of, { ...belongings, analyzed: true }]);
		if (text(shapeNow, again) === text(shape, kept)) return;
	}
	throw new HeadraceError("E_CONFLICT", `${qualified(place)} was altered while its rows were loaded`, {
		hint: "The load is repeated with the table as it is now.",
	});
}

async function swapStatements(parts: Swap): Promise<string[]> {
	const { writer, place, kept, build } = parts;
	const statements = kept.sequences.map(
		({ sql, column }) => `ALTER SEQUENCE ${sql} OWNED BY ${build.sql}.${quoteIdentifier(column)}`,
	);
	const renames: string[] = [];
	for (const { sql, name, column } of kept.identities) {
		const fresh = await identitySequence(writer, build, column);
		statements.push(continueSequence(fresh, sql));
		renames.push(`ALTER SEQUENCE ${fresh} RENAME TO ${quoteIdentifier(name)}`);
	}
	statements.push(`DROP TABLE ${place.sql}`, `ALTER TABLE ${build.sql} RENAME TO ${quoteIdentifier(place.name)}`);
	statements.push(...renames);
	for (const [position, index] of indexesOf(parts).entries()) {
		const made = indexName(build, position);
		const name = quoteIdentifier(index.name);
		statements.push(
			index.constraint === undefined
				? `ALTER INDEX ${place.beside(made).sql} RENAME TO ${name}`
				: `ALTER TABLE ${place.sql} ADD CONSTRAINT ${name} ${index.constraint.kind} USING INDEX ${quoteIdentifier(made)}${index.constraint.suffix}`,
		);
		statements.push(...index.statements.map((statement) => statement.replaceAll(TABLE, place.sql)));
	}
	return [...statements, ...kept.lastStatements];
}

/** The sequence that LIKE made for an identity column, quoted. */
async function identitySequence(writer: WriteSession, build: Place, column: string): Promise<string> {
	const [row] = await writer.rows(
		`SELECT n.nspname, s.relname FROM pg_catalog.pg_depend AS d
		 JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
		 JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace
		 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		 WHERE d.deptype = 'i' AND d.refobjid = $1::pg_catalog.regclass AND a.attname = $2`,
		[build.sql, column],
	);
	if (row === undefined) throw new HeadraceError("E_INTERNAL", `column ${column} lost its identity`);
	return quoteTable({ schema: row[0]!, name: row[1]! });
}
