import { HeadraceError } from "../core/errors.ts";
import type { TableName } from "../core/table.ts";
import { splitDotted } from "./patterns.ts";
import { didYouMean } from "./suggest.ts";

/** Values of the placeholders of `into`. */
export interface IntoValues {
	readonly schema: string;
	readonly table: string;
	readonly source: string;
	readonly pipeline: string;
}

const PLACEHOLDERS = ["schema", "table", "query", "source", "pipeline"];

/**
 * Fills `raw.{schema}_{table}` in. The template is split into schema and name before values are put in, so a dot in a
 * value stays part of its name. One part gives an empty schema: the destination's default.
 * @throws E_INVALID_VALUE
 */
export function fillInto(template: string, values: IntoValues): TableName {
	const invalid = (why: string) =>
		new HeadraceError("E_INVALID_VALUE", `into ${JSON.stringify(template.slice(0, 200))}: ${why}`, {
			hint: 'Write schema and table, such as raw.orders or raw.{schema}_{table}; quote a part with a dot: raw."a.b".',
		});
	const parts = splitDotted(template.trim());
	if (parts === undefined) throw invalid('a quoted part is written "…"');
	if (parts.length > 2) throw invalid("it has more than schema and table");
	const all = { ...values, query: values.table };
	const filled = parts.map((part) => {
		const text = part.text.replace(/\{([^{}]*)\}/g, (_, name: string) => {
			if (!PLACEHOLDERS.includes(name)) throw invalid(`unknown placeholder {${name}}${didYouMean(name, PLACEHOLDERS)}`);
			return all[name as keyof typeof all];
		});
		if (text === "" || text.includes("\0")) throw invalid("a part of it is empty");
		return text;
	});
	if (parts.some((part) => /[{}]/.test(part.text.replace(/\{[^{}]*\}/g, ""))))
		throw invalid("a brace is not closed; templates {{ … }} can't be used here");
	return filled.length === 2 ? { schema: filled[0]!, name: filled[1]! } : { schema: "", name: filled[0]! };
}
