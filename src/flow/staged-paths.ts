import { pathSegment as boundedSegment, unboundedPathSegment } from "../core/index.ts";

/** What every store of files and objects takes in a path as it is. */
const KEPT = /^[A-Za-z0-9_@.-]$/;

/** A name as one path segment of at most 180 bytes: letters, digits, `-`, `_`, `.` and `@` stay. */
export function pathSegment(name: string): string {
	return boundedSegment(name, KEPT);
}

const digits = (value: number, width = 20) => String(value).padStart(width, "0");

/** Everything that a pipeline ever stages. */
export function pipelinePrefix(pipeline: string): string {
	return `${pathSegment(pipeline)}/`;
}

/** Everything that one stream of one pipeline ever stages. */
export function streamPrefix(pipeline: string, stream: string): string {
	return `${pipelinePrefix(pipeline)}${pathSegment(stream)}/`;
}

/** The most that a file system takes: a longer segment can never have been written. */
const FILE_NAME_BYTES_MAX = 255;

/** Where earlier versions, which did not bound a segment's length, staged the stream; null when it is no other place. */
export function earlierStreamPrefix(pipeline: string, stream: string): string | null {
	const segments = [unboundedPathSegment(pipeline, KEPT), unboundedPathSegment(stream, KEPT)];
	const earlier = `${segments.join("/")}/`;
	const possible = segments.every((segment) => segment.length <= FILE_NAME_BYTES_MAX);
	return possible && earlier !== streamPrefix(pipeline, stream) ? earlier : null;
}

/** The manifest that follows the position row's `seq`: one name, so that two runs can't both seal it. */
export function manifestPath(pipeline: string, stream: string, seq: number): string {
	return manifestUnder(streamPrefix(pipeline, stream), seq);
}

/** The manifest's path under the prefix of its stream. */
export function manifestUnder(prefix: string, seq: number): string {
	return `${prefix}manifests/${digits(seq)}.json`;
}

/** The `seq` of a manifest's path; null when it is none. */
export function seqOfManifest(path: string): number | null {
	const match = /\/manifests\/(\d{20})\.json$/.exec(path);
	return match === null ? null : Number(match[1]);
}

/** Files of one extract: the epoch is in the name, so that those of a dead run are known by it. */
export function filesPrefix(pipeline: string, stream: string, epoch: number, loadId: string): string {
	return `${streamPrefix(pipeline, stream)}files/${digits(epoch)}-${loadId}/`;
}

/** The epoch in a staged file's path; null when it is not one of ours. */
export function epochOfPath(path: string): number | null {
	const match = /\/files\/(\d{20})-[0-9a-f]+\//.exec(path);
	return match === null ? null : Number(match[1]);
}

/** What a load in chunks keeps of itself: the `seq` that it follows, the epoch that planned it, and the plan's id. */
export interface ChunkFolder {
	readonly seq: number;
	readonly epoch: number;
	readonly plan: string;
}

export function chunkFolderPath(pipeline: string, stream: string, { seq, epoch, plan }: ChunkFolder): string {
	return `${streamPrefix(pipeline, stream)}chunks/${digits(seq)}-${digits(epoch)}-${plan}/`;
}

/** The record of a sealed chunk; the epoch that read it is in the name, so that two runs never seal the same. */
export function chunkRecordName(index: number, epoch: number): string {
	return `${digits(index, 6)}-${digits(epoch)}.json`;
}

export const CHUNK_PLAN_NAME = "plan.json";

/** What a path below `chunks/` is; null when it is nothing of ours. */
export function chunkPathOf(
	path: string,
): { readonly folder: ChunkFolder; readonly record: { readonly index: number; readonly epoch: number } | null } | null {
	const match = /\/chunks\/(\d{20})-(\d{20})-([0-9a-f]+)\/(?:plan|(\d{6})-(\d{20}))\.json$/.exec(path);
	if (match === null) return null;
	const folder = { seq: Number(match[1]), epoch: Number(match[2]), plan: match[3] as string };
	return { folder, record: match[4] === undefined ? null : { index: Number(match[4]), epoch: Number(match[5]) } };
}
