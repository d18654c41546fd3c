import { type Finding, HeadraceError, qualified, type SourceTable, type TableName } from "../../../core/index.ts";
import type { MysqlConnection } from "../connection.ts";
import { checkLogPlace } from "../log-place.ts";
import { atLeast } from "../server.ts";
import { quoteString, tableSql } from "../sql.ts";
import { logEnd, retentionSeconds } from "./log-files.ts";

/** A reader that stands still over a long weekend finds its place again. */
const RETENTION_SECONDS_MIN = 3 * 86_400;
const TRANSACTIONAL_ENGINES = new Set(["innodb", "rocksdb", "tokudb", "ndbcluster", "xtradb"]);

/** Settings, rights and tables by which changes would be missed, each with the statement that cures it. */
export async function checkLog(connection: MysqlConnection, tables: readonly SourceTable[]): Promise<Finding[]> {
	const rights = await checkRights(connection);
	if (rights.some(({ severity }) => severity === "error")) return rights;
	try {
		await logEnd(connection);
	} catch (error) {
		if (!(error instanceof HeadraceError) || error.code !== "E_LOG_SETTINGS") throw error;
		return [...rights, { severity: "error", message: error.message, remedy: error.hint }];
	}
	const names = tables.map(({ name }) => name);
	return [
		...rights,
		...(await checkSettings(connection)),
		...(await checkFilters(connection)),
		...(await checkLogPlace(connection)),
		...(await checkCascades(connection, names)),
		...(await checkEngines(connection, names)),
		...tables.flatMap(({ name, primaryKey }): Finding[] =>
			primaryKey.length > 0
				? []
				: [
						{
							severity: "warning",
							message: `${qualified(name)} has no primary key: its rows are told apart by all their values`,
							remedy: `ALTER TABLE ${tableSql(name)} ADD COLUMN id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY;`,
						},
					],
		),
	];
}

/** The rights that reading the log takes. */
export function logRights({ server }: MysqlConnection): string {
	return server.flavour === "mariadb" ? "REPLICATION SLAVE, BINLOG MONITOR" : "REPLICATION SLAVE, REPLICATION CLIENT";
}

async function checkRights(connection: MysqlConnection): Promise<Finding[]> {
	const { account } = connection.server;
	const grants = (await connection.rows("SHOW GRANTS")).map(([line]) => line ?? "");
	const remedy = `GRANT ${logRights(connection)} ON *.* TO ${account};`;
	const mayDump = grants.some((line) => /\b(?:ALL PRIVILEGES|REPLICATION (?:SLAVE|REPLICA))\b.* ON \*\.\*/s.test(line));
	// A role's rights are not in the list; a line about one may stand for them.
	const mayByRole = grants.some((line) => /^GRANT (?!.* ON )/s.test(line));
	if (!mayDump && !mayByRole)
		return [{ severity: "error", message: `${account} may not read the change log (REPLICATION SLAVE)`, remedy }];
	try {
		await connection.rows("SHOW BINARY LOGS");
		await logEnd(connection);
	} catch (error) {
		if (error instanceof HeadraceError && error.code === "E_RIGHTS")
			return [{ severity: "error", message: `${account} may not see where the change log ends`, remedy }];
		if (!(error instanceof HeadraceError) || connection.lost !== null) throw error;
	}
	return [{ severity: "ok", message: `${account} may read the change log` }];
}

interface Setting {
	readonly name: string;
	readonly wanted: (value: string) => boolean;
	readonly severity: "warning" | "error";
	readonly message: (value: string) => string;
	readonly remedy: string;
}

const SETTINGS: readonly Setting[] = [
	{
		name: "binlog_format",
		wanted: (value) => value === "ROW",
		severity: "error",
		message: (value) => `binlog_format is ${value}: the log holds statements in place of rows`,
		remedy: "SET GLOBAL binlog_format = 'ROW'; -- and in the server's configuration; then reconnect its writers",
	},
	{
		name: "binlog_row_image",
		wanted: (value) => value === "FULL",
		severity: "error",
		message: (value) => `binlog_row_image is ${value}: the log holds parts of rows`,
		remedy: "SET GLOBAL binlog_row_image = 'FULL'; -- and in the server's configuration; then reconnect its writers",
	},
	{
		name: "binlog_row_metadata",
		wanted: (value) => value === "FULL",
		severity: "warning",
		message: (value) =>
			`binlog_row_metadata is ${value}: columns are known by their place, and after a change of them a table may be read anew`,
		remedy: "SET GLOBAL binlog_row_metadata = 'FULL'; -- and in the server's configuration",
	},
	{
		name: "binlog_row_value_options",
		wanted: (value) => value === "",
		severity: "error",
		message: (value) => `binlog_row_value_options is ${value}: the log holds parts of JSON documents`,
		remedy:
			"SET GLOBAL binlog_row_value_options = ''; -- and in the server's configuration; then reconnect its writers",
	},
];

async function checkSettings(connection: MysqlConnection): Promise<Finding[]> {
	const findings: Finding[] = [];
	for (const setting of SETTINGS) {
		const value = await variable(connection, setting.name);
		// A server that has no such setting does what the setting's default does, but for the names of columns.
		if (value === undefined && setting.name === "binlog_row_metadata")
			findings.push({
				severity: "warning",
				message:
					"the log does not name columns: they are known by their place, and after a change of them a table may be read anew",
			});
		if (value === undefined) continue;
		findings.push(
			setting.wanted(value)
				? { severity: "ok", message: `${setting.name} is ${value === "" ? "empty" : value}` }
				: { severity: setting.severity, message: setting.message(value), remedy: setting.remedy },
		);
	}
	const seconds = await retentionSeconds(connection);
	const days = (value: number) => `${Math.round((value / 86_400) * 10) / 10} days`;
	const inDays = connection.server.flavour === "mysql" && !atLeast(connection.server, 8);
	if (seconds > 0 && seconds < RETENTION_SECONDS_MIN)
		findings.push({
			severity: "warning",
			message: `the log is kept for ${days(seconds)}: a reader that stands still for longer has to begin anew`,
			remedy: inDays
				? "SET GLOBAL expire_logs_days = 7; -- and in the server's configuration"
				: "SET GLOBAL binlog_expire_logs_seconds = 604800; -- and in the server's configuration",
		});
	else
		findings.push({
			severity: "ok",
			message: seconds === 0 ? "the log is kept for ever" : `the log is kept for ${days(seconds)}`,
		});
	const passesOn =
		(await variable(connection, "log_replica_updates")) ?? (await variable(connection, "log_slave_updates"));
	if ((passesOn === "0" || passesOn === "OFF") && (await isReplica(connection)))
		findings.push({
			severity: "error",
			message: "the server is a replica that does not log what it gets from its primary (log_slave_updates is OFF)",
			remedy: "Set log_slave_updates = ON in the server's configuration and restart it, or read the primary.",
		});
	return findings;
}

async function variable(connection: MysqlConnection, name: string): Promise<string | undefined> {
	const [row] = await connection.rows(`SHOW GLOBAL VARIABLES LIKE ${quoteString(name)}`);
	return row?.[1] ?? undefined;
}

async function isReplica(connection: MysqlConnection): Promise<boolean> {
	try {
		return (await connection.rows("SHOW SLAVE STATUS")).length > 0;
	} catch (error) {
		if (!(error instanceof HeadraceError) || connection.lost !== null) throw error;
		// No right to see it, or a server that has another word for it.
		return false;
	}
}

async function checkFilters(connection: MysqlConnection): Promise<Finding[]> {
	const [row] = await connection.rows("SHOW MASTER STATUS").catch(() => connection.rows("SHOW BINARY LOG STATUS"));
	const [, , only = "", without = ""] = row ?? [];
	if (!only && !without) return [];
	return [
		{
			severity: "error",
			message: `the log leaves databases out (${only ? `binlog_do_db = ${only}` : `binlog_ignore_db = ${without}`})`,
			remedy: "Take binlog_do_db and binlog_ignore_db out of the server's configuration and restart it.",
		},
	];
}

function condition(schema: string, table: string, names: readonly TableName[]): string {
	return names
		.map((name) => `(${schema} = ${quoteString(name.schema)} AND ${table} = ${quoteString(name.name)})`)
		.join(" OR ");
}

/** What a foreign key changes in the table that has it is not in the log. */
async function checkCascades(connection: MysqlConnection, names: readonly TableName[]): Promise<Finding[]> {
	if (names.length === 0) return [];
	const rows = await connection.rows(
		`SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_NAME, DELETE_RULE, UPDATE_RULE
		FROM information_schema.REFERENTIAL_CONSTRAINTS
		WHERE (DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT') OR UPDATE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT'))
		AND (${condition("CONSTRAINT_SCHEMA", "TABLE_NAME", names)})`,
	);
	return rows.map(([schema, table, name, parent, onDelete, onUpdate]): Finding => {
		const child = { schema: schema ?? "", name: table ?? "" };
		return {
			severity: "error",
			message:
				`${qualified(child)}: the foreign key ${name} to ${parent} (ON DELETE ${onDelete}, ON UPDATE ${onUpdate}) ` +
				"changes rows without telling the log",
			remedy:
				`ALTER TABLE ${tableSql(child)} DROP FOREIGN KEY \`${(name ?? "").replaceAll("`", "``")}\`; ` +
				"-- and add it again with ON DELETE RESTRICT ON UPDATE RESTRICT",
		};
	});
}

async function checkEngines(connection: MysqlConnection, names: readonly TableName[]): Promise<Finding[]> {
	if (names.length === 0) return [];
	const rows = await connection.rows(
		`SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES
		WHERE TABLE_TYPE <> 'VIEW' AND (${condition("TABLE_SCHEMA", "TABLE_NAME", names)})`,
	);
	return rows.flatMap(([schema, table, engine]): Finding[] => {
		if (engine === null || engine === undefined || TRANSACTIONAL_ENGINES.has(engine.toLowerCase())) return [];
		const name = { schema: schema ?? "", name: table ?? "" };
		return [
			{
				severity: "warning",
				message: `${qualified(name)}: engine ${engine} has no transactions: what a failed statement wrote stays`,
				remedy: `ALTER TABLE ${tableSql(name)} ENGINE = InnoDB;`,
			},
		];
	});
}
