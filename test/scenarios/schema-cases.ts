/**
 * Changes of a source's columns, one table each, with what the destination holds after the next run under each policy. Row 2
 * is at the position, so it is read again.
 */
import type { SchemaPolicy } from "../../src/flow/schema-rules.ts";
import type { Dialect } from "../faults/shop.ts";

/** Rows by their id with the columns that the destination has, `modified` aside: `id|v|…` in the order of its columns. */
export interface Outcome {
	readonly rows: readonly string[];
	/** The table's receipt fails with this code, and `rows` are the old ones. */
	readonly error?: string;
	readonly changed?: Readonly<Record<string, number>>;
	/** `change: action` of the receipt, the first words of each. */
	readonly told?: readonly string[];
}

export interface SchemaCase {
	readonly name: string;
	readonly only?: Dialect;
	/** Column definitions between `id` and `modified`; `text` and `v` may be written as in PostgreSQL. */
	readonly columns: string;
	/** Values of these columns for the rows 1 and 2. */
	readonly rows: readonly [string, string];
	/** Statements; `$` is the table. */
	readonly change: (dialect: Dialect) => readonly string[];
	/** Columns and values of row 3, which comes after the change. */
	readonly late: readonly [columns: string, values: string];
	/** Options of the table from the change on. */
	readonly options?: string;
	readonly outcome: (dialect: Dialect) => Readonly<Record<Exclude<SchemaPolicy, "fail">, Outcome>>;
	/** Under `fail` it is no reason to stop. */
	readonly mayPass?: true;
}

const all = (outcome: Outcome) => ({ evolve: outcome, freeze: outcome, discard: outcome });
const alter = (dialect: Dialect, column: string, type: string, more = "") =>
	dialect === "mysql"
		? `alter table $ modify column ${column} ${type} ${more}`
		: `alter table $ alter column ${column} type ${type} using ${column}::${type}`;

export const SCHEMA_CASES: readonly SchemaCase[] = [
	{
		name: "added",
		columns: "v int",
		rows: ["10", "20"],
		// An update that leaves the cursor alone: only reading all rows again finds it.
		change: () => ["alter table $ add column c int", "update $ set c = 7, modified = modified where id = 1"],
		late: ["v, c", "30, 8"],
		outcome: () => ({
			evolve: { rows: ["1|10|7", "2|20|∅", "3|30|8"], told: ["c added: added"] },
			freeze: { rows: ["1|10", "2|20", "3|30"], told: ["c added: left out"] },
			discard: { rows: ["1|10", "2|20", "3|30"], changed: { c: 1 }, told: ["c added: values discarded"] },
		}),
	},
	{
		name: "added_default",
		columns: "v int",
		rows: ["10", "20"],
		change: () => [
			"alter table $ add column c int not null default 5",
			"update $ set c = 7, modified = modified where id = 1",
		],
		late: ["v, c", "30, 8"],
		outcome: () => ({
			evolve: { rows: ["1|10|7", "2|20|5", "3|30|8"] },
			freeze: { rows: ["1|10", "2|20", "3|30"] },
			discard: { rows: ["1|10", "2|20", "3|30"], changed: { c: 2 } },
		}),
	},
	{
		name: "dropped",
		columns: "v int, w int",
		rows: ["10, 11", "20, 21"],
		change: () => ["alter table $ drop column v"],
		late: ["w", "31"],
		outcome: () => all({ rows: ["1|10|11", "2|20|21", "3|∅|31"], told: ["v dropped: kept"] }),
	},
	{
		name: "dropped_not_null",
		columns: "v int not null, w int",
		rows: ["10, 11", "20, 21"],
		change: () => ["alter table $ drop column v"],
		late: ["w", "31"],
		outcome: () => ({
			...all({ rows: ["1|10|11", "2|20|21", "3|∅|31"] }),
			freeze: { rows: ["1|10|11", "2|20|21"], error: "E_SCHEMA" },
		}),
	},
	{
		name: "renamed",
		columns: "v int",
		rows: ["10", "20"],
		change: () => ["alter table $ rename column v to w"],
		late: ["w", "30"],
		outcome: (dialect) =>
			dialect === "postgres"
				? {
						evolve: { rows: ["1|10", "2|20", "3|30"], told: ["w renamed from v: renamed"] },
						freeze: { rows: ["1|10", "2|20", "3|30"], told: ["w renamed from v: loaded under the old name"] },
						discard: { rows: ["1|10", "2|20", "3|∅"], changed: { w: 2 } },
					}
				: {
						evolve: {
							rows: ["1|10|10", "2|20|20", "3|∅|30"],
							told: ["w added, when v went: added", "v dropped: kept"],
						},
						freeze: { rows: ["1|10", "2|20"], error: "E_SCHEMA" },
						discard: { rows: ["1|10", "2|20", "3|∅"], changed: { w: 2 } },
					},
	},
	{
		name: "renamed_declared",
		columns: "v int",
		rows: ["10", "20"],
		change: () => ["alter table $ rename column v to w"],
		late: ["w", "30"],
		options: "columns: { w: { renamed_from: v } }",
		outcome: () => ({
			evolve: { rows: ["1|10", "2|20", "3|30"], told: ["w renamed from v: renamed"] },
			freeze: { rows: ["1|10", "2|20", "3|30"] },
			discard: { rows: ["1|10", "2|20", "3|∅"], changed: { w: 2 } },
		}),
	},
	{
		name: "widened",
		columns: "v int",
		rows: ["10", "20"],
		change: (dialect) => [alter(dialect, "v", "bigint")],
		late: ["v", "3000000000"],
		outcome: () => ({
			evolve: { rows: ["1|10", "2|20", "3|3000000000"] },
			freeze: { rows: ["1|10", "2|20"], error: "E_VALUE" },
			discard: { rows: ["1|10", "2|20", "3|∅"], changed: { v: 1 } },
		}),
	},
	{
		name: "widened_decimal",
		columns: "v decimal(6,2)",
		rows: ["1.25", "-20"],
		change: (dialect) => [alter(dialect, "v", "decimal(12,2)")],
		late: ["v", "123456789.01"],
		outcome: () => ({
			evolve: { rows: ["1|1.25", "2|-20.00", "3|123456789.01"] },
			freeze: { rows: ["1|1.25", "2|-20.00"], error: "E_VALUE" },
			discard: { rows: ["1|1.25", "2|-20.00", "3|∅"], changed: { v: 1 } },
		}),
	},
	{
		name: "widened_float",
		columns: "v float(20)",
		rows: ["1.5", "-0.25"],
		change: (dialect) => [alter(dialect, "v", "double precision")],
		late: ["v", "1e300"],
		outcome: () => ({
			evolve: { rows: ["1|1.5", "2|-0.25", "3|1e+300"] },
			freeze: { rows: ["1|1.5", "2|-0.25"], error: "E_VALUE" },
			discard: { rows: ["1|1.5", "2|-0.25", "3|∅"], changed: { v: 1 } },
		}),
	},
	{
		name: "widened_date",
		columns: "v date",
		rows: ["'2024-02-29'", "'2024-03-01'"],
		change: (dialect) => [alter(dialect, "v", dialect === "mysql" ? "datetime" : "timestamp")],
		late: ["v", "'2024-03-02 12:00:00'"],
		outcome: () => ({
			evolve: { rows: ["1|2024-02-29 00:00:00", "2|2024-03-01 00:00:00", "3|2024-03-02 12:00:00"] },
			freeze: { rows: ["1|2024-02-29", "2|2024-03-01"], error: "E_VALUE" },
			discard: { rows: ["1|2024-02-29", "2|2024-03-01", "3|∅"], changed: { v: 1 } },
		}),
	},
	{
		name: "narrowed",
		columns: "v bigint",
		rows: ["10", "20"],
		change: (dialect) => [alter(dialect, "v", "int")],
		late: ["v", "30"],
		outcome: () => all({ rows: ["1|10", "2|20", "3|30"], told: ["v narrowed bigint: wider type kept"] }),
	},
	{
		name: "retyped",
		columns: "v int",
		rows: ["10", "20"],
		change: (dialect) => [alter(dialect, "v", dialect === "mysql" ? "varchar(20)" : "text")],
		late: ["v", "'thirty'"],
		outcome: () => ({
			evolve: { rows: ["1|10", "2|20", "3|thirty"] },
			freeze: { rows: ["1|10", "2|20"], error: "E_VALUE" },
			discard: { rows: ["1|10", "2|20", "3|∅"], changed: { v: 1 } },
		}),
	},
	{
		name: "retyped_number",
		columns: "v varchar(20)",
		rows: ["'10'", "'20'"],
		change: (dialect) => [alter(dialect, "v", "int")],
		late: ["v", "30"],
		outcome: () => all({ rows: ["1|10", "2|20", "3|30"] }),
	},
	{
		name: "to_string",
		columns: "v int",
		rows: ["10", "20"],
		change: (dialect) =>
			dialect === "mysql"
				? [
						"alter table $ drop column v",
						"alter table $ add column v date",
						"update $ set v = '2024-02-29', modified = modified",
					]
				: ["alter table $ alter column v type date using date '2024-02-29'"],
		late: ["v", "'2024-03-01'"],
		options: "on_type_change: to_string",
		outcome: () => ({
			evolve: { rows: ["1|2024-02-29", "2|2024-02-29", "3|2024-03-01"] },
			freeze: { rows: ["1|10", "2|20"], error: "E_VALUE" },
			discard: { rows: ["1|10", "2|∅", "3|∅"], changed: { v: 2 } },
		}),
	},
	{
		name: "variant",
		columns: "v int",
		rows: ["10", "20"],
		change: (dialect) => [alter(dialect, "v", dialect === "mysql" ? "varchar(20)" : "text")],
		late: ["v", "'thirty'"],
		options: "on_type_change: variant_column",
		outcome: () => ({
			evolve: { rows: ["1|10|∅", "2|20|20", "3|∅|thirty"], told: ["v retyped int: added as v__v2"] },
			freeze: { rows: ["1|10", "2|20"], error: "E_VALUE" },
			discard: { rows: ["1|10", "2|20", "3|∅"], changed: { v: 1 } },
		}),
	},
	{
		name: "declared_otherwise",
		columns: "v varchar(5)",
		rows: ["'a'", "'b'"],
		change: (dialect) => [alter(dialect, "v", "varchar(50)")],
		late: ["v", "'a longer one'"],
		outcome: () => all({ rows: ["1|a", "2|b", "3|a longer one"], told: ["v declared otherwise: recorded"] }),
	},
	{
		name: "declared_shorter",
		columns: "v varchar(50)",
		rows: ["'a'", "'b'"],
		change: (dialect) => [alter(dialect, "v", "varchar(5)")],
		late: ["v", "'c'"],
		outcome: () => all({ rows: ["1|a", "2|b", "3|c"], told: ["v declared otherwise: recorded"] }),
	},
	{
		name: "new_label",
		only: "mysql",
		columns: "v enum('a', 'b')",
		rows: ["'a'", "'b'"],
		change: (dialect) => [alter(dialect, "v", "enum('a', 'b', 'c')")],
		late: ["v", "'c'"],
		outcome: () => all({ rows: ["1|a", "2|b", "3|c"], told: ["v declared otherwise: recorded"] }),
	},
	{
		name: "enum_to_text",
		only: "mysql",
		columns: "v enum('a', 'b')",
		rows: ["'a'", "'b'"],
		change: (dialect) => [alter(dialect, "v", "varchar(20)")],
		late: ["v", "'another'"],
		outcome: () => all({ rows: ["1|a", "2|b", "3|another"], told: ["v declared otherwise: recorded"] }),
	},
	{
		name: "may_be_null",
		columns: "v int not null",
		rows: ["10", "20"],
		change: (dialect) => [
			dialect === "mysql" ? "alter table $ modify column v int null" : "alter table $ alter column v drop not null",
		],
		late: ["v", "null"],
		outcome: () => ({
			evolve: { rows: ["1|10", "2|20", "3|∅"], told: ["v may be NULL: NOT NULL dropped"] },
			freeze: { rows: ["1|10", "2|20"], error: "E_VALUE" },
			discard: { rows: ["1|10", "2|20"], error: "E_VALUE" },
		}),
	},
	{
		name: "never_null",
		columns: "v int",
		rows: ["10", "20"],
		change: (dialect) => [
			dialect === "mysql" ? "alter table $ modify column v int not null" : "alter table $ alter column v set not null",
		],
		late: ["v", "30"],
		outcome: () => all({ rows: ["1|10", "2|20", "3|30"], told: ["v never NULL: recorded"] }),
	},
	{
		name: "default_changed",
		columns: "v int default 1",
		rows: ["10", "20"],
		change: () => ["alter table $ alter column v set default 2"],
		late: ["v", "30"],
		outcome: () => all({ rows: ["1|10", "2|20", "3|30"], told: ["v default 1: recorded"] }),
		mayPass: true,
	},
	{
		name: "key_changed",
		columns: "v int not null",
		rows: ["10", "20"],
		change: (dialect) =>
			dialect === "mysql"
				? ["alter table $ drop primary key, add primary key (id, v)"]
				: ["alter table $ drop constraint key_changed_pkey", "alter table $ add primary key (id, v)"],
		late: ["v", "30"],
		outcome: () => ({
			evolve: { rows: ["1|10", "2|20", "3|30"], told: ["id, v key id: table built anew"] },
			freeze: { rows: ["1|10", "2|20"], error: "E_SCHEMA" },
			discard: { rows: ["1|10", "2|20"], error: "E_SCHEMA" },
		}),
	},
	{
		name: "key_dropped",
		columns: "v int",
		rows: ["10", "20"],
		change: (dialect) => [
			dialect === "mysql" ? "alter table $ drop primary key" : "alter table $ drop constraint key_dropped_pkey",
		],
		late: ["v", "30"],
		outcome: () => ({
			evolve: { rows: ["1|10", "2|20", "3|30"] },
			freeze: { rows: ["1|10", "2|20"], error: "E_SCHEMA" },
			discard: { rows: ["1|10", "2|20"], error: "E_SCHEMA" },
		}),
	},
	{
		name: "collation_changed",
		columns: "v varchar(20)",
		rows: ["'é'", "'b'"],
		change: (dialect) => [
			dialect === "mysql"
				? "alter table $ convert to character set latin1 collate latin1_swedish_ci"
				: 'alter table $ alter column v type varchar(20) collate "C"',
			"update $ set v = 'silent', modified = modified where id = 2",
		],
		late: ["v", "'c'"],
		// Values may have changed without the cursor: all rows are read again.
		outcome: () => all({ rows: ["1|é", "2|silent", "3|c"] }),
	},
];
