import type { ConnectionType } from "./pipeline.ts";

/** How a connection's key is written and read; plain data, so that an address is read without a validation library. */
export type FieldKind =
	| "text"
	| "secret"
	| "host"
	| "port"
	| "flag"
	| "tls"
	| "path"
	| "prefix"
	| "ca"
	| "names"
	| "format"
	| "duration"
	| "copy_format"
	| "maintain"
	| "glue";

export interface FieldRule {
	readonly kind: FieldKind;
	readonly required?: true;
	readonly describe: string;
}

export type FieldRules = Readonly<Record<string, FieldRule>>;

export interface ConnectionTypeRule {
	readonly describe: string;
	/** An address of this type, for docs. */
	readonly example: string;
	/** Port when none is written. */
	readonly port?: number;
	readonly fields: FieldRules;
}

/** What a value of a kind looks like, for messages. */
export const KIND_FORMS: Readonly<Record<FieldKind, string>> = {
	text: "text",
	secret: "text, best by reference such as ${env:NAME}",
	host: "a host name or IP address without port",
	port: "a whole number from 1 to 65535",
	flag: "true or false",
	tls: "on, off or insecure",
	path: "a path",
	prefix: "a path inside the bucket, without ..",
	ca: "a path to a PEM file, or PEM text",
	names: "a name or a list of names",
	format: "csv, jsonl or parquet",
	duration: "a duration with its unit, such as 2h or 1d",
	copy_format: "parquet or csv",
	maintain: "analyze, vacuum or off",
	glue: "a map with database, region and endpoint, or {}",
};

export const TLS_WORDS = ["on", "off", "insecure"] as const;
export const FORMAT_WORDS = ["csv", "jsonl", "parquet"] as const;
export const COPY_FORMAT_WORDS = ["parquet", "csv"] as const;
export const MAINTAIN_WORDS = ["analyze", "vacuum", "off"] as const;

const text = (describe: string): FieldRule => ({ kind: "text", describe });
const secret = (describe: string): FieldRule => ({ kind: "secret", describe });

const HOST: FieldRule = { kind: "host", required: true, describe: "Host name or IP address of the server." };
const TLS: FieldRule = {
	kind: "tls",
	describe:
		"`on` (default) encrypts and verifies the server; to a loopback address the default is not to. `off` and `insecure` (encrypts, does not verify) are shown in every report.",
};

function server(defaultPort: number): FieldRules {
	return {
		host: HOST,
		port: { kind: "port", describe: `Port; default ${defaultPort}.` },
		user: text("User to log in as."),
		password: secret("Password of the user."),
		database: text("Database to use."),
		tls: TLS,
	};
}

const CA: FieldRule = {
	kind: "ca",
	describe: "Certificate authority to verify the server with: a PEM file, or PEM text.",
};

const STAGED_RETENTION: FieldRule = {
	kind: "duration",
	describe: "As staging: how long the files of a load stay after it is committed; default they go at once.",
};
const BUCKET: FieldRules = {
	prefix: { kind: "prefix", describe: "Path in the bucket under which everything is kept." },
	region: text("AWS region; default from the AWS chain."),
	endpoint: text("URL of an S3-compatible server; default AWS."),
	path_style: {
		kind: "flag",
		describe: "`true` puts the bucket's name in the path, as most S3-compatible servers need it; default false.",
	},
	role_arn: text("IAM role to assume."),
	kms_key: text("KMS key that encrypts what is written."),
	access_key_id: secret("Access key; default from the AWS chain."),
	secret_access_key: secret("Secret of the access key; default from the AWS chain."),
};

/** Keys of `lake: { glue: … }`. */
export const GLUE_FIELDS: FieldRules = {
	database: text("Glue database that the tables are registered in; default `data_lake`."),
	region: text("AWS region of the catalogue; default that of the bucket."),
	endpoint: text("URL of a Glue-compatible server; default AWS."),
};

/** Every connection type of the contract with its keys, in the order of the docs. */
export const CONNECTION_TYPES: Readonly<Record<ConnectionType, ConnectionTypeRule>> = {
	mysql: {
		describe: "MySQL and MariaDB.",
		example: "mysql://reader:${env:SHOP_PASSWORD}@db.internal:3306/prod",
		port: 3306,
		fields: { ...server(3306), ca: CA },
	},
	postgres: {
		describe: "PostgreSQL.",
		example: "postgres://reader:${env:SHOP_PASSWORD}@db.internal:5432/shop",
		port: 5432,
		fields: { ...server(5432), ca: CA },
	},
	sqlserver: {
		describe: "Microsoft SQL Server.",
		example: "sqlserver://reader:${env:SHOP_PASSWORD}@db.internal:1433/shop",
		port: 1433,
		fields: { ...server(1433), ca: CA },
	},
	redshift: {
		describe: "Amazon Redshift.",
		example: "redshift://loader:${env:DW_PASSWORD}@dw.internal:5439/dw?iam_role=arn:aws:iam::1:role/copy",
		port: 5439,
		fields: {
			...server(5439),
			database: { kind: "text", required: true, describe: "Database to use." },
			iam_role: text(
				"ARN of the role that Redshift reads the staged files with; default the warehouse's own default role.",
			),
			format: { kind: "copy_format", describe: "Format of the staged files that it copies; default `parquet`." },
			maintain: {
				kind: "maintain",
				describe:
					"What is done to a table after a load: `analyze` (default) renews the planner's statistics, `vacuum` sorts it and reclaims deleted rows too, `off` leaves both to Redshift.",
			},
		},
	},
	snowflake: {
		describe: "Snowflake.",
		example: "snowflake://loader:${env:SNOWFLAKE_PASSWORD}@xy12345.eu-west-1/analytics/raw?warehouse=load",
		fields: {
			account: { kind: "text", required: true, describe: "Account identifier." },
			user: text("User to log in as."),
			password: secret("Password of the user; or give `private_key` or `token`."),
			private_key: secret("PEM text of the user's private key, best by `${file:…}`."),
			private_key_passphrase: secret("Passphrase of an encrypted `private_key`."),
			token: secret("OAuth access token, instead of a password or key."),
			role: text("Role to use."),
			warehouse: text("Warehouse that does the work."),
			database: text("Database to use."),
			schema: text("Schema to use."),
			stage: text("Stage to load from; default an own one, made in the schema _HEADRACE."),
			storage_integration: text("Storage integration that Snowflake reads files staged on S3 with."),
			endpoint: text("URL of the server; default that of the account."),
		},
	},
	s3: {
		describe: "Amazon S3 and S3-compatible servers.",
		example: "s3://acme-lake/staging?region=us-east-1",
		fields: {
			bucket: { kind: "text", required: true, describe: "Name of the bucket." },
			...BUCKET,
			retention: STAGED_RETENTION,
		},
	},
	lake: {
		describe: "Parquet files in a folder or bucket, registered in AWS Glue when `glue` is given.",
		example: "lake:./lake",
		fields: {
			path: { kind: "path", describe: "Folder of the lake; or give `bucket`." },
			bucket: text("Bucket of the lake; or give `path`."),
			...BUCKET,
			glue: { kind: "glue", describe: "AWS Glue catalogue to register the tables in." },
			partition_by: {
				kind: "names",
				describe:
					"What becomes folders: columns, or `year(c)`, `month(c)`, `day(c)`, `hour(c)` of one. Tables that lack one of the columns are not partitioned.",
			},
			retention: {
				kind: "duration",
				describe: "How long files stay that were replaced, for readers that have begun; default 1d.",
			},
		},
	},
	duckdb: {
		describe: "A DuckDB file.",
		example: "duckdb:shop.duckdb",
		fields: {
			path: { kind: "path", required: true, describe: "The file; `:memory:` for a database that is not kept." },
		},
	},
	file: {
		describe: "CSV, JSONL or Parquet files: a file, a folder or a glob.",
		example: "./exports/*.csv",
		fields: {
			path: { kind: "path", required: true, describe: "File, folder or glob; as a destination a folder." },
			format: {
				kind: "format",
				describe: "`csv`, `jsonl` or `parquet`; default by the file's name, Parquet for a folder.",
			},
			retention: STAGED_RETENTION,
		},
	},
	kinesis: {
		describe: "Amazon Kinesis data streams.",
		example: "kinesis://shop-changes?region=us-east-1",
		fields: {
			stream: { kind: "text", required: true, describe: "Name of the stream." },
			region: text("AWS region; default from the AWS chain."),
			endpoint: text("URL of a Kinesis-compatible server; default AWS."),
		},
	},
};

/** Schemes of addresses. */
export const SCHEMES: Readonly<Record<string, ConnectionType>> = {
	mysql: "mysql",
	mariadb: "mysql",
	postgres: "postgres",
	postgresql: "postgres",
	sqlserver: "sqlserver",
	mssql: "sqlserver",
	redshift: "redshift",
	snowflake: "snowflake",
	s3: "s3",
	lake: "lake",
	duckdb: "duckdb",
	file: "file",
	kinesis: "kinesis",
};

/** `iam_role` → `iamRole`. */
export function camelCase(key: string): string {
	return key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
