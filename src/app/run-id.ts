import { randomBytes } from "node:crypto";

/** A run's name: sorts by time, is short enough to type the beginning of: `20261121T101502-3f2a9c`. */
export function newRunId(now: Date = new Date()): string {
	return `${now.toISOString().slice(0, 19).replace(/[-:]/g, "")}-${randomBytes(3).toString("hex")}`;
}
