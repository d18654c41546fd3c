import { relative } from "node:path";
import type { ErrorPlace } from "../core/index.ts";

/** ` (pipelines/shop.yaml:14)`, for messages that leave their place behind; empty when there is none. */
export function placeText(place: ErrorPlace, directory: string): string {
	if (place.file === undefined || place.line === undefined) return "";
	const inside = relative(directory, place.file);
	return ` (${inside.startsWith("..") ? place.file : inside}:${place.line})`;
}
