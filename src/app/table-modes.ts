import type { CheckedPipeline, SelectedTable } from "../config/index.ts";
import {
	type Destination,
	type HeadraceError,
	qualified,
	type SourceColumn,
	typeName,
	type Write,
} from "../core/index.ts";
import { cursorRefusal, isTimeCursor } from "../flow/index.ts";

/** Notes a fault of a table, at the place of one of its options. */
export type Fault = (code: HeadraceError["code"], message: string, option: string, hint?: string) => void;

/** Whether source and destination can do what the table's mode and write ask; of mode cdc see `checkChangeModes`. */
export function checkModes(
	context: { readonly pipeline: CheckedPipeline; readonly destination: Destination },
	selected: SelectedTable,
	columns: readonly SourceColumn[],
	chosen: { readonly cursor: string | undefined; readonly write: Write; readonly key: readonly string[] },
	fault: Fault,
): void {
	const { options } = selected;
	const source = qualified(selected.source);
	const files = context.pipeline.from.type === "file" || context.pipeline.from.type === "s3";
	if (!context.destination.writes.includes(chosen.write))
		fault(
			"E_UNSUPPORTED",
			`${context.pipeline.to.type} can't ${chosen.write}`,
			"write",
			`It can ${context.destination.writes.join(", ")}.`,
		);
	if (chosen.write === "merge" && chosen.key.length === 0)
		fault("E_KEY_REQUIRED", `${source} has no key to merge by`, "write");
	if (chosen.write === "replace" && options.mode === "interval")
		fault(
			"E_UNSUPPORTED",
			`${source}: write replace would leave one interval only`,
			"write",
			"Use write merge or append: an interval replaces its own rows.",
		);
	if (options.mode === "incremental" && options.cursor === undefined && !files)
		fault("E_CURSOR_REQUIRED", `${source} is incremental and has no cursor`, "mode");
	const ownCondition = selected.kind === "query" || options.where !== undefined;
	if (options.mode === "interval" && options.cursor === undefined && !ownCondition)
		fault("E_CURSOR_REQUIRED", `${source} is read by interval and has no cursor`, "mode");
	if (options.deleted !== undefined && chosen.write !== "merge")
		fault("E_UNSUPPORTED", `${source}: deleted needs write merge`, "deleted");
	const cursor = columns.find((column) => column.name === chosen.cursor);
	const refusal = cursor === undefined || options.mode === "full" ? null : cursorRefusal(cursor);
	if (refusal !== null && cursor !== undefined)
		fault(
			"E_INVALID_VALUE",
			`${source}: ${cursor.name} can't be a cursor: ${refusal}`,
			"cursor",
			options.types.mode === "exact"
				? undefined
				: `types: { mode: ${options.types.mode} } makes it ${typeName(cursor.type)}; give it a type that keeps its order: columns: { ${cursor.name}: { type: timestamp } }, date, int64 or decimal.`,
		);
	else if (cursor !== undefined && options.mode === "incremental" && !isTimeCursor(cursor))
		checkDurations(options, source, cursor.name, fault);
}

/** A number can't be moved by a duration. */
function checkDurations(options: SelectedTable["options"], source: string, cursor: string, fault: Fault): void {
	for (const [option, durationMs] of [
		["late", options.lateMs],
		["overlap", options.overlapMs],
	] as const)
		if ((durationMs ?? 0) > 0)
			fault(
				"E_INVALID_VALUE",
				`${source}: ${option} is a duration, and the cursor ${cursor} is a number`,
				option,
				`Use a date or timestamp as cursor, or leave \`${option}\` out.`,
			);
}
