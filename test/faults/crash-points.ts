/** Which crash points a run of each table passes. */
import type { ShopTable } from "./shop.ts";

/** Into the destination's transaction, and out of it. */
const LOAD = ["c08", "c09", "c10", "c11"];
const SWAP = ["c15", "c15#2"];
/** Files, the manifest, and cleaning: before the extract (the first pass) and after the load (the second). */
const STAGE = ["c02", "c03", "c05", "c07", "c12", "c13", "c12#2", "c13#2"];
const FOLDER = ["folder-file-synced", "folder-file-renamed", "folder-once-written", "folder-once-linked"];

export function pointsOf(table: ShopTable, staging: boolean): string[] {
	return ["c01", ...(staging ? [...STAGE, ...FOLDER] : []), ...LOAD, ...(table === "accounts" ? SWAP : [])];
}
