import type { Batch, DestinationParts, Field, PartsRequest } from "../core/index.ts";
import { type ChunkPlan, type ChunkRecord, type KeptChunks, parseChunkPlan, parseChunkRecord } from "./chunk-plan.ts";

/** Where the chunks of one stream are kept until all of them are there. */
export interface ChunkStore {
	/** Most chunks that are worth adding at once. */
	readonly parallel: number;
	/** Names what its files are like: those of another form can't be loaded with them. Null when it has no files. */
	readonly form: string | null;
	/** What an earlier run left. */
	find(): Promise<KeptChunks | null>;
	begin(plan: ChunkPlan): Promise<void>;
	/** Adds a chunk: when this resolves, it survives a crash; when it throws, nothing of it is there. */
	add(plan: ChunkPlan, chunk: NewChunk): Promise<ChunkRecord>;
	/** Takes chunks away that are to be read again. */
	remove(plan: ChunkPlan, records: readonly ChunkRecord[]): Promise<void>;
	discard(): Promise<void>;
}

export interface NewChunk {
	readonly index: number;
	readonly fields: readonly Field[];
	readonly batches: AsyncIterable<Batch>;
	/** Asked when all rows are in; `files` says where. */
	readonly record: (rows: number, files: ChunkRecord["files"]) => ChunkRecord;
}

/** Chunks as parts of the destination's own unfinished load. */
export function destinationChunks(parts: DestinationParts, request: PartsRequest): ChunkStore {
	const { pipeline, stream } = request;
	return {
		parallel: parts.parallel,
		form: null,
		find: async () => {
			const found = await parts.find(pipeline, stream);
			if (found === null) return null;
			try {
				const plan = parseChunkPlan(found.plan);
				const records = [...found.records].map(([index, text]) => [index, parseChunkRecord(text)] as const);
				return { plan, records: new Map(records) };
			} catch {
				// Written by another version: what it holds can't be relied on.
				await parts.discard(request);
				return null;
			}
		},
		begin: (plan) => parts.begin(request, JSON.stringify(plan)),
		add: async (_plan, { index, fields, batches, record }) => {
			let sealed: ChunkRecord | null = null;
			const describe = (rows: number): string => {
				sealed = record(rows, []);
				return JSON.stringify(sealed);
			};
			const rows = await parts.add(request, { index, fields, batches, record: describe });
			return sealed ?? record(rows, []);
		},
		remove: (_plan, records) =>
			parts.remove(
				request,
				records.map((record) => record.index),
			),
		discard: () => parts.discard(request),
	};
}
