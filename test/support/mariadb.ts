/** MariaDB of the operating system (10.11 on Debian 12), with a full row binlog. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { makeCertificates, tlsUnavailable } from "./certificates.ts";
import { mysqlClient } from "./client.ts";
import { freePort, isRoot, runAside, ServerProcess, temporaryFolder } from "./processes.ts";
import {
	PASSWORD,
	READER,
	type RunningServer,
	runningServer,
	type ServerAddress,
	type StartOptions,
} from "./server.ts";

const find = (name: string): string | undefined =>
	["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"].map((folder) => join(folder, name)).find(existsSync);

/** Why MariaDB cannot be started here, or undefined. */
export function mariadbUnavailable(): string | undefined {
	if (find("mariadbd") === undefined) return "mariadbd is not installed (apt-get install mariadb-server)";
	if (find("mariadb-install-db") === undefined) return "mariadb-install-db is not installed";
	return undefined;
}

const asFlags = (settings: Readonly<Record<string, string | number>>): string[] =>
	Object.entries(settings).map(([name, value]) => `--${name.replaceAll("_", "-")}=${value}`);

/** Starts a MariaDB of its own in a temporary folder; about 1.2 s. */
export async function startMariadb(options: StartOptions = {}): Promise<RunningServer> {
	const reason = mariadbUnavailable();
	if (reason !== undefined) throw new Error(reason);
	const folder = temporaryFolder("mariadb");
	const inFolder = (name: string) => join(folder.path, name);
	const account = isRoot ? ["--user=root"] : [];
	const socketPath = inFolder("s.sock");
	mkdirSync(inFolder("tmp"));
	const address = { host: "127.0.0.1", port: await freePort() };
	const tls = options.tls || options.tlsRequired ? (options.tls ?? true) : false;
	if (tls && tlsUnavailable() !== undefined) throw new Error(tlsUnavailable());

	const installed = runAside(find("mariadb-install-db")!, [
		"--no-defaults",
		...account,
		`--datadir=${inFolder("data")}`,
		// A server that starts removes what it takes for its own leftovers there: another one's, that is being installed.
		`--tmpdir=${inFolder("tmp")}`,
		"--auth-root-authentication-method=normal",
		"--skip-test-db",
	]);
	const certificates = tls
		? await makeCertificates(inFolder("tls"), typeof tls === "object" ? tls.names : undefined)
		: undefined;
	await installed;

	const login = { kind: "mariadb", ...address, user: "headrace", password: PASSWORD } as const;
	const server = new ServerProcess({
		command: find("mariadbd")!,
		args: [
			"--no-defaults",
			...account,
			`--datadir=${inFolder("data")}`,
			`--tmpdir=${inFolder("tmp")}`,
			`--socket=${socketPath}`,
			`--pid-file=${inFolder("pid")}`,
			"--bind-address=127.0.0.1",
			`--port=${address.port}`,
			...asFlags({
				server_id: 1,
				log_bin: "mysql-bin",
				binlog_format: "ROW",
				binlog_row_image: "FULL",
				binlog_row_metadata: "FULL",
				gtid_strict_mode: 1,
				sync_binlog: 0,
				// Written to the operating system at each commit: what was committed survives kill -9, without an fsync.
				innodb_flush_log_at_trx_commit: 2,
				innodb_flush_method: "nosync",
				innodb_buffer_pool_size: "64M",
				character_set_server: "utf8mb4",
				max_allowed_packet: "256M",
				local_infile: 1,
				...options.settings,
			}),
			"--skip-name-resolve",
			...(certificates === undefined
				? []
				: asFlags({ ssl_ca: certificates.ca, ssl_cert: certificates.certificate, ssl_key: certificates.key })),
			...(options.tlsRequired ? ["--require-secure-transport=ON"] : []),
		],
		cwd: folder.path,
		deathSignal: "KILL",
		logFile: inFolder("server.log"),
		answers: async () => (await mysqlClient(login, undefined, { user: "root", password: "", socketPath })).close(),
	});
	try {
		await server.start();
		await using root = await mysqlClient(login, undefined, { user: "root", password: "", socketPath });
		await root.query(
			`create user headrace@'127.0.0.1' identified by '${PASSWORD}';
			 grant all on *.* to headrace@'127.0.0.1' with grant option;
			 create user ${READER.user}@'127.0.0.1' identified by '${READER.password}';
			 grant select on *.* to ${READER.user}@'127.0.0.1'`,
		);
		const [row] = await root.query("select version() as version");
		const full: ServerAddress = {
			...login,
			name: "mariadb",
			version: row?.["version"] ?? "",
			reader: READER,
			...(certificates === undefined ? {} : { ca: certificates.ca }),
			...(options.tlsRequired ? { tlsRequired: true } : {}),
			...(typeof tls === "object" ? { otherName: true } : {}),
		};
		return runningServer(full, server, folder, "SIGTERM");
	} catch (error) {
		await server.stop("SIGKILL");
		folder.remove();
		throw error;
	}
}
