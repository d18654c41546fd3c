import {
	crashPoint,
	HeadraceError,
	type LoadRequest,
	MANIFEST_VERSION,
	type Manifest,
	type PositionRow,
	type Snapshot,
	type StagedEntry,
	type Staging,
	type Write,
} from "../core/index.ts";
import { type ChunkedExtract, valuesChangedOf } from "./chunked-extract.ts";
import { type ExtractCounter, type ExtractPlan, readExtract } from "./extract.ts";
import { type FileForm, fileForm, writeFiles } from "./staged-files.ts";
import { earlierStreamPrefix, filesPrefix, manifestPath, manifestUnder, streamPrefix } from "./staged-paths.ts";
import type { FlowContext, TableTask } from "./task.ts";

export type StagedContext = FlowContext & { readonly staging: Staging };

/** Name and manner of the load that a manifest is for. */
export interface Landing {
	readonly id: string;
	readonly write: Write;
	readonly overlap: LoadRequest["overlap"];
}

/** Batches → durable files → a sealed manifest. What no manifest names was never staged. */
export async function stageExtract(
	context: StagedContext,
	task: TableTask,
	snapshot: Snapshot,
	row: PositionRow,
	plan: ExtractPlan,
	landing: Landing,
	counter: ExtractCounter,
): Promise<Manifest> {
	const { staging, format } = context;
	if (format === null) throw new HeadraceError("E_INTERNAL", "staging without a file format");
	const form = fileForm(context.destination, task);
	crashPoint("c01");
	const files = await writeFiles({
		staging,
		format,
		form,
		batches: readExtract(context, task, snapshot, plan, counter),
		prefix: filesPrefix(context.pipeline, task.stream, row.epoch, landing.id),
		bufferBytesMax: context.bufferBytesMax,
	});
	crashPoint("c05");
	return sealManifest(context, task, row, plan, landing, { form, files, valuesChanged: counter.valuesChanged });
}

/** Seals the manifest of a table that was read in chunks: it names the files of all of them. */
export function sealChunks(
	context: StagedContext,
	task: TableTask,
	row: PositionRow,
	extract: ChunkedExtract,
	landing: Landing,
): Promise<Manifest> {
	const form = fileForm(context.destination, task, extract.planId);
	const files = extract.records.flatMap((record) => record.files);
	const valuesChanged = valuesChangedOf(extract.records);
	return sealManifest(context, task, row, extract.plan, landing, {
		form,
		files,
		valuesChanged,
		chunks: extract.counts,
	});
}

async function sealManifest(
	context: StagedContext,
	task: TableTask,
	row: PositionRow,
	plan: ExtractPlan,
	landing: Landing,
	staged: Pick<Manifest, "files" | "valuesChanged" | "chunks"> & { readonly form: FileForm },
): Promise<Manifest> {
	const { form, files, valuesChanged, chunks } = staged;
	const manifest: Manifest = {
		version: MANIFEST_VERSION,
		pipeline: context.pipeline,
		stream: task.stream,
		runId: context.runId,
		loadId: landing.id,
		table: task.target.name,
		epoch: row.epoch,
		seq: row.seq,
		fromPosition: plan.from,
		toPosition: plan.to,
		schemaVersion: task.schemaVersion,
		write: landing.write,
		...(landing.overlap === undefined ? {} : { overlap: landing.overlap }),
		...(task.interval === undefined ? {} : { interval: task.interval }),
		format: context.format?.name ?? "parquet",
		fields: form.stored,
		...(form.nullText === undefined ? {} : { nullText: form.nullText }),
		target: task.target,
		...(task.schema === undefined ? {} : { schema: task.schema }),
		...(task.reading === undefined ? {} : { reading: task.reading }),
		files,
		rows: files.reduce((sum, file) => sum + file.rows, 0),
		bytes: files.reduce((sum, file) => sum + file.bytes, 0),
		valuesChanged: { ...valuesChanged },
		sealedAt: new Date().toISOString(),
		...(chunks === undefined ? {} : { chunks }),
	};
	await context.staging.writeOnce(
		manifestPath(context.pipeline, task.stream, row.seq),
		new TextEncoder().encode(`${JSON.stringify(manifest, null, "\t")}\n`),
	);
	crashPoint("c07");
	return manifest;
}

/** The sealed manifest that follows this position row; null when there is none. One that does not fit is damage. */
export async function pendingManifest(
	context: StagedContext,
	stream: string,
	row: PositionRow,
): Promise<Manifest | null> {
	const path = manifestPath(context.pipeline, stream, row.seq);
	const earlier = earlierStreamPrefix(context.pipeline, stream);
	const content =
		(await context.staging.read(path)) ??
		(earlier === null ? null : await context.staging.read(manifestUnder(earlier, row.seq)));
	if (content === null) return null;
	const manifest = parseManifest(content, path);
	if (manifest.pipeline !== context.pipeline || manifest.stream !== stream || manifest.seq !== row.seq)
		throw new HeadraceError("E_STATE", `the manifest ${path} belongs to another pipeline or table`);
	// A position set by hand, or a destination restored from a backup: the staged rows do not follow it.
	return manifest.fromPosition === row.position ? manifest : null;
}

/**
 * The pending manifest if its files are there. A fenced run may seal after a newer one took its files away for those of
 * a dead run: such a manifest names what is gone, and its rows are read again.
 */
export async function usableManifest(
	context: StagedContext,
	stream: string,
	row: PositionRow,
): Promise<Manifest | null> {
	const manifest = await pendingManifest(context, stream, row);
	if (manifest === null || manifest.epoch === row.epoch) return manifest;
	const there = new Set((await listStream(context.staging, context.pipeline, stream)).map(({ path }) => path));
	if (manifest.files.every(({ path }) => there.has(path))) return manifest;
	await discardManifest(context, manifest);
	return null;
}

/** All that is staged of a stream, also where earlier versions put it. */
export async function listStream(staging: Staging, pipeline: string, stream: string): Promise<StagedEntry[]> {
	const entries = await staging.list(streamPrefix(pipeline, stream));
	const earlier = earlierStreamPrefix(pipeline, stream);
	return earlier === null ? entries : [...entries, ...(await staging.list(earlier))];
}

/** @throws E_STATE when it is none, or of a newer version */
export function parseManifest(content: Uint8Array, path: string): Manifest {
	try {
		const manifest = JSON.parse(new TextDecoder().decode(content)) as Manifest;
		if (manifest.version === MANIFEST_VERSION && Array.isArray(manifest.files)) return manifest;
	} catch {
		// falls through to the error
	}
	throw new HeadraceError("E_STATE", `the manifest ${path} can't be read, or is of a newer version`);
}

/**
 * Takes a sealed manifest away that a fresh extract replaces, and then its files, since it must not name what is gone.
 * Files of chunks stay: they have records of their own.
 */
export async function discardManifest(context: StagedContext, manifest: Manifest): Promise<void> {
	const { pipeline, staging } = context;
	const earlier = earlierStreamPrefix(pipeline, manifest.stream);
	const paths = [manifestPath(pipeline, manifest.stream, manifest.seq)];
	if (earlier !== null) paths.push(manifestUnder(earlier, manifest.seq));
	await staging.remove(paths);
	if (manifest.chunks === undefined) await staging.remove(manifest.files.map((file) => file.path));
}
