import { z } from "zod";
import { CONNECTION_TYPES, type FieldRules, GLUE_FIELDS, KIND_FORMS } from "./connection-types.ts";
import { pipelineOptions } from "./options.ts";
import { DATE_FILTERS, SAFE_FILTERS } from "./template-filters.ts";

interface Part {
	readonly type?: string;
	readonly title?: string;
	readonly description?: string;
	readonly default?: unknown;
	readonly enum?: readonly unknown[];
	readonly const?: unknown;
	readonly anyOf?: readonly Part[];
	readonly properties?: Readonly<Record<string, Part>>;
	readonly additionalProperties?: Part | boolean;
	readonly items?: Part;
	readonly required?: readonly string[];
}

/** The configuration reference as Markdown, made from the options that files are checked with. */
export function configurationReference(): string {
	const root = z.toJSONSchema(pipelineOptions, { target: "draft-2020-12", io: "input" }) as Part;
	const properties = root.properties!;
	const table = optionsOf(properties["tables"]!.additionalProperties as Part);
	const column = optionsOf(table.properties!["columns"]!.additionalProperties as Part);
	return [
		"# Configuration reference",
		"",
		"<!-- Made by `npm run docs` from src/config/options.ts: do not edit. -->",
		"",
		"Files are YAML 1.2. An unknown key is an error. `${env:NAME}` and `${file:path}` in a value are replaced after the file is read; one without a value is an error, `$${` is a literal `${`. Durations: `500ms`, `10s`, `3m`, `2h`, `1d`. Sizes: `64MB` is 64,000,000 bytes, `64MiB` 67,108,864. Relative paths start at the project's folder.",
		"",
		"## Pipeline file",
		"",
		...rows(root),
		"",
		"## Options of a table",
		"",
		"An entry of `tables` is a map of these, `{}` or `skip`. `defaults` takes the same except `query`.",
		"",
		...rows(table),
		"",
		"### `columns`",
		"",
		"By column: `drop`, or a map of these. See [keep personal data out of the warehouse](../columns.md).",
		"",
		...rows(column),
		"",
		"### `types`",
		"",
		"For the pipeline, and in an entry of `tables` for one table.",
		"",
		...rows(properties["types"]!),
		"",
		"### `flush`",
		"",
		...rows(properties["flush"]!),
		"",
		"### `checks`",
		"",
		"A list of maps. See [stop bad data before anyone sees it](../checks.md).",
		"",
		...rows(properties["checks"]!.items!),
		"",
		"### `alerts`",
		"",
		"A list of maps, one a channel: see [Get told when a copy fails](../alerts.md). The file `alerts.yaml`, beside the pipeline or in the folder above, has the same key for all pipelines that have none of their own.",
		"",
		...rows(properties["alerts"]!.items!),
		"",
		"#### `smtp` of `email`",
		"",
		...rows(properties["alerts"]!.items!.properties!["smtp"]!),
		"",
		"### `summaries`",
		"",
		"A map of names. See [build a summary table after each load](../summaries.md).",
		"",
		...rows(properties["summaries"]!.additionalProperties as Part),
		"",
		"### `hooks`",
		"",
		"For the pipeline, and in an entry of `tables` for one table: `before` and `after`, each a list of maps.",
		"",
		...rows(properties["hooks"]!.properties!["before"]!.items!),
		"",
		...connectionSections(),
		...templateSection(),
		"",
	].join("\n");
}

/** The branch of a union that is a map with keys. */
function optionsOf(part: Part): Part {
	return part.properties ? part : part.anyOf!.find((each) => each.properties !== undefined)!;
}

function rows(part: Part): string[] {
	const required = part.required ?? [];
	return [
		"| key | value | default | meaning |",
		"|---|---|---|---|",
		...Object.entries(part.properties!).map(([key, option]) => {
			const fallback = required.includes(key)
				? "required"
				: option.default === undefined
					? ""
					: `\`${String(option.default)}\``;
			return `| \`${key}\` | ${cell(formOf(option))} | ${fallback} | ${cell(option.description ?? "")} |`;
		}),
	];
}

function formOf(part: Part): string {
	if (part.title !== undefined) return part.title;
	if (part.enum !== undefined) return part.enum.map((word) => `\`${String(word)}\``).join(", ");
	if (part.const !== undefined) return `\`${String(part.const)}\``;
	if (part.type === "object") return "map";
	if (part.type === "array") return "list";
	if (part.anyOf === undefined) return { string: "text", null: "`null`" }[part.type ?? ""] ?? part.type ?? "";
	const forms = part.anyOf.flatMap((each) => formOf(each).split(", "));
	return [...new Set(forms)].filter((form) => form !== "`null`" || forms.length > 1).join(", ");
}

function cell(text: string): string {
	return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function connectionSections(): string[] {
	const lines = [
		"## connections.yaml",
		"",
		"Beside the pipeline or in the folder above. Each name has an address, or a map with `type` and these keys; options of an address follow `?`, such as `?tls=off`. User, password and database of an address are percent-encoded; the value of a reference is taken as it is.",
		"",
	];
	for (const [type, rule] of Object.entries(CONNECTION_TYPES))
		lines.push(`### \`${type}\``, "", rule.describe, "", `\`${rule.example}\``, "", ...fieldRows(rule.fields), "");
	return [...lines, "#### `glue` of `lake`", "", ...fieldRows(GLUE_FIELDS), ""];
}

function fieldRows(fields: FieldRules): string[] {
	return [
		"| key | value | meaning |",
		"|---|---|---|",
		...Object.entries(fields).map(
			([key, rule]) =>
				`| \`${key}\` | ${rule.required ? "required; " : ""}${cell(KIND_FORMS[rule.kind])} | ${cell(rule.describe)} |`,
		),
	];
}

function templateSection(): string[] {
	const variables: readonly (readonly [string, string])[] = [
		["ds", "day of the interval's start in `timezone`, `2026-01-01`"],
		["ds_nodash", "the same, `20260101`"],
		["interval_start, interval_end", "the interval in UTC, `2026-01-01 00:00:00`; start included, end excluded"],
		["data_interval_start, data_interval_end, execution_date, logical_date", "Airflow's names for them"],
		["ts", "the start as `2026-01-01T00:00:00+00:00`"],
		["run_id", "the run"],
		["params.x", "a value of `params` or of the command line"],
		["this", "the table: in the `sql` of its checks and of its hooks on the destination"],
	];
	const code = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(", ");
	return [
		"## Templates",
		"",
		"`query`, `where` and `sql` may have `{{ … }}`. Within single quotes the value is escaped, elsewhere it becomes a literal of its type, in a quoted identifier it is escaped for that; in a comment it is an error.",
		"",
		"| variable | is |",
		"|---|---|",
		...variables.map(([names, meaning]) => `| ${code(names.split(", "))} | ${meaning} |`),
		"",
		`Filters for days and times: ${code(Object.keys(DATE_FILTERS))}: \`{{ ds | date: "%Y%m%d" }}\`, \`{{ ds | add_days: -1 }}\`. For text and numbers: ${code(SAFE_FILTERS)}.`,
	];
}
