import { pathSegment as boundedSegment } from "../core/index.ts";

/** Letters and digits of any script stay; a dot may stand between names, and does not. */
const KEPT = /[\p{L}\p{N}_-]/u;

/** A name as one path segment of at most 180 bytes: letters, digits, `_` and `-` stay, all else is percent-encoded. */
export function pathSegment(name: string): string {
	return boundedSegment(name, KEPT);
}
