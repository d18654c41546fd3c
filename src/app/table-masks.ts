import type { SelectedTable } from "../config/index.ts";
import { qualified, type SourceColumn } from "../core/index.ts";
import type { ColumnMask, ColumnMasks } from "../flow/index.ts";
import type { Fault } from "./table-modes.ts";

/** Characters that `mask: partial` shows unless `keep` says. */
const KEEP_DEFAULT = 4;

/** The masks of a table's columns, by their names in the source. */
export function masksOf(selected: SelectedTable, columns: readonly SourceColumn[]): ColumnMasks {
	const masks = new Map<string, ColumnMask>();
	for (const { name } of columns) {
		const rule = selected.options.columns.get(name);
		if (rule?.mask === "partial") masks.set(name, { kind: "partial", keep: rule.keep ?? KEEP_DEFAULT });
		else if (rule?.mask === "null") masks.set(name, { kind: "null" });
		else if (rule?.mask === "hmac" && rule.secret !== undefined) masks.set(name, { kind: "hmac", secret: rule.secret });
	}
	return masks;
}

/**
 * A column whose value is needed as it is can't be masked: a cursor's is kept in positions and receipts, a flag's
 * decides. A key may be hashed, since equal values stay equal, but not cut or taken away.
 */
export function checkMasks(
	selected: SelectedTable,
	masks: ColumnMasks,
	used: { readonly cursor: string | undefined; readonly deleted: string | undefined; readonly key: readonly string[] },
	fault: Fault,
): void {
	const table = qualified(selected.source);
	const isCursor = (name: string) => name === used.cursor && selected.options.mode !== "full";
	for (const [name, mask] of masks) {
		const refuse = (what: string, hint: string) =>
			fault("E_INVALID_VALUE", `${table}: ${name} ${what}, so it can't be masked so`, `columns.${name}`, hint);
		if (isCursor(name))
			refuse("is the cursor, whose values positions and receipts hold", "Take another cursor, or leave the mask out.");
		else if (name === used.deleted)
			refuse("says which rows are deleted", "Leave the mask out: it holds nothing but a flag.");
		else if (mask.kind !== "hmac" && used.key.includes(name))
			refuse(
				"is part of the key, and rows would no longer be told apart",
				"Use `mask: hmac`, which keeps equal values equal, or give another `key:`.",
			);
	}
}
