/** What a rehearsal asks of the stand-ins. They are loaded by their address: the program must not begin with them. */

export interface StandInsRequest {
	readonly region?: string;
	readonly buckets: readonly string[];
	readonly kmsKeys: readonly string[];
	readonly glue: boolean;
	/** `port` is that of the PostgreSQL behind the proxy, whose user `postgres` logs in without a password. */
	readonly redshift?: { readonly port: number; readonly iamRole?: string };
	readonly snowflake?: {
		/** Reads objects of these places, `s3://bucket/prefix/`. */
		readonly integration?: { readonly name: string; readonly locations: readonly string[] };
	};
}

/** Names and passwords are made up; each listens on 127.0.0.1 only. */
export interface StandIns extends AsyncDisposable {
	readonly s3: {
		readonly endpoint: string;
		readonly region: string;
		readonly accessKeyId: string;
		readonly secretAccessKey: string;
	};
	/** Takes the keys of S3. */
	readonly glue?: { readonly endpoint: string };
	readonly redshift?: {
		readonly host: string;
		readonly port: number;
		readonly user: string;
		readonly password: string;
		readonly database: string;
		readonly iamRole: string;
	};
	readonly snowflake?: {
		readonly endpoint: string;
		readonly account: string;
		readonly user: string;
		readonly password: string;
		readonly role: string;
		readonly warehouse: string;
		readonly database: string;
	};
	/** What the warehouse was sent so far. */
	statements(): readonly string[];
	/** Addresses of the objects that were written so far, in their order, also those that were removed since. */
	objects(): Promise<readonly StoredObject[]>;
	/** Operations that Glue was asked for so far. */
	glueOperations(): readonly string[];
}

export interface StoredObject {
	/** `s3://bucket/key` */
	readonly address: string;
	/** Null when it was removed since. */
	readonly bytes: number | null;
}

interface StandInsModule {
	startStandIns(request: StandInsRequest): Promise<StandIns>;
}

/** Starts stand-ins: from `test/stand-ins` in the repository, from `dist/stand-ins` of the published package. */
export async function startStandIns(request: StandInsRequest): Promise<StandIns> {
	const place = import.meta.url.endsWith(".ts") ? "test/stand-ins/index.ts" : "dist/stand-ins/index.js";
	const module = (await import(new URL(`../../${place}`, import.meta.url).href)) as StandInsModule;
	return module.startStandIns(request);
}
