import { createHash } from "node:crypto";
import type { LoadRequest } from "./destination.ts";
import type { TargetTable } from "./table.ts";

const HASH_DIGITS = 8;

/** What tells a name that was cut from others that begin alike: 8 hex digits. */
export function nameHash(name: string): string {
	return createHash("sha256").update(name).digest("hex").slice(0, HASH_DIGITS);
}

/** As much of `folded` as fits, between two characters, and a hash of the name that it stands for. */
export function cutName(name: string, folded: string, bytesMax: number): string {
	let cut = "";
	for (const character of folded) {
		if (Buffer.byteLength(cut + character) > bytesMax - HASH_DIGITS - 1) break;
		cut += character;
	}
	return `${cut}_${nameHash(name)}`;
}

/** The target with its columns' names as the destination keeps them: `fold` gives that of one. */
export function foldedTarget(target: TargetTable, fold: (name: string) => string): TargetTable {
	const { columns, key, distKey, sortKey } = target;
	return {
		...target,
		columns: columns.map((column) => ({
			...column,
			name: fold(column.name),
			...(column.renamedFrom === undefined ? {} : { renamedFrom: fold(column.renamedFrom) }),
		})),
		key: key.map(fold),
		...(distKey === undefined ? {} : { distKey: fold(distKey) }),
		...(sortKey === undefined ? {} : { sortKey: sortKey.map(fold) }),
	};
}

/** A request that names columns as the destination keeps them; the fields of its input have the names they came with. */
export function foldedRequest(request: LoadRequest, fold: (name: string) => string): LoadRequest {
	const { orderColumn, deletedColumn, interval, overlap } = request;
	return {
		...request,
		target: foldedTarget(request.target, fold),
		...(orderColumn === undefined ? {} : { orderColumn: fold(orderColumn) }),
		...(deletedColumn === undefined ? {} : { deletedColumn: fold(deletedColumn) }),
		...(interval?.column === undefined ? {} : { interval: { ...interval, column: fold(interval.column) } }),
		...(overlap === undefined
			? {}
			: { overlap: { ...overlap, column: fold(overlap.column), added: (overlap.added ?? []).map(fold) } }),
	};
}
