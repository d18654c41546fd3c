import { join } from "node:path";
import type {
	CheckedPipeline,
	Connection,
	DatabaseConnection,
	LakeConnection,
	RedshiftConnection,
	S3Connection,
	SnowflakeConnection,
} from "../config/index.ts";
import { type Destination, type FileFormat, HeadraceError, type Source, type Staging } from "../core/index.ts";

/** What an opened connection may use of the machine. */
export interface Resources {
	/** Bytes for the embedded engine of one connection. */
	readonly engineMemoryBytes: number;
	/** A folder of the project for files that live only while it works. */
	readonly temporaryDirectory: string;
	/** Where staged files lie on this machine, for engines that read them by themselves. */
	readonly stagingDirectory: string;
}

/** Connectors are imported on first use: a run loads the drivers that it needs and no other. */
const SOURCES: Partial<Record<Connection["type"], (connection: Connection, resources: Resources) => Promise<Source>>> =
	{
		mysql: async (connection) => {
			const { createMysqlSource } = await import("../connectors/mysql/index.ts");
			return createMysqlSource(serverOptions(connection as DatabaseConnection));
		},
		postgres: async (connection) => {
			const { createPostgresSource } = await import("../connectors/postgres/index.ts");
			return createPostgresSource(serverOptions(connection as DatabaseConnection));
		},
		file: async (connection, resources) => {
			const { createFileSource } = await import("../connectors/file/index.ts");
			const { path, format } = connection as Extract<Connection, { type: "file" }>;
			return createFileSource({
				path,
				...(format === undefined ? {} : { format }),
				memoryBytes: resources.engineMemoryBytes,
				temporaryDirectory: resources.temporaryDirectory,
			});
		},
		s3: async (connection, resources) => {
			const { createFileSource } = await import("../connectors/file/index.ts");
			const { createS3FileStore } = await import("../connectors/s3/index.ts");
			const s3 = connection as S3Connection;
			return createFileSource({
				path: s3.prefix ?? "",
				store: createS3FileStore(s3Options(s3, resources)),
				memoryBytes: resources.engineMemoryBytes,
				temporaryDirectory: resources.temporaryDirectory,
			});
		},
	};

const DESTINATIONS: Partial<
	Record<
		Connection["type"],
		(connection: Connection, resources: Resources, staging?: Connection) => Promise<Destination>
	>
> = {
	duckdb: async (connection, resources) => {
		const { createDuckdbDestination } = await import("../connectors/duckdb/index.ts");
		const { path } = connection as Extract<Connection, { type: "duckdb" }>;
		return createDuckdbDestination({
			path,
			memoryBytes: resources.engineMemoryBytes,
			readableDirectories: [resources.stagingDirectory],
		});
	},
	postgres: async (connection) => {
		const { createPostgresDestination } = await import("../connectors/postgres/index.ts");
		return createPostgresDestination(serverOptions(connection as DatabaseConnection));
	},
	redshift: async (connection, _resources, staging) => {
		const { createRedshiftDestination } = await import("../connectors/redshift/index.ts");
		const { database, iamRole, maintain, ...server } = connection as RedshiftConnection;
		return createRedshiftDestination({
			...serverOptions(server),
			database,
			...(iamRole === undefined ? {} : { iamRole }),
			...(maintain === undefined ? {} : { maintain }),
			...(staging?.type === "s3" ? { staged: stagedPlace(staging) } : {}),
		});
	},
	snowflake: async (connection) => {
		const { createSnowflakeDestination } = await import("../connectors/snowflake/index.ts");
		return createSnowflakeDestination(snowflakeOptions(connection as SnowflakeConnection));
	},
	file: async (connection, resources) => {
		const { createFileDestination } = await import("../connectors/file/index.ts");
		const { path, format } = connection as Extract<Connection, { type: "file" }>;
		return createFileDestination({
			path,
			format: format ?? "parquet",
			memoryBytes: resources.engineMemoryBytes,
			temporaryDirectory: resources.temporaryDirectory,
		});
	},
	lake: (connection, resources) => openLake(connection as LakeConnection, resources),
};

/** The lake's own files on this machine's disk: those in a bucket are written and read by way of a folder of the project. */
async function openLake(connection: LakeConnection, resources: Resources): Promise<Destination> {
	const { createLakeDestination } = await import("../connectors/lake/index.ts");
	const { path, partitionBy, retention } = connection;
	return createLakeDestination({
		store: path === undefined ? await lakeInS3(connection, resources) : await lakeFolder(path),
		localDirectories: [path ?? resources.temporaryDirectory],
		engineMemoryBytes: resources.engineMemoryBytes,
		temporaryDirectory: resources.temporaryDirectory,
		...(partitionBy === undefined ? {} : { partitionBy }),
		...(retention === undefined ? {} : { retentionMs: retention }),
		...(connection.glue === undefined ? {} : { glue: { ...credentialsOf(connection), ...connection.glue } }),
	});
}

/** Glue is reached as the bucket is. */
function credentialsOf({ region, roleArn, accessKeyId, secretAccessKey }: LakeConnection) {
	return {
		...(region === undefined ? {} : { region }),
		...(roleArn === undefined ? {} : { roleArn }),
		...(accessKeyId === undefined ? {} : { accessKeyId }),
		...(secretAccessKey === undefined ? {} : { secretAccessKey }),
	};
}

async function lakeFolder(path: string): Promise<Staging> {
	const { createLocalFolderStaging } = await import("../connectors/local-folder/index.ts");
	return createLocalFolderStaging(path, { shared: true });
}

async function lakeInS3(connection: LakeConnection, resources: Resources): Promise<Staging> {
	const { createS3Staging } = await import("../connectors/s3/index.ts");
	return createS3Staging(s3Options({ ...connection, bucket: connection.bucket! }, resources));
}

export async function openSource(connection: Connection, resources: Resources): Promise<Source> {
	const open = SOURCES[connection.type];
	if (open === undefined) throw notBuiltIn(connection, "source", Object.keys(SOURCES));
	return open(connection, resources);
}

/** `staging` is the pipeline's, for destinations that read it by themselves. */
export async function openDestination(
	connection: Connection,
	resources: Resources,
	staging?: Connection,
): Promise<Destination> {
	const open = DESTINATIONS[connection.type];
	if (open === undefined) throw notBuiltIn(connection, "destination", Object.keys(DESTINATIONS));
	return open(connection, resources, staging);
}

/** The pipeline's staging: the one that it names, else a folder of the project. */
export async function openStaging(pipeline: CheckedPipeline, resources: Resources): Promise<Staging> {
	const { staging } = pipeline;
	if (staging?.type === "s3") {
		const { createS3Staging } = await import("../connectors/s3/index.ts");
		return createS3Staging({ ...s3Options(staging, resources), ...retentionOf(staging) });
	}
	if (staging !== undefined && staging.type !== "file") throw notBuiltIn(staging, "staging", ["file", "s3"]);
	const { createLocalFolderStaging } = await import("../connectors/local-folder/index.ts");
	return createLocalFolderStaging(stagingDirectoryOf(pipeline), staging === undefined ? {} : retentionOf(staging));
}

function retentionOf({ retention }: { readonly retention?: number }): { readonly retentionMs?: number } {
	return retention === undefined ? {} : { retentionMs: retention };
}

/** The folder for staged files on this machine; of files in S3 it has copies while they are loaded. */
export function stagingDirectoryOf({ staging, directory }: CheckedPipeline): string {
	if (staging?.type === "s3") return join(directory, ".headrace", "tmp");
	return staging?.type === "file" ? staging.path : join(directory, ".headrace", "staging");
}

/** The formats that staged files may have; the first is what new ones get unless the staging connection says. */
export async function openFormats(pipeline: CheckedPipeline, resources: Resources): Promise<FileFormat[]> {
	const { stagedFormats } = await import("../connectors/file/index.ts");
	const formats = await stagedFormats({
		memoryBytes: resources.engineMemoryBytes,
		temporaryDirectory: resources.temporaryDirectory,
	});
	const { staging, to } = pipeline;
	const asked = to.type === "redshift" ? to.format : staging?.type === "file" ? staging.format : undefined;
	const wanted = asked ?? "parquet";
	return formats.toSorted((a, b) => Number(b.name === wanted) - Number(a.name === wanted));
}

function stagedPlace({ bucket, prefix = "", kmsKey }: S3Connection) {
	return { bucket, prefix, ...(kmsKey === undefined ? {} : { kmsKey }) };
}

type ServerAddress = Omit<DatabaseConnection, "type" | "name" | "address" | "place">;

export function serverOptions(connection: ServerAddress) {
	const { host, port, user, password, database, tls, ca, origins } = connection;
	return {
		host,
		port,
		...(user === undefined ? {} : { user }),
		...(password === undefined ? {} : { password }),
		...(database === undefined ? {} : { database }),
		...(tls === undefined ? {} : { tls: tls === "on" ? ("verify" as const) : tls }),
		...(ca === undefined ? {} : { ca }),
		...(origins["password"] === undefined ? {} : { passwordReference: origins["password"] }),
	};
}

function snowflakeOptions({
	type: _type,
	name: _name,
	address: _address,
	place: _place,
	...given
}: SnowflakeConnection) {
	const { origins, ...options } = given;
	const credentialReference = origins["token"] ?? origins["private_key"] ?? origins["password"];
	return { ...options, ...(credentialReference === undefined ? {} : { credentialReference }) };
}

function s3Options(connection: Omit<S3Connection, "type">, resources: Resources) {
	const { bucket, prefix, region, endpoint, pathStyle, roleArn, kmsKey, accessKeyId, secretAccessKey } = connection;
	const secretReference = connection.origins["secret_access_key"];
	return {
		bucket,
		...(prefix === undefined ? {} : { prefix }),
		...(region === undefined ? {} : { region }),
		...(endpoint === undefined ? {} : { endpoint }),
		...(pathStyle === undefined ? {} : { pathStyle }),
		...(roleArn === undefined ? {} : { roleArn }),
		...(kmsKey === undefined ? {} : { kmsKey }),
		...(accessKeyId === undefined ? {} : { accessKeyId }),
		...(secretAccessKey === undefined ? {} : { secretAccessKey }),
		...(secretReference === undefined ? {} : { secretReference }),
		temporaryDirectory: resources.temporaryDirectory,
	};
}

function notBuiltIn(connection: Connection, role: string, built: readonly string[]): HeadraceError {
	return new HeadraceError("E_NOT_BUILT_IN", `${connection.type} is not built in yet as a ${role}`, {
		...connection.place,
		hint: `Built in as a ${role}: ${built.join(", ")}.`,
	});
}
