import { HeadraceError } from "../../../core/index.ts";
import type { MysqlConnection } from "../connection.ts";
import { atLeast } from "../server.ts";
import { quoteString } from "../sql.ts";
import type { LogPosition } from "./position.ts";

export interface LogFile {
	readonly name: string;
	readonly bytes: number;
}

/** What tells servers apart: MariaDB has no uuid. */
export async function serverName(connection: MysqlConnection): Promise<string> {
	const variable = connection.server.flavour === "mariadb" ? "server_id" : "server_uuid";
	const [row] = await connection.rows(`SELECT @@global.${variable}`);
	return row?.[0] ?? "";
}

/**
 * @throws E_LOG_SETTINGS without a log, E_RIGHTS
 */
export async function logEnd(connection: MysqlConnection): Promise<LogPosition> {
	const { server } = connection;
	const statement =
		server.flavour === "mysql" && atLeast(server, 8, 2) ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS";
	const [row] = await connection.rows(statement);
	const [file, offset, , , executed] = row ?? [];
	if (file === null || file === undefined || offset === null || offset === undefined)
		throw new HeadraceError("E_LOG_SETTINGS", "the server keeps no binary log", {
			hint: "Set log_bin, binlog_format = ROW and a server_id in its configuration, and restart it.",
		});
	const place = { file, offset: Number(offset) };
	const gtid =
		server.flavour === "mariadb" ? await mariadbGtid(connection, place) : (executed ?? "").replaceAll(/\s/g, "");
	return { ...place, server: await serverName(connection), ...(gtid === "" ? {} : { gtid }) };
}

/** The last GTID of each domain at a place; empty when it is no place between two events. */
export async function mariadbGtid(
	connection: MysqlConnection,
	place: { file: string; offset: number },
): Promise<string> {
	const [row] = await connection.rows(`SELECT BINLOG_GTID_POS(${quoteString(place.file)}, ${place.offset})`);
	return row?.[0] ?? "";
}

/** The files of the log with their sizes, oldest first. */
export async function logFiles(connection: MysqlConnection): Promise<LogFile[]> {
	const rows = await connection.rows("SHOW BINARY LOGS");
	return rows.map(([name, bytes]) => ({ name: name ?? "", bytes: Number(bytes ?? 0) }));
}

/** Seconds that a file is kept for after its last change; 0: for ever. */
export async function retentionSeconds(connection: MysqlConnection): Promise<number> {
	const { server } = connection;
	const inSeconds = server.flavour === "mariadb" ? atLeast(server, 10, 6, 1) : atLeast(server, 8, 0, 1);
	const [row] = await connection.rows(
		inSeconds ? "SELECT @@global.binlog_expire_logs_seconds" : "SELECT @@global.expire_logs_days * 86400",
	);
	return Number(row?.[0] ?? 0);
}
