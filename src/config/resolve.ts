import { HeadraceError } from "../core/errors.ts";
import type { Path, Positions } from "./positions.ts";
import { type ReferenceScope, resolveText } from "./references.ts";

export interface Resolved {
	readonly value: unknown;
	/** Which reference the value at a path came from. */
	origin(path: Path): string | undefined;
	readonly faults: readonly HeadraceError[];
	/** Paths of the texts whose references have no value; they are left as written. */
	readonly failed: readonly Path[];
}

/**
 * The value with `${env:…}` and `${file:…}` replaced in its texts; names of keys stay as they are. Every reference
 * without a value is a fault. Texts for which `skip` is true stay as they are.
 */
export function resolveReferences(
	value: unknown,
	scope: ReferenceScope,
	positions: Positions,
	at: Path = [],
	skip: (path: Path) => boolean = () => false,
): Resolved {
	const origins = new Map<string, string>();
	const faults: HeadraceError[] = [];
	const failed: Path[] = [];
	const walk = (part: unknown, path: Path): unknown => {
		if (typeof part === "string") {
			if (!part.includes("${") || skip(path)) return part;
			try {
				const { text, origin } = resolveText(part, scope, positions.value(path), (line, column) =>
					positions.within(path, line, column),
				);
				if (origin !== undefined) origins.set(JSON.stringify(path), origin);
				return text;
			} catch (error) {
				if (!(error instanceof HeadraceError)) throw error;
				faults.push(error);
				failed.push(path);
				return part;
			}
		}
		if (Array.isArray(part)) return part.map((each, index) => walk(each, [...path, index]));
		if (typeof part === "object" && part !== null && !(part instanceof Map)) {
			const object: Record<string, unknown> = {};
			for (const [key, each] of Object.entries(part)) object[key] = walk(each, [...path, key]);
			return object;
		}
		return part;
	};
	return { value: walk(value, at), origin: (path) => origins.get(JSON.stringify(path)), faults, failed };
}
