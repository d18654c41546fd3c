/** Every type with its extremes, and what becomes of it. */
/** How the canonical text of exact mode comes from the server's own text. */
export const FORMS = {
	same: (text: string) => text,
	hex: (text: string) => text.slice(2),
	float4: (text: string) => (Object.is(Number(text), -0) ? "-0" : String(Math.fround(Number(text)))),
	float8: (text: string) => (Object.is(Number(text), -0) ? "-0" : String(Number(text))),
} as const;

export interface TypeCase {
	readonly type: string;
	readonly values: readonly string[];
	readonly becomes: string;
	readonly lenient: string;
	readonly form?: keyof typeof FORMS;
	/** SQL of the server's text where `c::text` is not what its output function prints. */
	readonly text?: string;
	/** SQL of the exact text where it is not the server's text of the column. */
	readonly exact?: string;
	readonly versionMin?: number;
}

const long = "x".repeat(5000);
export const CASES: readonly TypeCase[] = [
	{ type: "bool", values: ["true", "false"], becomes: "boolean", lenient: "int64" },
	{ type: "int2", values: ["-32768", "32767", "0"], becomes: "int16", lenient: "int64" },
	{ type: "int4", values: ["-2147483648", "2147483647", "-1"], becomes: "int32", lenient: "int64" },
	{
		type: "int8",
		values: ["-9223372036854775808", "9223372036854775807", "9007199254740993"],
		becomes: "int64",
		lenient: "int64",
	},
	{ type: "oid", values: ["0", "4294967295"], becomes: "uint32", lenient: "int64" },
	{ type: "xid", values: ["0", "4294967295"], becomes: "uint32", lenient: "int64" },
	{ type: "xid8", values: ["0", "18446744073709551615"], becomes: "uint64", lenient: "float64" },
	{
		type: "numeric(4,2)",
		values: ["99.99", "-99.99", "0", "0.01", "-0.10"],
		becomes: "decimal(4,2)",
		lenient: "float64",
	},
	{
		type: "numeric(9,9)",
		values: ["0.999999999", "-0.000000001", "0.00001"],
		becomes: "decimal(9,9)",
		lenient: "float64",
	},
	{
		type: "numeric(15,2)",
		values: ["9999999999999.99", "-9999999999999.99", "10000", "100000000"],
		becomes: "decimal(15,2)",
		lenient: "float64",
	},
	{
		type: "numeric(18,4)",
		values: ["99999999999999.9999", "-99999999999999.9999", "900719925474.0993", "1"],
		becomes: "decimal(18,4)",
		lenient: "float64",
	},
	{
		type: "numeric(18)",
		values: ["999999999999999999", "9007199254740993", "90000000000000000", "89999999999999999"],
		becomes: "decimal(18,0)",
		lenient: "float64",
	},
	{
		type: "numeric(38,10)",
		values: [
			"9999999999999999999999999999.9999999999",
			"-9999999999999999999999999999.9999999999",
			"0.0000000001",
			"12345678.9",
			"-1",
		],
		becomes: "decimal(38,10)",
		lenient: "float64",
	},
	{
		type: "numeric",
		values: ["1.50", "NaN", "Infinity", "-Infinity", `${"9".repeat(60)}.${"1".repeat(60)}`, "0.000"],
		becomes: "text",
		lenient: "float64",
	},
	{
		type: "numeric(60,30)",
		values: ["123456789012345678901234567890.123456789012345678901234567891"],
		becomes: "text",
		lenient: "float64",
	},
	{ type: "numeric(3,-2)", values: ["12300", "-99900"], becomes: "text", lenient: "float64" },
	{ type: "numeric(2,5)", values: ["0.00012"], becomes: "text", lenient: "float64" },
	{
		type: "float4",
		values: ["3.1415927", "-0", "NaN", "Infinity", "-Infinity", "1e-45", "3.4028235e38", "16777216"],
		becomes: "float32",
		lenient: "float64",
		form: "float4",
	},
	{
		type: "float8",
		values: ["0.1", "-0", "NaN", "Infinity", "5e-324", "1.7976931348623157e308"],
		becomes: "float64",
		lenient: "float64",
		form: "float8",
	},
	{
		type: "money",
		values: ["92233720368547758.07", "-92233720368547758.08", "0.1"],
		becomes: "decimal(19,2)",
		lenient: "float64",
		exact: "c::numeric::text",
	},
	{
		type: "text",
		values: [
			"",
			" ",
			"twelve bytes",
			"thirteen byte",
			"NULL",
			"\\N",
			"é😀",
			"tab\tcr\r\nlf",
			"\u2028",
			"  padded  ",
			long,
		],
		becomes: "text",
		lenient: "text",
	},
	{ type: "varchar(5)", values: ["", "ab  "], becomes: "text", lenient: "text" },
	{ type: "char(5)", values: ["ab", ""], becomes: "text", lenient: "text", text: "textin(bpcharout(c))" },
	{ type: `"char"`, values: ["a", ""], becomes: "text", lenient: "text", text: "textin(charout(c))" },
	{ type: "name", values: ["a name"], becomes: "text", lenient: "text" },
	{ type: "ext.citext", values: ["MiXed", ""], becomes: "text", lenient: "text" },
	{
		type: "bytea",
		values: ["\\x", "\\x00ff", `\\x${"ab".repeat(3000)}`],
		becomes: "binary",
		lenient: "text",
		form: "hex",
	},
	{
		type: "date",
		values: [
			"4713-01-01 BC",
			"5874897-12-31",
			"infinity",
			"-infinity",
			"0044-03-15 BC",
			"0001-01-01",
			"2024-02-29",
			"10000-01-01",
		],
		becomes: "date",
		lenient: "date",
	},
	{
		type: "timestamp",
		values: [
			"4713-01-01 00:00:00 BC",
			"294246-12-31 23:59:59.999999",
			"infinity",
			"-infinity",
			"1969-12-31 23:59:59.999999",
			"2000-01-01",
			"0044-03-15 12:00:00.5 BC",
			"1999-12-31 23:59:59.000001",
		],
		becomes: "timestamp",
		lenient: "timestamp",
	},
	{ type: "timestamp(0)", values: ["2024-01-01 00:00:00.6"], becomes: "timestamp", lenient: "timestamp" },
	{
		type: "timestamptz",
		values: ["2024-06-01 12:00:00+05:45", "4713-01-01 00:00:00+00 BC", "infinity", "294246-12-31 23:59:59.999999+00"],
		becomes: "timestamptz",
		lenient: "timestamp",
	},
	{ type: "time", values: ["00:00", "24:00:00", "23:59:59.999999"], becomes: "time", lenient: "text" },
	{ type: "timetz", values: ["12:00:00+05:45", "24:00:00-15:59"], becomes: "text", lenient: "text" },
	{
		type: "interval",
		values: [
			"1 mon -3 days 04:05:06.7",
			"0",
			"-1 year -2 mons +3 days -04:05:06",
			"178000000 years",
			"-178000000 years",
			"1 microsecond",
			"-1 day +23:59:59.999999",
			"2147483647 days",
			"2562047788:00:54.775807",
		],
		becomes: "interval",
		lenient: "text",
	},
	{
		type: "uuid",
		values: [
			"00000000-0000-0000-0000-000000000000",
			"ffffffff-ffff-ffff-ffff-ffffffffffff",
			"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
		],
		becomes: "uuid",
		lenient: "text",
	},
	{
		type: "json",
		values: [`{"a" : 12345678901234567890.123456789012345678, "a":1}`, "null", `"é"`],
		becomes: "json",
		lenient: "text",
	},
	{
		type: "jsonb",
		values: [`{"b":1,"a":12345678901234567890.10}`, "null", `[]`, `"${long}"`],
		becomes: "json",
		lenient: "text",
	},
	{ type: "ext.mood", values: ["sad", 'it\'s "ok"'], becomes: "text", lenient: "text" },
	{ type: "ext.posint", values: ["7"], becomes: "int32", lenient: "int64" },
	{ type: "ext.amount", values: ["7.5"], becomes: "decimal(12,3)", lenient: "float64" },
	{ type: "int4range", values: ["[1,5)", "empty", "(,)"], becomes: "text", lenient: "text" },
	{ type: "int4multirange", values: ["{[1,5),[7,9)}", "{}"], becomes: "text", lenient: "text" },
	{
		type: "inet",
		values: ["1.2.3.4", "1.2.3.4/24", "::1", "::ffff:1.2.3.4/128"],
		becomes: "text",
		lenient: "text",
		text: "textin(inet_out(c))",
	},
	{ type: "cidr", values: ["10.0.0.0/8", "1.2.3.4/32"], becomes: "text", lenient: "text", text: "textin(cidr_out(c))" },
	{ type: "macaddr", values: ["08:00:2b:01:02:03"], becomes: "text", lenient: "text" },
	{ type: "macaddr8", values: ["08:00:2b:01:02:03:04:05"], becomes: "text", lenient: "text" },
	{ type: "bit(3)", values: ["101"], becomes: "text", lenient: "text" },
	{ type: "varbit", values: ["", "1", "0".repeat(70)], becomes: "text", lenient: "text" },
	{
		type: "xml",
		values: [`<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>`, "<b/>"],
		becomes: "text",
		lenient: "text",
		text: "textin(xml_out(c))",
	},
	{ type: "tsvector", values: ["'a':1A 'b':2"], becomes: "text", lenient: "text" },
	{ type: "tsquery", values: ["'a' & !'b'"], becomes: "text", lenient: "text" },
	{ type: "pg_lsn", values: ["16/B374D848"], becomes: "text", lenient: "text" },
	{ type: "txid_snapshot", values: ["10:20:10,14"], becomes: "text", lenient: "text" },
	{ type: "jsonpath", values: ["$.a[*]"], becomes: "text", lenient: "text" },
	{ type: "regclass", values: ["pg_catalog.pg_class", "ext.secrets"], becomes: "text", lenient: "text" },
	{ type: "regtype", values: ["int4", "ext.mood"], becomes: "text", lenient: "text" },
	{ type: "tid", values: ["(4294967295,65535)"], becomes: "text", lenient: "text" },
	{ type: "oidvector", values: ["1 2 3", ""], becomes: "text", lenient: "text" },
	{ type: "point", values: ["(0.1,-2e300)"], becomes: "text", lenient: "text" },
	{ type: "box", values: ["(3,4),(1,2)"], becomes: "text", lenient: "text" },
	{ type: "path", values: ["[(0,0),(1,1)]"], becomes: "text", lenient: "text" },
	{ type: "polygon", values: ["((0,0),(1,1),(2,0))"], becomes: "text", lenient: "text" },
	{ type: "circle", values: ["<(0,0),1.5>"], becomes: "text", lenient: "text" },
	{ type: "line", values: ["{1,2,3}"], becomes: "text", lenient: "text" },
	{ type: "lseg", values: ["[(0,0),(1,1)]"], becomes: "text", lenient: "text" },
	{
		type: "ext.hstore",
		values: [`"a"=>"1", "b"=>NULL, "q\\"uote"=>"x"`, ""],
		becomes: "json",
		lenient: "text",
		exact: "c::json::text",
	},
	{ type: "ext.ltree", values: ["Top.Science"], becomes: "text", lenient: "text" },
	{
		type: "ext.address",
		values: [`("1 Main St, ""A""",12345678901234567890.10,)`],
		becomes: "json",
		lenient: "text",
		exact: "to_json(c)::text",
	},
	{
		type: "int4[]",
		values: ["{1,NULL,-2}", "{}"],
		becomes: "int32[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{
		type: "int8[]",
		values: ["{9223372036854775807}"],
		becomes: "int64[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{
		type: "numeric(10,2)[]",
		values: ["{1.5,NULL}"],
		becomes: "decimal(10,2)[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{ type: "numeric[]", values: ["{1.50,NaN}"], becomes: "text[]", lenient: "text", exact: "to_json(c::text[])::text" },
	{ type: "bool[]", values: ["{t,f,NULL}"], becomes: "boolean[]", lenient: "text", exact: "to_json(c::text[])::text" },
	{
		type: "float8[]",
		values: ["{0.1,NaN,-0}"],
		becomes: "float64[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{
		type: "text[]",
		values: [`{"a,b","q\\"x",NULL,"NULL",""}`],
		becomes: "text[]",
		lenient: "text",
		exact: "to_json(c)::text",
	},
	{ type: "char(3)[]", values: ["{a,bcd}"], becomes: "text[]", lenient: "text", exact: "to_json(c)::text" },
	{ type: "ext.mood[]", values: ["{sad}"], becomes: "text[]", lenient: "text", exact: "to_json(c)::text" },
	{ type: "ext.posint[]", values: ["{1,2}"], becomes: "int32[]", lenient: "text", exact: "to_json(c::text[])::text" },
	{ type: "ext.posints", values: ["{1,2}"], becomes: "int32[]", lenient: "text", exact: "to_json(c::text[])::text" },
	{
		type: "uuid[]",
		values: ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"],
		becomes: "uuid[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{ type: "inet[]", values: ["{1.2.3.4,::1/64}"], becomes: "text[]", lenient: "text", exact: "to_json(c)::text" },
	{
		type: "timestamptz[]",
		values: [`{"2024-01-01 00:00:00+05"}`],
		becomes: "timestamptz[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{
		type: "bytea[]",
		values: [`{"\\\\x00ff",NULL,"\\\\x"}`],
		becomes: "binary[]",
		lenient: "text",
		exact: `replace(to_json(c::text[])::text, '\\\\x', '')`,
	},
	{
		type: "jsonb[]",
		values: [`{"{\\"a\\": 1}",NULL,"null"}`],
		becomes: "text[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{
		type: "ext.address[]",
		values: [`{"(a,1,2024-01-01)"}`],
		becomes: "json",
		lenient: "text",
		exact: "to_json(c)::text",
	},
	{ type: "int4[][]", values: ["{{1,2},{3,4}}", "{1}"], becomes: "json", lenient: "text", exact: "to_json(c)::text" },
];

export const SCHEMA = `
	create schema ext;
	create extension hstore schema ext; create extension citext schema ext; create extension ltree schema ext;
	create type ext.mood as enum ('sad', 'it''s "ok"');
	create domain ext.posint as int4 check (value > 0);
	create domain ext.amount_base as numeric(12,3); create domain ext.amount as ext.amount_base not null;
	create domain ext.posints as int4[];
	create type ext.address as (street text, zip numeric, since date);
	create table ext.secrets (id int);`;
