import { matchesPattern, parsePattern, type SelectedTable, type Summary } from "../config/index.ts";
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

/** What `--table` names, by source or destination name or pattern, or by a summary's name; all when it names nothing. */
export function selectTables(
	all: readonly SelectedTable[],
	summaries: readonly Summary[],
	wanted: readonly string[] | undefined,
): { readonly tables: SelectedTable[]; readonly summaries: Summary[] } {
	if (wanted === undefined || wanted.length === 0) return { tables: [...all], summaries: [...summaries] };
	const chosen = new Set<SelectedTable | Summary>();
	for (const text of wanted) {
		const pattern = parsePattern(text);
		const matches = [
			...all.filter(({ source, into }) => matchesPattern(pattern, source) || matchesPattern(pattern, into)),
			...selectSummaries(summaries, [text]),
		];
		if (matches.length === 0)
			throw new HeadraceError("E_UNKNOWN_TABLE", `the pipeline has no table ${JSON.stringify(text)}`, {
				hint: `It has: ${[...all.map((table) => qualified(table.source)), ...summaries.map(({ name }) => name)]
					.slice(0, 10)
					.join(", ")}${all.length + summaries.length > 10 ? ", …" : ""}.`,
			});
		for (const match of matches) chosen.add(match);
	}
	return {
		tables: all.filter((table) => chosen.has(table)),
		summaries: summaries.filter((summary) => chosen.has(summary)),
	};
}

/** The summaries that `--table` names, by name, or by name or pattern of where they go; all when it names nothing. */
export function selectSummaries(all: readonly Summary[], wanted: readonly string[] = []): Summary[] {
	if (wanted.length === 0) return [...all];
	const matches = wanted.map((text) => {
		const pattern = parsePattern(text);
		return ({ name, into }: Summary) => name === text || matchesPattern(pattern, into);
	});
	return all.filter((summary) => matches.some((match) => match(summary)));
}
