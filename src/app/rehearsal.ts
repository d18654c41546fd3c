import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import {
	type CheckedPipeline,
	type Connection,
	type ConnectionType,
	type Hooks,
	NO_HOOKS,
	type TableRule,
} from "../config/index.ts";
import { HeadraceError, qualified, type RunReceipt, Secret, type TableName } from "../core/index.ts";
import type { PlanOptions } from "./api.ts";
import { newRunId } from "./run-id.ts";
import { openSession } from "./session.ts";
import { planSession } from "./session-plan.ts";
import { type StandIns, type StoredObject, startStandIns } from "./stand-ins.ts";

/** Types of connections that a rehearsal never reaches; their secrets are not needed. */
export const STAND_IN_TYPES: ReadonlySet<ConnectionType> = new Set(["s3", "redshift", "snowflake", "lake"]);

export interface TableCount {
	/** Name in the destination. */
	readonly table: string;
	/** Null when the table is not there. */
	readonly rows: string | null;
}

/** A pipeline whose destination and staging are on this machine, in a folder that goes with it. */
export interface Rehearsal extends AsyncDisposable {
	/** To be run as any other: its folder, history and staging are temporary. */
	readonly pipeline: CheckedPipeline;
	/** What took whose place: `warehouse: stand-in of Redshift on 127.0.0.1:5439`. */
	readonly replaced: readonly string[];
	/** What of the pipeline is left out. */
	readonly leftOut: readonly string[];
	/** What the warehouse was sent so far. */
	statements(): readonly string[];
	objects(): Promise<readonly StoredObject[]>;
	glueOperations(): readonly string[];
	/** Asks the destination for the rows of each table of a run. */
	counts(receipt: RunReceipt, options: PlanOptions): Promise<TableCount[]>;
}

/**
 * Starts what the pipeline needs on 127.0.0.1. The source stays as it is.
 * @throws E_UNSUPPORTED when an end of the pipeline is a real system that a rehearsal would write to, or an empty bucket
 * @throws E_MISSING_PACKAGE when Redshift's stand-in has no PostgreSQL
 */
export async function openRehearsal(pipeline: CheckedPipeline): Promise<Rehearsal> {
	refuseUnfit(pipeline);
	await using started = new AsyncDisposableStack();
	const folder = await mkdtemp(join(tmpdir(), "headrace-rehearsal-"));
	started.defer(() => rm(folder, { recursive: true, force: true }));
	await mkdir(join(folder, ".headrace"), { mode: 0o700 });
	const standIns = started.use(await standInsFor(pipeline, started));
	const place = { standIns, folder };
	const staging = pipeline.staging === undefined ? undefined : replacedBy(pipeline.staging, place);
	const rehearsed: CheckedPipeline = {
		...pipeline,
		directory: folder,
		to: replacedBy(pipeline.to, place),
		...(staging === undefined ? {} : { staging }),
		alerts: [],
		// Its stand-in is an engine that knows no waiting for another's rows, as Snowflake does.
		...(pipeline.to.type === "snowflake" ? { concurrency: 1 } : {}),
		hooks: withoutSource(pipeline.hooks),
		tables: pipeline.tables.map((rule) => ({ ...rule, hooks: withoutSource(rule.hooks) })),
	};
	const ends = [pipeline.staging, pipeline.to].filter((connection) => connection !== undefined);
	const all = started.move();
	return {
		pipeline: rehearsed,
		replaced: ends.map((connection) => `${connection.name}: ${replacedBy(connection, place).address}`),
		leftOut: leftOutOf(pipeline),
		statements: standIns.statements,
		objects: standIns.objects,
		glueOperations: standIns.glueOperations,
		counts: (receipt, options) => countsOf(rehearsed, receipt, options),
		[Symbol.asyncDispose]: () => all.disposeAsync(),
	};
}

function refuseUnfit({ from, to, staging }: CheckedPipeline): void {
	if (STAND_IN_TYPES.has(from.type))
		throw new HeadraceError("E_UNSUPPORTED", `a rehearsal has nothing to read: ${from.name} is in ${from.type}`, {
			...from.place,
			hint: "The stand-ins begin empty. Put some of its files into a folder, and write from: ./folder.",
		});
	const real = [to, staging].find((connection) => connection !== undefined && !isReplaced(connection));
	if (real !== undefined)
		throw new HeadraceError("E_UNSUPPORTED", `there is no stand-in of ${real.type}: ${real.name} would be written to`, {
			...real.place,
			hint: "Rehearse it against a database of your own for tests: name that one in `to`, and use `headrace run`.",
		});
}

function isReplaced({ type }: Connection): boolean {
	return STAND_IN_TYPES.has(type) || type === "duckdb" || type === "file";
}

async function standInsFor(pipeline: CheckedPipeline, started: AsyncDisposableStack): Promise<StandIns> {
	const { to, staging } = pipeline;
	const inS3 = [staging, to].filter((connection) => connection?.type === "s3" || connection?.type === "lake");
	const region = inS3.map((connection) => connection.region).find((name) => name !== undefined);
	const buckets = new Set(inS3.flatMap((connection) => connection.bucket ?? []));
	const kmsKeys = inS3.flatMap((connection) => connection.kmsKey ?? []);
	let redshift: { port: number; iamRole?: string } | undefined;
	if (to.type === "redshift") {
		const { startEmbeddedPostgres } = await import("../demo/embedded-postgres.ts");
		const { port } = started.use(await startEmbeddedPostgres("the stand-in of Redshift"));
		redshift = { port, ...(to.iamRole === undefined ? {} : { iamRole: to.iamRole }) };
	}
	return startStandIns({
		...(region === undefined ? {} : { region }),
		buckets: [...buckets],
		kmsKeys,
		glue: to.type === "lake" && to.glue !== undefined,
		...(redshift === undefined ? {} : { redshift }),
		...(to.type === "snowflake" ? { snowflake: integrationOf(to, staging) } : {}),
	});
}

/** Snowflake folds a name that is not quoted to upper case. */
function integrationOf(to: Extract<Connection, { type: "snowflake" }>, staging: Connection | undefined) {
	if (to.storageIntegration === undefined || staging?.type !== "s3") return {};
	const location = `s3://${staging.bucket}/${staging.prefix ?? ""}`.replace(/\/*$/, "/");
	return { integration: { name: to.storageIntegration.toUpperCase(), locations: [location] } };
}

interface Place {
	readonly standIns: StandIns;
	readonly folder: string;
}

/** The connection to what takes the place of another one. */
function replacedBy(connection: Connection, { standIns, folder }: Place): Connection {
	const { name, place } = connection;
	const base = (address: string) => ({ name, place, address, origins: {} });
	const { endpoint, region, accessKeyId, secretAccessKey } = standIns.s3;
	const inS3 = {
		endpoint,
		region,
		pathStyle: true,
		accessKeyId: new Secret(accessKeyId),
		secretAccessKey: new Secret(secretAccessKey),
	};
	const at = (url: string) => url.replace("http://", "");
	switch (connection.type) {
		case "s3": {
			const { type, bucket, prefix, kmsKey } = connection;
			return { ...base(`stand-in of S3 on ${at(endpoint)}`), ...given({ prefix, kmsKey }), ...inS3, type, bucket };
		}
		case "lake": {
			const { type, path, bucket, prefix, kmsKey, partitionBy, retention, glue } = connection;
			const kept = { type, ...given({ partitionBy, retention }) };
			if (path !== undefined) return { ...base("a temporary folder"), ...kept, path: inFolder(folder, path) };
			const catalog = standIns.glue;
			return {
				...base(
					`stand-in of S3 on ${at(endpoint)}${catalog === undefined ? "" : `, of Glue on ${at(catalog.endpoint)}`}`,
				),
				...kept,
				...given({ bucket, prefix, kmsKey }),
				...inS3,
				...(glue === undefined || catalog === undefined
					? {}
					: { glue: { ...given({ database: glue.database }), region, endpoint: catalog.endpoint } }),
			};
		}
		case "redshift": {
			const { type, format, maintain, iamRole } = connection;
			const { host, port, user, password, database } = standIns.redshift!;
			const server = { host, port, user, password: new Secret(password), database };
			return {
				...base(`stand-in of Redshift on ${host}:${port}`),
				...given({ format, maintain, iamRole }),
				...server,
				type,
			};
		}
		case "snowflake": {
			const { type, schema, storageIntegration } = connection;
			const { endpoint: url, account, user, password, role, warehouse, database } = standIns.snowflake!;
			const login = { endpoint: url, account, user, password: new Secret(password), role, warehouse, database };
			return {
				...base(`stand-in of Snowflake on ${at(url)}`),
				...given({ schema, storageIntegration }),
				...login,
				type,
			};
		}
		case "duckdb":
		case "file":
			return { ...connection, ...base("a temporary folder"), path: inFolder(folder, connection.path) };
		default:
			return connection;
	}
}

function inFolder(folder: string, path: string): string {
	return path === ":memory:" ? path : join(folder, basename(path));
}

/** Without the keys that have no value. */
function given<Values extends object>(values: Values): { [Key in keyof Values]?: Exclude<Values[Key], undefined> } {
	return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

/** The source is only read. */
function withoutSource({ before, after }: Hooks): Hooks {
	const kept = { before: before.filter(({ on }) => on !== "source"), after: after.filter(({ on }) => on !== "source") };
	return kept.before.length + kept.after.length === 0 ? NO_HOOKS : kept;
}

function leftOutOf(pipeline: CheckedPipeline): string[] {
	const hooks = [pipeline, ...pipeline.tables].flatMap((part: CheckedPipeline | TableRule) => [
		...part.hooks.before,
		...part.hooks.after,
	]);
	const ends = [pipeline.to, pipeline.staging];
	return [
		...(hooks.some(({ on }) => on === "source") ? ["hooks of the source"] : []),
		...(pipeline.alerts.length > 0 ? ["alerts"] : []),
		...(ends.some((each) => each !== undefined && "roleArn" in each) ? ["role_arn: no role is assumed"] : []),
		...(ends.some((each) => each !== undefined && "stage" in each) ? ["stage: a stage is made"] : []),
	];
}

async function countsOf(pipeline: CheckedPipeline, receipt: RunReceipt, options: PlanOptions): Promise<TableCount[]> {
	await using session = await openSession(pipeline, options);
	const plan = await planSession(session, options, receipt.interval, newRunId());
	const { destination } = session;
	const tables = [...plan.tables.map(({ into }) => into), ...pipeline.summaries.map(({ into }) => into)];
	const counts: TableCount[] = [];
	for (const table of tables) counts.push({ table: qualified(table), rows: await rowsOf(table) });
	return counts;

	async function rowsOf(table: TableName): Promise<string | null> {
		const existing = await destination.describe(table);
		if (existing === null) return null;
		const { sql } = destination;
		// A lake, which has no SQL, counts its rows in each commit.
		if (sql === undefined) return existing.rows === undefined ? null : String(existing.rows);
		const [row] = await sql.query(`SELECT count(*) AS n FROM ${sql.relation(table)}`);
		return Object.values(row ?? {})[0] ?? null;
	}
}
