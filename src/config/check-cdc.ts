import { type ErrorPlace, HeadraceError } from "../core/errors.ts";
import { invalidValue } from "./issues.ts";
import type { OwnTableOptions } from "./options.ts";
import type { TableOptions } from "./pipeline.ts";

/**
 * Options that a table of mode cdc can't have, and those that only it can have. What says how other modes read
 * (`cursor`, `late`, `overlap`) may stand in `defaults`: there it is for the others.
 */
export function checkCdc(
	name: string,
	{ own, options }: { readonly own: OwnTableOptions; readonly options: TableOptions },
	at: (key: string) => ErrorPlace,
	faults: HeadraceError[],
): void {
	const refuse = (key: string, message: string, hint: string) =>
		faults.push(new HeadraceError("E_INVALID_VALUE", message, { ...at(key), hint }));
	const { mode, write } = options;
	if (options.beforeImages && (mode !== "cdc" || write !== "append"))
		refuse(
			"before_images",
			`${name} has before_images ${mode === "cdc" ? "without write append" : `and mode ${mode}`}: only changes that are kept as rows have them`,
			mode === "cdc" ? "Write `write: append`." : "Use mode cdc and write append, or leave `before_images` out.",
		);
	if (mode !== "cdc") {
		if (own.deletes !== undefined)
			refuse(
				"deletes",
				`${name} has deletes and mode ${mode}: only a change log tells deletes`,
				mode === "full" ? "Leave `deletes` out." : "Use mode cdc, or `deleted: <column>` for a column that says so.",
			);
		if (write === "history")
			refuse(
				"write",
				`${name} has write history and mode ${mode}: only a change log tells every version of a row`,
				"Use mode cdc, or write merge.",
			);
		return;
	}
	for (const key of ["cursor", "late", "overlap"] as const)
		if (own[key] !== undefined)
			refuse(
				key,
				`${name} has mode cdc and ${key}: it reads on from its place in the change log`,
				`Leave \`${key}\` out.`,
			);
	if (options.where !== undefined && options.query === undefined)
		refuse(
			"where",
			`${name} has mode cdc and where: a change log is not asked for rows by a condition`,
			"Leave `where` out, or use mode incremental.",
		);
	if (options.deleted !== undefined)
		refuse(
			"deleted",
			`${name} has mode cdc and deleted: deletes are in the change log`,
			"Leave `deleted` out; `deletes: hard | soft | ignore` says what they do.",
		);
	if (options.onConflict === "ignore")
		refuse(
			"on_conflict",
			`${name} has mode cdc and on_conflict: ignore, which would leave updates out`,
			"Leave `on_conflict` out, or use write append.",
		);
	for (const [column] of options.fix)
		refuse(
			`fix.${column}`,
			`column ${column} of ${name} has fix, which is not for mode cdc`,
			`Use \`columns: { ${column}: { type: … } }\`: the table is read anew with it.`,
		);
	if (write === "replace")
		refuse(
			"write",
			`${name} has mode cdc and write replace: a change log tells what changed, not all rows`,
			"Use write merge, append or history.",
		);
	else if (own.deletes !== undefined && (write === "append" || write === "history"))
		faults.push(
			invalidValue(
				write === "append"
					? `${name} has deletes and write append, which keeps each delete as a row`
					: `${name} has deletes and write history, where a delete ends a row's last version`,
				at("deletes"),
			),
		);
}
