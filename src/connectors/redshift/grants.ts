import { type Grant, HeadraceError, type TableName } from "../../core/index.ts";
import { quoteIdentifier, quoteOption, quoteTable } from "./sql-text.ts";

/** Where COPY reads, for policies. */
export interface StagedPlace {
	readonly bucket: string;
	/** Without a slash at its start; empty for the whole bucket. */
	readonly prefix: string;
	/** ARN of the key that the files are encrypted with. */
	readonly kmsKey?: string;
}

/** The statements that let the user load a table, whichever right it is that lacks. */
export function loaderGrants(user: string, database: string, table?: TableName): string {
	const loader = quoteIdentifier(user);
	const lines = [
		`GRANT CREATE, TEMPORARY ON DATABASE ${quoteIdentifier(database)} TO ${loader};    -- to make schemas`,
	];
	if (table !== undefined) {
		const place = { schema: table.schema === "" ? "public" : table.schema, name: table.name };
		lines.push(
			`GRANT USAGE, CREATE ON SCHEMA ${quoteIdentifier(place.schema)} TO ${loader};`,
			`ALTER TABLE ${quoteTable(place)} OWNER TO ${loader};    -- if it is there`,
		);
	}
	return lines.join("\n");
}

/**
 * The least that a user needs to load these schemas, ready to paste for an administrator.
 * https://docs.aws.amazon.com/redshift/latest/dg/r_GRANT.html
 */
export function loaderStatements(loader: {
	readonly user: string;
	readonly database: string;
	readonly schemas: readonly string[];
	readonly iamRole?: string;
}): string[] {
	const user = quoteIdentifier(loader.user);
	return [
		`CREATE USER ${user} PASSWORD DISABLE;    -- then ALTER USER … PASSWORD '…'`,
		// Temporary tables are what files are copied into.
		`GRANT TEMPORARY ON DATABASE ${quoteIdentifier(loader.database)} TO ${user};`,
		...["_headrace", ...loader.schemas].map(
			(schema) => `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)} AUTHORIZATION ${user};`,
		),
		...(loader.iamRole === undefined
			? []
			: [
					"REVOKE ASSUMEROLE ON ALL FROM PUBLIC FOR ALL;    -- once for each cluster: roles are for who is named",
					`GRANT ASSUMEROLE ON ${quoteOption(loader.iamRole)} TO ${user} FOR COPY;`,
				]),
	];
}

/**
 * What the role of COPY may do: read the staged files, and nothing else.
 * https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-access-permissions.html
 */
export function rolePolicy({ bucket, prefix, kmsKey }: StagedPlace): object {
	const path = prefix.replace(/\/+$/, "");
	return {
		Version: "2012-10-17",
		Statement: [
			{
				Sid: "ReadStagedFiles",
				Effect: "Allow",
				Action: "s3:GetObject",
				Resource: `arn:aws:s3:::${bucket}/${path === "" ? "*" : `${path}/*`}`,
			},
			{
				Sid: "ListStagedFiles",
				Effect: "Allow",
				Action: "s3:ListBucket",
				Resource: `arn:aws:s3:::${bucket}`,
				...(path === "" ? {} : { Condition: { StringLike: { "s3:prefix": `${path}/*` } } }),
			},
			...(kmsKey === undefined
				? []
				: [{ Sid: "DecryptStagedFiles", Effect: "Allow", Action: "kms:Decrypt", Resource: kmsKey }]),
		],
	};
}

/**
 * Who may take the role: Redshift, for one cluster or namespace of one account.
 * https://docs.aws.amazon.com/redshift/latest/mgmt/cross-service-confused-deputy-prevention.html
 * @throws E_INVALID_VALUE when the ARN is not one of a cluster or of a Serverless namespace
 */
export function roleTrust(warehouseArn: string): object {
	const match = /^arn:[\w-]+:redshift(-serverless)?:[\w*-]*:(\d{12}|\*):(?:cluster|namespace)[:/].+$/.exec(
		warehouseArn,
	);
	if (match === null)
		throw new HeadraceError("E_INVALID_VALUE", "that is not the ARN of a Redshift cluster or namespace");
	const services = ["redshift.amazonaws.com", ...(match[1] === undefined ? [] : ["redshift-serverless.amazonaws.com"])];
	return {
		Version: "2012-10-17",
		Statement: [
			{
				Effect: "Allow",
				Principal: { Service: services.length === 1 ? services[0] : services },
				Action: "sts:AssumeRole",
				Condition: {
					...(match[2] === "*" ? {} : { StringEquals: { "aws:SourceAccount": match[2] } }),
					ArnLike: { "aws:SourceArn": warehouseArn },
				},
			},
		],
	};
}

export function rolePolicyHint(): string {
	return "Give the role s3:GetObject on the staging prefix, s3:ListBucket on the bucket, and kms:Decrypt on its key; see docs/mysql-to-redshift.md.";
}

/**
 * The ARN pattern of the warehouse at a host, for `roleTrust`: of the cluster that the host names, or of all Serverless
 * namespaces of its account and region. The account is that of the role.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonredshift.html#amazonredshift-resources-for-iam-policies
 */
export function warehouseArnOf(host: string, iamRole: string | undefined): string {
	const [, partition = "aws", account = "*"] = /^arn:([\w-]+):iam::(\d{12}):/.exec(iamRole ?? "") ?? [];
	const serverless = /^[\w-]+\.(\d{12})\.([\w-]+)\.redshift-serverless\.amazonaws\./.exec(host);
	if (serverless !== null) return `arn:${partition}:redshift-serverless:${serverless[2]}:${serverless[1]}:namespace/*`;
	const cluster = /^([\w-]+)\.\w+\.([\w-]+)\.redshift\.amazonaws\./.exec(host);
	return `arn:${partition}:redshift:${cluster?.[2] ?? "*"}:${account}:cluster:${cluster?.[1] ?? "*"}`;
}

/** All rights of a pipeline into Redshift: of the user, of the role that COPY takes, and who may take it. */
export function warehouseGrants(pipeline: {
	readonly host: string;
	readonly user: string;
	readonly database: string;
	readonly schemas: readonly string[];
	readonly iamRole?: string;
	readonly staged?: StagedPlace;
}): Grant[] {
	const { host, iamRole, staged } = pipeline;
	const json = (value: object) => JSON.stringify(value, null, "\t");
	return [
		{
			title: "rights of the loader, to be run by an administrator of the database",
			language: "sql",
			text: loaderStatements(pipeline).join("\n"),
		},
		...(staged === undefined
			? []
			: [{ title: "policy of the role that COPY takes", language: "json" as const, text: json(rolePolicy(staged)) }]),
		{
			title: "who may take that role (its trust policy)",
			language: "json",
			text: json(roleTrust(warehouseArnOf(host, iamRole))),
		},
	];
}
