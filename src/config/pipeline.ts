import type { AlertChannel } from "../core/alert.ts";
import type { ErrorPlace } from "../core/errors.ts";
import type { ColumnType, Mode, TableName, TypePolicy, Write } from "../core/index.ts";
import type { Secret } from "../core/secret.ts";
import type { DataCheck, Hooks, Summary } from "./policy.ts";
import type { Schedule } from "./schedules.ts";

interface ConnectionBase {
	/** Its name in connections.yaml; for an address its database, bucket or file name. */
	readonly name: string;
	/** For people: the address without any secret, `mysql://reader@db.internal:3306/prod`. */
	readonly address: string;
	/** By key of the connection file: the reference its value came from, `password` → `${env:SHOP_PASSWORD}`. */
	readonly origins: Readonly<Record<string, string>>;
	/** Where it is written; empty for an address of the command line. */
	readonly place: ErrorPlace;
}

/** `on` verifies the server; absent means `on`, except to a loopback address. */
export type Tls = "on" | "off" | "insecure";

interface ServerConnection extends ConnectionBase {
	readonly host: string;
	readonly port: number;
	readonly user?: string;
	readonly password?: Secret;
	readonly tls?: Tls;
}

export interface DatabaseConnection extends ServerConnection {
	readonly type: "mysql" | "postgres" | "sqlserver";
	readonly database?: string;
	/** PEM text: a path was read when the configuration was loaded. */
	readonly ca?: string;
}

export interface RedshiftConnection extends ServerConnection {
	readonly type: "redshift";
	readonly database: string;
	readonly iamRole?: string;
	/** Of the staged files; default `parquet`. */
	readonly format?: "parquet" | "csv";
	/** Default `analyze`. */
	readonly maintain?: "analyze" | "vacuum" | "off";
}

export interface SnowflakeConnection extends ConnectionBase {
	readonly type: "snowflake";
	readonly account: string;
	readonly user?: string;
	readonly password?: Secret;
	readonly privateKey?: Secret;
	readonly privateKeyPassphrase?: Secret;
	readonly token?: Secret;
	readonly role?: string;
	readonly warehouse?: string;
	readonly database?: string;
	readonly schema?: string;
	readonly stage?: string;
	readonly storageIntegration?: string;
	readonly endpoint?: string;
}

/** Keys of S3 that `lake` shares. */
interface BucketOptions {
	/** Without a slash at its start; empty when absent. */
	readonly prefix?: string;
	readonly region?: string;
	readonly endpoint?: string;
	readonly pathStyle?: boolean;
	readonly roleArn?: string;
	readonly kmsKey?: string;
	readonly accessKeyId?: Secret;
	readonly secretAccessKey?: Secret;
}

export interface S3Connection extends ConnectionBase, BucketOptions {
	readonly type: "s3";
	readonly bucket: string;
	/** As staging: how long files of committed loads stay, milliseconds. */
	readonly retention?: number;
}

/** Has either `path` (absolute) or `bucket`. */
export interface LakeConnection extends ConnectionBase, BucketOptions {
	readonly type: "lake";
	readonly path?: string;
	readonly bucket?: string;
	readonly glue?: { readonly database?: string; readonly region?: string; readonly endpoint?: string };
	readonly partitionBy?: readonly string[];
	/** Milliseconds. */
	readonly retention?: number;
}

export interface DuckdbConnection extends ConnectionBase {
	readonly type: "duckdb";
	/** Absolute, or `:memory:`. */
	readonly path: string;
}

export interface FileConnection extends ConnectionBase {
	readonly type: "file";
	/** Absolute: a file, a folder or a glob. */
	readonly path: string;
	readonly format?: "csv" | "jsonl" | "parquet";
	/** As staging: how long files of committed loads stay, milliseconds. */
	readonly retention?: number;
}

export interface KinesisConnection extends ConnectionBase {
	readonly type: "kinesis";
	readonly stream: string;
	readonly region?: string;
	readonly endpoint?: string;
}

export type Connection =
	| DatabaseConnection
	| RedshiftConnection
	| SnowflakeConnection
	| S3Connection
	| LakeConnection
	| DuckdbConnection
	| FileConnection
	| KinesisConnection;

export type ConnectionType = Connection["type"];

/** What happens to a column on its way. `drop` excludes the rest. */
export interface ColumnRule {
	readonly drop: boolean;
	readonly rename?: string;
	readonly mask?: "hmac" | "partial" | "null";
	/** The key of `mask: hmac`. */
	readonly secret?: Secret;
	/** Characters that `mask: partial` shows. */
	readonly keep?: number;
	readonly type?: ColumnType;
	/** The name that it had in the source. */
	readonly renamedFrom?: string;
}

/** Options of a table or query: its own over `defaults` over the pipeline's `types`. */
export interface TableOptions {
	/** Default `full`. */
	readonly mode: Mode;
	/** Absent: the source's primary key. */
	readonly key?: readonly string[];
	readonly cursor?: string;
	readonly lateMs?: number;
	readonly overlapMs?: number;
	/** The column that says a row is deleted. */
	readonly deleted?: string;
	readonly deletes?: "hard" | "soft" | "ignore";
	/** All that the change log tells is kept, the rows before updates too. Default false. */
	readonly beforeImages: boolean;
	/** Absent: by mode and key, see the contract. */
	readonly write?: Write;
	/** The template as written; `resolveTables` gives the name. */
	readonly into?: string;
	/** SQL with templates; makes the entry a named query. */
	readonly query?: string;
	/** SQL condition with templates, declared by an expert. */
	readonly where?: string;
	readonly columns: ReadonlyMap<string, ColumnRule>;
	readonly types: TypePolicy;
	/** Default `update`. */
	readonly onConflict: "update" | "ignore";
	/** Default `resnapshot`. */
	readonly onTypeChange: "resnapshot" | "to_string" | "variant_column";
	/** Types that text columns get, by their names in the source. */
	readonly fix: ReadonlyMap<string, ColumnType>;
	/** What is kept of a load that was killed. Default `auto`. */
	readonly resume: "auto" | "mixed" | "off";
	/** Default false. */
	readonly allowEmpty: boolean;
	/** How a new table of Redshift lies; by names in the source. */
	readonly distKey?: string;
	readonly sortKey?: readonly string[];
	/** Absent: the pipeline's. */
	readonly retries?: number;
	readonly retryDelayMs?: number;
	readonly lateAfterMs?: number;
}

/** One entry of `tables`. */
export interface TableRule {
	/** As written: a name, a pattern, or the name of a query. */
	readonly pattern: string;
	readonly skip: boolean;
	/** Merged over the defaults. */
	readonly options: TableOptions;
	readonly place: ErrorPlace;
	/** Where each option is written, here or in `defaults`: `cursor`, `key`, `columns.email`. */
	readonly places: Readonly<Record<string, ErrorPlace>>;
	/** Columns that this entry itself names; those of `defaults` need not exist in every table. */
	readonly ownColumns: readonly string[];
	/** The same of its `fix`. */
	readonly ownFixes: readonly string[];
	/** Its own, else those of `defaults`. */
	readonly hooks: Hooks;
}

export type SchemaChanges = "evolve" | "freeze" | "discard" | "fail";

/** A pipeline file without a fault, in TypeScript's names, with every default filled in. */
export interface CheckedPipeline {
	readonly name: string;
	/** Absent for a pipeline that was made by `definePipeline`. */
	readonly file?: string;
	/** The project's folder, absolute: relative paths start here, `.headrace/` is in it. */
	readonly directory: string;
	readonly from: Connection;
	readonly to: Connection;
	/** Only when it is written. */
	readonly staging?: Connection;
	readonly schedule?: Schedule;
	readonly timezone: string;
	/** First interval, as written: a date or time in `timezone`. */
	readonly start?: string;
	readonly catchup: boolean;
	readonly maxActiveRuns: number;
	readonly concurrency: number;
	readonly memoryBytes?: number;
	readonly retries: number;
	readonly retryDelayMs: number;
	readonly params: Readonly<Record<string, string | number | boolean>>;
	/** The options that an entry without any of its own has. */
	readonly defaults: TableOptions;
	readonly tables: readonly TableRule[];
	readonly types: TypePolicy;
	readonly schemaChanges: SchemaChanges;
	readonly flush: { readonly intervalMs: number; readonly rows: number; readonly bytes: number };
	readonly checks: readonly DataCheck[];
	/** Its own, else those of alerts.yaml. */
	readonly alerts: readonly AlertChannel[];
	/** Absent: no table is ever late, but for those with an option of their own. */
	readonly lateAfterMs?: number;
	/** In an order in which each comes after those that it depends on. */
	readonly summaries: readonly Summary[];
	readonly hooks: Hooks;
}

interface SelectedBase {
	/** Its name in the source; for a query the schema it would be in and its name. */
	readonly source: TableName;
	/** Its name in the destination; schema is empty when `into` has one part only. */
	readonly into: TableName;
	readonly options: TableOptions;
	readonly rule: TableRule;
}

/** A table or query that a pipeline takes. */
export type SelectedTable =
	| (SelectedBase & { readonly kind: "table" })
	| (SelectedBase & { readonly kind: "query"; readonly query: string });
