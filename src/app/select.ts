import { matchesPattern, parsePattern, type SelectedTable } from "../config/index.ts";
import {
	DEFAULT_TYPE_POLICY,
	HeadraceError,
	HeadraceErrors,
	qualified,
	type Source,
	toHeadraceErrors,
} from "../core/index.ts";

/**
 * Where a table is unknown because this user may not see it, the error that says so with its GRANT; other errors stay
 * as they are.
 */
export async function withMissingRights(thrown: unknown, source: Source): Promise<unknown> {
	if (!(thrown instanceof HeadraceErrors)) return thrown;
	const told = thrown.errors.map(async (error) => {
		const pattern = error.place.table === undefined ? null : parsePattern(error.place.table);
		if (error.code !== "E_UNKNOWN_TABLE" || pattern === null || !pattern.exact) return error;
		const table = { schema: pattern.schema?.text ?? source.defaultSchema, name: pattern.name.text };
		try {
			await source.describe([{ table, types: DEFAULT_TYPE_POLICY }]);
		} catch (asked) {
			const rights = toHeadraceErrors(asked).find(({ code }) => code === "E_RIGHTS");
			if (rights !== undefined) return rights.at(error.place);
		}
		return error;
	});
	return new HeadraceErrors(await Promise.all(told));
}

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
