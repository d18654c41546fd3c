import { HeadraceError } from "../../core/index.ts";
import { changeType, duckdbDialect, quotedList, swapTable } from "../../sql/index.ts";
import { describeTable, indexesOf, keepsakesOf, type Place, renamedIn, tableLike } from "./schema.ts";
import type { Session } from "./session.ts";

/** What a table's columns need; types change last. */
export interface TableChange {
	readonly ddl: readonly string[];
	readonly retypes: readonly Retype[];
	/** New names of columns by their old ones. */
	readonly renamed: ReadonlyMap<string, string>;
}

export interface Retype {
	readonly name: string;
	readonly type: string;
	/** SQL of the new value; absent: a cast. A default of the old type goes with it. */
	readonly value?: string;
}

const BUILD_SUFFIX = "__headrace_retyped";
const { quoteIdentifier } = duckdbDialect;

/** The change as statements. */
export function statementsOf(place: Place, { ddl, retypes }: TableChange): string[] {
	return [...ddl, ...retypes.map(({ name, type }) => changeType(duckdbDialect, place.sql, name, type))];
}

/**
 * Changes a table in the caller's transaction. DuckDB alters no table that has an index, so its indexes are made anew.
 * `alone` says that no other load was at the table when the transaction began: a table that has to be written anew would
 * lose the rows that one commits meanwhile.
 * @throws E_CONFLICT when it was not alone and has to be
 */
export async function alterTable(session: Session, place: Place, change: TableChange, alone: boolean): Promise<void> {
	const { ddl, retypes, renamed } = change;
	if (ddl.length === 0 && retypes.length === 0) return;
	const indexes = await indexesOf(session, place);
	for (const { drop } of indexes) await session.execute(drop);
	for (const statement of ddl) await session.execute(statement);
	if (retypes.length > 0) await changeTypes(session, place, retypes, { indexed: indexes.length > 0, alone });
	for (const { create } of indexes)
		for (const statement of renamedIn(create, renamed)) await session.execute(statement);
}

/**
 * DuckDB changes no type of a column that has a constraint, or had an index when the transaction began (1.5.5): such a
 * table is written anew.
 */
async function changeTypes(
	session: Session,
	place: Place,
	retypes: readonly Retype[],
	{ indexed, alone }: { readonly indexed: boolean; readonly alone: boolean },
): Promise<void> {
	const types = new Map(retypes.map(({ name, type }) => [name, type]));
	const like = await tableLike(session, place, types);
	if (!indexed && like.constraints.length === 0) {
		for (const { name, type, value } of retypes) {
			const using = value === undefined ? "" : ` USING ${value}`;
			if (value !== undefined) await session.execute(dropDefault(place, name));
			await session.execute(`${changeType(duckdbDialect, place.sql, name, type)}${using}`);
		}
		return;
	}
	if (!alone) throw new HeadraceError("E_CONFLICT", `another load is at ${place.sql}, whose columns have to change`);
	for (const { name, value } of retypes) if (value !== undefined) await session.execute(dropDefault(place, name));
	await writeAnew(session, place, retypes, types);
}

async function writeAnew(
	session: Session,
	place: Place,
	retypes: readonly Retype[],
	types: ReadonlyMap<string, string>,
): Promise<void> {
	const { columns } = (await describeTable(session, place))!;
	const { columns: lines, constraints } = await tableLike(session, place, types);
	const build = place.beside(BUILD_SUFFIX);
	const values = new Map(
		retypes.map(({ name, type, value }) => [name, value ?? `CAST(${quoteIdentifier(name)} AS ${type})`]),
	);
	const names = columns.map(({ name }) => name);
	const items = names.map((name) => values.get(name) ?? quoteIdentifier(name)).join(", ");
	const comments = await keepsakesOf(session, place, columns);
	await session.execute(`CREATE TABLE ${build.sql} (\n\t${[...lines, ...constraints].join(",\n\t")}\n)`);
	await session.execute(
		`INSERT INTO ${build.sql} (${quotedList(duckdbDialect, names)}) SELECT ${items} FROM ${place.sql}`,
		[],
		{ columns: names },
	);
	for (const statement of swapTable(duckdbDialect, { old: place.sql, fresh: build.sql, name: place.name }))
		await session.execute(statement);
	for (const statement of comments) await session.execute(statement);
}

function dropDefault(place: Place, name: string): string {
	return `ALTER TABLE ${place.sql} ALTER COLUMN ${quoteIdentifier(name)} DROP DEFAULT`;
}
