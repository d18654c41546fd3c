import {
	type ApplyRequest,
	Batch,
	type ChangedRows,
	type ChangeEvent,
	type ChangeLog,
	type ChangeStream,
	Column,
	type DestinationChanges,
	qualified,
	type Snapshot,
} from "../../../src/core/index.ts";
import { CHANGES_STREAM } from "../../../src/flow/index.ts";
import { overlay } from "../planting.ts";
import type { FlowPorts } from "../watch.ts";
import { type ChangeWorldOptions, PIPELINE } from "./world.ts";

type Plant = (ports: FlowPorts) => FlowPorts;

/** A mistake that a flow or a connector could make, the law that must notice it, and the worlds where it matters. */
export interface PlantedChangeBug {
	readonly bug: string;
	readonly world: Partial<ChangeWorldOptions>;
	readonly law: RegExp;
	readonly plant: Plant;
}

const byLog =
	(change: (log: ChangeLog) => Partial<ChangeLog>): Plant =>
	(ports) => {
		const log = ports.source.changeLog!;
		return { ...ports, source: overlay(ports.source, { changeLog: overlay(log, change(log)) }) };
	};

/** Changes what a stream gives; `log` is for those that ask more. */
const byStream = (
	change: (events: AsyncIterable<ChangeEvent>, stream: ChangeStream, log: ChangeLog) => AsyncIterable<ChangeEvent>,
): Plant =>
	byLog((log) => ({
		open: async (request) => {
			const stream = await log.open(request);
			return {
				acknowledge: (position: string) => stream.acknowledge(position),
				[Symbol.asyncIterator]: () => change(stream, stream, log)[Symbol.asyncIterator](),
				[Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
			};
		},
	}));

/** Changes what is applied. */
const byApply =
	(
		apply: (
			changes: DestinationChanges,
			request: ApplyRequest,
			ports: FlowPorts,
		) => ReturnType<DestinationChanges["apply"]>,
	): Plant =>
	(ports) => {
		const changes = ports.destination.changes!;
		const planted = overlay(changes, { apply: (request) => apply(changes, request, ports) });
		return { ...ports, destination: overlay(ports.destination, { changes: planted }) };
	};

const bySnapshot =
	(change: (snapshot: Snapshot, log: ChangeLog) => Partial<Snapshot>): Plant =>
	(ports) => ({
		...ports,
		source: overlay(ports.source, {
			snapshot: async (options) => {
				const snapshot = await ports.source.snapshot(options);
				return overlay(snapshot, change(snapshot, ports.source.changeLog!));
			},
		}),
	});

/** The request as one that follows whatever was committed last. */
async function current({ destination }: FlowPorts, request: ApplyRequest): Promise<ApplyRequest> {
	const row = (await destination.positions(PIPELINE)).find(({ stream }) => stream === CHANGES_STREAM);
	return row === undefined ? request : { ...request, epoch: row.epoch, seq: row.seq, fromPosition: row.position };
}

/** Applies what is left after a part of it was committed, with the position that this made. */
const afterwards = (request: ApplyRequest, toPosition: string): ApplyRequest => ({
	...request,
	seq: request.seq + 1,
	fromPosition: toPosition,
	loadId: `${request.loadId}b`,
});

const PLAIN: Partial<ChangeWorldOptions> = { alters: false, purges: false, staged: false };
const OVERLAPPING: Partial<ChangeWorldOptions> = { ...PLAIN, cuts: "overlapping", second: "merge", third: "none" };

export const PLANTED_CHANGE_BUGS: readonly PlantedChangeBug[] = [
	{
		bug: "changes are acknowledged before they are committed",
		world: PLAIN,
		law: /I2/,
		plant: byStream(async function* (events, stream) {
			for await (const event of events) {
				if (event.kind === "boundary") await stream.acknowledge(event.position);
				yield event;
			}
		}),
	},
	{
		bug: "the log is acknowledged to its end, not to what was committed",
		world: { ...PLAIN, cuts: "slots", chunked: true, second: "merge" },
		law: /I2/,
		plant: byLog((log) => ({
			open: async (request) => {
				const stream = await log.open(request);
				return overlay(stream, {
					acknowledge: async () => stream.acknowledge(await log.end()),
					[Symbol.asyncIterator]: () => stream[Symbol.asyncIterator](),
					[Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
				});
			},
		})),
	},
	{
		bug: "the place of a cut is asked after its view was opened",
		world: OVERLAPPING,
		law: /I4|in the end/,
		plant: bySnapshot((_snapshot, log) => ({
			logPlace: async () => ({ position: await log.end(), exact: false }),
		})),
	},
	{
		bug: "a cut is taken for exact that is not",
		world: OVERLAPPING,
		law: /I4/,
		plant: bySnapshot((snapshot) => ({
			logPlace: async () => ({ position: (await snapshot.logPlace!()).position, exact: true }),
		})),
	},
	{
		bug: "the compare-and-set is ignored",
		world: PLAIN,
		law: /I[1-6]|G2|in the end|is committed already/,
		plant: byApply(async (changes, request, ports) => changes.apply(await current(ports, request))),
	},
	{
		bug: "the position is committed before the rows",
		world: PLAIN,
		law: /I[134]/,
		plant: byApply(async (changes, request) => {
			if (request.parts.length === 0) return changes.apply(request);
			await changes.apply({ ...request, parts: [] });
			return changes.apply(afterwards(request, request.toPosition));
		}),
	},
	{
		bug: "each table is committed by itself",
		world: { ...PLAIN, second: "merge", flushRows: 6 },
		law: /I4/,
		plant: (ports) => {
			const { destination } = ports;
			const changes = destination.changes!;
			/** Commits that the flow does not know of. */
			let more = 0;
			const apply: DestinationChanges["apply"] = async (given) => {
				const request = { ...given, seq: given.seq + more };
				const [first, ...rest] = request.parts;
				if (first === undefined || rest.length === 0) return changes.apply(request);
				const one = await changes.apply({ ...request, parts: [first] });
				more++;
				const others = await changes.apply({ ...afterwards(request, request.toPosition), parts: rest });
				return { parts: [...one.parts, ...others.parts] };
			};
			const takeOver: typeof destination.takeOver = (pipeline, streams) => {
				if (streams.includes(CHANGES_STREAM)) more = 0;
				return destination.takeOver(pipeline, streams);
			};
			return { ...ports, destination: overlay(destination, { takeOver, changes: overlay(changes, { apply }) }) };
		},
	},
	{
		bug: "after an error the transaction is committed",
		world: PLAIN,
		law: /I4/,
		plant: byApply(async (changes, request) => {
			try {
				return await changes.apply(request);
			} catch (error) {
				await changes.apply({ ...request, parts: [] });
				throw error;
			}
		}),
	},
	{
		bug: "a lost answer is taken for a commit",
		world: PLAIN,
		law: /I4|in the end|I[123]/,
		plant: (ports) => ({ ...ports, destination: overlay(ports.destination, { committed: async () => true }) }),
	},
	{
		bug: "columns are mapped by their place",
		world: { ...PLAIN, toasted: false },
		law: /I4/,
		plant: byStream(async function* (events) {
			for await (const event of events) yield event.kind === "rows" ? { ...event, batch: swapped(event.batch) } : event;
		}),
	},
	{
		bug: "columns that are not told are NULL",
		world: { ...PLAIN, toasted: true, third: "none" },
		law: /I4/,
		plant: byStream(async function* (events) {
			for await (const event of events)
				if (event.kind === "rows") {
					const { absent: _absent, ...rest } = event;
					yield rest;
				} else yield event;
		}),
	},
	{
		bug: "a truncation is passed over",
		world: PLAIN,
		law: /I4/,
		plant: byStream(async function* (events) {
			for await (const event of events) if (event.kind !== "truncate") yield event;
		}),
	},
	{
		bug: "a boundary comes in the middle of a transaction",
		world: { ...PLAIN, flushRows: 6, batchRowsMax: 1 },
		law: /I4/,
		plant: byStream(async function* (events) {
			let held: ChangeEvent[] = [];
			for await (const event of events) {
				held.push(event);
				if (event.kind !== "boundary") continue;
				const rows = held.filter(({ kind }) => kind === "rows");
				// The last rows come behind the boundary.
				if (rows.length > 1 && held.every(({ kind }) => kind !== "truncate"))
					held = [...held.filter((e) => e !== rows.at(-1) && e !== event), event];
				yield* held;
				held = [];
			}
		}),
	},
	{
		bug: "of the changes that have one place in the log only the first counts",
		world: { ...PLAIN, moves: false, toasted: false },
		law: /I4/,
		plant: byStream(async function* (events) {
			const seen = new Set<string>();
			for await (const event of events) {
				if (event.kind === "boundary") seen.clear();
				yield event.kind === "rows" ? firstOfEach(event, seen) : event;
			}
		}),
	},
	{
		bug: "what the log no longer has is passed over",
		world: { ...PLAIN, cuts: "exact", purges: true },
		law: /I4|in the end/,
		plant: byLog((log) => ({
			open: async (request) => {
				const isGone = log.compare(request.from, await log.beginning()) < 0;
				return log.open(isGone ? { ...request, from: await log.beginning() } : request);
			},
		})),
	},
	{
		bug: "the log is opened where it ends",
		world: PLAIN,
		law: /I4|in the end/,
		plant: byLog((log) => ({ open: async (request) => log.open({ ...request, from: await log.end() }) })),
	},
];

/** The rows of transactions whose table has had none yet. */
function firstOfEach(event: ChangedRows, seen: Set<string>): ChangedRows {
	const rows = [...event.transactions.subarray(0, event.batch.rowCount)].flatMap((transaction, row) => {
		const place = `${qualified(event.table.name)} ${transaction}`;
		return seen.has(place) ? [] : [seen.add(place) && row];
	});
	const columns = event.batch.columns.map((column) => {
		const copy = new Column(column.name, column.type, 64);
		for (const [index, row] of rows.entries()) copy.copyValue(index, column, row);
		return copy;
	});
	const batch = new Batch(columns, null);
	batch.rowCount = rows.length;
	const of = (numbers: Uint8Array | Uint32Array) => rows.map((row) => numbers[row]!);
	const transactions = Uint32Array.from(of(event.transactions));
	return { ...event, batch, operations: Uint8Array.from(of(event.operations)), transactions };
}

/** The batch with the names of its last two columns exchanged. */
function swapped(batch: Batch): Batch {
	const [id, v, big] = batch.columns;
	const named = (column: typeof id, name: string) => overlay(column!, { name });
	const whole = new Batch([id!, named(big, "v"), named(v, "big")], null);
	whole.rowCount = batch.rowCount;
	return whole;
}
