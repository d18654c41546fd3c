import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DestinationFixture } from "../../src/conformance/index.ts";
import { stagedFormats } from "../../src/connectors/file/index.ts";
import { createRedshiftDestination, type RedshiftOptions } from "../../src/connectors/redshift/index.ts";
import { createS3Staging } from "../../src/connectors/s3/index.ts";
import {
	type ApplyRequest,
	type ChangesPart,
	changeColumns,
	type Destination,
	type Field,
	type FileFormat,
	type LoadInput,
	type LoadRequest,
	Secret,
	type Staging,
	type TableName,
	type TargetTable,
} from "../../src/core/index.ts";
import { numberedForm, writeFiles } from "../../src/flow/staged-files.ts";
import { type RedshiftStandIn, startRedshiftStandIn } from "../stand-ins/redshift/index.ts";
import { type S3StandIn, startS3StandIn } from "../stand-ins/s3/index.ts";
import type { TextClient } from "../support/client.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { available } from "../support/start.ts";

/** The real PostgreSQL behind the stand-in: the newest that can be started here. */
export const BACKEND = available("postgres18") === undefined ? "postgres18" : "postgres15";
export const BUCKET = "lake";

/** The stand-ins of Redshift and S3, over an empty database of a real PostgreSQL. */
export interface Warehouse extends AsyncDisposable {
	readonly s3: S3StandIn;
	readonly redshift: RedshiftStandIn;
	/** What is behind the stand-in. */
	readonly database: TestDatabase;
	readonly client: TextClient;
	readonly options: RedshiftOptions;
}

export async function openWarehouse(
	more: { readonly roles?: Readonly<Record<string, unknown>> } = {},
): Promise<Warehouse> {
	const server = await sharedServer(BACKEND);
	const database = await freshDatabase(server);
	const s3 = await startS3StandIn({ buckets: [BUCKET] });
	const redshift = await startRedshiftStandIn({ s3, server, database: database.name, ...more });
	const client = await database.connect();
	await client.query("set timezone = 'UTC'; set datestyle = ISO");
	return {
		s3,
		redshift,
		database,
		client,
		options: optionsOf(redshift),
		[Symbol.asyncDispose]: async () => {
			await client.close();
			await redshift[Symbol.asyncDispose]();
			await s3[Symbol.asyncDispose]();
			await database.drop();
		},
	};
}

export function optionsOf({ host, port, user, password, database, iamRole }: RedshiftStandIn): RedshiftOptions {
	return { host, port, user, password: new Secret(password), database, iamRole };
}

/** The stand-in as connections.yaml has it. */
export function redshiftConnection({ redshift }: Pick<Warehouse, "redshift">): string {
	const { host, port, user, password, database, iamRole } = redshift;
	return JSON.stringify({ type: "redshift", host, port, user, password, database, iam_role: iamRole });
}

export function s3Connection({ s3 }: Pick<Warehouse, "s3">): string {
	const { endpoint, region, accessKeyId, secretAccessKey } = s3;
	const keys = { access_key_id: accessKeyId, secret_access_key: secretAccessKey };
	return JSON.stringify({
		type: "s3",
		bucket: BUCKET,
		prefix: "staging/",
		endpoint,
		region,
		path_style: true,
		...keys,
	});
}

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

function canonical({ name, type }: Field): string {
	const column = quote(name);
	return type.kind === "binary" ? `encode(${column}, 'hex')` : `${column}::text`;
}

/** The committed rows as canonical text, asked of the backend itself; null when there is no table. */
export async function tableRows(
	client: TextClient,
	table: TableName,
	columns: readonly Field[],
): Promise<(string | null)[][] | null> {
	const [there] = await client.query("select to_regclass($1) as found", [
		`${quote(table.schema)}.${quote(table.name)}`,
	]);
	if (there?.["found"] === null) return null;
	const rows = await client.arrays(
		`select ${columns.map(canonical).join(", ")} from ${quote(table.schema)}.${quote(table.name)}`,
	);
	return rows.map((row) => row.map((value, at) => floatText(value, columns[at]!)));
}

/** PostgreSQL writes `1e+38` with other digits than JavaScript, of the same number. */
function floatText(value: string | null, { type }: Field): string | null {
	if (value === null || value === "-0") return value;
	if (type.kind === "float64") return String(Number(value));
	if (type.kind === "boolean") return value === "t" ? "true" : value === "f" ? "false" : value;
	return value;
}

/** How rows reach the stand-in: by INSERT, or through S3 and COPY as a run does it. */
export type Way = "insert" | "parquet" | "csv";

/** Loads of all destinations: no two have files of one name. */
let serial = 0;

/**
 * A destination whose loads go as a run's do: batches become files of S3 in the destination's own types, with rows
 * numbered, and the load gets their addresses.
 */
export function throughStaging(destination: Destination, staging: Staging, format: FileFormat): Destination {
	const staged = async (input: LoadInput, target: TargetTable): Promise<LoadInput> => {
		if (input.kind === "files" && input.remote !== undefined) return input;
		const prefix = `p/t/files/${String(serial++).padStart(20, "0")}-ab/`;
		const { stored, ...form } = numberedForm(input.fields, destination.fileFields!(target), "deadbeef");
		const batches = input.kind === "batches" ? input.batches : localRows(input);
		const how = { staging, format, prefix, bufferBytesMax: 16 << 20 };
		const files = await writeFiles({ ...how, form: { stored, ...form }, batches });
		return {
			kind: "files",
			fields: stored,
			format,
			localPaths: [],
			remote: { staging, files, nullText: form.nullText },
		};
	};
	const load = async (request: LoadRequest) =>
		destination.load({ ...request, input: await staged(request.input, request.target) });
	const { changes } = destination;
	const apply = async (request: ApplyRequest) => {
		const parts: ChangesPart[] = [];
		for (const part of request.parts) {
			const columns = changeColumns(part, (type) => destination.mapType(type).destinationType);
			parts.push({ ...part, input: await staged(part.input, { ...part.target, columns }) });
		}
		return changes!.apply({ ...request, parts });
	};
	return new Proxy(destination, {
		get: (target, name) => {
			if (name === "load") return load;
			if (name === "changes" && changes !== undefined) return { writes: changes.writes, apply };
			const value: unknown = Reflect.get(target, name, target);
			return typeof value === "function" ? value.bind(target) : value;
		},
	});
}

async function* localRows({ format, fields, localPaths }: Extract<LoadRequest["input"], { kind: "files" }>) {
	for (const path of localPaths) yield* format.read(path, fields);
}

/** An empty stand-in as a destination. */
export async function destinationFixture(
	way: Way,
	more: Parameters<typeof openWarehouse>[0] = {},
	own?: Warehouse,
): Promise<DestinationFixture> {
	const warehouse = own ?? (await openWarehouse(more));
	const temporaryDirectory = await mkdtemp(join(tmpdir(), "headrace-redshift-"));
	const [parquet, csv] = await stagedFormats({ temporaryDirectory });
	const { s3 } = warehouse;
	const staging = createS3Staging({
		bucket: BUCKET,
		prefix: "staging/",
		endpoint: s3.endpoint,
		pathStyle: true,
		region: s3.region,
		accessKeyId: new Secret(s3.accessKeyId),
		secretAccessKey: new Secret(s3.secretAccessKey),
		temporaryDirectory,
	});
	const open = async () => {
		const destination = await createRedshiftDestination({ ...warehouse.options, insertRowsMax: 0 });
		return way === "insert" ? destination : throughStaging(destination, staging, way === "csv" ? csv! : parquet!);
	};
	const destination = await open();
	const fixture: DestinationFixture = {
		destination,
		schema: "raw",
		textBytesMax: 65_535,
		reopen: open,
		rows: (table, columns) => tableRows(warehouse.client, table, columns),
		[Symbol.asyncDispose]: async () => {
			await destination[Symbol.asyncDispose]();
			await staging[Symbol.asyncDispose]();
			if (own === undefined) await warehouse[Symbol.asyncDispose]();
			await rm(temporaryDirectory, { recursive: true, force: true });
		},
	};
	WAREHOUSES.set(fixture, warehouse);
	return fixture;
}

const WAREHOUSES = new WeakMap<DestinationFixture, Warehouse>();

/** The stand-ins behind a fixture. */
export function warehouseOf(fixture: DestinationFixture): Warehouse {
	return WAREHOUSES.get(fixture)!;
}
