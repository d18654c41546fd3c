import { createHash } from "node:crypto";
import {
	acquireTurn,
	crashPoint,
	type DestinationParts,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	type NewPart,
	type PartsRequest,
	type PositionExpected,
	type UnfinishedLoad,
} from "../../core/index.ts";
import type { Engine } from "../../engine/index.ts";
import { duckdbDialect, swapTable } from "../../sql/index.ts";
import type { ControlTables } from "./control.ts";
import { insertInput } from "./input.ts";
import { createSchema, verifyRows } from "./load.ts";
import { createDdl, definitionsOf, Place } from "./schema.ts";
import { Session } from "./session.ts";
import type { BuiltChunk, UnfinishedBuilds } from "./unfinished.ts";
import { BUILD_MARK, checkRows, LANES_MAX, removeLeftovers, swap } from "./write-replace.ts";

const ANEW = "Run again: all of it is read anew.";

/** What the parts need of their destination. */
export interface PartsContext {
	readonly exists: () => boolean;
	readonly opened: () => Promise<{
		readonly engine: Engine;
		readonly catalog: string;
		readonly control: ControlTables;
		readonly unfinished: UnfinishedBuilds;
	}>;
	/** What an error means, once the position is known. */
	readonly settled: (error: unknown, request: PositionExpected) => Promise<unknown>;
}

/** A piece of work on a build. */
interface Work {
	readonly session: Session;
	readonly engine: Engine;
	readonly control: ControlTables;
	readonly unfinished: UnfinishedBuilds;
	readonly place: Place;
	readonly build: Place;
}

/**
 * A table that is built in parts beside the old one. A part's rows and its row in `_headrace.chunks` are one
 * transaction, and the parts of a build commit one after another, so that each knows its range of row ids: DuckDB gives
 * them in the order of commits, and nothing is ever deleted from a build. (A column that tells the part would have to be
 * dropped in the end, and then DuckDB writes all other columns anew.)
 */
export class DuckdbParts implements DestinationParts {
	readonly parallel = LANES_MAX;
	readonly #context: PartsContext;

	constructor(context: PartsContext) {
		this.#context = context;
	}

	async find(pipeline: string, stream: string): Promise<UnfinishedLoad | null> {
		if (!this.#context.exists()) return null;
		const { engine, unfinished } = await this.#context.opened();
		await using session = await Session.open(engine);
		return await unfinished.find(session, pipeline, stream);
	}

	begin(request: PartsRequest, plan: string): Promise<void> {
		return this.#work(request, async ({ session, unfinished, place, build, control }) => {
			await createSchema(session, place);
			await unfinished.ensure(session);
			await removeLeftovers(session, place, unfinished);
			await session.transaction(async () => {
				await control.expectPosition(session, request);
				await unfinished.drop(session, request);
				await session.execute(`DROP TABLE IF EXISTS ${build.sql}`);
				await session.execute(createDdl(build, definitionsOf(request.target)));
				const { pipeline, stream, seq } = request;
				await unfinished.insertBuild(session, { pipeline, stream, place: build }, seq, plan);
			});
		});
	}

	add(request: PartsRequest, part: NewPart): Promise<number> {
		const { index, fields, batches, record } = part;
		return this.#work(request, async ({ session, engine, unfinished, build, control }) => {
			let endTurn = (): void => {};
			try {
				return await session.transaction(async () => {
					await control.expectPosition(session, request);
					const rows = await insertInput({
						table: build.sql,
						lanes: [session],
						request: {
							...request,
							input: { kind: "batches", fields, batches },
							bufferBytesMax: Math.floor(request.bufferBytesMax / this.parallel),
						},
						readableDirectories: [],
					});
					crashPoint("chunk-added");
					// From here to the end of the commit no other part of the build may commit.
					endTurn = await acquireTurn(`${build.sql} commits`);
					// By another connection: the transaction does not see what was committed after its begin.
					await using fresh = await Session.open(engine);
					const last = (await unfinished.chunks(fresh, request)).at(-1);
					const firstRow = last === undefined ? 0 : last.firstRow + last.rows;
					await unfinished.insertChunk(session, request, { index, firstRow, rows, record: record(rows) });
					return rows;
				});
			} finally {
				endTurn();
			}
		});
	}

	/** The parts that stay are copied: where rows are deleted from, DuckDB may number the others anew. */
	remove(request: PartsRequest, indexes: readonly number[]): Promise<void> {
		return this.#work(request, ({ session, unfinished, build, control }) =>
			session.transaction(async () => {
				await control.expectPosition(session, request);
				const gone = new Set(indexes);
				const chunks = await unfinished.chunks(session, request);
				await expectRows(session, build, chunks);
				const next = build.beside("_next");
				await session.execute(`DROP TABLE IF EXISTS ${next.sql}`);
				await session.execute(createDdl(next, definitionsOf(request.target)));
				let firstRow = 0;
				for (const chunk of chunks) {
					if (gone.has(chunk.index)) continue;
					const copied = await session.execute(
						`INSERT INTO ${next.sql} SELECT * FROM ${build.sql}
						WHERE rowid >= ${chunk.firstRow} AND rowid < ${chunk.firstRow + chunk.rows}`,
					);
					if (copied !== chunk.rows) throw miscounted(request, copied, chunk.rows);
					await unfinished.move(session, request, { ...chunk, firstRow });
					firstRow += chunk.rows;
				}
				await unfinished.deleteChunks(session, request, indexes);
				for (const statement of swapTable(duckdbDialect, { old: build.sql, fresh: next.sql, name: build.name }))
					await session.execute(statement);
			}),
		);
	}

	async load(request: Omit<LoadRequest, "input">, rows: number): Promise<LoadResult> {
		return this.#work(request, async ({ session, unfinished, place, build, control }) => {
			await control.expectPosition(session, request);
			try {
				const held = await expectRows(session, build, await unfinished.chunks(session, request));
				if (held !== rows) throw miscounted(request, held, rows);
			} catch (error) {
				if (error instanceof HeadraceError && error.code === "E_STATE")
					await session.transaction(() => unfinished.drop(session, request));
				throw error;
			}
			crashPoint("c08");
			const context = { session, place, target: request.target, request, control };
			await checkRows(context, build);
			await verifyRows(context, build.sql);
			const result = await session.transaction(async () => {
				await unfinished.deleteRows(session, request);
				return swap(context, build, rows, rows);
			});
			crashPoint("c10");
			return result;
		});
	}

	discard(request: PartsRequest): Promise<void> {
		return this.#work(request, ({ session, unfinished, control }) =>
			session.transaction(async () => {
				await control.expectPosition(session, request);
				await unfinished.drop(session, request);
			}),
		);
	}

	async sweep(pipeline: string, before: Date): Promise<void> {
		if (!this.#context.exists()) return;
		const { engine, unfinished } = await this.#context.opened();
		await using session = await Session.open(engine);
		await unfinished.removeOlder(session, pipeline, before);
	}

	async #work<T>(
		request: PositionExpected & Pick<LoadRequest, "target" | "signal">,
		work: (work: Work) => Promise<T>,
	): Promise<T> {
		const { engine, catalog, control, unfinished } = await this.#context.opened();
		try {
			await using session = await Session.open(engine, request.signal);
			const place = new Place(catalog, request.target.name);
			return await work({ session, engine, control, unfinished, place, build: buildOf(place, request) });
		} catch (error) {
			throw await this.#context.settled(error, request);
		}
	}
}

/** The name tells whose it is: two pipelines may fill one table. */
function buildOf(place: Place, { pipeline, stream, seq }: PositionExpected): Place {
	const owner = createHash("sha256")
		.update(JSON.stringify([pipeline, stream, seq]))
		.digest("hex")
		.slice(0, 16);
	return place.beside(`${BUILD_MARK}parts_${owner}`);
}

/** Gives how many rows a build holds. @throws E_STATE when its parts do not lie one behind the other, or hold others */
async function expectRows(session: Session, build: Place, chunks: readonly BuiltChunk[]): Promise<number> {
	const { n } = await session.counts(`SELECT count(*) AS n FROM ${build.sql}`);
	let next = 0;
	const seen = new Set<number>();
	for (const { index, firstRow, rows } of chunks) {
		if (firstRow !== next || seen.has(index))
			throw new HeadraceError("E_STATE", `the parts of ${build.name} do not lie one behind the other`, { hint: ANEW });
		seen.add(index);
		next += rows;
	}
	if (n !== next)
		throw new HeadraceError("E_STATE", `${build.name} holds ${n} rows, its parts ${next}`, { hint: ANEW });
	return next;
}

function miscounted({ stream }: Pick<LoadRequest, "stream">, held: number, rows: number): HeadraceError {
	return new HeadraceError("E_STATE", `the parts of ${stream} hold ${held} rows, where ${rows} were read`, {
		hint: ANEW,
	});
}
