import { z } from "zod";
import { alertsOption } from "./alert-options.ts";
import {
	CONNECTION_TYPES,
	COPY_FORMAT_WORDS,
	type FieldRule,
	type FieldRules,
	FORMAT_WORDS,
	GLUE_FIELDS,
	MAINTAIN_WORDS,
	TLS_WORDS,
} from "./connection-types.ts";
import {
	columnName,
	columnNames,
	columnType,
	count,
	duration,
	flag,
	nullOr,
	oneOf,
	size,
	text,
	wholeNumber,
} from "./option-kinds.ts";
import { checkOptions, columns, hooks, summaryOptions } from "./policy-options.ts";
import { SCHEDULE_FORM } from "./schedules.ts";

/** Every option of the pipeline file, with the text that the docs and the JSON Schema show. */

export const DEFAULTS = {
	timezone: "UTC",
	catchup: false,
	maxActiveRuns: 1,
	concurrency: 4,
	retries: 2,
	retryDelay: "10s",
	schemaChanges: "evolve",
	flush: { seconds: 10, rows: "250k", bytes: "64MB" },
	mode: "full",
} as const;

export const typeOptions = z.strictObject({
	mode: oneOf(["exact", "lenient", "string"])
		.describe(
			"`exact` takes the type that keeps every value, text where there is none; `lenient` few wide types, and counts the values that changed; `string` moves every column as text.",
		)
		.meta({ default: "exact" })
		.optional(),
	zero_date: nullOr(["fail", "string"])
		.describe(
			"MySQL's `0000-00-00` and dates that don't exist: `null` makes them NULL, `fail` stops, `string` moves the column as text.",
		)
		.meta({ default: null })
		.optional(),
	nan: nullOr(["fail"])
		.describe("NaN in a decimal column: `null` makes it NULL, `fail` stops.")
		.meta({ default: "fail" })
		.optional(),
	infinity: nullOr(["fail"])
		.describe("Infinity where the destination's type has none: `null` makes it NULL, `fail` stops.")
		.meta({ default: "fail" })
		.optional(),
	out_of_range: nullOr(["fail"])
		.describe("A value outside the range of the destination's type: `null` makes it NULL, `fail` stops.")
		.meta({ default: "fail" })
		.optional(),
	invalid_text: oneOf(["fail", "replace"])
		.describe("Bytes that are not valid in the text's encoding: `replace` puts U+FFFD, `fail` stops.")
		.meta({ default: "fail" })
		.optional(),
});

const retries = () => wholeNumber(0, 100);

const common = {
	mode: oneOf(["full", "incremental", "interval", "cdc"])
		.describe(
			"How the table is read: `full` all of it, `incremental` what is new since the last run by `cursor`, `interval` the rows of one interval by `cursor`, `cdc` from the change log.",
		)
		.meta({ default: DEFAULTS.mode })
		.optional(),
	key: columnNames()
		.describe("Columns that identify a row; default the source's primary key. A list for a key of several columns.")
		.optional(),
	cursor: columnName().describe("Column that grows with every change: a time or a number.").optional(),
	late: duration()
		.describe(
			"How long a row may become visible after its cursor's time; reading stays this far behind the source's clock.",
		)
		.optional(),
	overlap: duration().describe("How far back of the last position an incremental run reads again.").optional(),
	deleted: columnName()
		.describe("Column that says that a row is deleted at the source (boolean or 0/1): merge removes the row.")
		.optional(),
	deletes: oneOf(["hard", "soft", "ignore"])
		.describe(
			"For mode cdc and write merge, what a delete in the change log does: `hard` (the default) removes the row, `soft` sets `_headrace_deleted_at`, `ignore` keeps it.",
		)
		.optional(),
	before_images: flag()
		.describe(
			"For mode cdc and write append: also the row as it was before each update, truncations as rows, and which columns the log does not tell; all that it takes to rebuild history from the table.",
		)
		.meta({ default: false })
		.optional(),
	write: oneOf(["replace", "merge", "append", "history"])
		.describe(
			"How rows land. Default: full → `replace`; incremental, interval, cdc → `merge` when there is a key, else `append`. `history` keeps every version of a row (mode cdc).",
		)
		.optional(),
	into: text("a name such as raw.orders or raw.{schema}_{table}")
		.describe(
			"Table in the destination. Default `<source schema>.<table>`. Placeholders: `{schema}`, `{table}`, `{query}`, `{source}` (the connection), `{pipeline}`.",
		)
		.optional(),
	where: text()
		.describe(
			"For experts: an SQL condition of the source that rows must meet, written in its dialect. May have templates.",
		)
		.optional(),
	columns: columns
		.describe("What happens to single columns: `drop`, or a map with `rename`, `mask`, `type`.")
		.optional(),
	types: typeOptions.describe("Type policies of this table, over those of the pipeline.").optional(),
	on_conflict: oneOf(["update", "ignore"])
		.describe(
			"What `merge` does with a row whose key is there: `update` takes its values, `ignore` leaves the old row.",
		)
		.meta({ default: "update" })
		.optional(),
	on_type_change: oneOf(["resnapshot", "to_string", "variant_column"])
		.describe(
			"What `schema_changes: evolve` does when a column gets a type that can't hold its old values: `resnapshot` reads all rows into a new table and swaps it in; `to_string` does so with the column as text; `variant_column` puts new values into a column `<name>__v2`.",
		)
		.meta({ default: "resnapshot" })
		.optional(),
	fix: z
		.record(z.string(), columnType(), { error: "a map of columns and types" })
		.describe(
			"Types for columns that landed as text: every value is tried, the table is built anew beside and swapped in, and rows to come land so; one value that is none of the type stops it.",
		)
		.optional(),
	dist_key: text()
		.describe(
			"Redshift: the column by whose values a new table's rows are spread over the nodes; default: Redshift chooses (DISTSTYLE AUTO).",
		)
		.optional(),
	sort_key: z
		.union([text(), z.array(text()).min(1)], { error: "a column or a list of columns" })
		.describe("Redshift: the columns by which a new table's rows lie sorted; default: Redshift chooses (SORTKEY AUTO).")
		.optional(),
	retries: retries().describe("How often this table is tried again; default the pipeline's `retries`.").optional(),
	retry_delay: duration()
		.describe("Pause before this table's first retry; default the pipeline's `retry_delay`.")
		.optional(),
	late_after: duration()
		.describe("The table is late when its last success is longer ago; default the pipeline's `late_after`.")
		.optional(),
	resume: oneOf(["auto", "mixed", "off"])
		.describe(
			"What a run keeps of a big table's load that was killed: `auto` what is proved unchanged or caught up with by the cursor, `mixed` of a full load also ranges of the key as they were, `off` nothing.",
		)
		.meta({ default: "auto" })
		.optional(),
	allow_empty: flag()
		.describe("A full load of no rows may replace a table that has some.")
		.meta({ default: false })
		.optional(),
	hooks: hooks.optional(),
};

export const defaultsOptions = z.strictObject(common);

export const tableOptions = z.strictObject({
	query: text().describe("SQL to read instead of a table; the entry's key is its name. May have templates.").optional(),
	...common,
});

const SECONDS_FORM = "a number of seconds above 0, at most 86400";

export const pipelineOptions = z.strictObject({
	pipeline: text("a name of letters, digits, - _ and .")
		.describe("Name of the pipeline; default the file's name.")
		.optional(),
	from: text("the name of a connection, or an address").describe(
		"Source: a name of connections.yaml, an address such as `mysql://…`, or a path such as `./folder`.",
	),
	to: text("the name of a connection, or an address").describe("Destination: a name, address or path."),
	staging: text("the name of an s3 connection, or a folder")
		.describe("Where files wait between extract and load: an s3 connection or a folder.")
		.meta({ default: ".headrace/staging" })
		.optional(),
	schedule: text(SCHEDULE_FORM)
		.describe("When `headrace serve` runs it: cron with five fields, `@daily`, `every 5m`, or `continuous`.")
		.optional(),
	timezone: text("a time zone such as Europe/Berlin")
		.describe("Time zone of `schedule`, `start`, intervals and `{{ ds }}`.")
		.meta({ default: DEFAULTS.timezone })
		.optional(),
	start: text("a day such as 2026-01-01")
		.describe("Begin of the first interval: a day or time in `timezone`.")
		.optional(),
	catchup: flag()
		.describe("Whether `serve` runs the intervals that were missed since `start`.")
		.meta({ default: DEFAULTS.catchup })
		.optional(),
	max_active_runs: wholeNumber(1, 1000)
		.describe("Runs of this pipeline at once.")
		.meta({ default: DEFAULTS.maxActiveRuns })
		.optional(),
	concurrency: wholeNumber(1, 1000)
		.describe("Tables or chunks read at once.")
		.meta({ default: DEFAULTS.concurrency })
		.optional(),
	memory: size().describe("Bound on buffered bytes and the embedded engine.").optional(),
	retries: retries()
		.describe(
			"How often a table, and the connecting at the start of a run, is tried again after an error that may pass: those whose reaction is `retry` in the list of errors. A refused login never is.",
		)
		.meta({ default: DEFAULTS.retries })
		.optional(),
	retry_delay: duration()
		.describe("Pause before the first retry; it doubles each time, up to 10 minutes, less up to a quarter by chance.")
		.meta({ default: DEFAULTS.retryDelay })
		.optional(),
	late_after: duration()
		.describe(
			"Tables are late when their last success is longer ago: every run and `headrace status` looks, and tells the channels of `alerts`.",
		)
		.optional(),
	params: z
		.record(z.string(), z.union([z.string(), z.number(), z.boolean()], { error: "text, a number, true or false" }), {
			error: "a map of names and values",
		})
		.describe("Values for `{{ params.name }}`.")
		.optional(),
	defaults: defaultsOptions.describe("Options of every table that does not have its own.").optional(),
	tables: z
		.record(
			z.string(),
			z.union([z.literal("skip"), z.null(), tableOptions], { error: "a map of options, {} or skip" }),
			{ error: "a map of table names, patterns and queries" },
		)
		.describe(
			"Which tables: `schema.table`, patterns with `*` and `?`, or the name of a query. An exact name beats a pattern, a longer pattern a shorter; `skip` leaves tables out.",
		),
	types: typeOptions.describe("What happens to types and values without an exact counterpart.").optional(),
	schema_changes: oneOf(["evolve", "freeze", "discard", "fail"])
		.describe(
			"When the source's columns change: `evolve` changes the destination's too, `freeze` keeps them and warns, `discard` leaves out, counted, what does not fit them, `fail` stops before any table is touched. See the page \"When the source's columns change\".",
		)
		.meta({ default: DEFAULTS.schemaChanges })
		.optional(),
	flush: z
		.strictObject({
			seconds: z
				.union([z.number().meta({ exclusiveMinimum: 0, maximum: 86_400 }), z.string()], { error: SECONDS_FORM })
				.refine((value) => Number(value) > 0 && Number(value) <= 86_400, { error: SECONDS_FORM })
				.describe("Seconds after which a batch is committed.")
				.meta({ default: DEFAULTS.flush.seconds })
				.optional(),
			rows: count()
				.describe("Rows after which a batch is committed.")
				.meta({ default: DEFAULTS.flush.rows })
				.optional(),
			bytes: size()
				.describe("Bytes after which a batch is committed.")
				.meta({ default: DEFAULTS.flush.bytes })
				.optional(),
		})
		.describe("Size of the micro-batches of `mode: cdc`: whichever comes first, in whole transactions.")
		.optional(),
	alerts: alertsOption
		.describe("Channels that alarms of this pipeline go to, instead of those of alerts.yaml; `[]` for none.")
		.optional(),
	checks: z
		.array(checkOptions)
		.describe("Checks of the rows to come, before anyone sees them; one that fails leaves the old table.")
		.optional(),
	summaries: z
		.record(z.string(), summaryOptions, { error: "a map of summaries" })
		.describe("Tables that are built anew from a query of the destination after each run, by name.")
		.optional(),
	hooks: hooks.optional(),
});

export type PipelineOptions = z.infer<typeof pipelineOptions>;
export type OwnTableOptions = z.infer<typeof tableOptions>;
export type OwnTypeOptions = z.infer<typeof typeOptions>;

function fieldSchema(rule: FieldRule): z.ZodType {
	switch (rule.kind) {
		case "port":
			return wholeNumber(1, 65_535);
		case "flag":
			return flag();
		case "tls":
			return oneOf(TLS_WORDS);
		case "format":
			return oneOf(FORMAT_WORDS);
		case "copy_format":
			return oneOf(COPY_FORMAT_WORDS);
		case "maintain":
			return oneOf(MAINTAIN_WORDS);
		case "names":
			return columnNames();
		case "glue":
			return connectionFields(GLUE_FIELDS, {});
		default:
			return text();
	}
}

function connectionFields(fields: FieldRules, own: Record<string, z.ZodType>): z.ZodType {
	const shape: Record<string, z.ZodType> = { ...own };
	for (const [key, rule] of Object.entries(fields)) {
		const schema = fieldSchema(rule).describe(rule.describe);
		shape[key] = rule.required ? schema : schema.optional();
	}
	return z.strictObject(shape);
}

/** One connection of each type, from the same table that addresses are read with. */
export const connectionOptions: readonly z.ZodType[] = Object.entries(CONNECTION_TYPES).map(([type, rule]) =>
	connectionFields(rule.fields, { type: z.literal(type).describe("The connection's type.") }).describe(rule.describe),
);

/** The file connections.yaml. */
export const connectionsFile = z
	.record(z.string(), z.union([text("an address").describe("An address."), ...connectionOptions]))
	.describe("Connections by name: an address, or a map with `type`.");
