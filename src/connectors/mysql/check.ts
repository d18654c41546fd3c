import { type Finding, HeadraceError } from "../../core/index.ts";
import { listTables } from "./catalog.ts";
import type { MysqlConnection } from "./connection.ts";
import { grantSelect } from "./errors.ts";
import { isLoopback, type MysqlOptions, tlsMode } from "./options.ts";
import { atLeast } from "./server.ts";

const WRITE_RIGHTS = /\b(ALL PRIVILEGES|SUPER|INSERT|UPDATE|DELETE|DROP|CREATE|ALTER|GRANT OPTION|FILE|SHUTDOWN)\b/;

/** Rights and settings as far as a reader needs them; what is missing comes with the statement that gives it. */
export async function checkServer(connection: MysqlConnection, options: MysqlOptions): Promise<Finding[]> {
	const findings: Finding[] = [version(connection), transport(connection, options)];
	findings.push(...(await tables(connection, options)));
	findings.push(await processRight(connection));
	findings.push(...(await grants(connection)));
	findings.push(...(await settings(connection)));
	return findings;
}

function version({ server }: MysqlConnection): Finding {
	const mariadb = server.flavour === "mariadb";
	const name = `${mariadb ? "MariaDB" : "MySQL"} ${server.versionText}`;
	const newest = mariadb ? atLeast(server, 12, 3) : atLeast(server, 9);
	return newest
		? { severity: "warning", message: `${name} is newer than the versions this was made for` }
		: { severity: "ok", message: name };
}

function transport({ server }: MysqlConnection, options: MysqlOptions): Finding {
	const mode = tlsMode(options);
	if (server.tls !== null && mode === "verify") return { severity: "ok", message: `${server.tls}, verified` };
	if (server.tls !== null)
		return { severity: "warning", message: `${server.tls}, the server's certificate is not verified (tls: insecure)` };
	if (isLoopback(options.host)) return { severity: "ok", message: "no TLS: the server is on this machine" };
	return { severity: "warning", message: "no TLS: what is read can be listened to (tls: off)" };
}

async function tables(connection: MysqlConnection, options: MysqlOptions): Promise<Finding[]> {
	const { account } = connection.server;
	const visible = await listTables(connection);
	const { database } = options;
	const inDatabase = database === undefined ? visible : visible.filter((table) => table.schema === database);
	if (inDatabase.length > 0)
		return [
			{ severity: "ok", message: `${inDatabase.length} tables${database === undefined ? "" : ` in ${database}`}` },
		];
	const table = database === undefined ? undefined : { schema: database, name: "*" };
	return [
		{
			severity: "error",
			message: `${account} sees no table${database === undefined ? "" : ` of ${database}`}`,
			remedy: grantSelect(table, account).replace(".`*`", ".*"),
		},
	];
}

async function processRight(connection: MysqlConnection): Promise<Finding> {
	try {
		await connection.rows("SELECT 1 FROM information_schema.INNODB_TRX LIMIT 0");
		await connection.rows("SELECT COUNT(*) FROM information_schema.INNODB_TRX");
		return { severity: "ok", message: "open transactions can be seen: incremental tables miss no late commit" };
	} catch (error) {
		if (!(error instanceof HeadraceError) || error.code !== "E_RIGHTS") throw error;
		return {
			severity: "warning",
			message:
				"without PROCESS, open transactions can't be seen: incremental tables need `late:` of the longest write transaction",
			remedy: `GRANT PROCESS ON *.* TO ${connection.server.account};`,
		};
	}
}

async function grants(connection: MysqlConnection): Promise<Finding[]> {
	const lines = (await connection.rows("SHOW GRANTS")).map(([line]) => line ?? "");
	const rights = lines.flatMap((line) => {
		const listed = /^GRANT (.*?) ON /s.exec(line)?.[1] ?? "";
		return [...listed.matchAll(new RegExp(WRITE_RIGHTS, "g")), ...line.matchAll(/\bWITH (GRANT OPTION)\b/g)];
	});
	const more = [...new Set(rights.map((match) => match[1]))];
	if (more.length === 0) return [{ severity: "ok", message: `${connection.server.account} can't write` }];
	return [
		{
			severity: "warning",
			message: `${connection.server.account} has more rights than reading needs: ${more.join(", ")}`,
			remedy: `CREATE USER and GRANT SELECT to an account of its own, and PROCESS for incremental tables`,
		},
	];
}

async function settings(connection: MysqlConnection): Promise<Finding[]> {
	const [row] = await connection.rows("SELECT @@log_bin, @@read_only");
	const findings: Finding[] = [];
	const parallel = connection.server.flavour === "mariadb" && row?.[0] === "1";
	findings.push(
		parallel
			? { severity: "ok", message: "a big table can be read by several connections on one cut" }
			: {
					severity: "ok",
					message: "one connection reads the snapshot: this server can't prove that several see the same",
				},
	);
	if (row?.[1] === "1")
		findings.push({
			severity: "warning",
			message:
				"the server is read-only: on a replica, rows arrive later than their time says; set `late:` above its lag",
		});
	return findings;
}
