import { randomBytes } from "node:crypto";
import {
	type Batch,
	crashPoint,
	type Field,
	HeadraceError,
	type LoadRequest,
	MANIFEST_VERSION,
	type Manifest,
	type ManifestFile,
	type PositionRow,
	ROW_NUMBER_COLUMN,
	type Snapshot,
	type StagedWrite,
	type Staging,
	type Write,
	type WriteFilesRequest,
} from "../core/index.ts";
import { type ExtractCounter, type ExtractPlan, readExtract } from "./extract.ts";
import { withRowNumbers } from "./row-numbers.ts";
import { epochOfPath, filesPrefix, manifestPath, streamPrefix } from "./staged-paths.ts";
import type { FlowContext, TableTask } from "./task.ts";

/** Batches → durable files → a sealed manifest. What no manifest names was never staged. */
export async function stageExtract(
	context: FlowContext & { readonly staging: Staging },
	task: TableTask,
	snapshot: Snapshot,
	row: PositionRow,
	plan: ExtractPlan,
	landing: { readonly id: string; readonly write: Write; readonly overlap: LoadRequest["overlap"] },
	counter: ExtractCounter,
): Promise<Manifest> {
	const { staging, format } = context;
	if (format === null) throw new HeadraceError("E_INTERNAL", "staging without a file format");
	const prefix = filesPrefix(context.pipeline, task.stream, row.epoch, landing.id);
	const form = fileForm(context, task);
	const files: ManifestFile[] = [];
	const open = new Map<string, { readonly path: string; readonly write: StagedWrite }>();
	let begun = 0;
	crashPoint("c01");
	try {
		await format.write({
			fields: form.fields,
			batches: form.batchesOf(readExtract(context, task, snapshot, plan, counter)),
			...form.options,
			nextPath: async () => {
				const path = `${prefix}part-${String(begun++).padStart(5, "0")}.${format.extension}`;
				const write = await staging.create(path);
				open.set(write.localPath, { path, write });
				crashPoint("c02");
				return write.localPath;
			},
			written: async (localPath, rows) => {
				const file = open.get(localPath);
				if (file === undefined) throw new HeadraceError("E_INTERNAL", "a file was written that was not begun");
				crashPoint("c03");
				files.push({ path: file.path, rows, ...(await file.write.commit()) });
				open.delete(localPath);
			},
			bufferBytesMax: context.bufferBytesMax,
		});
	} catch (error) {
		for (const { write } of open.values()) await write.abort().catch(() => {});
		await staging.remove(files.map((file) => file.path)).catch(() => {});
		throw error;
	}
	crashPoint("c05");
	// Several are written at once and end in any order; a load takes them in the order of their rows.
	files.sort((a, b) => (a.path < b.path ? -1 : 1));
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
		format: format.name,
		fields: form.options.stored ?? form.fields,
		...(form.options.nullText === undefined ? {} : { nullText: form.options.nullText }),
		target: task.target,
		...(task.schema === undefined ? {} : { schema: task.schema }),
		...(task.reading === undefined ? {} : { reading: task.reading }),
		files,
		rows: files.reduce((sum, file) => sum + file.rows, 0),
		bytes: files.reduce((sum, file) => sum + file.bytes, 0),
		valuesChanged: { ...counter.valuesChanged },
		sealedAt: new Date().toISOString(),
	};
	await staging.writeOnce(
		manifestPath(context.pipeline, task.stream, row.seq),
		new TextEncoder().encode(`${JSON.stringify(manifest, null, "\t")}\n`),
	);
	crashPoint("c07");
	return manifest;
}

/** The batch's fields under their names in the destination. */
export function targetFields(task: TableTask): Field[] {
	return task.target.columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
}

/** How the files are made: for a destination that reads them by itself with its types, and with the rows numbered. */
function fileForm(context: FlowContext, task: TableTask) {
	const fields = targetFields(task);
	const { destination } = context;
	const options: Pick<WriteFilesRequest, "stored" | "nullText"> = {};
	const plain = { fields, options, batchesOf: (batches: AsyncIterable<Batch>) => batches };
	if (destination.fileFields === undefined) return plain;
	const row: Field = { name: ROW_NUMBER_COLUMN, type: { kind: "int64" }, nullable: false };
	return {
		fields: [...fields, row],
		options: {
			stored: [...destination.fileFields(task.target), row],
			// Drawn anew for each extract: a value that happens to equal it fails once, and not for ever.
			nullText: `NULL-${randomBytes(4).toString("hex")}`,
		} satisfies typeof options,
		batchesOf: withRowNumbers,
	};
}

/** The sealed manifest that follows this position row; null when there is none. One that does not fit is damage. */
export async function pendingManifest(
	context: FlowContext & { readonly staging: Staging },
	stream: string,
	row: PositionRow,
): Promise<Manifest | null> {
	const path = manifestPath(context.pipeline, stream, row.seq);
	const content = await context.staging.read(path);
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
	context: FlowContext & { readonly staging: Staging },
	stream: string,
	row: PositionRow,
): Promise<Manifest | null> {
	const manifest = await pendingManifest(context, stream, row);
	if (manifest === null || manifest.epoch === row.epoch) return manifest;
	const there = new Set((await context.staging.list(streamPrefix(context.pipeline, stream))).map(({ path }) => path));
	if (manifest.files.every(({ path }) => there.has(path))) return manifest;
	await discardManifest(context, manifest);
	return null;
}

function parseManifest(content: Uint8Array, path: string): Manifest {
	try {
		const manifest = JSON.parse(new TextDecoder().decode(content)) as Manifest;
		if (manifest.version === MANIFEST_VERSION && Array.isArray(manifest.files)) return manifest;
	} catch {
		// falls through to the error
	}
	throw new HeadraceError("E_STATE", `the manifest ${path} can't be read, or is of a newer version`);
}

/**
 * Removes what this stream no longer needs: files and manifests of committed loads, and files of dead epochs that no
 * manifest names. The files go before their manifest, so that a crash between leaves something that says what is left.
 */
export async function cleanStaging(
	context: FlowContext & { readonly staging: Staging },
	stream: string,
	row: PositionRow,
): Promise<void> {
	const { staging } = context;
	const entries = await staging.list(streamPrefix(context.pipeline, stream));
	const live = manifestPath(context.pipeline, stream, row.seq);
	const keep = new Set<string>();
	const manifests: string[] = [];
	for (const { path } of entries) {
		if (!path.includes("/manifests/")) continue;
		if (path > live) continue;
		if (path === live && (await pendingManifest(context, stream, row)) !== null) {
			const content = await staging.read(path);
			if (content !== null) for (const file of parseManifest(content, path).files) keep.add(file.path);
			continue;
		}
		manifests.push(path);
	}
	const files = entries
		.map((entry) => entry.path)
		.filter((path) => !keep.has(path) && (epochOfPath(path) ?? Number.POSITIVE_INFINITY) <= row.epoch);
	crashPoint("c12");
	await staging.remove(files);
	crashPoint("c13");
	await staging.remove(manifests);
}

/** Takes a sealed manifest away that a fresh extract replaces: first the manifest, since it must not name what is gone. */
export async function discardManifest(
	context: FlowContext & { readonly staging: Staging },
	manifest: Manifest,
): Promise<void> {
	await context.staging.remove([manifestPath(context.pipeline, manifest.stream, manifest.seq)]);
	await context.staging.remove(manifest.files.map((file) => file.path));
}
