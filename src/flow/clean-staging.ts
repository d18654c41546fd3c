import { crashPoint, HeadraceError, type PositionRow, type StagedEntry, type Staging } from "../core/index.ts";
import { CHUNKS_KEPT_MS } from "./chunked-extract.ts";
import { listStream, parseManifest, pendingManifest, type StagedContext } from "./stage.ts";
import { findStagedChunks } from "./staged-chunks.ts";
import { chunkPathOf, epochOfPath, pipelinePrefix, seqOfManifest, streamPrefix } from "./staged-paths.ts";

/** Whether a file is kept though its load is committed. Clocks of machines differ by less than such a time matters. */
export function isRetained(
	{ retentionMs = 0 }: Staging,
	{ modifiedAt }: StagedEntry,
	nowMs: number = Date.now(),
): boolean {
	return retentionMs > 0 && nowMs - modifiedAt.getTime() < retentionMs;
}

/**
 * Removes what this stream no longer needs: files, manifests and chunks of committed loads once the staging's retention
 * is over, and files of dead epochs that nothing names. Files go before the manifest of their load, so that a crash
 * between leaves something that says what is left.
 */
export async function cleanStaging(context: StagedContext, stream: string, row: PositionRow): Promise<void> {
	const { staging } = context;
	const entries = await listStream(staging, context.pipeline, stream);
	const keep = new Set<string>();
	const pending = entries.length === 0 ? null : await pendingManifest(context, stream, row);
	for (const file of pending?.files ?? []) keep.add(file.path);
	const chunks = await findStagedChunks({ staging, pipeline: context.pipeline, stream, row }, entries);
	for (const record of chunks?.records.values() ?? []) for (const file of record.files) keep.add(file.path);
	const manifests: string[] = [];
	const records: string[] = [];
	const files: string[] = [];
	for (const entry of entries) {
		const { path } = entry;
		const seq = seqOfManifest(path);
		const chunk = chunkPathOf(path);
		if (seq !== null) {
			const isOver = seq < row.seq || (seq === row.seq && pending === null);
			if (isOver && !isRetained(staging, entry)) manifests.push(path);
		} else if (chunk !== null) {
			const live = chunks !== null && chunk.folder.plan === chunks.folder.plan;
			if (!live && chunk.folder.seq <= row.seq && chunk.folder.epoch <= row.epoch) records.push(path);
		} else if (!keep.has(path) && !isRetained(staging, entry) && isOfEpoch(path, row)) files.push(path);
	}
	// A chunk's record must not name what is gone.
	await staging.remove(records);
	crashPoint("c12");
	await staging.remove(files);
	crashPoint("c13");
	await staging.remove(manifests);
}

export interface Sweep {
	readonly staging: Staging;
	readonly pipeline: string;
	/** Position rows of the pipeline. */
	readonly rows: readonly PositionRow[];
	/** Streams that runs of this process are at work on: nothing of theirs is touched. */
	readonly busy: ReadonlySet<string>;
	readonly nowMs: number;
}

/**
 * Cleans up after the pipeline's other streams, whose own next run may never come: an interval whose backfill was killed,
 * a table that was taken out of the file. What is committed or was never sealed goes at once; what is sealed waits for
 * its run, but not for ever. The caller holds the pipeline's lease.
 */
export async function sweepStaging({ staging, pipeline, rows, busy, nowMs }: Sweep): Promise<void> {
	const entries = await staging.list(pipelinePrefix(pipeline));
	const known = new Map(rows.map((row) => [streamPrefix(pipeline, row.stream), row]));
	const spared = new Set([...busy].map((stream) => streamPrefix(pipeline, stream)));
	const byStream = Map.groupBy(entries, ({ path }) => path.split("/").slice(0, 2).join("/").concat("/"));
	for (const [prefix, staged] of byStream)
		if (!spared.has(prefix)) await sweepStream(staging, staged, known.get(prefix), nowMs);
}

async function sweepStream(
	staging: Staging,
	entries: readonly StagedEntry[],
	row: PositionRow | undefined,
	nowMs: number,
): Promise<void> {
	const isOld = ({ modifiedAt }: StagedEntry) => modifiedAt.getTime() < nowMs - CHUNKS_KEPT_MS;
	const isNewest = (seq: number) => row === undefined || seq >= row.seq;
	const named = new Set<string>();
	const records: string[] = [];
	for (const entry of entries) {
		const seq = seqOfManifest(entry.path) ?? chunkPathOf(entry.path)?.folder.seq ?? null;
		if (seq === null) continue;
		if (isRetained(staging, entry, nowMs) && !isNewest(seq)) continue;
		if (!isNewest(seq) || isOld(entry)) records.push(entry.path);
		else for (const path of await namedFiles(staging, entry.path)) named.add(path);
	}
	// What names files goes first: whatever comes to use it must not find it half.
	await staging.remove(records);
	const files = entries.filter(({ path }) => epochOfPath(path) !== null && !named.has(path));
	const over = files.filter((entry) => !isRetained(staging, entry, nowMs) && (isOld(entry) || isDead(entry.path, row)));
	await staging.remove(over.map((entry) => entry.path));
}

/** A file that nothing names, of an epoch that has begun: its run is over, since this one holds the lease. */
function isDead(path: string, row: PositionRow | undefined): boolean {
	return row !== undefined && isOfEpoch(path, row);
}

function isOfEpoch(path: string, { epoch }: PositionRow): boolean {
	return (epochOfPath(path) ?? Number.POSITIVE_INFINITY) <= epoch;
}

async function namedFiles(staging: Staging, path: string): Promise<string[]> {
	if (path.endsWith("/plan.json")) return [];
	const content = await staging.read(path);
	if (content === null) return [];
	if (seqOfManifest(path) !== null) return parseManifest(content, path).files.map((file) => file.path);
	try {
		const record = JSON.parse(new TextDecoder().decode(content)) as { readonly files: readonly { path: string }[] };
		return record.files.map((file) => file.path);
	} catch (cause) {
		throw new HeadraceError("E_STATE", `the record ${path} can't be read`, { cause });
	}
}
