import {
	crashPoint,
	type FileFormat,
	HeadraceError,
	type ManifestFile,
	type PositionRow,
	type StagedEntry,
	type Staging,
} from "../core/index.ts";
import {
	type ChunkPlan,
	type ChunkRecord,
	hash,
	type KeptChunks,
	parseChunkPlan,
	parseChunkRecord,
} from "./chunk-plan.ts";
import type { ChunkStore, NewChunk } from "./chunk-store.ts";
import { type FileForm, writeFiles } from "./staged-files.ts";
import {
	CHUNK_PLAN_NAME,
	type ChunkFolder,
	chunkFolderPath,
	chunkPathOf,
	chunkRecordName,
	filesPrefix,
	streamPrefix,
} from "./staged-paths.ts";

/** Rows of one chunk never have numbers of another's; a plan has a thousand chunks, a number 53 bits. */
const CHUNK_ROWS_MAX = 2 ** 36;

export interface StagedChunksOptions {
	readonly staging: Staging;
	readonly format: FileFormat;
	readonly pipeline: string;
	readonly stream: string;
	readonly row: PositionRow;
	/** How files are made, by the plan's id. */
	readonly formOf: (planId: string) => FileForm;
	/** Most chunks at once: each that is written has an engine of its own. */
	readonly parallel: number;
	readonly bufferBytesMax: number;
}

/** Chunks as staged files, each sealed with a manifest of its own. */
export function stagedChunks(options: StagedChunksOptions): ChunkStore {
	const { staging, pipeline, stream, row } = options;
	let folder: ChunkFolder | null = null;
	const folderOf = (plan: ChunkPlan): ChunkFolder => folder ?? { seq: row.seq, epoch: row.epoch, plan: plan.id };
	const recordPath = (plan: ChunkPlan, index: number) =>
		`${chunkFolderPath(pipeline, stream, folderOf(plan))}${chunkRecordName(index, row.epoch)}`;
	return {
		parallel: options.parallel,
		form: hash([options.format.name, options.formOf("").stored]),
		find: async () => {
			const found = await findStagedChunks(options);
			folder = found?.folder ?? null;
			return found;
		},
		begin: async (plan) => {
			folder = { seq: row.seq, epoch: row.epoch, plan: plan.id };
			await staging.writeOnce(`${chunkFolderPath(pipeline, stream, folder)}${CHUNK_PLAN_NAME}`, bytesOf(plan));
		},
		add: async (plan, chunk) => {
			const files = await writeChunk(options, plan, chunk);
			crashPoint("chunk-staged");
			const rows = files.reduce((sum, file) => sum + file.rows, 0);
			const record = chunk.record(rows, files);
			await staging.writeOnce(recordPath(plan, chunk.index), bytesOf(record));
			return record;
		},
		remove: async (plan, records) => {
			const indexes = new Set(records.map((record) => record.index));
			const prefix = chunkFolderPath(pipeline, stream, folderOf(plan));
			const paths = (await staging.list(prefix)).map((entry) => entry.path);
			// What says that they are there goes first: it must not name what is gone.
			await staging.remove(paths.filter((path) => indexes.has(chunkPathOf(path)?.record?.index ?? -1)));
			await staging.remove(records.flatMap((record) => record.files.map((file) => file.path)));
		},
		discard: () => discardStagedChunks(staging, pipeline, stream),
	};
}

function bytesOf(value: unknown): Uint8Array {
	return new TextEncoder().encode(`${JSON.stringify(value, null, "\t")}\n`);
}

function writeChunk(options: StagedChunksOptions, plan: ChunkPlan, chunk: NewChunk): Promise<ManifestFile[]> {
	const { staging, format, formOf, pipeline, stream, row, parallel, bufferBytesMax } = options;
	const name = `chunk-${String(chunk.index).padStart(6, "0")}`;
	return writeFiles({
		staging,
		format,
		form: formOf(plan.id),
		batches: chunk.batches,
		firstRow: chunk.index * CHUNK_ROWS_MAX,
		prefix: `${filesPrefix(pipeline, stream, row.epoch, plan.id)}${name}-`,
		// Chunks that are written at once share what the table may hold.
		bufferBytesMax: Math.floor(bufferBytesMax / parallel),
	});
}

/**
 * The newest plan that follows the position row, with the chunks whose files are all there. Of a chunk that two runs
 * sealed the newer one's counts.
 */
export async function findStagedChunks(
	options: Pick<StagedChunksOptions, "staging" | "pipeline" | "stream" | "row">,
	listed?: readonly StagedEntry[],
): Promise<(KeptChunks & { readonly folder: ChunkFolder }) | null> {
	const { staging, pipeline, stream, row } = options;
	const entries = listed ?? (await staging.list(streamPrefix(pipeline, stream)));
	const there = new Map(entries.map((entry) => [entry.path, entry.bytes]));
	const paths = entries.flatMap(({ path }) => {
		const known = chunkPathOf(path);
		return known !== null && known.folder.seq === row.seq ? [{ path, ...known }] : [];
	});
	const plans = paths.filter(({ record }) => record === null).sort((a, b) => b.folder.epoch - a.folder.epoch);
	for (const { path, folder } of plans) {
		const plan = await readJson(staging, path, parseChunkPlan);
		if (plan === null || plan.id !== folder.plan || plan.fromPosition !== row.position) continue;
		const records = new Map<number, ChunkRecord>();
		const sealed = paths
			.filter((other) => other.record !== null && samePlan(other.folder, folder))
			.sort((a, b) => a.record!.epoch - b.record!.epoch);
		for (const { path: recordPath, record: named } of sealed) {
			const record = await readJson(staging, recordPath, parseChunkRecord);
			const whole = record?.files.every((file) => there.get(file.path) === file.bytes) === true;
			if (record !== null && whole && record.plan === plan.id && record.index === named!.index)
				records.set(record.index, record);
		}
		return { plan, records, folder };
	}
	return null;
}

function samePlan(a: ChunkFolder, b: ChunkFolder): boolean {
	return a.seq === b.seq && a.epoch === b.epoch && a.plan === b.plan;
}

async function readJson<T>(staging: Staging, path: string, parse: (text: string) => T): Promise<T | null> {
	const content = await staging.read(path);
	if (content === null) return null;
	try {
		return parse(new TextDecoder().decode(content));
	} catch (error) {
		if (error instanceof SyntaxError) return null;
		throw new HeadraceError("E_STATE", `the record ${path} can't be read`, { cause: error });
	}
}

/** Takes all plans and records of a stream away; their files belong to nobody then, and cleaning removes them. */
async function discardStagedChunks(staging: Staging, pipeline: string, stream: string): Promise<void> {
	const paths = (await staging.list(`${streamPrefix(pipeline, stream)}chunks/`)).map((entry) => entry.path);
	await staging.remove(paths.filter((path) => path.endsWith(CHUNK_PLAN_NAME)));
	await staging.remove(paths.filter((path) => !path.endsWith(CHUNK_PLAN_NAME)));
}
