/** What a connection found out about its server. */
export interface ServerInfo {
	readonly flavour: "mariadb" | "mysql";
	readonly version: readonly [major: number, minor: number, patch: number];
	/** As the server says it: `10.11.6-MariaDB-log`. */
	readonly versionText: string;
	/** The account that the login matched: `'reader'@'10.0.%'`, ready for a GRANT. */
	readonly account: string;
	/** TLS protocol of the connection; null without TLS. */
	readonly tls: string | null;
	/** Whether names of tables compare without case. */
	readonly foldsNames: boolean;
}

export function atLeast(server: Pick<ServerInfo, "version">, ...wanted: readonly number[]): boolean {
	for (const [index, number] of wanted.entries()) {
		const have = server.version[index] ?? 0;
		if (have !== number) return have > number;
	}
	return true;
}

/** Reads `10.11.6-MariaDB-log`, `5.6.24-log`, `8.0.35-27`, `5.7.mysql_aurora.2.11`. */
export function parseVersion(text: string): Pick<ServerInfo, "flavour" | "version"> {
	const numbers = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
	return {
		flavour: /mariadb/i.test(text) ? "mariadb" : "mysql",
		version: [Number(numbers?.[1] ?? 0), Number(numbers?.[2] ?? 0), Number(numbers?.[3] ?? 0)],
	};
}

/** Modes that change how SQL text or values are read; the others stay as the server has them, since queries rely on them. */
const MODES_LEFT_OUT = new Set([
	"ANSI",
	"ANSI_QUOTES",
	"DB2",
	"EMPTY_STRING_IS_NULL",
	"MAXDB",
	"MSSQL",
	"NO_BACKSLASH_ESCAPES",
	"ORACLE",
	"PAD_CHAR_TO_FULL_LENGTH",
	"POSTGRESQL",
]);

const YEAR_SECONDS = 31_536_000;
/** A read that waits this long for a table that DDL holds gives up and is retried. */
const METADATA_WAIT_SECONDS = 300;

/**
 * Settings under which every value arrives the same whatever the server's own settings are: UTC, utf8mb4, no limit on
 * rows or time, and no idle time-out while a slow destination makes us wait.
 */
export function sessionSettings(server: Pick<ServerInfo, "flavour" | "version">, sqlMode: string): string[] {
	const modes = sqlMode.split(",").filter((mode) => mode !== "" && !MODES_LEFT_OUT.has(mode));
	const settings = [
		`sql_mode = '${modes.join(",")}'`,
		"time_zone = '+00:00'",
		"autocommit = 1",
		"sql_auto_is_null = 0",
		"sql_big_selects = 1",
		"sql_select_limit = 18446744073709551615",
		`net_write_timeout = ${YEAR_SECONDS}`,
		`net_read_timeout = ${YEAR_SECONDS}`,
		`wait_timeout = ${YEAR_SECONDS}`,
		`lock_wait_timeout = ${METADATA_WAIT_SECONDS}`,
	];
	if (server.flavour === "mariadb") {
		settings.push("max_statement_time = 0", "idle_transaction_timeout = 0", "idle_readonly_transaction_timeout = 0");
	} else {
		if (atLeast(server, 5, 7, 8)) settings.push("max_execution_time = 0");
		if (atLeast(server, 8, 0, 3)) settings.push("information_schema_stats_expiry = 0");
		// The generated invisible key is a column like others, and the only key that such a table has.
		if (atLeast(server, 8, 0, 30)) settings.push("show_gipk_in_create_table_and_information_schema = ON");
	}
	return [
		"SET NAMES utf8mb4",
		`SET SESSION ${settings.join(", ")}`,
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
	];
}

/** Keeps reads of whole tables out of the query cache, where there is one. */
export function selectHint(server: Pick<ServerInfo, "flavour" | "version">): string {
	return server.flavour === "mariadb" || !atLeast(server, 8) ? "SQL_NO_CACHE " : "";
}
