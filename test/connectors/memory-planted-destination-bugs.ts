import { batchesOf, collect, type DestinationFixture, type TextRow } from "../../src/conformance/index.ts";
import type { MemoryWarehouse } from "../../src/connectors/memory/index.ts";
import type { Batch, Destination, Field, LoadRequest, PositionRow, TargetTable } from "../../src/core/index.ts";
import type { PlantedBug } from "./memory-planted-source-bugs.ts";
import { memoryDestinationFixture } from "./memory-support.ts";

type Load = (destination: Destination, request: LoadRequest) => ReturnType<Destination["load"]>;

function byDestination(
	bug: string,
	caughtBy: string,
	change: (destination: Destination, warehouse: MemoryWarehouse) => Partial<Destination>,
): PlantedBug<DestinationFixture> {
	const wrap = (destination: Destination, warehouse: MemoryWarehouse): Destination => ({
		...destination,
		...change(destination, warehouse),
	});
	return { bug, caughtBy, open: () => memoryDestinationFixture(wrap) };
}

function byLoad(bug: string, caughtBy: string, load: Load): PlantedBug<DestinationFixture> {
	return byDestination(bug, caughtBy, (destination) => ({ load: (request) => load(destination, request) }));
}

function byRequest(bug: string, caughtBy: string, change: (request: LoadRequest) => LoadRequest) {
	return byLoad(bug, caughtBy, (destination, request) => destination.load(change(request)));
}

/** Changes the rows that come in. */
function byRows(bug: string, caughtBy: string, change: (rows: TextRow[], fields: readonly Field[]) => TextRow[]) {
	return byLoad(bug, caughtBy, async (destination, request) => {
		if (request.input.kind === "files") return destination.load(request);
		const { fields, batches } = request.input;
		const rows = change(await collect(batches), fields);
		return destination.load({ ...request, input: { kind: "batches", fields, batches: batchesOf(fields, rows) } });
	});
}

async function positionOf(destination: Destination, request: LoadRequest): Promise<PositionRow | undefined> {
	return (await destination.positions(request.pipeline)).find((row) => row.stream === request.stream);
}

const noBatches: LoadRequest["input"] = { kind: "batches", fields: [], batches: batchesOf([], []) };
const ATOMIC = "replace is atomic for a reader: it sees all the old rows or all the new";

export const DESTINATION_BUGS: readonly PlantedBug<DestinationFixture>[] = [
	byLoad(
		"the position is saved before the data",
		"append whose input fails midway leaves the old rows and position, and can be repeated",
		async (destination, request) => {
			const { target, epoch, seq } = request;
			const input: LoadRequest["input"] = { ...noBatches, fields: target.columns };
			await destination.load({ ...request, input, write: "append", loadId: `${request.loadId} position` });
			const next = { epoch, seq: seq + 1, fromPosition: request.toPosition };
			return destination.load({ ...request, ...next });
		},
	),
	byLoad(ATOMIC, ATOMIC, async (destination, request) => {
		if (request.write !== "replace" || request.seq === 0) return destination.load(request);
		const input: LoadRequest["input"] = { ...noBatches, fields: request.target.columns };
		await destination.load({ ...request, input, allowEmpty: true, loadId: `${request.loadId} empty` });
		return destination.load({ ...request, seq: request.seq + 1, fromPosition: request.toPosition });
	}),
	byLoad("each batch is committed by itself", ATOMIC, async (destination, request) => {
		if (request.input.kind === "files") return destination.load(request);
		const { fields, batches } = request.input;
		let { seq, fromPosition, write } = request;
		let result = null;
		for await (const batch of batches) {
			async function* one(): AsyncGenerator<Batch> {
				yield batch;
			}
			const input = { kind: "batches" as const, fields, batches: one() };
			result = await destination.load({
				...request,
				input,
				seq,
				fromPosition,
				write,
				loadId: `${request.loadId} ${seq}`,
			});
			seq++;
			fromPosition = request.toPosition;
			if (write === "replace") write = "append";
		}
		return result ?? destination.load(request);
	}),
	byLoad(
		"an error of the input is taken for its end",
		"append whose input fails midway leaves the old rows and position, and can be repeated",
		(destination, request) => {
			if (request.input.kind === "files") return destination.load(request);
			const { fields, batches } = request.input;
			async function* swallowing(): AsyncGenerator<Batch> {
				try {
					yield* batches;
				} catch {
					// the bug
				}
			}
			return destination.load({ ...request, input: { kind: "batches", fields, batches: swallowing() } });
		},
	),
	byLoad(
		"the compare-and-set is ignored",
		"takeOver fences the older run: its load fails and the newer run's is kept",
		async (destination, request) => {
			const row = await positionOf(destination, request);
			if (row === undefined) return destination.load(request);
			return destination.load({ ...request, epoch: row.epoch, seq: row.seq, fromPosition: row.position });
		},
	),
	byLoad("the epoch is not compared", "a wrong epoch is E_FENCED and changes nothing", async (destination, request) => {
		const row = await positionOf(destination, request);
		return destination.load({ ...request, epoch: row?.epoch ?? request.epoch });
	}),
	byLoad("seq is not compared", "a wrong seq is E_FENCED and changes nothing", async (destination, request) => {
		const row = await positionOf(destination, request);
		return destination.load({ ...request, seq: row?.seq ?? request.seq });
	}),
	byLoad(
		"from NULL matches every position",
		"a wrong from-position NULL is E_FENCED and changes nothing",
		async (destination, request) => {
			const row = await positionOf(destination, request);
			return destination.load({ ...request, fromPosition: request.fromPosition ?? row?.position ?? null });
		},
	),
	byLoad(
		"a load that is sent again is done again",
		"a load that is sent again after its commit has effect once",
		async (destination, request) => {
			if (!(await destination.committed(request.loadId))) return destination.load(request);
			const row = (await positionOf(destination, request))!;
			const { seq, position: fromPosition } = row;
			return destination.load({ ...request, seq, fromPosition, loadId: `${request.loadId} again` });
		},
	),
	byDestination(
		"takeOver does not raise the epoch",
		"takeOver fences the older run: its load fails and the newer run's is kept",
		(destination) => ({
			takeOver: async (pipeline, streams) => {
				const rows = new Map((await destination.positions(pipeline)).map((row) => [row.stream, row]));
				if (streams.every((stream) => rows.has(stream))) return rows;
				return destination.takeOver(pipeline, streams);
			},
		}),
	),
	byDestination(
		"takeOver forgets the position",
		"takeOver raises the epoch, makes missing rows, and leaves the positions as they are",
		(destination) => ({
			takeOver: async (pipeline, streams) => {
				const rows = await destination.takeOver(pipeline, streams);
				return new Map([...rows].map(([stream, row]) => [stream, { ...row, position: null }]));
			},
		}),
	),
	byDestination(
		"no load is ever told as committed",
		"an answer that was lost can be asked for again, by another process too",
		() => ({
			committed: async () => false,
		}),
	),
	byDestination("every load is told as committed", "a load commits data, position and load id together", () => ({
		committed: async () => true,
	})),
	byRequest(
		"the order column is not looked at",
		"merge keeps the newest row of a key, whatever the order they come in, and counts the others",
		({ orderColumn: _order, ...request }) => request,
	),
	byRows("merge keeps the first of rows that tie", "merge of rows that tie keeps the one read later", (rows) =>
		rows.reverse(),
	),
	byRequest(
		"merge keeps deleted rows",
		"merge removes rows flagged as deleted, by a column of boolean",
		({ deletedColumn: _deleted, ...request }) => request,
	),
	byRequest(
		"replace keeps deleted rows",
		"replace leaves out rows flagged as deleted, as if they had been merged",
		({ deletedColumn: _deleted, ...request }) => request,
	),
	byRows(
		"keys are compared without case",
		"merge by a composite key, and keys that differ by case or blanks are different",
		(rows, fields) => rows.map((row) => row.map((v, i) => (fields[i]?.name === "a" ? (v?.toLowerCase() ?? null) : v))),
	),
	byRequest(
		"an interval is appended again",
		"an interval by its column: a repeated load replaces exactly its own rows",
		({ interval: _interval, ...request }) => request,
	),
	byRequest(
		"the end of an interval is included",
		"an interval by its column: a repeated load replaces exactly its own rows",
		(request) =>
			request.interval === undefined
				? request
				: { ...request, interval: { ...request.interval, end: `${request.interval.end}.000001` } },
	),
	byRequest(
		"an interval without a column has no tag",
		"an interval by its tag: a repeated load replaces exactly its own rows",
		({ interval, ...request }) => (interval?.column === undefined ? request : { ...request, interval }),
	),
	byRequest(
		"an overlap is added again",
		"append with an overlap adds only what the table has not, each row against one",
		({ overlap: _overlap, ...request }) => request,
	),
	byRows("append leaves out equal rows", "append adds every row, equal ones too", (rows) => [
		...new Map(rows.map((row) => [JSON.stringify(row), row])).values(),
	]),
	byRequest(
		"an empty replace is always done",
		"a replace of no rows is E_EMPTY when the table has some, and changes nothing",
		(request) => ({ ...request, allowEmpty: true }),
	),
	byRequest("keys are not checked", "replace refuses a key that is not unique and changes nothing", (request) =>
		request.write === "replace" ? { ...request, target: { ...request.target, key: [] } } : request,
	),
	byRequest(
		"a load can't be aborted",
		"a load that is aborted leaves nothing",
		({ signal: _signal, ...request }) => request,
	),
	byRows("decimals go through a JS number", "type decimal(38,10): the extremes and NULL arrive equal", (rows, fields) =>
		rows.map((row) =>
			row.map((value, i) => {
				const { type } = fields[i]!;
				return value === null || type.kind !== "decimal" ? value : Number(value).toFixed(type.scale).slice(0, 30);
			}),
		),
	),
	byRows("an empty text is NULL", "type text: the extremes and NULL arrive equal", (rows) =>
		rows.map((row) => row.map((value) => (value === "" ? null : value))),
	),
	byLoad("batches are kept", "every batch is released once", (destination, request) => {
		if (request.input.kind === "files") return destination.load(request);
		const { fields, batches } = request.input;
		async function* kept(): AsyncGenerator<Batch> {
			for await (const batch of batches) yield Object.create(batch, { release: { value: () => {} } }) as Batch;
		}
		return destination.load({ ...request, input: { kind: "batches", fields, batches: kept() } });
	}),
	byRequest(
		"columns are not recorded",
		"the columns of a load are recorded with it; the last of each stream are told, by pipeline",
		({ schema: _schema, ...request }) => request,
	),
	byRequest(
		"added columns are never filled",
		"merge with a column that is to be filled gives its default to rows from before",
		(request) => ({ ...request, target: withoutOf(request.target, "fill") }),
	),
	byRequest("a renamed column is added", "append with a renamed column renames the table's", (request) => ({
		...request,
		target: withoutOf(request.target, "renamedFrom"),
	})),
	byRequest(
		"an overlap is compared in new columns too",
		"append with a column that is new replaces the rows of its overlap, as many as came, and doubles none",
		(request) => {
			if (request.overlap === undefined) return request;
			const { added: _added, ...overlap } = request.overlap;
			return { ...request, overlap };
		},
	),
	byRequest(
		"conflicts are never ignored",
		"merge that ignores conflicts leaves rows that are there, and adds the others once",
		({ onConflict: _onConflict, ...request }) => request,
	),
	byRequest(
		"nothing is verified",
		"merge that verify refuses leaves the old rows and position, and can be repeated",
		({ verify: _verify, ...request }) => request,
	),
	byLoad(
		"rows are verified after their commit",
		"replace is verified once, while others see the old rows",
		async (destination, { verify, ...request }) => {
			const result = await destination.load(request);
			await verify?.({ relation: request.target.name.name, query: async () => [] });
			return result;
		},
	),
	byDestination("a table that is not there has no DDL", "planDdl tells the DDL of a load and runs none of it", () => ({
		planDdl: async () => [],
	})),
];

function withoutOf(target: TargetTable, key: "fill" | "renamedFrom"): TargetTable {
	return { ...target, columns: target.columns.map(({ [key]: _left, ...column }) => column) };
}
