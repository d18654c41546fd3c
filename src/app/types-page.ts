import { mapType } from "../connectors/duckdb/types.ts";
import { storedMapping } from "../connectors/file/stored-format.ts";
import { mapType as lakeMapping } from "../connectors/lake/types.ts";
import { mapType as postgresMapping } from "../connectors/postgres/target-types.ts";
import { mapType as redshiftMapping } from "../connectors/redshift/target-types.ts";
import { mapType as snowflakeMapping } from "../connectors/snowflake/types.ts";
import {
	type ColumnType,
	DEFAULT_TYPE_POLICY,
	type SimpleKind,
	type TypeMapping,
	type TypePolicy,
	typeName,
} from "../core/index.ts";
import { type Fate, type SourceSamples, TYPE_SAMPLES } from "./types-samples.ts";

const KINDS: readonly SimpleKind[] = [
	...(["boolean", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"] as const),
	...(["float32", "float64", "date", "time", "timestamp", "timestamptz", "interval"] as const),
	...(["uuid", "text", "json", "binary"] as const),
];
const TYPES: readonly ColumnType[] = [
	...KINDS.map((kind) => ({ kind })),
	{ kind: "decimal", precision: 10, scale: 2 },
	{ kind: "list", element: { kind: "int32" } },
];

const DESTINATIONS: readonly (readonly [title: string, mapping: (type: ColumnType) => TypeMapping])[] = [
	["DuckDB", mapType],
	["PostgreSQL", postgresMapping],
	["Redshift", redshiftMapping],
	["Snowflake", snowflakeMapping],
	["lake (Hive)", lakeMapping],
	["Parquet", (type) => storedMapping(type, "parquet")],
	["JSON lines", (type) => storedMapping(type, "jsonl")],
];

/** What the values of a policy do that is not its default; the effect on types is asked from the sources. */
const POLICIES: readonly {
	readonly option: string;
	readonly value: string;
	readonly change: Partial<TypePolicy>;
	readonly values: string;
	readonly effect: string;
}[] = [
	{
		option: "zero_date",
		value: "null",
		change: { zeroDate: "null" },
		values: "MySQL's `0000-00-00` and days that no calendar has",
		effect: "NULL, counted",
	},
	{ option: "zero_date", value: "fail", change: { zeroDate: "fail" }, values: "the same", effect: "stops the table" },
	{
		option: "zero_date",
		value: "string",
		change: { zeroDate: "string" },
		values: "the same",
		effect: "the column is text",
	},
	{ option: "nan", value: "fail", change: { nan: "fail" }, values: "NaN in a decimal", effect: "stops the table" },
	{ option: "nan", value: "null", change: { nan: "null" }, values: "the same", effect: "NULL, counted" },
	{
		option: "infinity",
		value: "fail",
		change: { infinity: "fail" },
		values: "an infinity that the type can't hold: in an interval or a decimal",
		effect: "stops the table",
	},
	{ option: "infinity", value: "null", change: { infinity: "null" }, values: "the same", effect: "NULL, counted" },
	{
		option: "out_of_range",
		value: "fail",
		change: { outOfRange: "fail" },
		values:
			"a value outside the type: a time after the year 294246, or one that `columns: { c: { type: … } }` has no room for",
		effect: "stops the table",
	},
	{
		option: "out_of_range",
		value: "null",
		change: { outOfRange: "null" },
		values: "the same",
		effect: "NULL, counted",
	},
	{
		option: "invalid_text",
		value: "fail",
		change: { invalidText: "fail" },
		values: "bytes that are not UTF-8 in a column of text",
		effect: "stops the table",
	},
	{
		option: "invalid_text",
		value: "replace",
		change: { invalidText: "replace" },
		values: "the same",
		effect: "U+FFFD in their place, counted",
	},
];

const cell = (text: string): string => text.replaceAll("|", "\\|");
const code = (text: string): string => `\`${cell(text)}\``;
const table = (titles: readonly string[], rows: readonly (readonly string[])[]): string[] => [
	`| ${titles.join(" | ")} |`,
	`|${"---|".repeat(titles.length)}`,
	...rows.map((row) => `| ${row.join(" | ")} |`),
];

/** `docs/reference/types.md`: what each type becomes, asked from the connectors themselves, so that it can't drift. */
export function typesPage(): string {
	return [
		"# Types",
		"",
		"<!-- Made by `npm run docs` from the connectors' own mappings: do not edit. -->",
		"",
		"`headrace types explain <pipeline>` says the same of your tables. *exact*: every value arrives equal. *lossy*: values",
		"may change, the note says how, and the receipt counts those that did in `values_changed`. A column that has no",
		"mapping is refused by `plan`, before anything runs.",
		"",
		...TYPE_SAMPLES.flatMap(sourceSection),
		"## What a type is in a destination",
		"",
		"CSV files hold the canonical text of every value; JSON lines numbers, booleans and lists as such and all else as strings.",
		"",
		...table(
			["type", ...DESTINATIONS.map(([title]) => title)],
			TYPES.map((type) => [
				code(typeName(type)),
				...DESTINATIONS.map(([, mapping]) => {
					const { destinationType, fidelity } = mapping(type);
					return fidelity === "exact" ? code(destinationType) : `${code(destinationType)} (${fidelity})`;
				}),
			]),
		),
		"",
		"What is to be known of them:",
		"",
		...DESTINATIONS.flatMap(([title, mapping]) => remarksOf(title, mapping)),
		"",
		"## Policies",
		"",
		"For values that have no exact counterpart: `types: { zero_date: null }` in a pipeline, its `defaults` or a table.",
		"What the policies do is counted per column in `values_changed`. The first of each is the default.",
		"",
		...table(
			["policy", "values", "what happens", "types that the plan then names"],
			POLICIES.map(({ option, value, change, values, effect }) => [
				code(`${option}: ${value}`),
				values,
				effect,
				affected(change),
			]),
		),
		"",
	].join("\n");
}

function sourceSection({ title, samples }: SourceSamples): string[] {
	const titles = [title, "type", "DuckDB", "Parquet", "fidelity", "note"];
	const rowsOf = (mode: TypePolicy["mode"], isShown: (fate: Fate, exact: Fate) => boolean) =>
		samples.flatMap(({ native, fate }) => {
			const to = fate({ ...DEFAULT_TYPE_POLICY, mode });
			return isShown(to, fate(DEFAULT_TYPE_POLICY)) ? [[code(native), ...fateCells(to)]] : [];
		});
	const remarks = rowsOf("string", (to) => to.fidelity !== "exact" || to.note !== undefined);
	return [
		`## ${title}`,
		"",
		"### `mode: exact`, the default",
		"",
		...table(
			titles,
			rowsOf("exact", () => true),
		),
		"",
		"### `mode: lenient`",
		"",
		"A few wide types. Where it differs from `exact`:",
		"",
		...table(
			titles,
			rowsOf("lenient", (to, exact) => !sameFate(to, exact)),
		),
		"",
		"### `mode: string`",
		"",
		`Every column is \`text\` (\`VARCHAR\`), as the server prints it.${remarks.length === 0 ? "" : " With a remark:"}`,
		"",
		...(remarks.length === 0 ? [] : [...table(titles, remarks), ""]),
	];
}

/** A line for each note of a destination, with the types that it is of. */
function remarksOf(title: string, mapping: (type: ColumnType) => TypeMapping): string[] {
	const types = new Map<string, string[]>();
	for (const type of TYPES) {
		const { note } = mapping(type);
		if (note !== undefined) types.set(note, [...(types.get(note) ?? []), code(typeName(type))]);
	}
	return [...types].map(([note, names]) => `- ${title}, ${names.join(", ")}: ${note}`);
}

function fateCells({ type, fidelity, note }: Fate): string[] {
	const { destinationType } = storedMapping(type, "parquet");
	return [code(typeName(type)), code(mapType(type).destinationType), code(destinationType), fidelity, cell(note ?? "")];
}

function sameFate(a: Fate, b: Fate): boolean {
	return typeName(a.type) === typeName(b.type) && a.fidelity === b.fidelity && a.note === b.note;
}

/** What the plan says under a policy that it does not say by default, and of which types. */
function affected(change: Partial<TypePolicy>): string {
	const natives = new Map<string, string[]>();
	for (const { samples } of TYPE_SAMPLES)
		for (const { native, fate } of samples) {
			const to = fate({ ...DEFAULT_TYPE_POLICY, ...change });
			if (sameFate(to, fate(DEFAULT_TYPE_POLICY))) continue;
			const what = `${to.fidelity}, ${to.note ?? typeName(to.type)}`;
			natives.set(what, [...(natives.get(what) ?? []), code(native)]);
		}
	return [...natives].map(([what, names]) => `${names.join(", ")}: ${cell(what)}`).join("; ");
}
