import { batchesOf, collect, type DestinationFixture, type TextRow } from "../../src/conformance/index.ts";
import {
	type ApplyRequest,
	type ApplyResult,
	type Batch,
	CHANGE_ABSENT_COLUMN,
	CHANGE_BASE_COLUMN,
	CHANGE_DELETED_COLUMN,
	type ChangesPart,
	type Destination,
	HeadraceError,
	HISTORY_COLUMNS,
	type PositionRow,
} from "../../src/core/index.ts";
import type { PlantedBug } from "./memory-planted-source-bugs.ts";
import { memoryDestinationFixture } from "./memory-support.ts";

type Apply = (request: ApplyRequest) => Promise<ApplyResult>;
type Bug = PlantedBug<DestinationFixture>;

function byApply(
	bug: string,
	caughtBy: string,
	change: (apply: Apply, request: ApplyRequest, destination: Destination) => Promise<ApplyResult>,
): Bug {
	const wrap = (destination: Destination): Destination => ({
		...destination,
		changes: {
			...destination.changes!,
			apply: (request) => change(destination.changes!.apply, request, destination),
		},
	});
	return { bug, caughtBy, open: () => memoryDestinationFixture(wrap) };
}

function byParts(bug: string, caughtBy: string, change: (part: ChangesPart) => ChangesPart): Bug {
	return byApply(bug, caughtBy, (apply, request) => apply({ ...request, parts: request.parts.map(change) }));
}

type Named = Record<string, string | null>;

async function withRows(
	part: ChangesPart,
	change: (rows: Named[], part: ChangesPart) => Named[],
): Promise<ChangesPart> {
	if (part.input.kind === "files") return part;
	const { fields, batches } = part.input;
	const rows = (await collect(batches)).map((row) => Object.fromEntries(fields.map(({ name }, i) => [name, row[i]!])));
	const texts = change(rows, part).map((row): TextRow => fields.map(({ name }) => row[name] ?? null));
	return { ...part, input: { kind: "batches", fields, batches: batchesOf(fields, texts) } };
}

/** Changes the rows that come in. */
function byRows(bug: string, caughtBy: string, change: (rows: Named[], part: ChangesPart) => Named[]): Bug {
	return byApply(bug, caughtBy, async (apply, request) => {
		const parts: ChangesPart[] = [];
		for (const part of request.parts) parts.push(await withRows(part, change));
		return apply({ ...request, parts });
	});
}

async function positionOf(
	destination: Destination,
	{ pipeline, stream }: ApplyRequest,
): Promise<PositionRow | undefined> {
	return (await destination.positions(pipeline)).find((row) => row.stream === stream);
}

const keyOf = (row: Named, { target }: ChangesPart) => JSON.stringify(target.key.map((name) => row[name]));

const LAST = "of the changes of a key the last counts, in whatever batches they come";
const SWAPPED = "keys that change, and change places, take what their rows do not tell along";
const UNTOLD = "what a row does not tell is the table's, and what it tells is NULL when it says so";
const TRUNCATED = "a truncation takes the rows of before, and no base is among them";
const VERSIONS = "history: the versions of any time are the rows that the source had";
const APPENDED = "append keeps every change as a row, deletes too, whatever comes before";

/** Each part in a transaction of its own. */
async function oneByOne(apply: Apply, request: ApplyRequest): Promise<ApplyResult> {
	const parts: ApplyResult["parts"][number][] = [];
	let { seq, fromPosition } = request;
	for (const [index, part] of request.parts.entries()) {
		const last = index === request.parts.length - 1;
		const loadId = last ? request.loadId : `${request.loadId} ${index}`;
		parts.push(...(await apply({ ...request, seq, fromPosition, loadId, parts: [part] })).parts);
		seq++;
		fromPosition = request.toPosition;
	}
	return request.parts.length === 0 ? apply(request) : { parts };
}

const transactionBugs: readonly Bug[] = [
	byApply(
		"each part is committed by itself",
		"changes whose second part fails leave the first and the position as they were, and can be repeated",
		oneByOne,
	),
	byApply(
		"readers see one table after the other",
		"changes are atomic for a reader: it sees those of all tables or of none",
		oneByOne,
	),
	byApply(
		"the compare-and-set is ignored",
		"changes that do not continue the position are E_FENCED and change nothing",
		async (apply, request, destination) => {
			const row = await positionOf(destination, request);
			return row === undefined ? apply(request) : apply({ ...request, seq: row.seq, fromPosition: row.position });
		},
	),
	byApply(
		"the epoch is not compared",
		"takeOver fences the older run: its changes fail, before and after the newer run's",
		async (apply, request, destination) => {
			const row = await positionOf(destination, request);
			return row === undefined ? apply(request) : apply({ ...request, epoch: row.epoch });
		},
	),
	byApply(
		"a run that was fenced meanwhile commits",
		"takeOver in the middle of changes: one of the two wins, and both know which",
		async (apply, request, destination) => {
			try {
				return await apply(request);
			} catch (error) {
				if ((await destination.committed(request.loadId)) || !(error instanceof HeadraceError)) throw error;
				return { parts: [] };
			}
		},
	),
	byApply(
		"changes that are sent again are applied again",
		"changes that are sent again after their commit have effect once",
		async (apply, request, destination) => {
			const row = await positionOf(destination, request);
			if (row?.loadId !== request.loadId) return apply(request);
			const parts = request.parts.map((part) => ({ ...part, loadId: `${part.loadId} again` }));
			const loadId = `${request.loadId} again`;
			return apply({ ...request, seq: row.seq, fromPosition: row.position, loadId, parts });
		},
	),
	byParts(
		"the loads of parts are not recorded",
		"changes commit rows of their tables, position and load ids together",
		(part) => ({ ...part, loadId: `${part.loadId} lost` }),
	),
	byApply("nothing to do moves nothing", "changes of no tables move the position", async (apply, request) =>
		request.parts.length === 0 ? { parts: [] } : apply(request),
	),
	byApply(
		"changes can't be aborted",
		"changes that are aborted leave nothing",
		(apply, { signal: _signal, ...request }) => apply(request),
	),
	byParts("batches are kept", "changes release every batch once", (part) => {
		if (part.input.kind === "files") return part;
		const { fields, batches } = part.input;
		async function* kept(): AsyncGenerator<Batch> {
			for await (const batch of batches) yield Object.create(batch, { release: { value: () => {} } }) as Batch;
		}
		return { ...part, input: { kind: "batches", fields, batches: kept() } };
	}),
	byParts(
		"columns are not recorded",
		"the columns of each part are recorded with it",
		({ schema: _schema, ...part }) => part,
	),
];

const rowBugs: readonly Bug[] = [
	byRows("the first change of a key counts", LAST, (rows) => rows.reverse()),
	byRows("what is deleted once stays deleted", LAST, (rows, part) => {
		const gone = new Set(rows.flatMap((row) => (row[CHANGE_DELETED_COLUMN] === "true" ? [keyOf(row, part)] : [])));
		return rows.filter((row) => row[CHANGE_DELETED_COLUMN] !== "false" || !gone.has(keyOf(row, part)));
	}),
	byRows("deletes come before all else", LAST, (rows) => {
		const isGone = (row: Named) => row[CHANGE_DELETED_COLUMN] === "true";
		return [...rows.filter(isGone), ...rows.filter((row) => !isGone(row))];
	}),
	byRows("what is not told is NULL", UNTOLD, (rows) => rows.map((row) => ({ ...row, [CHANGE_ABSENT_COLUMN]: null }))),
	byRows("all that is NULL was not told", UNTOLD, (rows, { target }) =>
		rows.map((row) => {
			const mask = target.columns.map(({ name }) => (row[name] === null ? "1" : "0")).join("");
			return row[CHANGE_ABSENT_COLUMN] === null ? row : { ...row, [CHANGE_ABSENT_COLUMN]: mask };
		}),
	),
	byRows("deletes need a base", UNTOLD, (rows) =>
		rows.map((row) => (row[CHANGE_ABSENT_COLUMN] === null ? row : { ...row, [CHANGE_DELETED_COLUMN]: "false" })),
	),
	byRows("a base is looked for by the new key", SWAPPED, (rows, { target, partial }) =>
		partial ? rows.map((row) => ({ ...row, [`${CHANGE_BASE_COLUMN}0`]: row[target.key[0]!] ?? null })) : rows,
	),
	byRows("masks go by the order of the alphabet", UNTOLD, (rows, { target }) => {
		const names = target.columns.map(({ name }) => name);
		const sorted = [...names].sort();
		return rows.map((row) => {
			const mask = row[CHANGE_ABSENT_COLUMN];
			if (mask === null || mask === undefined) return row;
			return { ...row, [CHANGE_ABSENT_COLUMN]: names.map((name) => mask[sorted.indexOf(name)]).join("") };
		});
	}),
	byApply(
		"a base that is missing is filled with NULL",
		"a row whose base is not there is E_BASE_MISSING and changes nothing",
		(apply, request) => {
			const parts = request.parts.map((part) => ({ ...part, overlaps: true }));
			return apply({ ...request, parts });
		},
	),
	byParts(
		"rows that were read later are not left out",
		"a row whose base is not there is left out where rows were read later",
		({ overlaps: _overlaps, ...part }) => part,
	),
	byParts("a truncation is ignored", TRUNCATED, ({ truncatedAt: _at, ...part }) => part),
	byParts(
		"a truncation takes rows that are to stay",
		"a truncation marks the rows of before where deleted rows stay",
		({ truncatedAt: _at, ...part }) => part,
	),
	byParts(
		"a renamed column is added",
		"a column that is renamed between two parts is one column",
		({ target, ...part }) => ({
			...part,
			target: { ...target, columns: target.columns.map(({ renamedFrom: _from, ...column }) => column) },
		}),
	),
	byApply("a truncation comes after the rows", TRUNCATED, async (apply, request) => {
		const parts = request.parts.flatMap(({ truncatedAt, ...part }) => {
			if (truncatedAt === undefined || part.input.kind === "files") return [part];
			const input = { ...part.input, batches: batchesOf([], []) };
			return [part, { ...part, truncatedAt, input, loadId: `${part.loadId} truncation` }];
		});
		const result = await apply({ ...request, parts });
		return { parts: result.parts.slice(0, request.parts.length) };
	}),
	byApply(
		"parts are applied in any order",
		"a table may come twice: the second part finds what the first left",
		async (apply, request) => {
			const result = await apply({ ...request, parts: request.parts.toReversed() });
			return { parts: result.parts.toReversed() };
		},
	),
	byRows(
		"decimals go through a JS number",
		"values of every type come by changes as by loads, told or taken from the base",
		(rows, { target }) =>
			rows.map((row) => {
				const values = target.columns.flatMap(({ name, type }) => {
					const value = row[name];
					if (type.kind !== "decimal" || value === null || value === undefined) return [];
					return [[name, Number(value).toFixed(type.scale).slice(0, 30)] as const];
				});
				return { ...row, ...Object.fromEntries(values) };
			}),
	),
	byRows(
		"times with a zone are taken for local ones",
		"values of every type come by changes as by loads, told or taken from the base",
		(rows, { target }) =>
			rows.map((row) => {
				const times = target.columns.flatMap(({ name, type }) => {
					const value = row[name];
					return type.kind === "timestamptz" && value ? [[name, value.replace(/\+00$/, "-03")] as const] : [];
				});
				return { ...row, ...Object.fromEntries(times) };
			}),
	),
	byApply(
		"a table of no rows is not made",
		"changes of a table that is not there make it as merge does",
		async (apply, request) => {
			const parts: ChangesPart[] = [];
			for (const part of request.parts) {
				let count = 0;
				const read = await withRows(part, (rows) => {
					count = rows.length;
					return rows;
				});
				if (count > 0) parts.push(read);
			}
			const result = await apply({ ...request, parts });
			return { parts: request.parts.map((_part, index) => result.parts[index] ?? result.parts[0]!) };
		},
	),
];

const { validFrom, operation } = HISTORY_COLUMNS;

const historyBugs: readonly Bug[] = [
	byRows("of the changes in a request only the last is a version", VERSIONS, (rows, part) =>
		part.write === "history" ? [...new Map(rows.map((row) => [keyOf(row, part), row])).values()] : rows,
	),
	byRows("changes of one time are one version", VERSIONS, (rows, part) => [
		...new Map(rows.map((row) => [`${keyOf(row, part)} ${row[validFrom]}`, row])).values(),
	]),
	byRows("a delete is a version", VERSIONS, (rows) =>
		rows.map((row) => (row[operation] === "delete" ? { ...row, [operation]: "gone" } : row)),
	),
	byRows("a delete ends nothing", VERSIONS, (rows) => rows.filter((row) => row[operation] !== "delete")),
	byRows("a request is one time", "history: all changes in one request give the versions that many give", (rows) =>
		rows.map((row) => ({ ...row, [validFrom]: rows[0]?.[validFrom] ?? null })),
	),
	byRows(
		"what a version does not tell is NULL",
		"history: what a change does not tell is the current version's, of the key it had",
		(rows) => rows.map((row) => ({ ...row, [CHANGE_ABSENT_COLUMN]: null })),
	),
	byApply("an ended version is a base", "history: a version that has an end is no base", async (apply, request) => {
		try {
			return await apply(request);
		} catch (error) {
			if (!(error instanceof HeadraceError) || error.code !== "E_BASE_MISSING") throw error;
			return { parts: [] };
		}
	}),
	byParts(
		"a truncation ends no version",
		"history: a truncation ends all versions at its time, and later rows begin anew",
		({ truncatedAt: _at, ...part }) => part,
	),
	byRows("deletes are not appended", APPENDED, (rows) => rows.filter((row) => row[operation] !== "delete")),
	byRows("equal changes are appended once", APPENDED, (rows) => [
		...new Map(rows.map((row) => [JSON.stringify(row), row])).values(),
	]),
];

export const CHANGES_BUGS: readonly Bug[] = [...transactionBugs, ...rowBugs, ...historyBugs];
