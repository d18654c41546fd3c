/** The stand-ins that a rehearsal needs, started together: published as `dist/stand-ins`. */
import type { StandIns, StandInsRequest, StoredObject } from "../../src/app/stand-ins.ts";
import { HeadraceError } from "../../src/core/errors.ts";
import { startGlueStandIn } from "./glue/index.ts";
import { ROLE, startRedshiftStandIn } from "./redshift/index.ts";
import { checkBucketName } from "./s3/buckets.ts";
import { type S3StandIn, startS3StandIn } from "./s3/index.ts";
import { startSnowflakeStandIn } from "./snowflake/index.ts";

/** Memory of the Snowflake stand-in's engine. */
const MEMORY_BYTES = 256 << 20;
/** Operations after which an object is there. */
const WRITES = new Set(["PutObject", "CompleteMultipartUpload", "CopyObject"]);

export async function startStandIns(request: StandInsRequest): Promise<StandIns> {
	await using started = new AsyncDisposableStack();
	const region = request.region ?? "us-east-1";
	const { buckets, kmsKeys } = request;
	for (const bucket of buckets) checkBucket(bucket);
	const s3 = started.use(await startS3StandIn({ region, buckets, kmsKeys }));
	const { accessKeyId, secretAccessKey } = s3;
	const glue = request.glue ? started.use(await startGlueStandIn({ region, accessKeyId, secretAccessKey })) : undefined;
	const redshift = request.redshift === undefined ? undefined : started.use(await startRedshift(s3, request.redshift));
	const snowflake =
		request.snowflake === undefined ? undefined : started.use(await startSnowflake(s3, request.snowflake));
	const all = started.move();
	return {
		s3,
		...(glue === undefined ? {} : { glue }),
		...(redshift === undefined ? {} : { redshift }),
		...(snowflake === undefined ? {} : { snowflake }),
		statements: () => redshift?.log.slice() ?? snowflake?.log.map(({ sql }) => sql) ?? [],
		objects: () => objectsOf(s3),
		glueOperations: () => glue?.log.slice() ?? [],
		[Symbol.asyncDispose]: () => all.disposeAsync(),
	};
}

function checkBucket(bucket: string): void {
	try {
		checkBucketName(bucket);
	} catch (cause) {
		throw new HeadraceError("E_INVALID_VALUE", `bucket ${bucket}: S3 has no bucket of such a name`, {
			hint: "Names are 3 to 63 lower-case letters, digits, dots and hyphens.",
			cause,
		});
	}
}

function startRedshift(s3: S3StandIn, { port, iamRole }: NonNullable<StandInsRequest["redshift"]>) {
	return startRedshiftStandIn({
		s3,
		server: { kind: "postgres", host: "127.0.0.1", port, user: "postgres", password: "stand-in password" },
		database: "postgres",
		roles: { [iamRole ?? ROLE]: undefined },
	});
}

function startSnowflake(s3: S3StandIn, { integration }: NonNullable<StandInsRequest["snowflake"]>) {
	if (integration === undefined) return startSnowflakeStandIn({ memoryBytes: MEMORY_BYTES });
	const { name, locations: allowedLocations } = integration;
	return startSnowflakeStandIn({
		memoryBytes: MEMORY_BYTES,
		integrations: { [name]: { roleArn: ROLE, allowedLocations, enabled: true } },
		readObject: (bucket, key) => s3.get(bucket, key),
	});
}

async function objectsOf(s3: S3StandIn): Promise<StoredObject[]> {
	const written = new Map<string, { readonly bucket: string; readonly key: string }>();
	for (const { operation, bucket, key, status } of s3.log)
		if (status === 200 && WRITES.has(operation)) written.set(JSON.stringify([bucket, key]), { bucket, key });
	const sized: StoredObject[] = [];
	for (const { bucket, key } of written.values()) {
		const content = await s3.get(bucket, key);
		sized.push({ address: `s3://${bucket}/${key}`, bytes: content?.byteLength ?? null });
	}
	return sized;
}
