import { matchesPattern, parsePattern, type SelectedTable } from "../config/index.ts";
import { HeadraceError, qualified } from "../core/index.ts";

/** The tables that `--table` names, by source or destination name or pattern; all when it names none. */
export function selectTables(all: readonly SelectedTable[], wanted: readonly string[] | undefined): SelectedTable[] {
	if (wanted === undefined || wanted.length === 0) return [...all];
	const chosen = new Set<SelectedTable>();
	for (const text of wanted) {
		const pattern = parsePattern(text);
		const matches = all.filter(({ source, into }) => matchesPattern(pattern, source) || matchesPattern(pattern, into));
		if (matches.length === 0)
			throw new HeadraceError("E_UNKNOWN_TABLE", `the pipeline has no table ${JSON.stringify(text)}`, {
				hint: `It has: ${all
					.slice(0, 10)
					.map((table) => qualified(table.source))
					.join(", ")}${all.length > 10 ? ", …" : ""}.`,
			});
		for (const match of matches) chosen.add(match);
	}
	return all.filter((table) => chosen.has(table));
}
