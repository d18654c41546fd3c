import { createHash, randomBytes } from "node:crypto";
import { type Chunk, type ManifestFile, type PositionRow, typeName } from "../core/index.ts";
import type { TableTask } from "./task.ts";

export const CHUNK_PLAN_VERSION = 1;

/** How a big table is cut, kept until it is loaded: whoever goes on with it must cut it the same. */
export interface ChunkPlan {
	readonly version: typeof CHUNK_PLAN_VERSION;
	readonly id: string;
	readonly pipeline: string;
	readonly stream: string;
	/** The position row that the load follows. */
	readonly seq: number;
	readonly fromPosition: string | null;
	/** Hashes of what the rows of a chunk depend on: other columns, or other options, make other rows. */
	readonly columns: string;
	readonly options: string;
	/** See ChunkStore. */
	readonly form: string | null;
	readonly chunks: readonly Chunk[];
	readonly begunAt: string;
}

/** The cut at which a chunk was read. */
export interface ChunkCut {
	/** The source's clock. */
	readonly clock: string;
	/** The position that a load of the whole cut leads to. */
	readonly position: string;
	/** See Snapshot.tableState. */
	readonly state: string | null;
}

/** A chunk whose rows are durable. */
export interface ChunkRecord {
	readonly plan: string;
	readonly index: number;
	readonly rows: number;
	readonly bytes: number;
	readonly valuesChanged: Readonly<Record<string, number>>;
	readonly cut: ChunkCut;
	/** Where its rows are, when they are staged. */
	readonly files: readonly ManifestFile[];
}

export interface KeptChunks {
	readonly plan: ChunkPlan;
	/** By index. */
	readonly records: ReadonlyMap<number, ChunkRecord>;
}

/** A plan for a table that nobody has begun. */
export function newChunkPlan(
	pipeline: string,
	task: TableTask,
	row: PositionRow,
	how: Pick<ChunkPlan, "chunks" | "form">,
): ChunkPlan {
	return {
		version: CHUNK_PLAN_VERSION,
		id: randomBytes(8).toString("hex"),
		pipeline,
		stream: task.stream,
		seq: row.seq,
		fromPosition: row.position,
		...shapeOf(task),
		...how,
		begunAt: new Date().toISOString(),
	};
}

/** Why chunks of a plan can't be rows of this task, in words; null when they can. */
export function planMisfit(plan: ChunkPlan, task: TableTask, row: PositionRow, form: ChunkPlan["form"]): string | null {
	if (plan.version !== CHUNK_PLAN_VERSION) return "another version of Headrace read them";
	if (plan.seq !== row.seq || plan.fromPosition !== row.position) return "the table was loaded since";
	const { columns, options } = shapeOf(task);
	if (plan.columns !== columns) return "the table's columns or masks have changed";
	if (plan.options !== options) return "the table's options have changed";
	return plan.form === form ? null : "staged files are of another form now";
}

function shapeOf(task: TableTask): { readonly columns: string; readonly options: string } {
	const { table, columns, types, target, where, cursor, deletedColumn, mode, write, timezone, lateMs } = task;
	const { discarded = new Set(), misfitsToNull = new Set() } = task.shape ?? {};
	return {
		columns: hash([
			// It names the masks too.
			task.schemaVersion,
			[[...discarded].sort(), [...misfitsToNull].sort()],
			columns.map((column) => [column.name, column.nativeType, typeName(column.type)]),
			target.columns.map((column) => [column.name, column.destinationType, column.nullable]),
			table.primaryKey,
		]),
		options: hash([
			[table.name, target.name, target.key, types, where ?? null, mode, write],
			[cursor ?? null, deletedColumn ?? null, timezone, lateMs ?? null, task.fullRefresh, task.reading ?? null],
		]),
	};
}

export function hash(value: unknown): string {
	return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
}

/** @throws SyntaxError when it is none */
export function parseChunkPlan(text: string): ChunkPlan {
	const plan = JSON.parse(text) as ChunkPlan;
	if (typeof plan?.id !== "string" || !Array.isArray(plan.chunks)) throw new SyntaxError("not a plan of chunks");
	return plan;
}

/** @throws SyntaxError when it is none */
export function parseChunkRecord(text: string): ChunkRecord {
	const record = JSON.parse(text) as ChunkRecord;
	if (typeof record?.rows !== "number" || typeof record.cut?.position !== "string")
		throw new SyntaxError("not the record of a chunk");
	return record;
}
