import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PipelineInput } from "../../src/index.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { type CopyRequest, Workbench } from "./copy.ts";

type Types = NonNullable<PipelineInput["types"]>;

/** A column with values that its type has no room for, and what each answer to that makes of them. */
interface PolicyCase {
	readonly ddl: string;
	/** SQL; the first has a counterpart, the others not. */
	readonly values: readonly string[];
	/** The type that the pipeline gives the column. */
	readonly fixed?: string;
	readonly fail: Types;
	readonly change: Types;
	readonly arrivesAs: string;
	readonly arrived: readonly (string | null)[];
	readonly changed: number;
	/** What the plan says of the column under `change`. */
	readonly note: RegExp;
	readonly only?: string;
}

const asNull = (option: string, mode?: Types["mode"]): Pick<PolicyCase, "fail" | "change"> => {
	const rest = mode === undefined ? {} : { mode };
	return { fail: { ...rest, [option]: "fail" }, change: { ...rest, [option]: "null" } };
};
const ZERO = asNull("zero_date");
const NO_CALENDAR = /dates that do not exist become NULL/;

const POSTGRES: readonly PolicyCase[] = [
	{
		...asNull("nan"),
		ddl: "numeric(10,2) not null",
		values: ["1.5", "'NaN'", "'NaN'"],
		arrivesAs: "decimal(10,2)",
		arrived: ["1.50", null, null],
		changed: 2,
		note: /NaN becomes NULL, counted/,
	},
	...["timestamp", "timestamptz"].map(
		(type): PolicyCase => ({
			...asNull("out_of_range"),
			ddl: `${type} not null`,
			values: ["'2024-01-01 00:00:00+00'", "'294276-12-31 23:59:59.999999+00'", "'294247-01-10 04:00:54.775807+00'"],
			arrivesAs: type,
			arrived: ["1704067200000000", null, null],
			changed: 2,
			note: /after the year 294246 become NULL, counted/,
		}),
	),
	{
		...asNull("infinity"),
		ddl: "interval not null",
		values: ["'1 mon'", "'infinity'", "'-infinity'"],
		arrivesAs: "interval",
		arrived: ["1 0 0", null, null],
		changed: 2,
		note: /infinite intervals become NULL, counted/,
		only: "postgres18",
	},
	{
		...asNull("out_of_range", "lenient"),
		ddl: "numeric not null",
		values: ["0.5", "'1e400'", "'-1e400'"],
		arrivesAs: "float64",
		arrived: ["0.5", null, null],
		changed: 2,
		note: /15 digits are kept/,
	},
	{
		...asNull("out_of_range"),
		ddl: "int4 not null",
		fixed: "int8",
		values: ["-128", "128", "-129"],
		arrivesAs: "int8",
		arrived: ["-128", null, null],
		changed: 2,
		note: /goes by types.out_of_range/,
	},
	{
		...asNull("infinity"),
		ddl: "numeric not null",
		fixed: "decimal(10,1)",
		values: ["1", "'Infinity'"],
		arrivesAs: "decimal(10,1)",
		arrived: ["1.0", null],
		changed: 1,
		note: /goes by types.out_of_range/,
	},
];

const MYSQL: readonly PolicyCase[] = [
	{
		...ZERO,
		ddl: "date not null",
		values: ["'2024-02-29'", "'0000-00-00'", "'2024-00-10'", "'2024-02-31'"],
		arrivesAs: "date",
		arrived: ["19782", null, null, null],
		changed: 3,
		note: NO_CALENDAR,
	},
	{
		...ZERO,
		ddl: "datetime not null",
		values: ["'2024-01-01 00:00:00'", "'0000-00-00 00:00:00'", "'2024-02-31 10:00:00'"],
		arrivesAs: "timestamp",
		arrived: ["1704067200000000", null, null],
		changed: 2,
		note: NO_CALENDAR,
	},
	{
		...ZERO,
		ddl: "timestamp not null default '0000-00-00 00:00:00'",
		values: ["'2024-01-01 00:00:00'", "'0000-00-00 00:00:00'"],
		arrivesAs: "timestamptz",
		arrived: ["1704067200000000", null],
		changed: 1,
		note: NO_CALENDAR,
	},
	{
		fail: { zero_date: "fail" },
		change: { zero_date: "string" },
		ddl: "date not null",
		values: ["'2024-02-29'", "'0000-00-00'", "'2024-00-10'"],
		arrivesAs: "text",
		arrived: ["2024-02-29", "0000-00-00", "2024-00-10"],
		changed: 0,
		note: /kept as text, with 0000-00-00 as it is/,
	},
	{
		...asNull("out_of_range"),
		ddl: "time not null",
		fixed: "time",
		values: ["'12:00:00'", "'-00:00:01'", "'25:00:00'"],
		arrivesAs: "time",
		arrived: ["12:00:00", null, null],
		changed: 2,
		note: /follow types.out_of_range/,
	},
	{
		...asNull("out_of_range"),
		ddl: "decimal(10,2) not null",
		fixed: "decimal(10,1)",
		values: ["1.50", "1.55"],
		arrivesAs: "decimal(10,1)",
		arrived: ["1.5", null],
		changed: 1,
		note: /follow types.out_of_range/,
	},
];

const SERVERS = [
	["mariadb", MYSQL, "set names utf8mb4, sql_mode = 'ALLOW_INVALID_DATES'"],
	["mysql56", MYSQL, "set names utf8mb4, sql_mode = 'ALLOW_INVALID_DATES'"],
	["postgres15", POSTGRES, "select 1"],
	["postgres18", POSTGRES, "select 1"],
] as const;

describe.each(SERVERS)("%s", (server, all, prepare) => {
	const cases = all.filter(({ only }) => only === undefined || only === server);

	describe.skipIf(missing(server))("values that have no counterpart", () => {
		let database: TestDatabase;
		let workbench: Workbench;

		beforeAll(async () => {
			database = await freshDatabase(await sharedServer(server));
			await database.query(prepare);
			for (const [index, { ddl, values }] of cases.entries()) {
				await database.query(`create table t${index} (id int primary key, c ${ddl})`);
				await database.query(
					`insert into t${index} values ${values.map((value, id) => `(${id}, ${value})`).join(", ")}`,
				);
			}
			workbench = await Workbench.open(database.readerUrl);
		});
		afterAll(async () => {
			await workbench?.[Symbol.asyncDispose]();
			await database?.drop();
		});

		const request = (index: number, types: Types, name: string): CopyRequest => {
			const { fixed, arrivesAs } = cases[index]!;
			return {
				name: `${name}-${index}`,
				route: "direct",
				table: `${server.startsWith("postgres") ? "public" : database.name}.t${index}`,
				options: fixed === undefined ? {} : { columns: { c: { type: fixed } } },
				types,
				arrives: new Map([["c", arrivesAs]]),
			};
		};

		test.each(cases.map((each, index) => [each.ddl, JSON.stringify(each.fail), index] as const))(
			"%s stops with %s, and the error names column and policy, not the value",
			async (_ddl, _fail, index) => {
				const { fail, values } = cases[index]!;
				const error = await workbench.copy(request(index, fail, "fail")).catch((thrown: unknown) => thrown);
				expect(error).toMatchObject({ code: "E_VALUE", message: expect.stringMatching(/column c /) });
				const digits = /\d{2,}[\d.:-]*/.exec(values[1]!)?.[0] ?? "no digits";
				if (!/^0000/.test(digits)) expect((error as Error).message).not.toContain(digits);
			},
		);

		test.each(cases.map((each, index) => [each.ddl, JSON.stringify(each.change), index] as const))(
			"%s arrives with %s as the plan says, and is counted",
			async (_ddl, _change, index) => {
				const { change, arrived, changed, note, arrivesAs } = cases[index]!;
				const copy = request(index, change, "change");
				const plan = await workbench.plan(copy);
				expect(plan.tables[0]!.columns[1]!.note).toMatch(note);
				const receipt = await workbench.copy(copy);
				expect((await workbench.arrived(copy.name, new Map([["c", arrivesAs]]))).get("c")).toEqual(arrived);
				expect(receipt.values_changed).toEqual(changed === 0 ? {} : { c: changed });
			},
		);
	});
});

describe.each(["mysql56", "postgres15", "postgres18"] as const)("%s", (server) => {
	test.skipIf(missing(server))(
		"the sign of zero arrives in files, and the plan says that DuckDB may drop it",
		async () => {
			await using database = await freshDatabase(await sharedServer(server));
			await database.query("create table zeros (id int primary key, c double precision)");
			const zero = server === "mysql56" ? "-0e0" : "'-0'";
			await database.query(`insert into zeros values (0, ${zero}), (1, 0)`);
			await using workbench = await Workbench.open(database.readerUrl);
			const copy: CopyRequest = {
				name: "zeros",
				route: "parquet folder",
				table: `${server === "mysql56" ? database.name : "public"}.zeros`,
				options: {},
				types: {},
				arrives: new Map([["c", "float64"]]),
			};
			expect((await workbench.plan(copy)).tables[0]!.columns[1]).toMatchObject({ note: "-0.0 may be stored as 0.0" });
			await workbench.copy(copy);
			expect((await workbench.arrivedInFiles("parquet", "zeros", copy.arrives)).get("c")).toEqual(["-0.0", "0.0"]);
		},
	);
});
