import { quoteDouble, quoteEscaped } from "../../sql/index.ts";
import { parsePath } from "./names.ts";
import type { SnowflakeOptions } from "./options.ts";

/** The least that a role needs to load into the schemas, as statements of an administrator; ready to paste. */
export function grantStatements(options: SnowflakeOptions, schemas: readonly string[]): string[] {
	const role = identifier(options.role ?? "HEADRACE_LOADER");
	const database = identifier(options.database ?? "ANALYTICS");
	const statements = [
		...(options.role === undefined ? [`CREATE ROLE IF NOT EXISTS ${role};`] : []),
		...(options.warehouse === undefined
			? []
			: [`GRANT USAGE ON WAREHOUSE ${identifier(options.warehouse)} TO ROLE ${role};`]),
		`GRANT USAGE ON DATABASE ${database} TO ROLE ${role};`,
		// What a role makes it owns: it needs no more in schemas of its own.
		`GRANT CREATE SCHEMA ON DATABASE ${database} TO ROLE ${role};`,
		...schemas.map(
			(schema) =>
				`GRANT USAGE, CREATE TABLE ON SCHEMA ${database}.${identifier(schema)} TO ROLE ${role};    -- when the schema is there already`,
		),
	];
	if (options.stage !== undefined) {
		const stage = parsePath(options.stage).map(quoteDouble).join(".");
		statements.push(`GRANT USAGE, READ, WRITE ON STAGE ${stage} TO ROLE ${role};`);
	}
	if (options.storageIntegration !== undefined)
		statements.push(`GRANT USAGE ON INTEGRATION ${identifier(options.storageIntegration)} TO ROLE ${role};`);
	if (options.user !== undefined) statements.push(`GRANT ROLE ${role} TO USER ${identifier(options.user)};`);
	return statements;
}

/** The statements as one text, for the hint of an error. */
export function grantsFor(options: SnowflakeOptions, schema: string | undefined): string {
	return grantStatements(options, schema === undefined || schema === "" ? [] : [schema]).join("\n");
}

/** The statement that makes an integration for a bucket's prefix; https://docs.snowflake.com/en/sql-reference/sql/create-storage-integration */
export function integrationStatement(name: string, bucketUri: string, roleArn: string): string {
	return `CREATE STORAGE INTEGRATION ${identifier(name)} TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'S3' ENABLED = TRUE STORAGE_AWS_ROLE_ARN = ${quoteEscaped(roleArn)} STORAGE_ALLOWED_LOCATIONS = (${quoteEscaped(bucketUri)});`;
}

/**
 * Trust policy of the AWS role that a storage integration reads the bucket with: Snowflake's user, and only with the
 * integration's external id. https://docs.snowflake.com/en/user-guide/data-load-s3-config-storage-integration
 */
export function trustPolicy(userArn: string, externalId: string): string {
	return JSON.stringify({
		Version: "2012-10-17",
		Statement: [
			{
				Effect: "Allow",
				Principal: { AWS: userArn },
				Action: "sts:AssumeRole",
				Condition: { StringEquals: { "sts:ExternalId": externalId } },
			},
		],
	});
}

/** Policy of that role: it reads what is staged and lists the prefix, nothing else. */
export function readPolicy(bucket: string, prefix: string): string {
	return JSON.stringify({
		Version: "2012-10-17",
		Statement: [
			{
				Effect: "Allow",
				Action: ["s3:GetObject", "s3:GetObjectVersion"],
				Resource: `arn:aws:s3:::${bucket}/${prefix}*`,
			},
			{
				Effect: "Allow",
				Action: ["s3:ListBucket", "s3:GetBucketLocation"],
				Resource: `arn:aws:s3:::${bucket}`,
				Condition: { StringLike: { "s3:prefix": [`${prefix}*`] } },
			},
		],
	});
}

/** As Snowflake would look it up unquoted; in quotes, so that it is right whatever it holds. */
function identifier(name: string): string {
	return quoteDouble(parsePath(name)[0] ?? name);
}
