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
	const staged = how.staging ? [...STAGE, ...(table === "orders" ? FOLDER : [])] : [];
	return ["c01", ...staged, ...LOAD, ...(table === "accounts" ? SWAP : [])];
}

/** Points of a folder of files as the destination. */
export const FOLDER_DESTINATION = ["c08", "file-built", "c09", "c10", "file-pointed", "c11"];
