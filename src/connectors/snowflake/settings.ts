import type { SnowflakeOptions } from "./options.ts";

/** How often the driver tries to log in to a server that does not answer: half a minute in all. */
const LOGIN_ATTEMPTS_MAX = 4;

/**
 * What decides how values are read and compared, whatever the account, the user or the database sets.
 * https://docs.snowflake.com/en/sql-reference/parameters
 */
export const SETTINGS: Readonly<Record<string, string>> = {
	TIMEZONE: "'UTC'",
	DATE_INPUT_FORMAT: "'AUTO'",
	TIME_INPUT_FORMAT: "'AUTO'",
	TIMESTAMP_INPUT_FORMAT: "'AUTO'",
	DATE_OUTPUT_FORMAT: "'YYYY-MM-DD'",
	TIME_OUTPUT_FORMAT: "'HH24:MI:SS.FF6'",
	TIMESTAMP_NTZ_OUTPUT_FORMAT: "'YYYY-MM-DD HH24:MI:SS.FF6'",
	TIMESTAMP_TZ_OUTPUT_FORMAT: "'YYYY-MM-DD HH24:MI:SS.FF6TZHTZM'",
	TIMESTAMP_TYPE_MAPPING: "'TIMESTAMP_NTZ'",
	BINARY_INPUT_FORMAT: "'HEX'",
	BINARY_OUTPUT_FORMAT: "'HEX'",
	QUOTED_IDENTIFIERS_IGNORE_CASE: "FALSE",
	ERROR_ON_NONDETERMINISTIC_MERGE: "TRUE",
	ERROR_ON_NONDETERMINISTIC_UPDATE: "TRUE",
	TRANSACTION_ABORT_ON_ERROR: "TRUE",
	ABORT_DETACHED_QUERY: "TRUE",
	LOCK_TIMEOUT: "600",
	STATEMENT_TIMEOUT_IN_SECONDS: "86400",
	MULTI_STATEMENT_COUNT: "1",
};

/** A login as the driver wants it. */
export function connectionOptions(options: SnowflakeOptions): Record<string, unknown> {
	const { account, user, password, privateKey, privateKeyPassphrase, token, endpoint } = options;
	const given = { role: options.role, warehouse: options.warehouse, database: options.database };
	const login =
		token !== undefined
			? { authenticator: "OAUTH", token: token.reveal() }
			: privateKey !== undefined
				? {
						authenticator: "SNOWFLAKE_JWT",
						privateKey: privateKey.reveal(),
						...(privateKeyPassphrase === undefined ? {} : { privateKeyPass: privateKeyPassphrase.reveal() }),
					}
				: { password: password?.reveal() };
	return {
		account,
		...(user === undefined ? {} : { username: user }),
		...login,
		...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
		...(endpoint === undefined ? {} : { accessUrl: endpoint.replace(/\/$/, "") }),
		application: "Headrace",
		clientSessionKeepAlive: true,
		sfRetryMaxLoginRetries: LOGIN_ATTEMPTS_MAX,
		validateDefaultParameters: false,
		// Otherwise a NULL that is fetched as text is the text NULL.
		representNullAsStringNull: false,
	};
}
