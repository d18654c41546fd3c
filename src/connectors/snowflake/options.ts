import type { Secret } from "../../core/index.ts";

export interface SnowflakeOptions {
	/** Account identifier: `myorg-myaccount`, or a locator with its region. */
	readonly account: string;
	readonly user?: string;
	readonly password?: Secret;
	/** PEM text of an RSA key (PKCS#8), encrypted or not. */
	readonly privateKey?: Secret;
	readonly privateKeyPassphrase?: Secret;
	/** An OAuth access token, or a programmatic access token used as one. */
	readonly token?: Secret;
	readonly role?: string;
	readonly warehouse?: string;
	readonly database?: string;
	/** Of tables whose name has no schema; default PUBLIC. */
	readonly schema?: string;
	/** `name`, `schema.name` or `database.schema.name` of a stage that is there; default one that is made. */
	readonly stage?: string;
	/** For files staged on S3. */
	readonly storageIntegration?: string;
	/** URL of the server; default that of the account. */
	readonly endpoint?: string;
	/** Where the credentials come from, for messages: `${env:SNOWFLAKE_PASSWORD}`. */
	readonly credentialReference?: string;
}

/** `user@account/database`, for messages. */
export function whereOf({ user, account, database }: SnowflakeOptions): string {
	return `${user === undefined ? "" : `${user}@`}${account}${database === undefined ? "" : `/${database}`}`;
}
