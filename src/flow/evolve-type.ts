import { type ColumnType, holdsType, sameType, typeName } from "../core/index.ts";
import type { EvolveInput } from "./evolution.ts";
import type { CurrentColumn } from "./schema-diff.ts";
import { ADVICE, type ChangeKind, DONE, type Does, SCHEMA_RULES } from "./schema-rules.ts";

/** What becomes of a column's type: what it lands as, and what is told. */
export interface TypeDecision {
	/** Null when the load stops. */
	readonly type: ColumnType | null;
	readonly misfit?: "null";
	/** The table keeps its type, and the record the old one: the next run finds the change again. */
	readonly held?: true;
	readonly fix?: true;
	readonly anew?: true;
	/** New values get a column of their own. */
	readonly variant?: true;
	readonly told?: {
		readonly kind: ChangeKind;
		readonly does: Does;
		readonly note: string;
		readonly action?: string;
	};
}

/** `landed` is the type of the table's column; `changed` says that the source's column had another type. */
export function decideType(
	input: Pick<EvolveInput, "policy" | "onTypeChange" | "mode" | "needed">,
	column: CurrentColumn,
	landed: ColumnType,
	changed: { readonly type: boolean; readonly declaration: boolean },
): TypeDecision {
	const ruleOf = (kind: ChangeKind) => SCHEMA_RULES[kind][input.policy];
	const tell = (kind: ChangeKind, does: Does, note: string, action?: string) => ({
		told: { kind, does, note, ...(action === undefined ? {} : { action }) },
	});
	const stop = (kind: ChangeKind, note: string): TypeDecision => ({ type: null, ...tell(kind, "stop", note) });
	const cast = (kind: ChangeKind, does: Does, more = ""): TypeDecision => {
		const misfit = does === "cast" ? "stops the load" : "becomes NULL and is counted";
		return {
			type: landed,
			held: true,
			...(does === "cast" ? {} : { misfit: "null" as const }),
			...tell(kind, does, `values are converted to ${typeName(landed)}; one that does not fit ${misfit}${more}`),
		};
	};
	if (sameType(landed, column.type)) {
		if (changed.type || !changed.declaration) return { type: landed };
		const does = ruleOf("declared otherwise");
		const note = `it lands as ${typeName(landed)}, as before`;
		return does === "stop"
			? stop("declared otherwise", note)
			: { type: landed, ...tell("declared otherwise", does, note) };
	}
	if (column.fixed === true && landed.kind === "text") {
		const note = `the pipeline's \`fix\` makes ${typeName(column.type)} of the text`;
		return input.mode === "full"
			? { type: column.type, ...tell("fixed", "fix", note, DONE["build anew"]) }
			: { type: column.type, fix: true, ...tell("fixed", "fix", note) };
	}
	if (holdsType(landed, column.type)) {
		if (!changed.type) return { type: landed };
		const does = ruleOf("narrowed");
		const note = `the destination keeps ${typeName(landed)}, which holds its values`;
		return does === "stop" ? stop("narrowed", note) : { type: landed, ...tell("narrowed", does, note) };
	}
	if (holdsType(column.type, landed)) {
		const does = ruleOf("widened");
		const note = `the destination's ${typeName(landed)} becomes ${typeName(column.type)}`;
		if (does === "stop") return stop("widened", note);
		return does === "alter" ? { type: column.type, ...tell("widened", does, note) } : cast("widened", does);
	}
	// It was made text before, and every value has one.
	if (!changed.type && landed.kind === "text") return { type: landed };
	const does = ruleOf("retyped");
	if (does === "stop") return stop("retyped", `no type holds the old values and the new. ${ADVICE.retype}`);
	if (does !== "convert") return cast("retyped", does, `. ${ADVICE.retype}`);
	return convert(input, column, landed);
}

function convert(
	{ onTypeChange, mode, needed }: Pick<EvolveInput, "onTypeChange" | "mode" | "needed">,
	column: CurrentColumn,
	landed: ColumnType,
): TypeDecision {
	const kind = "retyped";
	if (onTypeChange === "variant_column" && !needed.includes(column.name) && mode !== "full")
		return { type: column.type, variant: true };
	if (onTypeChange === "to_string" && landed.kind === "text")
		return {
			type: landed,
			told: {
				kind,
				does: "keep wide",
				note: "the destination keeps text (on_type_change: to_string)",
				action: "text kept",
			},
		};
	const type: ColumnType = onTypeChange === "to_string" ? { kind: "text" } : column.type;
	const note = `all rows are read into a new table with ${typeName(type)}, which is swapped in. ${ADVICE.retype}`;
	return { type, anew: true, told: { kind, does: "convert", note } };
}
