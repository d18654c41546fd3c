import { z } from "zod";
import {
	columnName,
	columnNames,
	columnType,
	duration,
	nullOr,
	oneOf,
	text,
	wholeNumber,
	written,
} from "./option-kinds.ts";

/** Options about what may land, and what happens before and after: columns, checks, summaries, hooks. */

const columnOptions = z.strictObject({
	rename: columnName().describe("Name of the column in the destination.").optional(),
	mask: nullOr(["hmac", "partial"])
		.describe(
			"Hides the value before it leaves the process: `hmac` puts its keyed SHA-256 (equal values stay equal), `partial` keeps its last characters, `null` puts NULL.",
		)
		.optional(),
	secret: text("text, best by reference such as ${env:PII_KEY}").describe("Key of `mask: hmac`.").optional(),
	keep: wholeNumber(0, 1000)
		.describe("Characters at the end that `mask: partial` shows, but never more than half of the value.")
		.meta({ default: 4 })
		.optional(),
	type: columnType().describe("Type to move the column as, instead of its own.").optional(),
	renamed_from: columnName()
		.describe("The name that the column had in the source: the destination's column is renamed.")
		.optional(),
});

export const columns = z.record(
	z.string(),
	z.union([z.literal("drop"), columnOptions], {
		error: "drop, or a map with rename, mask, secret, keep, type or renamed_from",
	}),
	{ error: "a map of column names" },
);

const ROWS = /^\s*(?:=|!=|<|<=|>|>=)?\s*\d{1,15}\s*$/;
const ROWS_FORM = 'a comparison such as "> 0", ">= 1000" or "= 12"';

function value() {
	return z.union([z.string(), z.number(), z.boolean()], { error: "text, a number, true or false" });
}

function byColumn<Option extends z.ZodType>(option: Option) {
	return z.record(z.string(), option, { error: "a map of column names" });
}

const assertions = {
	name: text("a name").describe("What reports call the check.").optional(),
	rows: z
		.union([z.int().meta({ minimum: 0 }), written(ROWS)], { error: ROWS_FORM })
		.refine((given) => ROWS.test(String(given)), { error: ROWS_FORM })
		.meta({ title: "comparison" })
		.describe("What the number of rows must be: `> 0`, `>= 1000`, `= 12`.")
		.optional(),
	not_null: columnNames().describe("Columns without NULL.").optional(),
	unique: columnNames()
		.describe("Columns that together are unique; rows with NULL in one of them don't count.")
		.optional(),
	accepted: byColumn(z.array(value()).min(1))
		.describe("The values that a column may have, by column: `{ state: [new, paid] }`. NULL passes.")
		.optional(),
	range: byColumn(
		z.strictObject({
			min: value().describe("Least value.").optional(),
			max: value().describe("Greatest value.").optional(),
		}),
	)
		.describe("The least and greatest value of a column: `{ amount: { min: 0, max: 10000 } }`. NULL passes.")
		.optional(),
	freshness: byColumn(duration())
		.describe("How old the newest value of a date or time may be: `{ modified: 2h }`; times without a zone are UTC.")
		.optional(),
	sql: text()
		.describe("A SELECT of the destination: each row it returns is a failure. `{{ this }}` is the table.")
		.optional(),
	severity: oneOf(["error", "warn"])
		.describe("`error` keeps the load from becoming visible and fails it; `warn` is told and the load goes on.")
		.meta({ default: "error" })
		.optional(),
};

export const checkOptions = z.strictObject({
	table: text("a table of the destination").describe("Table in the destination, as `into` gives it."),
	...assertions,
});

export const summaryOptions = z.strictObject({
	into: text("a name such as mart.daily").describe("Table in the destination."),
	query: text().describe("A SELECT of the destination whose rows the table gets. May have templates."),
	key: columnNames().describe("Columns that identify a row: they must be unique and not NULL.").optional(),
	checks: z
		.array(z.strictObject(assertions))
		.describe("Checks of the new rows, as in `checks`; default that there is a row, `[]` for none.")
		.optional(),
	depends_on: z
		.array(text("the name of a table or summary"))
		.describe("Tables and summaries that must have succeeded in the run; default all tables.")
		.optional(),
});

export const hookOptions = z.strictObject({
	on: oneOf(["source", "destination"]).describe("Where the statement runs."),
	sql: z
		.union([text(), z.array(text()).min(1)], { error: "a statement, or a list of statements" })
		.meta({ title: "statement or list" })
		.describe("A statement, or several that are one transaction. May have templates."),
});

export const hooks = z
	.strictObject({
		before: z.array(hookOptions).describe("Run before anything is read.").optional(),
		after: z.array(hookOptions).describe("Run when everything has succeeded.").optional(),
	})
	.describe("Statements to run before and after; each at least once, so make them idempotent.");

export type OwnCheck = z.infer<typeof checkOptions>;
export type OwnSummary = z.infer<typeof summaryOptions>;
export type OwnHooks = z.infer<typeof hooks>;
