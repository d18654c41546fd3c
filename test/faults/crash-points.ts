/** Which crash points a run of each table passes. */
import type { ShopTable } from "./shop.ts";

/** Into the destination's transaction, and out of it. */
const LOAD = ["c08", "c09", "c10", "c11"];
const SWAP = ["c15", "c15#2"];
/** Files, the manifest, and cleaning: before the extract (the first pass) and after the load (the second). */
const STAGE = ["c02", "c03", "c05", "c07", "c12", "c13", "c12#2", "c13#2"];
const FOLDER = ["folder-file-synced", "folder-file-renamed", "folder-once-written", "folder-once-linked"];

/** All points that a run of the table passes, or of a long list those that end in states of their own. */
export function pointsOf(table: ShopTable, how: { readonly staging: boolean; readonly some?: boolean }): string[] {
	if (how.some === true) return how.staging ? ["c05", "c07", "c09", "c11", "c13#2"] : ["c08", "c09", "c10"];
	// Staging knows nothing of the table's mode: its own points are tried with one.
	const staged = how.staging && table === "orders" ? [...STAGE, ...FOLDER] : [];
	return ["c01", ...staged, ...LOAD, ...(table === "accounts" ? SWAP : [])];
}

/** Points of a folder of files as the destination. */
export const FOLDER_DESTINATION = ["c08", "file-built", "c09", "c10", "file-pointed", "c11"];

/** Of a table that is read in chunks straight into DuckDB; the fifth chunk that is sealed is one in the middle. */
export const CHUNKS_DIRECT = ["chunk-planned", "chunk-added", "chunk-added#5", "chunk-sealed", "chunk-sealed#5"];
/** Of one whose chunks are staged. */
export const CHUNKS_STAGED = ["chunk-planned", "c02", "c03#5", "chunk-staged", "chunk-staged#5", "chunk-sealed#5"];
/** Once all chunks are there. */
export const CHUNKS_LOADED = ["c08", "c09", "c10", "c11"];
/** Of a load by a cursor whose chunks are of several cuts: between the load of them and what has changed since. */
export const CHUNKS_BEHIND = "chunk-behind";

/** Of a run that stages in S3: a file that was sent, and a manifest that was. */
export const S3_STAGED = ["s3-file-sent", "s3-once-sent"];
/** Of a file that goes in parts. */
export const S3_PARTS = ["s3-part-sent", "s3-part-sent#3", "c04"];
