import type { SourceFixture } from "../../src/conformance/index.ts";
import type { MemoryDatabase } from "../../src/connectors/memory/index.ts";
import type { Batch, ReadRequest, Snapshot, Source } from "../../src/core/index.ts";
import { memorySourceFixture } from "./memory-support.ts";

/** A bug, the case that must catch it, and the fixture that has it. */
export interface PlantedBug<Fixture> {
	readonly bug: string;
	readonly caughtBy: string;
	readonly open: () => Promise<Fixture>;
}

type Change = (snapshot: Snapshot, source: Source) => Partial<Snapshot>;

function bySnapshot(bug: string, caughtBy: string, change: Change): PlantedBug<SourceFixture> {
	const wrap = (source: Source): Source => ({
		...source,
		snapshot: async (options) => {
			const snapshot = await source.snapshot(options);
			return { ...snapshot, ...change(snapshot, source) };
		},
	});
	return { bug, caughtBy, open: async () => ({ ...(await memorySourceFixture(wrap)), endMs: 200 }) };
}

function byRequest(bug: string, caughtBy: string, change: (request: ReadRequest) => ReadRequest) {
	return bySnapshot(bug, caughtBy, (snapshot) => ({ read: (request) => snapshot.read(change(request)) }));
}

function bySource(
	bug: string,
	caughtBy: string,
	change: (source: Source, database: MemoryDatabase) => Partial<Source>,
) {
	const wrap = (source: Source, database: MemoryDatabase): Source => ({ ...source, ...change(source, database) });
	return { bug, caughtBy, open: () => memorySourceFixture(wrap) };
}

const WINDOW = "window over int64: from is in, to is out unless included, NULL is in none";

export const SOURCE_BUGS: readonly PlantedBug<SourceFixture>[] = [
	byRequest("the end of a window is included", WINDOW, (request) =>
		request.window === undefined ? request : { ...request, window: { ...request.window, toIncluded: true } },
	),
	byRequest("toIncluded is not looked at", WINDOW, (request) =>
		request.window === undefined ? request : { ...request, window: { ...request.window, toIncluded: false } },
	),
	byRequest("the lower bound is dropped", WINDOW, (request) =>
		request.window === undefined ? request : { ...request, window: { ...request.window, from: null } },
	),
	bySnapshot("the highest cursor goes through a JS number", WINDOW, (snapshot) => ({
		cursorMax: async (table, column) => {
			const { max, nulls } = await snapshot.cursorMax(table, column);
			return { max: max === null ? null : String(Number(max)), nulls };
		},
	})),
	bySnapshot("NULL cursors are not counted", WINDOW, (snapshot) => ({
		cursorMax: async (table, column) => ({ ...(await snapshot.cursorMax(table, column)), nulls: 0 }),
	})),
	bySnapshot(
		"split loses the row at a bound",
		"split covers every row exactly once, with a window too",
		(snapshot) => ({
			split: async (table, options) =>
				(await snapshot.split(table, options)).map((chunk) => ({
					...chunk,
					condition: (chunk.condition ?? "").replace(
						/"from":\["(\d+)"\]/,
						(_, from) => `"from":["${Number(from) + 1}"]`,
					),
				})),
		}),
	),
	bySnapshot("chunks overlap", "split of a composite key and of no key covers every row exactly once", (snapshot) => ({
		split: async (table, options) => {
			const chunks = await snapshot.split(table, options);
			return chunks.map((chunk, i) => (i === 0 ? { index: 0 } : chunk));
		},
	})),
	byRequest("a chunk drops the window", "split covers every row exactly once, with a window too", (request) => {
		const { window: _window, ...rest } = request;
		return request.chunk === undefined ? request : rest;
	}),
	byRequest(
		"columns come in the table's order",
		"the columns that were asked for come in the order that was asked",
		(request) => ({
			...request,
			columns: request.table.columns.filter((column) => request.columns.some(({ name }) => name === column.name)),
		}),
	),
	bySnapshot(
		"each read opens a cut of its own",
		"a snapshot is one cut: what is committed after it is in none of its reads",
		(_snapshot, source) => ({
			async *read(request) {
				await using other = await source.snapshot({ readers: 1 });
				yield* other.read(request);
			},
		}),
	),
	{
		bug: "uncommitted rows are seen",
		caughtBy: "rows of an open transaction are not seen before its commit, not when it is rolled back",
		open: async () => {
			const fixture = await memorySourceFixture();
			return {
				...fixture,
				begin: async () => {
					const writer = await fixture.begin();
					const insert: typeof writer.insert = async (table, rows) => {
						await writer.insert(table, rows);
						await writer.commit();
					};
					return { ...writer, insert, commit: async () => {}, [Symbol.asyncDispose]: async () => {} };
				},
			};
		},
	},
	bySnapshot(
		"an open transaction is not told",
		"marks tell an open writing transaction, and that it began after an earlier cut",
		({ transactions }) =>
			transactions === undefined ? {} : { transactions: { ...transactions, oldestOpen: transactions.now } },
	),
	bySnapshot(
		"an aborted read ends as if it were whole",
		"aborting a read makes it fail, never end as if whole, and frees its place",
		(snapshot) => ({
			async *read(request): AsyncGenerator<Batch> {
				const { signal: _signal, ...rest } = request;
				for await (const batch of snapshot.read(rest)) {
					if (request.signal?.aborted === true) return batch.release();
					yield batch;
				}
			},
		}),
	),
	bySnapshot(
		"a read that is broken off goes on at the source",
		"breaking out of a read ends it at the source: the next one gets its turn",
		(snapshot) => ({
			read: (request) => {
				const batches = snapshot.read(request)[Symbol.asyncIterator]();
				return { [Symbol.asyncIterator]: () => ({ next: () => batches.next() }) };
			},
		}),
	),
	bySnapshot(
		"reads over the number of readers never get their turn",
		"several reads at once see the same cut, and those over the number of readers wait their turn",
		(snapshot) => {
			let count = 0;
			return {
				async *read(request) {
					if (count++ >= snapshot.readers) await new Promise(() => {});
					yield* snapshot.read(request);
				},
			};
		},
	),
	bySource(
		"tables are described in another order",
		"describes several tables in the order of the requests",
		(source) => ({
			describe: async (requests) =>
				(await source.describe(requests)).sort((a, b) => (a.name.name < b.name.name ? -1 : 1)),
		}),
	),
	bySource(
		"a table that does not exist is an empty list",
		"a table that does not exist is E_UNKNOWN_TABLE",
		(source) => ({
			describe: (requests) => source.describe(requests).catch(() => []),
		}),
	),
	bySource(
		"the key comes in the order of the columns",
		"describes columns in their order, nullability and a composite key in key order",
		(source) => ({
			describe: async (requests) =>
				(await source.describe(requests)).map((table) => ({
					...table,
					primaryKey: table.columns.map(({ name }) => name).filter((name) => table.primaryKey.includes(name)),
				})),
		}),
	),
	bySnapshot(
		"the clock has milliseconds only",
		"the clock of a cut is UTC with microseconds and does not go back",
		({ clock }) => ({ clock: clock.slice(0, -3) }),
	),
];
