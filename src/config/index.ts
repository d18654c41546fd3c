/**
 * Configuration: files and addresses become checked values. What needs zod, yaml or liquidjs is loaded on first use;
 * addresses, durations, intervals and explanations cost nothing. `definePipeline` and its types are in
 * `define-pipeline.ts`, which loads them at once.
 */
import type { ErrorPlace } from "../core/errors.ts";
import type { Connections } from "./connections.ts";
import type { PipelineInput } from "./define-pipeline.ts";
import type { LoadOptions, TextOptions } from "./load.ts";
import type { CheckedPipeline, Connection } from "./pipeline.ts";
import type { JsonSchema } from "./schema.ts";
import type { SqlDialect } from "./sql-quotes.ts";
import type { TemplateInput, TemplateValues } from "./template.ts";

export type { AddressOptions } from "./address.ts";
export { parseAddress, redactAddress } from "./address.ts";
export type { Connections } from "./connections.ts";
export type { ConnectionInput, DefineOptions, PipelineInput } from "./define-pipeline.ts";
export { DURATION_FORM, parseDuration } from "./durations.ts";
export type { ExplainOptions, Paint } from "./explain.ts";
export { explainError, explainErrors, redactLine } from "./explain.ts";
export type { FoundPipeline } from "./find.ts";
export { findPipeline, listPipelines, projectDirectory } from "./find.ts";
export type { Interval } from "./intervals.ts";
export {
	intervalBoundaries,
	intervalsBetween,
	intervalsSince,
	lastInterval,
	parseInterval,
	parseTime,
} from "./intervals.ts";
export type { LoadOptions, TextOptions } from "./load.ts";
export type { TablePattern } from "./patterns.ts";
export { matchesPattern, parsePattern, patternOf } from "./patterns.ts";
export type {
	CheckedPipeline,
	ColumnRule,
	Connection,
	ConnectionType,
	DatabaseConnection,
	DuckdbConnection,
	FileConnection,
	KinesisConnection,
	LakeConnection,
	RedshiftConnection,
	S3Connection,
	SchemaChanges,
	SelectedTable,
	SnowflakeConnection,
	TableOptions,
	TableRule,
	Tls,
} from "./pipeline.ts";
export type { Assertion, CheckSeverity, DataCheck, Dependency, Hook, Hooks, Summary } from "./policy.ts";
export { NO_HOOKS } from "./policy.ts";
export type { Env } from "./references.ts";
export type { IntervalLength, Schedule } from "./schedules.ts";
export { intervalLength, parseSchedule } from "./schedules.ts";
export type { JsonSchema } from "./schema.ts";
export { secretOrigin } from "./secret-origins.ts";
export type { Selection, SelectionOptions } from "./select.ts";
export { querySource, resolveTables, selectedTable, tableRule } from "./select.ts";
export { COUNT_FORM, parseCount, parseSize, SIZE_FORM } from "./sizes.ts";
export type { SqlDialect } from "./sql-quotes.ts";
export { unfitStaging } from "./staging.ts";
export type { TemplateInput, TemplateValue, TemplateValues } from "./template.ts";
export { hasInterval, hasTemplate, TABLE_VARIABLE } from "./template-names.ts";

/** See `load.ts`. @throws HeadraceErrors with every fault, sorted by place */
export async function loadPipeline(
	directory: string,
	nameOrPath: string,
	options: LoadOptions,
): Promise<CheckedPipeline> {
	return (await import("./load.ts")).loadPipeline(directory, nameOrPath, options);
}

/** Checks the text of a pipeline file. @throws HeadraceErrors */
export async function checkPipelineText(text: string, options: TextOptions): Promise<CheckedPipeline> {
	return (await import("./load.ts")).checkPipelineText(text, options);
}

/** A connection of the project by name, or an address or path. @throws HeadraceErrors */
export async function loadConnection(directory: string, text: string, options: LoadOptions): Promise<Connection> {
	return (await import("./load.ts")).loadConnection(directory, text, options);
}

/** The connections of a project's folder. @throws HeadraceErrors when connections.yaml can't be read */
export async function loadConnections(directory: string, options: LoadOptions): Promise<Connections> {
	return (await import("./load.ts")).loadConnections(directory, options);
}

/** The text of a pipeline file, for `copy --save`. */
export async function pipelineText(input: PipelineInput): Promise<string> {
	return (await import("./write-pipeline.ts")).pipelineText(input);
}

/** A pipeline file's settings to be shown, secrets masked. @throws HeadraceErrors */
export async function settingsText(file: string, redact: (text: string) => string): Promise<string> {
	return (await import("./settings-text.ts")).settingsText(file, redact);
}

/** The JSON Schema of a pipeline file. */
export async function pipelineSchema(): Promise<JsonSchema> {
	return (await import("./schema.ts")).pipelineSchema();
}

/** The JSON Schema of connections.yaml. */
export async function connectionsSchema(): Promise<JsonSchema> {
	return (await import("./schema.ts")).connectionsSchema();
}

/** The JSON Schema of alerts.yaml. */
export async function alertsSchema(): Promise<JsonSchema> {
	return (await import("./schema.ts")).alertsSchema();
}

/** The configuration reference as Markdown. */
export async function configurationReference(): Promise<string> {
	return (await import("./reference.ts")).configurationReference();
}

/** The variables of a run's templates. @throws E_INVALID_VALUE */
export async function templateValues(input: TemplateInput): Promise<TemplateValues> {
	return (await import("./template.ts")).templateValues(input);
}

/** Fills the templates of a query or condition in. @throws E_TEMPLATE */
export async function renderQuery(
	sql: string,
	values: TemplateValues,
	dialect: SqlDialect,
	place?: ErrorPlace,
): Promise<string> {
	if (!sql.includes("{{")) return sql;
	return (await import("./template.ts")).renderQuery(sql, values, dialect, place);
}
