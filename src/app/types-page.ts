import { storedMapping } from "../connectors/file/stored-format.ts";
import { mapType } from "../connectors/duckdb/types.ts";
import { nativeOfCatalog } from "../connectors/mysql/native.ts";
import { sourceColumn } from "../connectors/mysql/types.ts";
import { type NativeType, OID } from "../connectors/postgres/native-type.ts";
import { readingOf } from "../connectors/postgres/types.ts";
import {
	type ColumnType,
	DEFAULT_TYPE_POLICY,
	type Fidelity,
	HeadraceError,
	type SimpleKind,
	type TypePolicy,
	typeName,
} from "../core/index.ts";

/** What becomes of a source's type under a policy. */
interface Fate {
	readonly type: ColumnType;
	readonly fidelity: Fidelity;
	readonly note?: string;
}

interface Sample {
	readonly native: string;
	readonly fate: (policy: TypePolicy) => Fate;
}

interface SourceSamples {
	readonly title: string;
	readonly samples: readonly Sample[];
}

const MYSQL_TYPES = [
	...["tinyint", "smallint", "mediumint", "int", "bigint"].flatMap((name) => [name, `${name} unsigned`]),
	...["decimal(10,2)", "decimal(38,10)", "decimal(65,30)", "float", "double", "bit(1)", "bit(64)", "year"],
	...["date", "datetime(6)", "timestamp(6)", "time(6)"],
	...["char(10)", "varchar(255)", "text", "longtext", "enum('a','b')", "set('a','b')", "json"],
	...["binary(16)", "varbinary(255)", "blob", "geometry", "uuid", "inet4", "inet6", "vector(3)"],
];

function mysqlSample(native: string): Sample {
	const [, dataType = native, first = null, second = null] = /^(\w+)(?:\((\d+)(?:,(\d+))?\))?/.exec(native) ?? [];
	const isText = /char|text|enum|set/.test(dataType);
	const column = nativeOfCatalog({
		name: "c",
		dataType,
		columnType: native,
		nullable: true,
		precision: /decimal|bit/.test(dataType) ? first : null,
		scale: second,
		collation: isText ? "utf8mb4_bin" : null,
		isJson: dataType === "json",
	});
	if (column === null) throw new HeadraceError("E_INTERNAL", `the MySQL source does not know ${native}`);
	return { native, fate: (policy) => sourceColumn(column, policy) };
}

const base = (name: string, modifier = -1): NativeType => ({
	oid: Object.entries(OID).find(([known]) => known === name)?.[1] ?? 0,
	schema: "pg_catalog",
	name,
	kind: "base",
	modifier,
	dimensions: 0,
	viaDomain: false,
});
/** As `numericModifier` takes it apart. */
const numeric = (precision: number, scale: number) => base("numeric", ((precision << 16) | (scale & 0x7ff)) + 4);
const array = (element: NativeType, dimensions = 1): NativeType => ({
	...base(`_${element.name}`, element.modifier),
	kind: "array",
	dimensions,
	element,
});
const own = (name: string, kind: NativeType["kind"]): NativeType => ({ ...base(name), schema: "public", kind });

const POSTGRES_TYPES: readonly (readonly [native: string, type: NativeType])[] = [
	["boolean", base("bool")],
	["smallint", base("int2")],
	["integer", base("int4")],
	["bigint", base("int8")],
	["oid", base("oid")],
	["xid8", base("xid8")],
	["numeric(10,2)", numeric(10, 2)],
	["numeric(38,10)", numeric(38, 10)],
	["numeric(60,30)", numeric(60, 30)],
	["numeric", base("numeric")],
	["real", base("float4")],
	["double precision", base("float8")],
	["money", base("money")],
	["text, varchar(n), name", base("text")],
	["character(n)", base("bpchar")],
	["citext", own("citext", "base")],
	["enum", own("mood", "enum")],
	["bytea", base("bytea")],
	["date", base("date")],
	["time", base("time")],
	["time with time zone", base("timetz")],
	["timestamp", base("timestamp")],
	["timestamp with time zone", base("timestamptz")],
	["interval", base("interval")],
	["uuid", base("uuid")],
	["json", base("json")],
	["jsonb", base("jsonb")],
	["xml", base("xml")],
	["inet, cidr", base("inet")],
	["macaddr, macaddr8", base("macaddr")],
	["bit(n), bit varying", base("varbit")],
	["tsvector, tsquery", base("tsvector")],
	["pg_lsn", base("pg_lsn")],
	["point, box, path, circle …", base("point")],
	["int4range, tstzrange …", { ...base("int4range"), kind: "range" }],
	["int4multirange …", { ...base("int4multirange"), kind: "range" }],
	["integer[]", array(base("int4"))],
	["numeric(10,2)[]", array(numeric(10, 2))],
	["text[]", array(base("text"))],
	["inet[]", array(base("inet"))],
	["integer[][]", array(base("int4"), 2)],
	["composite type", own("address", "composite")],
	["hstore", own("hstore", "base")],
	["ltree", own("ltree", "base")],
	["geometry, geography (PostGIS)", own("geometry", "base")],
	["vector, halfvec (pgvector)", own("vector", "base")],
];

const SOURCES: readonly SourceSamples[] = [
	{ title: "MySQL and MariaDB", samples: MYSQL_TYPES.map(mysqlSample) },
	{
		title: "PostgreSQL",
		samples: POSTGRES_TYPES.map(([native, type]) => ({
			native,
			fate: (policy) => readingOf(type, '"c"', policy, { moneyScale: 2 }, undefined),
		})),
	},
];

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

/** What the values of a policy do that is not its default; the effect on types is asked from the sources. */
const POLICIES: readonly {
	readonly option: string;
	readonly value: string;
	readonly change: Partial<TypePolicy>;
	readonly values: string;
	readonly effect: string;
}[] = [
	{ option: "zero_date", value: "null", change: { zeroDate: "null" }, values: "MySQL's `0000-00-00` and days that no calendar has", effect: "NULL, counted" },
	{ option: "zero_date", value: "fail", change: { zeroDate: "fail" }, values: "the same", effect: "stops the table" },
	{ option: "zero_date", value: "string", change: { zeroDate: "string" }, values: "the same", effect: "the column is text" },
	{ option: "nan", value: "fail", change: { nan: "fail" }, values: "NaN in a decimal", effect: "stops the table" },
	{ option: "nan", value: "null", change: { nan: "null" }, values: "the same", effect: "NULL, counted" },
	{ option: "infinity", value: "fail", change: { infinity: "fail" }, values: "an infinity that the type can't hold: in an interval or a decimal", effect: "stops the table" },
	{ option: "infinity", value: "null", change: { infinity: "null" }, values: "the same", effect: "NULL, counted" },
	{ option: "out_of_range", value: "fail", change: { outOfRange: "fail" }, values: "a value outside the type: a time after the year 294246, or one that `columns: { c: { type: … } }` has no room for", effect: "stops the table" },
	{ option: "out_of_range", value: "null", change: { outOfRange: "null" }, values: "the same", effect: "NULL, counted" },
	{ option: "invalid_text", value: "fail", change: { invalidText: "fail" }, values: "bytes that are not UTF-8 in a column of text", effect: "stops the table" },
	{ option: "invalid_text", value: "replace", change: { invalidText: "replace" }, values: "the same", effect: "U+FFFD in their place, counted" },
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
		...SOURCES.flatMap(sourceSection),
		"## What a type is in a destination",
		"",
		"CSV files hold the canonical text of every value; JSON lines numbers, booleans and lists as such and all else as strings.",
		"",
		...table(
			["type", "DuckDB", "Parquet", "JSON lines", "note"],
			TYPES.map((type) => {
				const [duckdb, parquet] = [mapType(type), storedMapping(type, "parquet")];
				const notes = [
					...(duckdb.note === undefined ? [] : [`DuckDB: ${duckdb.note}`]),
					...(parquet.note === undefined ? [] : [`Parquet: ${parquet.note}`]),
				];
				return [
					code(typeName(type)),
					code(duckdb.destinationType),
					code(parquet.destinationType),
					code(storedMapping(type, "jsonl").destinationType),
					cell(notes.join("; ")),
				];
			}),
		),
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
	const rowsOf = (mode: TypePolicy["mode"]) => {
		const exact = samples.map(({ fate }) => fate(DEFAULT_TYPE_POLICY));
		return samples.flatMap(({ native, fate }, index) => {
			const to = fate({ ...DEFAULT_TYPE_POLICY, mode });
			const same = JSON.stringify(shown(to)) === JSON.stringify(shown(exact[index]!));
			const plainText = mode === "string" && to.fidelity === "exact" && to.note === undefined;
			if (mode !== "exact" && (same || plainText)) return [];
			const names = [to.type].flatMap((type) => [
				code(typeName(type)),
				code(mapType(type).destinationType),
				code(storedMapping(type, "parquet").destinationType),
			]);
			return [[code(native), ...names, to.fidelity, cell(to.note ?? "")]];
		});
	};
	const titles = [title, "type", "DuckDB", "Parquet", "fidelity", "note"];
	return [
		`## ${title}`,
		"",
		"### `mode: exact`, the default",
		"",
		...table(titles, rowsOf("exact")),
		"",
		"### `mode: lenient`",
		"",
		"A few wide types. Where it differs from `exact`:",
		"",
		...table(titles, rowsOf("lenient")),
		"",
		"### `mode: string`",
		"",
		"Every column is `text` (`VARCHAR`), exactly as the server prints it. With a note:",
		"",
		...table(titles, rowsOf("string")),
		"",
	];
}

function shown({ type, fidelity, note }: Fate) {
	return { type, fidelity, note };
}

/** The samples whose mapping or note a policy alters. */
function affected(change: Partial<TypePolicy>): string {
	const found = SOURCES.flatMap(({ title, samples }) => {
		const names = samples.flatMap(({ native, fate }) => {
			const to = fate({ ...DEFAULT_TYPE_POLICY, ...change });
			const isOther = JSON.stringify(shown(to)) !== JSON.stringify(shown(fate(DEFAULT_TYPE_POLICY)));
			return isOther ? [`${code(native)}: ${to.fidelity}, ${cell(to.note ?? code(typeName(to.type)))}`] : [];
		});
		return names.length === 0 ? [] : [`${title}: ${names.join("; ")}`];
	});
	return found.join(". ");
}
