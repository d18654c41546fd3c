import type { Loss, TypeCase } from "./type-case.ts";

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A case whose values are the server's input texts. */
function of(
	type: string,
	values: readonly string[],
	exact: string,
	lenient: string,
	rest: Partial<TypeCase> = {},
): TypeCase {
	return { type, values: values.map(quoted), exact, lenient, ...rest };
}
/** A type that arrives as the text that its output function prints; a cast to text may print less. */
function printed(type: string, values: readonly string[], output?: string, rest: Partial<TypeCase> = {}): TypeCase {
	const sql = output === undefined ? {} : { sql: everyMode(`pg_catalog.textin(${output}(c))`) };
	return of(type, values, "text", "text", { ...sql, ...rest });
}
const everyMode = (sql: string) => ({ exact: sql, lenient: sql, string: sql });
const rounded = (note: RegExp): Pick<TypeCase, "loss"> => ({
	loss: { lenient: { note, fidelity: "lossy", changed: "rounded" } },
});
const FIFTEEN = /15 digits are kept/;
const nines = (digits: number, scale: number): string => `${"9".repeat(digits - scale)}.${"9".repeat(scale)}`;
const numeric = (precision: number, scale: number, more: readonly string[] = []): TypeCase =>
	of(
		`numeric(${precision},${scale})`,
		[nines(precision, scale), `-${nines(precision, scale)}`, "0", `0.${"0".repeat(scale - 1)}1`, ...more],
		`decimal(${precision},${scale})`,
		"float64",
		rounded(FIFTEEN),
	);
/** Arrays are JSON of strings; in mode lenient JSON as to_json prints it, where indexes begin is lost. */
const INDEXES: Loss = { note: /where indexes begin is lost/, fidelity: "lossy", changed: 0 };
function array(
	type: string,
	values: readonly string[],
	element: string,
	exactSql: string,
	rest: Partial<TypeCase> = {},
): TypeCase {
	return of(type, values, `${element}[]`, "text", {
		sql: { exact: exactSql, lenient: "to_json(c)::text" },
		loss: { lenient: INDEXES },
		...rest,
	});
}
const AS_TEXT = "to_json(c::text[])::text";
const MICROS_OF_EACH =
	"(select to_json(array_agg((extract(epoch from e) * 1000000)::int8::text order by o))::text from unnest(c) with ordinality u(e, o))";
const ROW = "to_json(c)::text";

/** What `prepare` has made: types and extensions in a schema that is not in the reader's search path. */
export const POSTGRES_SCHEMA = `
	create schema ext;
	create extension hstore schema ext; create extension citext schema ext; create extension ltree schema ext;
	create type ext.mood as enum ('sad', 'it''s "ok"', 'a,b');
	create domain ext.positive as int4 check (value > 0);
	create domain ext.amount as numeric(12,3);
	create domain ext.list as int4[];
	create type ext.address as (street text, zip numeric, since date, tags text[]);
	set intervalstyle = 'iso_8601'; set search_path = '';`;

export const POSTGRES_CASES: readonly TypeCase[] = [
	of("bool", ["true", "false"], "boolean", "int64", { sql: { lenient: "c::int::text", string: "c::text" } }),
	of("int2", ["-32768", "32767", "0"], "int16", "int64"),
	of("int4", ["-2147483648", "2147483647", "0"], "int32", "int64"),
	of("int8", ["-9223372036854775808", "9223372036854775807", "0", "9007199254740993"], "int64", "int64"),
	of("oid", ["0", "4294967295"], "uint32", "int64"),
	of("xid8", ["0", "18446744073709551615", "9007199254740993"], "uint64", "float64", {
		sql: { lenient: "c::text::float8::text" },
		...rounded(FIFTEEN),
	}),
	numeric(4, 2, ["-0.10"]),
	numeric(9, 9),
	numeric(15, 2),
	numeric(18, 4, ["900719925474.0993", "10000"]),
	numeric(38, 10),
	numeric(38, 37),
	of("numeric(38,0)", ["9".repeat(38), `-${"9".repeat(38)}`, "0"], "decimal(38,0)", "float64", rounded(FIFTEEN)),
	of(
		"numeric",
		["1.50", "NaN", "Infinity", "-Infinity", "0.000", `${"9".repeat(300)}.${"1".repeat(300)}`],
		"text",
		"float64",
		rounded(FIFTEEN),
	),
	of("numeric", [`${"9".repeat(131072)}.${"1".repeat(16383)}`, `-1e-16383`], "text", "text", {
		name: "numeric, longest",
		// A double does not reach that far.
		fixed: "text",
	}),
	of("numeric(60,30)", [nines(60, 30), `-${nines(60, 30)}`], "text", "float64", rounded(FIFTEEN)),
	of("numeric(3,-2)", ["12300", "-99900"], "text", "float64", rounded(FIFTEEN)),
	of("numeric(2,5)", ["0.00012", "-0.00099"], "text", "float64", rounded(FIFTEEN)),
	of(
		"float4",
		["3.4028235e38", "-3.4028235e38", "1e-45", "0", "NaN", "Infinity", "-Infinity", "16777216", "3.1415927"],
		"float32",
		"float64",
	),
	of(
		"float8",
		["1.7976931348623157e308", "-1.7976931348623157e308", "5e-324", "0", "NaN", "Infinity", "-Infinity", "0.1"],
		"float64",
		"float64",
	),
	of("money", ["92233720368547758.07", "-92233720368547758.08", "0", "0.1"], "decimal(19,2)", "float64", {
		sql: { exact: "c::numeric::text", lenient: "c::numeric::float8::text" },
		...rounded(FIFTEEN),
	}),
	of(
		"text",
		[
			"",
			" ",
			"NULL",
			"\\N",
			"é😀",
			"e\u0301",
			"tab\tcr\r\nlf",
			"\u2028",
			'quote " comma , back \\',
			"  padded  ",
			"x".repeat(5000),
		],
		"text",
		"text",
	),
	of("varchar(5)", ["", "ab  "], "text", "text"),
	printed("char(5)", ["ab", "", "abcde"], "bpcharout"),
	printed(`"char"`, ["a", ""], "charout"),
	of("name", ["a name"], "text", "text"),
	of("ext.citext", ["MiXed", "mixed", ""], "text", "text"),
	of("bytea", ["\\x", "\\xc3a9", "\\x00ff", `\\x${"ab".repeat(3000)}`], "binary", "text", {
		sql: {
			exact: "encode(c, 'hex')",
			lenient: "case when id < 2 then convert_from(c, 'UTF8') else translate(encode(c, 'base64'), E'\n', '') end",
			string: "c::text",
		},
		loss: { lenient: { note: /base64, counted/, fidelity: "lossy", changed: 2 } },
	}),
	of(
		"date",
		["4713-01-01 BC", "5874897-12-31", "infinity", "-infinity", "0044-03-15 BC", "0001-01-01", "2024-02-29"],
		"date",
		"date",
	),
	of(
		"timestamp",
		[
			"4713-01-01 00:00:00 BC",
			"294246-12-31 23:59:59.999999",
			"infinity",
			"-infinity",
			"1969-12-31 23:59:59.999999",
			"0044-03-15 12:00:00.5 BC",
			"2024-03-31 02:30:00.123456",
		],
		"timestamp",
		"timestamp",
	),
	of(
		"timestamptz",
		[
			"4713-01-01 00:00:00+00 BC",
			"294246-12-31 23:59:59.999999+00",
			"infinity",
			"2024-06-01 12:00:00+05:45",
			"2024-10-27 02:30:00+02",
			"2024-10-27 02:30:00+01",
		],
		"timestamptz",
		"timestamp",
	),
	of("time", ["00:00", "24:00:00", "23:59:59.999999", "12:00:00.5"], "time", "text"),
	of("timetz", ["12:00:00+05:45", "24:00:00-15:59", "00:00+15:59"], "text", "text"),
	of(
		"interval",
		[
			"1 mon -3 days 04:05:06.7",
			"0",
			"-1 year -2 mons +3 days -04:05:06",
			"178000000 years",
			"-178000000 years",
			"1 microsecond",
			"-1 day +23:59:59.999999",
			"2147483647 days",
			"2562047788:00:54.775807",
			"30 days",
			"1 mon",
		],
		"interval",
		"text",
	),
	of("uuid", ["00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"], "uuid", "text"),
	of(
		"json",
		[
			`{"a" : 12345678901234567890123456789.10, "a":1}`,
			`{"u": "\\u0041\\u0000\\ud83d\\ude00", "é": [ ]}`,
			"null",
			`"text"`,
			'{\n  "lines": 1e400\n}',
		],
		"json",
		"text",
	),
	of("jsonb", [`{"b":1,"a":12345678901234567890123456789.10}`, "null", "[]", `"\\u0041é"`, "1e400"], "json", "text"),
	of("ext.mood", ["sad", 'it\'s "ok"', "a,b"], "text", "text"),
	of("ext.positive", ["7", "2147483647"], "int32", "int64"),
	of("ext.amount", ["7.5", "-999999999.999"], "decimal(12,3)", "float64", rounded(FIFTEEN)),
	of("ext.list", ["{1,2}", "{}"], "int32[]", "text", {
		sql: { exact: AS_TEXT, lenient: ROW },
		loss: { lenient: INDEXES },
	}),
	of("int4range", ["[1,5)", "empty", "(,)", "[3,3]"], "text", "text"),
	of("numrange", ["[1.50,2.5)", "(,1e10]"], "text", "text"),
	of("tstzrange", ["[2024-01-01 00:00+02,infinity)"], "text", "text"),
	of("int4multirange", ["{[1,5),[7,9)}", "{}"], "text", "text"),
	printed("inet", ["1.2.3.4", "1.2.3.4/24", "::1", "::ffff:1.2.3.4/128"], "inet_out"),
	printed("cidr", ["10.0.0.0/8", "1.2.3.4/32"], "cidr_out"),
	of("macaddr", ["08:00:2b:01:02:03"], "text", "text"),
	of("macaddr8", ["08:00:2b:01:02:03:04:05"], "text", "text"),
	of("bit(1)", ["1", "0"], "text", "text"),
	of("bit(3)", ["101", "000"], "text", "text"),
	of("varbit", ["", "1", "0".repeat(70)], "text", "text"),
	printed("xml", [`<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>`, "<b/>"], "xml_out"),
	of("tsvector", ["'a':1A 'b':2", ""], "text", "text"),
	of("tsquery", ["'a' & !'b'"], "text", "text"),
	of("pg_lsn", ["16/B374D848", "0/0", "FFFFFFFF/FFFFFFFF"], "text", "text"),
	of("txid_snapshot", ["10:20:10,14"], "text", "text"),
	of("jsonpath", ["$.a[*]"], "text", "text"),
	of("regclass", ["pg_catalog.pg_class"], "text", "text"),
	of("tid", ["(4294967295,65535)"], "text", "text"),
	of("point", ["(0.1,-2e300)"], "text", "text"),
	of("box", ["(3,4),(1,2)"], "text", "text"),
	of("path", ["[(0,0),(1,1)]", "((0,0),(1,1))"], "text", "text"),
	of("circle", ["<(0,0),1.5>"], "text", "text"),
	of("ext.hstore", [`"a"=>"1", "b"=>NULL, "q\\"uote"=>"x, y"`, ""], "json", "text", {
		sql: { exact: "c::json::text", lenient: "c::json::text" },
	}),
	of("ext.ltree", ["Top.Science"], "text", "text"),
	of("ext.address", [`("1 Main St, ""A""",12345678901234567890.10,,"{a,NULL}")`], "json", "text", {
		sql: { exact: ROW, lenient: ROW },
	}),
	array("int4[]", ["{1,NULL,-2147483648}", "{}"], "int32", AS_TEXT),
	array("int8[]", ["{9223372036854775807,9007199254740993}"], "int64", AS_TEXT),
	array("numeric(10,2)[]", ["{1.5,NULL,-99999999.99}"], "decimal(10,2)", AS_TEXT),
	array("numeric[]", ["{1.50,NaN,1e40}"], "text", AS_TEXT),
	array("bool[]", ["{t,f,NULL}"], "boolean", AS_TEXT),
	array("float8[]", ["{0.1,NaN,Infinity,5e-324}"], "float64", AS_TEXT),
	array("text[]", [`{"a,b","q\\"x",NULL,"NULL","","back\\\\slash","line\n"}`, "{}"], "text", ROW),
	array("char(3)[]", ["{a,bcd}"], "text", ROW),
	array("ext.mood[]", [`{sad,"it's \\"ok\\"",NULL}`], "text", ROW),
	array("uuid[]", ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"], "uuid", AS_TEXT),
	array("inet[]", ["{1.2.3.4,::1/64}"], "text", ROW),
	array("timestamptz[]", [`{"2024-01-01 00:00:00+05",NULL}`], "timestamptz", MICROS_OF_EACH),
	array("date[]", ["{2024-02-29,NULL}"], "date", AS_TEXT),
	array("bytea[]", [`{"\\\\x00ff",NULL,"\\\\x"}`], "binary", `replace(${AS_TEXT}, '\\\\x', '')`),
	array("jsonb[]", [`{"{\\"a\\": 1}",NULL,"null"}`], "text", AS_TEXT),
	array("interval[]", [`{"1 mon -3 days"}`], "text", AS_TEXT),
	of("int4[][]", ["{{1,2},{3,NULL}}", "{1}"], "json", "text", {
		sql: { exact: ROW, lenient: ROW },
		loss: { exact: { note: /first index is not 1 stop the read/, changed: 0 }, lenient: INDEXES },
	}),
	of("int4[]", ["[0:1]={7,8}", "{{1,2},{3,4}}"], "text", "text", { name: "int4[], with bounds", fixed: "text" }),
];

/** The server's own text of a column, for the canonical type that it arrives as. */
export function postgresSql(type: string, c: string): string {
	const finite = (sql: string) => `case when isfinite(${c}) then (${sql})::text else ${c}::text end`;
	switch (type) {
		case "date":
			return finite(`${c} - date '1970-01-01'`);
		case "timestamp":
		case "timestamptz":
			return finite(`(extract(epoch from ${c}) * 1000000)::int8`);
		case "float64":
			return `${c}::float8::text`;
		case "binary":
			return `encode(${c}, 'hex')`;
		case "interval":
			return `extract(year from ${c}) * 12 + extract(month from ${c}) || ' ' || extract(day from ${c}) || ' ' ||
				(extract(hour from ${c}) * 3600000000 + extract(minute from ${c}) * 60000000 + extract(microseconds from ${c}))::int8`;
		default:
			return `${c}::text`;
	}
}
