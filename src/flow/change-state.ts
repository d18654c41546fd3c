import {
	type ChangeLog,
	type ChangesPosition,
	decodePosition,
	type FollowedTable,
	HeadraceError,
	type PositionRow,
} from "../core/index.ts";

/** Name of the position row of a pipeline's change log. */
export const CHANGES_STREAM = "changes";

/** How positions of a log are ordered. */
export type LogOrder = Pick<ChangeLog, "compare">;

/** What the position row of the stream `changes` says; null before the first table was read. @throws E_STATE */
export function changesPosition(row: Pick<PositionRow, "position">): ChangesPosition | null {
	if (row.position === null) return null;
	const position = decodePosition(row.position);
	if (position.kind === "changes") return position;
	throw new HeadraceError("E_STATE", "the position of the stream `changes` is not one of a change log");
}

/** Tables of a pipeline that have to be read before they can follow: new ones, and those whose reading was cut off. */
export function tablesToRead(position: ChangesPosition | null, tables: readonly string[]): string[] {
	return tables.filter((table) => {
		const known = position?.tables[table];
		return known === undefined || known.state === "loading";
	});
}

/** A reading of a table that is about to begin. */
export interface BegunReading {
	readonly name: string;
	/** What an earlier run has read of it counts. */
	readonly goesOn: boolean;
	/** Of the table's own position row. */
	readonly seq: number;
	/** See EndedReading. */
	readonly at?: bigint | undefined;
}

/**
 * Notes, before a row is read, that tables are read at a cut with this place in the log. A table whose reading is gone
 * on with keeps its older place: what was read of it then may have changed since.
 */
export function beginReading(
	position: ChangesPosition | null,
	place: string,
	tables: readonly BegunReading[],
): ChangesPosition {
	const changed: Record<string, FollowedTable> = {};
	for (const { name, goesOn, at, seq } of tables) {
		const from = goesOn ? (position?.tables[name]?.from ?? place) : place;
		changed[name] = { from, state: "loading", seq, ...(at === undefined ? {} : { since: String(at) }) };
	}
	// Of the tables that follow already the time stays, as their place does.
	return { kind: "changes", at: place, ...position, tables: { ...position?.tables, ...changed } };
}

/** A reading of a table that has come to its end. */
export interface EndedReading {
	/** The last of its rows is of the cut here. */
	readonly until: string;
	/** The oldest cut that some of it is of, where that is not the one that its reading began with. */
	readonly from?: string | undefined;
	/** When it was read, microseconds since 1970, where its rows begin then: later changes are not told to be older. */
	readonly at?: bigint | undefined;
}

/** A table has been read whole: from here on it follows the log. */
export function endReading(
	position: ChangesPosition,
	table: string,
	{ until, from = position.tables[table]?.from ?? until, at }: EndedReading,
	{ compare }: LogOrder,
): ChangesPosition {
	const entry: FollowedTable = {
		from,
		...(compare(from, until) < 0 ? { until } : {}),
		...(at === undefined ? {} : { since: String(at) }),
	};
	return startingFrom({ ...position, tables: { ...position.tables, [table]: entry } }, from, { compare });
}

/**
 * The position from which a table's changes still come, when it lies before the others': the log is read from there, and
 * the others pass over what they have. What comes again was committed earlier than what came last, so that each table has
 * the time by itself that its later changes are not before: a log's times go back, and a version's must not.
 */
export function startingFrom(position: ChangesPosition, at: string, { compare }: LogOrder): ChangesPosition {
	if (compare(at, position.at) >= 0) return position;
	const { committedAt, ...rest } = position;
	const tables = Object.entries(position.tables).map(([name, table]): [string, FollowedTable] =>
		table.from === undefined && table.state === undefined
			? [name, { ...table, from: position.at, ...sinceOf(table, committedAt) }]
			: [name, table],
	);
	return { ...rest, at, tables: Object.fromEntries(tables) };
}

/**
 * The position without what every table that follows passes over: where it was set back for the sake of a table that is
 * no longer there, what lies between need not be read, and may be gone.
 */
export function caughtUp(position: ChangesPosition, { compare }: LogOrder): ChangesPosition {
	const places = Object.values(position.tables).flatMap(({ state, from }) =>
		state === undefined ? [from ?? position.at] : [],
	);
	const [first, ...others] = places;
	if (first === undefined) return position;
	const at = others.reduce((a, b) => (compare(b, a) < 0 ? b : a), first);
	return compare(at, position.at) <= 0 ? position : advance(position, { at, committedAt: null }, { compare });
}

/** The later of two times that a table's changes are not before. */
function sinceOf({ since }: FollowedTable, committedAt: string | undefined): Pick<FollowedTable, "since"> {
	if (committedAt === undefined) return since === undefined ? {} : { since };
	return { since: since !== undefined && BigInt(since) > BigInt(committedAt) ? since : committedAt };
}

/** All changes up to `at` have been applied. */
export function advance(
	position: ChangesPosition,
	{ at, committedAt }: { readonly at: string; readonly committedAt: bigint | null },
	{ compare }: LogOrder,
): ChangesPosition {
	const isDone = (place: string | undefined) => place === undefined || compare(place, at) <= 0;
	const time = committedAt === null ? {} : { committedAt: String(committedAt) };
	const last = time.committedAt ?? position.committedAt;
	const tables = Object.entries(position.tables).map(([name, table]): [string, FollowedTable] => {
		if (table.state !== undefined) return [name, table];
		const { from, until, since } = table;
		const isPast = since === undefined || (isDone(from) && last !== undefined && BigInt(since) <= BigInt(last));
		return [
			name,
			{
				...(isDone(from) ? {} : { from: from! }),
				...(isDone(until) ? {} : { until: until! }),
				...(isPast ? {} : { since }),
			},
		];
	});
	return { ...position, at, ...time, tables: Object.fromEntries(tables) };
}

/** A table that is read anew, or followed no more. */
export function withoutTable(position: ChangesPosition, table: string): ChangesPosition {
	const { [table]: _gone, ...tables } = position.tables;
	return { ...position, tables };
}

/** The table's changes are left in the log from here on. */
export function pauseTable(position: ChangesPosition, table: string): ChangesPosition {
	const known = position.tables[table];
	if (known === undefined || known.state !== undefined) return position;
	const since = known.from === undefined ? sinceOf(known, position.committedAt) : {};
	return {
		...position,
		tables: { ...position.tables, [table]: { ...known, ...since, from: known.from ?? position.at, state: "paused" } },
	};
}

/** The log is read again from where the table was paused; the other tables pass over what they have. */
export function resumeTable(position: ChangesPosition, table: string, order: LogOrder): ChangesPosition {
	const known = position.tables[table];
	if (known?.state !== "paused") return position;
	const { state: _state, ...rest } = known;
	const resumed = { ...position, tables: { ...position.tables, [table]: rest } };
	return rest.from === undefined ? resumed : startingFrom(resumed, rest.from, order);
}

/** Up to where the source may forget its log: paused tables and those that are being read still need what follows. */
export function forgettable(position: ChangesPosition, order: LogOrder): string {
	return heldBack(position, order)?.from ?? position.at;
}

/** The table that needs more of the log than is read for the others: it is paused, or being read. Null when none does. */
export function heldBack(
	position: ChangesPosition,
	{ compare }: LogOrder,
): { readonly table: string; readonly from: string } | null {
	let oldest: { readonly table: string; readonly from: string } | null = null;
	for (const [table, { state, from }] of Object.entries(position.tables))
		if (state !== undefined && from !== undefined && compare(from, oldest?.from ?? position.at) < 0)
			oldest = { table, from };
	return oldest;
}
