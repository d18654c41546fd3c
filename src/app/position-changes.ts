import { type CheckedPipeline, matchesPattern, parsePattern, selectedTable, tableRule } from "../config/index.ts";
import {
	type ChangeLog,
	type ChangesPosition,
	encodePosition,
	type FollowedTable,
	HeadraceError,
	loadId,
	qualified,
	type TableName,
} from "../core/index.ts";
import { CHANGES_STREAM, caughtUp, changesPosition, pauseTable, resumeTable, withoutTable } from "../flow/index.ts";
import type { PositionChanged, PositionRequest } from "./api.ts";
import type { Session } from "./session.ts";

/**
 * Moves the position of a pipeline's change log, or what it says of tables, in one transaction of the destination. What
 * follows the log meanwhile is fenced off.
 * @throws E_UNSUPPORTED, E_UNKNOWN_TABLE, E_INVALID_VALUE, E_USAGE when changes would be passed over unasked,
 *   E_HISTORY_GONE
 */
export async function changePosition(session: Session, request: PositionRequest): Promise<PositionChanged> {
	const { destination, pipeline, source } = session;
	const { changeLog: log } = source;
	const { changes } = destination;
	if (log === undefined || changes === undefined) throw followsNothing(pipeline.name);
	// Looked at first: what is wrong with the request is said before anybody is fenced off.
	const known = (await destination.positions(pipeline.name)).find(({ stream }) => stream === CHANGES_STREAM);
	await planned(log, changesPosition(known ?? { position: null }), request, pipeline);
	const row = (await destination.takeOver(pipeline.name, [CHANGES_STREAM])).get(CHANGES_STREAM);
	if (row === undefined) throw new HeadraceError("E_INTERNAL", "the destination gave no position row for changes");
	const before = changesPosition(row);
	const { after, tables, notes } = await planned(log, before, request, pipeline);
	const toPosition = encodePosition(after);
	if (toPosition !== row.position)
		await changes.apply({
			pipeline: pipeline.name,
			stream: CHANGES_STREAM,
			loadId: loadId({
				pipeline: pipeline.name,
				stream: CHANGES_STREAM,
				seq: row.seq,
				from: row.position,
				to: toPosition,
				schemaVersion: "",
			}),
			epoch: row.epoch,
			seq: row.seq,
			fromPosition: row.position,
			toPosition,
			schemaVersion: "",
			parts: [],
			bufferBytesMax: session.bufferBytesMax,
		});
	return {
		changed: toPosition !== row.position,
		position_before: before === null ? null : log.format(before.at),
		position: log.format(after.at),
		tables,
		notes,
	};
}

interface Planned {
	readonly after: ChangesPosition;
	/** Those that the request is about. */
	readonly tables: readonly string[];
	readonly notes: readonly string[];
}

async function planned(
	log: ChangeLog,
	before: ChangesPosition | null,
	request: PositionRequest,
	pipeline: CheckedPipeline,
): Promise<Planned> {
	const { name } = pipeline;
	if (before === null)
		throw new HeadraceError("E_UNSUPPORTED", `${name} has not followed its change log yet: there is no position`, {
			hint: `Begin by \`headrace run ${name}\`.`,
		});
	if (request.kind === "set") return movedTo(log, before, request);
	const tables = chosenTables(before, request.tables ?? [], pipeline);
	let after = before;
	for (const table of tables) {
		if (request.kind === "pause") after = pauseTable(after, table);
		else if (request.kind === "resume") after = resumeTable(after, table, log);
		else after = caughtUp(withoutTable(after, table), log);
	}
	if (request.kind === "resume") await refuseGone(log, before, tables, name);
	const notes = tables.flatMap((table) => {
		if (request.kind === "pause" && before.tables[table]?.state === "loading")
			return [`${table} is being read: it can be paused once it follows`];
		if (request.kind === "resync" && tableRule(pipeline, table)?.options.write === "history")
			return [`${table}: its history begins anew with the next run; copy the table if earlier versions are needed`];
		return [];
	});
	return { after, tables, notes };
}

/**
 * All tables would stop at the place of one that was paused for too long.
 * @throws E_HISTORY_GONE
 */
async function refuseGone(
	log: ChangeLog,
	{ tables }: ChangesPosition,
	wanted: readonly string[],
	pipeline: string,
): Promise<void> {
	const beginning = await log.beginning();
	for (const table of wanted) {
		const { state, from } = tables[table] ?? {};
		if (state !== "paused" || from === undefined || log.compare(from, beginning) >= 0) continue;
		throw new HeadraceError(
			"E_HISTORY_GONE",
			`the log begins at ${log.format(beginning)}, after ${log.format(from)}, where ${table} was paused: the changes between them are lost`,
			{ pipeline, table, hint: "Read the table anew: `headrace resync <pipeline> --table <table>`." },
		);
	}
}

/** Tables that follow the log, by names and patterns of the source or the destination; all of them when none were. */
function chosenTables(position: ChangesPosition, wanted: readonly string[], pipeline: CheckedPipeline): string[] {
	const all = Object.keys(position.tables);
	if (wanted.length === 0) return all;
	const chosen = wanted.flatMap((text) => {
		const pattern = parsePattern(text);
		const matches = all.filter((table) => {
			const source = tableNameOf(table);
			const into = selectedTable(pipeline, source)?.into;
			return matchesPattern(pattern, source) || (into !== undefined && matchesPattern(pattern, into));
		});
		if (matches.length === 0)
			throw new HeadraceError(
				"E_UNKNOWN_TABLE",
				`no table ${JSON.stringify(text)} of ${pipeline.name} follows its log`,
				{
					hint:
						all.length === 0
							? "None does."
							: `These do: ${all.slice(0, 10).join(", ")}${all.length > 10 ? ", …" : ""}.`,
				},
			);
		return matches;
	});
	return all.filter((table) => chosen.includes(table));
}

/** Of `schema.name`, as `qualified` writes it. */
export function tableNameOf(text: string): TableName {
	const dot = text.indexOf(".");
	const name = { schema: text.slice(0, Math.max(0, dot)), name: text.slice(dot + 1) };
	return qualified(name) === text ? name : { schema: "", name: text };
}

/** Reading goes on from another place. */
async function movedTo(
	log: ChangeLog,
	before: ChangesPosition,
	request: Extract<PositionRequest, { kind: "set" }>,
): Promise<Planned> {
	const to = log.parse(request.position);
	const [from, place] = [log.format(before.at), log.format(to)];
	const [beginning, end] = [await log.beginning(), await log.end()];
	if (log.compare(to, beginning) < 0)
		throw new HeadraceError("E_HISTORY_GONE", `the log begins at ${log.format(beginning)}, after ${place}`, {
			hint: "Choose a later place, or read the tables anew: `headrace resync`.",
		});
	if (log.compare(to, end) > 0)
		throw new HeadraceError("E_INVALID_VALUE", `the log ends at ${log.format(end)}, before ${place}`, {
			hint: "Choose an earlier place.",
		});
	const order = log.compare(to, before.at);
	const following = Object.entries(before.tables).filter(([, { state }]) => state === undefined);
	const names = following.map(([name]) => name);
	if (order === 0) return { after: before, tables: [], notes: [`reading goes on from ${from} as before`] };
	if (order > 0) {
		if (!request.isConfirmed)
			throw new HeadraceError(
				"E_USAGE",
				`changes between ${from} and ${place} would never be read, of ${names.join(", ") || "no table"}`,
				{ hint: "Add --yes if that is what you want; `headrace resync` makes the tables whole again." },
			);
		const isPast = (at: string | undefined) => at === undefined || log.compare(at, to) <= 0;
		const tables = Object.entries(before.tables).map(([name, table]): [string, FollowedTable] => [
			name,
			table.state === undefined
				? {
						...(isPast(table.from) ? {} : { from: table.from! }),
						...(isPast(table.until) ? {} : { until: table.until! }),
					}
				: table,
		]);
		const { committedAt: _old, ...rest } = before;
		return {
			after: { ...rest, at: to, tables: Object.fromEntries(tables) },
			tables: names,
			notes: [`changes between ${from} and ${place} will never be read: \`headrace resync\` makes tables whole again`],
		};
	}
	// What comes again may be in the tables already.
	const tables = Object.entries(before.tables).map(([name, table]): [string, FollowedTable] => {
		if (table.state !== undefined) return [name, table];
		let until = before.at;
		for (const place of [table.from, table.until])
			if (place !== undefined && log.compare(place, until) > 0) until = place;
		return [name, { until }];
	});
	return {
		after: { ...before, at: to, tables: Object.fromEntries(tables) },
		tables: names,
		notes: [
			`changes between ${place} and ${from} will be read again: tables that are merged end up the same, rows of append and history come twice`,
		],
	};
}

function followsNothing(pipeline: string): HeadraceError {
	return new HeadraceError("E_UNSUPPORTED", `${pipeline} follows no change log`, {
		hint: "Its tables are read anew by `headrace run --full-refresh`.",
	});
}
