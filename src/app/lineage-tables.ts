import { join } from "node:path";
import type { CheckedPipeline, Connection } from "../config/index.ts";
import { qualified, type TableName } from "../core/index.ts";
import type { LineageColumn, LineageDataset, LineageTable } from "../observe/lineage.ts";
import type { TablePlan } from "./planned-table.ts";
import type { SummaryPlan } from "./summaries.ts";

/** Where each table of a run comes from and goes to, by its name in the receipts. */
export function lineageTables(
	{ from, to }: CheckedPipeline,
	plans: readonly TablePlan[],
	summaries: readonly SummaryPlan[],
): ReadonlyMap<string, LineageTable> {
	const tables = new Map<string, LineageTable>();
	for (const plan of plans)
		tables.set(plan.source, {
			// What a query reads is not known without reading its SQL.
			inputs: plan.selected.kind === "query" ? [] : [datasetOf(from, plan.selected.source)],
			output: datasetOf(to, plan.into),
			columns: columnsOf(plan),
			isStream: plan.selected.options.mode === "cdc",
		});
	for (const { summary, needs } of summaries) {
		const inputs = needs.flatMap((need) => tables.get(need)?.output ?? []);
		tables.set(summary.name, { inputs, output: datasetOf(to, summary.into), columns: [], isStream: false });
	}
	return tables;
}

function columnsOf({ task, selected }: TablePlan): LineageColumn[] {
	if (task === null) return [];
	// What is read only to be counted comes last and lands nowhere; columns of the target without a source come last there.
	const landing = task.columns.filter((column) => task.shape?.discarded.has(column.name) !== true);
	return task.target.columns.map(({ name, destinationType }, index): LineageColumn => {
		const source = landing[index];
		const isKnown = source !== undefined && selected.kind === "table";
		return {
			name,
			type: destinationType,
			from: isKnown ? { name: source.name, type: source.nativeType } : null,
			isMasked: isKnown && selected.options.columns.get(source.name)?.mask !== undefined,
		};
	});
}

/**
 * A table as the systems that collect lineage name it, so that what others tell of it meets what we do. Of what
 * OpenLineage has no rule for, DuckDB, the file is the namespace. See https://openlineage.io/docs/spec/naming
 */
export function datasetOf(connection: Connection, table: TableName): LineageDataset {
	const { schema, name } = table;
	switch (connection.type) {
		case "mysql": {
			const { host, port, database } = connection;
			return { namespace: `mysql://${host}:${port}`, name: dotted(schema || database, name) };
		}
		case "postgres":
		case "sqlserver": {
			const { type, host, port, database, user } = connection;
			const scheme = type === "postgres" ? "postgres" : "mssql";
			return { namespace: `${scheme}://${host}:${port}`, name: dotted(database ?? user, schema, name) };
		}
		case "redshift": {
			const { host, port, database } = connection;
			const [, cluster, region] =
				/^([^.]+)\.[^.]+\.([a-z0-9-]+)\.redshift(?:-serverless)?\.amazonaws\.com(?:\.cn)?$/.exec(host) ?? [];
			const authority = cluster === undefined ? host : `${cluster}.${region}`;
			return { namespace: `redshift://${authority}:${port}`, name: dotted(database, schema, name) };
		}
		case "snowflake": {
			const { account, database } = connection;
			return { namespace: `snowflake://${account}`, name: dotted(database, schema, name) };
		}
		case "s3":
			return { namespace: `s3://${connection.bucket}`, name: underPath(connection.prefix, table) };
		case "lake":
			return connection.bucket === undefined
				? { namespace: "file", name: join(connection.path ?? "", qualified(table)) }
				: { namespace: `s3://${connection.bucket}`, name: underPath(connection.prefix, table) };
		case "file":
			return { namespace: "file", name: fileName(connection.path, table) };
		case "duckdb":
			return { namespace: `duckdb:${connection.path}`, name: qualified(table) };
		case "kinesis":
			return { namespace: `kinesis://${connection.region ?? ""}`, name: connection.stream };
	}
}

function dotted(...parts: readonly (string | undefined)[]): string {
	return parts.filter((part) => part !== undefined && part !== "").join(".");
}

function underPath(prefix: string | undefined, table: TableName): string {
	return [(prefix ?? "").replace(/^\/+|\/+$/g, ""), qualified(table)].filter((part) => part !== "").join("/");
}

/** A file is its own table; of a folder or a pattern the table is named within its folder. */
function fileName(path: string, table: TableName): string {
	if (/[*?]/.test(path)) return path;
	return /\.(?:csv|tsv|jsonl|ndjson|json|parquet)(?:\.gz|\.zst)?$/.test(path) ? path : join(path, qualified(table));
}
