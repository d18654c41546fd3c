import { nativeOfCatalog } from "../connectors/mysql/native.ts";
import { sourceColumn } from "../connectors/mysql/types.ts";
import { type NativeType, OID } from "../connectors/postgres/native-type.ts";
import { readingOf } from "../connectors/postgres/types.ts";
import { type ColumnType, type Fidelity, HeadraceError, type TypePolicy } from "../core/index.ts";

/** What becomes of a source's type under a policy. */
export interface Fate {
	readonly type: ColumnType;
	readonly fidelity: Fidelity;
	readonly note?: string;
}

export interface Sample {
	readonly native: string;
	readonly fate: (policy: TypePolicy) => Fate;
}

export interface SourceSamples {
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

/** A column of each type that the sources know, for the page of types. */
export const TYPE_SAMPLES: readonly SourceSamples[] = [
	{ title: "MySQL and MariaDB", samples: MYSQL_TYPES.map(mysqlSample) },
	{
		title: "PostgreSQL",
		samples: POSTGRES_TYPES.map(([native, type]) => ({
			native,
			fate: (policy) => readingOf(type, '"c"', policy, { moneyScale: 2 }, undefined),
		})),
	},
];
