import {
	type ApplyRequest,
	type ApplyResult,
	type ChangesWrite,
	committedLoad,
	crashPoint,
	type DestinationChanges,
	eachOf,
	type Field,
	HeadraceError,
	type LoadResult,
	type PositionRow,
	qualified,
	type Staging,
	type TableName,
	timestampText,
} from "../../core/index.ts";
import type { EngineConnection } from "../../engine/index.ts";
import { type BuiltChanges, ChangesBuilder, type StagedTable } from "./changes-builder.ts";
import { type LakeResources, withEngine } from "./engine.ts";
import { headAfter } from "./load-commit.ts";
import type { PartitionColumn } from "./partition.ts";
import { type CommitReference, type FollowedTables, type StreamEntry, StreamLog } from "./streams.ts";
import type { CommitBody, LakeTable, PreparedCommit } from "./table.ts";
import type { TableState } from "./table-state.ts";

/** What changes need of their destination. */
export interface ChangesContext {
	readonly store: Staging;
	readonly resources: LakeResources;
	readonly partitionBy: readonly string[];
	readonly table: (name: TableName) => LakeTable;
	/** @throws E_FENCED when the stream's position is not the one that is expected */
	readonly expectPosition: (entry: StreamEntry, request: ApplyRequest) => Promise<void>;
	/** @throws for columns that the catalogue can't have */
	readonly checkForm: (name: TableName, fields: readonly Field[], levels: readonly PartitionColumn[]) => void;
	/** Notes before a commit that the catalogue has to be told. */
	readonly announce: (table: LakeTable, base: TableState | null) => Promise<string | undefined>;
	readonly forget: (note: string) => Promise<void>;
	/** Tells readers; gives what could not be done. */
	readonly finish: (table: LakeTable, state: TableState, note: string | undefined) => Promise<string[]>;
	/** Tells readers of all tables of the pipeline together; gives what could not be done. */
	readonly publishAll: (entry: StreamEntry, states: ReadonlyMap<LakeTable, TableState>) => Promise<string[]>;
}

/** Changes are worked out again when a compaction or another load was committed meanwhile. */
const BUILDS_MAX = 4;
/** Tables that are committed, or whose readers are told, at once. */
const TABLES_AT_ONCE = 4;
/** Requests that a stream remembers. */
const LOADS_MAX = 20;

/** Whether an error leaves open what became of a transaction. */
interface Fate {
	isOpen: boolean;
}

/** A table's part of a transaction on its way. */
interface Underway {
	readonly built: BuiltChanges;
	note: string | undefined;
	prepared?: PreparedCommit;
}

/**
 * Changes of a log. The rows of all parts are staged first; then each table gets its files and a commit that does not
 * count yet; then one entry in the stream's log, written once, makes all these commits count, and the position with
 * them. See docs/decisions/0021-changes-in-a-lake.md.
 */
export class LakeChanges implements DestinationChanges {
	readonly writes: readonly ChangesWrite[] = ["merge", "append", "history"];
	readonly #context: ChangesContext;
	readonly #builder: ChangesBuilder;
	/** Of each stream: tables whose readers could not be told. */
	readonly #untold = new Map<string, readonly TableName[]>();

	constructor(context: ChangesContext) {
		this.#context = context;
		this.#builder = new ChangesBuilder(context.store, context.resources, context.partitionBy);
	}

	async apply(request: ApplyRequest): Promise<ApplyResult> {
		const { store, resources } = this.#context;
		const stream = new StreamLog(store, request.pipeline, request.stream);
		await this.#expect(stream, request);
		if (request.parts.length === 0) {
			const entry = await this.#commit(stream, request, [], { isOpen: false });
			await this.#context.publishAll(entry, new Map());
			return { parts: [] };
		}
		const { entry, underway } = await withEngine(resources, async (connection) => {
			const tables = await this.#stage(connection, request);
			for (let attempt = 1; ; attempt++) {
				try {
					return await this.#attempt(connection, stream, request, tables);
				} catch (error) {
					const isConflict = error instanceof HeadraceError && error.code === "E_CONFLICT";
					if (!isConflict || attempt === BUILDS_MAX) throw error;
				}
			}
		});
		return { parts: await this.#finish(request, entry, underway) };
	}

	async #expect(stream: StreamLog, request: ApplyRequest): Promise<StreamEntry> {
		const head = await stream.head();
		if (head === null)
			throw new HeadraceError("E_FENCED", `${request.stream} was never taken over`, { pipeline: request.pipeline });
		await this.#context.expectPosition(head, request);
		return head;
	}

	async #stage(connection: EngineConnection, request: ApplyRequest): Promise<StagedTable[]> {
		const byTable = new Map<LakeTable, StagedTable["parts"][number][]>();
		for (const [index, part] of request.parts.entries()) {
			const table = this.#context.table(part.target.name);
			const staged = await this.#builder.stage(connection, part, index, request);
			byTable.set(table, [...(byTable.get(table) ?? []), staged]);
		}
		return [...byTable].map(([table, parts]) => ({ table, parts }));
	}

	/** Builds and commits. Files of what was not committed are taken away. @throws E_CONFLICT, E_FENCED */
	async #attempt(
		connection: EngineConnection,
		stream: StreamLog,
		request: ApplyRequest,
		tables: readonly StagedTable[],
	): Promise<{ readonly entry: StreamEntry; readonly underway: readonly Underway[] }> {
		const underway: Underway[] = [];
		const fate: Fate = { isOpen: false };
		try {
			for (const staged of tables) {
				const base = await staged.table.head();
				const parts = staged.parts.map(({ part }) => part);
				const { fields, levels } = this.#builder.shapeAfter(base, staged.table.name, parts);
				this.#context.checkForm(staged.table.name, fields, levels);
				underway.push({ built: await this.#builder.build(connection, staged, base), note: undefined });
			}
			await eachOf(TABLES_AT_ONCE, underway, async (one) => {
				one.note = await this.#context.announce(one.built.table, one.built.base);
			});
			crashPoint("c08");
			return { entry: await this.#commit(stream, request, underway, fate), underway };
		} catch (error) {
			// What may have become true after all keeps its files.
			if (!fate.isOpen)
				for (const { built, note } of underway) {
					await built.writer.discard();
					if (note !== undefined) await this.#context.forget(note);
				}
			throw error;
		}
	}

	/**
	 * Makes the commits and lets them count.
	 * @throws E_CONFLICT when a table, or the stream's number, was changed by somebody who did not take the stream over
	 */
	async #commit(
		stream: StreamLog,
		request: ApplyRequest,
		underway: readonly Underway[],
		fate: Fate,
	): Promise<StreamEntry> {
		const { pipeline, seq, loadId, toPosition, schemaVersion } = request;
		const head = await this.#expect(stream, request);
		const transaction = { pipeline, stream: request.stream, entry: head.entry + 1 };
		const committedAt = timestampText(BigInt(Date.now()) * 1000n);
		try {
			await eachOf(TABLES_AT_ONCE, underway, async (one) => {
				const body = (state: TableState | null) => bodyOf(state, request, one.built, committedAt);
				one.prepared = await one.built.table.prepare(transaction, body);
				crashPoint("lake-prepared");
			});
		} catch (error) {
			// Nobody need wait for it then; it can't become true anyway, which takes this process.
			await stream.refuse(transaction.entry).catch(() => undefined);
			throw error;
		}
		crashPoint("c09");
		const row = { seq: seq + 1, position: toPosition, loadId, schemaVersion, committedAt };
		fate.isOpen = true;
		const entry = await stream.transact(head, this.#followed(head, request, underway, row));
		fate.isOpen = false;
		if (entry === null) {
			await this.#expect(stream, request);
			throw new HeadraceError(
				"E_CONFLICT",
				`another process refused the changes of ${request.stream}, which were late`,
			);
		}
		crashPoint("c10");
		for (const { built, prepared } of underway) built.table.settled(prepared!);
		return entry;
	}

	#followed(
		{ changes }: StreamEntry,
		request: ApplyRequest,
		underway: readonly Underway[],
		row: FollowedTables["row"],
	): FollowedTables {
		const own = underway.map(({ built }) => built.table);
		const commits: Record<string, CommitReference> = { ...changes?.commits };
		for (const { built, prepared } of underway) {
			const { entry, id } = prepared!.commit;
			commits[built.table.folder] = { entry, id };
		}
		const names = own.map(({ name }) => name);
		return {
			row,
			tables: distinct([...(changes?.tables ?? []), ...names]),
			commits,
			loads: [...(changes?.loads ?? []), request.loadId].slice(-LOADS_MAX),
			untold: distinct([...(this.#untold.get(streamKey(request)) ?? []), ...names]),
		};
	}

	/** The changes are committed, whatever comes after: they must not count as failed. */
	async #finish(request: ApplyRequest, entry: StreamEntry, underway: readonly Underway[]): Promise<LoadResult[]> {
		const results: LoadResult[] = [];
		const states = new Map(underway.map(({ built, prepared }) => [built.table, prepared!.state]));
		const together = await this.#context.publishAll(entry, states);
		const untold: TableName[] = [];
		await eachOf(TABLES_AT_ONCE, underway, async ({ built, prepared, note }) => {
			const own = await this.#context.finish(built.table, prepared!.state, note);
			const warnings = [...together, ...own];
			if (own.length > 0) untold.push(built.table.name);
			for (const [index, result] of built.results)
				results[index] = warnings.length === 0 ? result : { ...result, warnings };
		});
		this.#untold.set(streamKey(request), untold);
		return results;
	}
}

/** The commit of a table's changes on top of a head that may be newer than what they were built on. */
function bodyOf(head: TableState | null, request: ApplyRequest, built: BuiltChanges, committedAt: string): CommitBody {
	const { pipeline } = request;
	const results = [...built.results.values()];
	const recorded = built.parts.flatMap(({ schema, schemaVersion: version }) =>
		schema === undefined ? [] : [{ ...schema, pipeline, version, committedAt }],
	);
	return {
		...headAfter(head, built.base, built.table.name, built),
		streams: [],
		loads: built.parts.map(({ loadId, target }, index) =>
			committedLoad(request, { loadId, table: qualified(target.name), result: results[index]! }, committedAt),
		),
		...(recorded.length === 0 ? {} : { recorded: recorded.at(-1)! }),
	};
}

/** The position of a stream of changes. */
export function followedRow({ stream, epoch, changes }: StreamEntry): PositionRow | undefined {
	return changes === undefined ? undefined : { stream, epoch, ...changes.row };
}

const streamKey = ({ pipeline, stream }: Pick<ApplyRequest, "pipeline" | "stream">) =>
	JSON.stringify([pipeline, stream]);

function distinct(names: readonly TableName[]): TableName[] {
	return [...new Map(names.map((name) => [JSON.stringify([name.schema, name.name]), name])).values()];
}
