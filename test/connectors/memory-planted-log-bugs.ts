import type { ChangeLogFixture } from "../../src/conformance/index.ts";
import { type ChangeEvent, type ChangeLog, ChangeOperation, type ChangeStream } from "../../src/core/index.ts";
import type { PlantedBug } from "./memory-planted-source-bugs.ts";
import { memorySourceFixture } from "./memory-support.ts";

type Logs = (log: ChangeLog) => Partial<ChangeLog>;

function byLog(
	bug: string,
	caughtBy: string,
	change: Logs,
	cuts: "exact" | "slots" = "exact",
): PlantedBug<ChangeLogFixture> {
	return {
		bug,
		caughtBy,
		open: async () => ({
			...(await memorySourceFixture(
				(source) => ({ ...source, changeLog: { ...source.changeLog!, ...change(source.changeLog!) } }),
				{ cuts },
			)),
			endMs: 300,
		}),
	};
}

/** Changes what a stream gives. */
function byEvents(
	bug: string,
	caughtBy: string,
	change: (events: AsyncIterable<ChangeEvent>) => AsyncIterable<ChangeEvent>,
): PlantedBug<ChangeLogFixture> {
	return byLog(bug, caughtBy, (log) => ({
		open: async (request) => {
			const stream = await log.open(request);
			return {
				acknowledge: (position: string) => stream.acknowledge(position),
				[Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
				[Symbol.asyncIterator]: () => change(stream)[Symbol.asyncIterator](),
			} satisfies ChangeStream;
		},
	}));
}

const ORDER = "inserts, updates and deletes come in the order of their commits";
const WHOLE = "a transaction over several tables lies whole between two boundaries";
const LAW = "law: taken up at any boundary, and after any transaction, each change comes once";
const COMPARE = "positions are ordered as the log is, and are what people write";
const UNTIL = "a stream ends at a boundary at or after its end, and has all that was committed before that was asked";
const BEFORE = "a row as it was comes right before what it became: for changes of the key, or for all";
const ABORT = "an aborted stream fails, also while it waits; one that is aborted already gives nothing";

const numbered = (position: string, move: number) => position.replace(/\d+$/, (place) => `${Number(place) + move}`);

export const LOG_BUGS: readonly PlantedBug<ChangeLogFixture>[] = [
	byLog("positions are compared as text", COMPARE, () => ({ compare: (a, b) => (a < b ? -1 : a > b ? 1 : 0) })),
	byLog("a stream begins with the transaction of its position", LAW, (log) => ({
		open: (request) =>
			log.open({ ...request, from: request.from.endsWith(":0") ? request.from : numbered(request.from, -1) }),
	})),
	byLog("the end is where the reader is", UNTIL, (log) => ({
		open: (request) => log.open({ ...request, until: request.from }),
	})),
	byLog("a signal is not looked at", ABORT, (log) => ({
		open: ({ signal: _signal, ...request }) => log.open(request),
	})),
	byLog(
		"all that is read is acknowledged",
		"what is acknowledged is let go, and nothing that follows it",
		(log) => ({
			open: async (request) => {
				const stream = await log.open(request);
				return {
					acknowledge: async () => stream.acknowledge(await log.end()),
					[Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
					[Symbol.asyncIterator]: () => stream[Symbol.asyncIterator](),
				};
			},
		}),
		"slots",
	),
	byLog("images before a change come for keys only", BEFORE, (log) => ({
		open: (request) => log.open({ ...request, before: request.before === "all" ? "key-changes" : "all" }),
	})),
	byLog("every table is followed", "rows of other tables are passed over", (log) => ({
		open: (request) =>
			log.open({
				...request,
				tables: [
					...request.tables,
					...request.tables.map((table) => ({ ...table, name: { ...table.name, name: "log_other" } })),
				],
			}),
	})),
	byEvents("each batch has a boundary of its own", WHOLE, async function* (events) {
		let [position, batches] = ["1:0", 0];
		for await (const event of events) {
			yield event;
			if (event.kind === "boundary") position = event.position;
			if (event.kind !== "rows") continue;
			const transactions = [...event.transactions].map(() => ({ position, committedAt: 0n }));
			yield { kind: "boundary", position: `1:${++batches}000`, transactions };
		}
	}),
	byEvents("deletes are updates", ORDER, async function* (events) {
		for await (const event of events) {
			if (event.kind === "rows")
				for (const [row, operation] of event.operations.entries())
					if (operation === ChangeOperation.delete) event.operations[row] = ChangeOperation.update;
			yield event;
		}
	}),
	byEvents(
		"boundaries without rows are left out",
		"the position moves with the log when nothing is of interest in it",
		async function* (events) {
			let rows = 0;
			for await (const event of events) {
				if (event.kind === "rows") rows++;
				if (event.kind !== "boundary" || rows > 0) yield event;
				if (event.kind === "boundary") rows = 0;
			}
		},
	),
	byEvents(
		"a truncation is forgotten",
		"all rows of a table that go at once go at their place",
		async function* (events) {
			for await (const event of events) if (event.kind !== "truncate") yield event;
		},
	),
	byLog("the end is the one of a while ago", UNTIL, (log) => ({ end: async () => numbered(await log.end(), -1) })),
];
