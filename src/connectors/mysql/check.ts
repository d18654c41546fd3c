import { type Finding, HeadraceError } from "../../core/index.ts";
import { listTables } from "./catalog.ts";
import type { MysqlConnection } from "./connection.ts";
import { grantSelect } from "./errors.ts";
import { isLoopback, type MysqlOptions, tlsMode } from "./options.ts";
import { atLeast } from "./server.ts";

const WRITE_RIGHTS = /\b(ALL PRIVILEGES|SUPER|INSERT|UPDATE|DELETE|DROP|CREATE|ALTER|GRANT OPTION|FILE|SHUTDOWN)\b/g;

/** Rights and settings as far as a reader needs them; what is missing comes with the statement that gives it. */
export async function checkServer(connection: MysqlConnection, options: MysqlOptions): Promise<Finding[]> {
	const grants = (await connection.rows("SHOW GRANTS")).map(([line]) => line ?? "");
	return [
		version(connection),
		transport(connection, options),
		await tables(connection, options, grants),
		await processRight(connection),
		writeRights(connection, grants),
		...(await settings(connection)),
	];
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

async function tables(
	connection: MysqlConnection,
	{ database }: MysqlOptions,
	grants: readonly string[],
): Promise<Finding> {
	const { account } = connection.server;
	const place = database === undefined ? "" : ` of ${database}`;
	const visible = (await listTables(connection)).filter((table) => database === undefined || table.schema === database);
	if (visible.length > 0) return { severity: "ok", message: `${account} sees ${visible.length} tables${place}` };
	// A role's rights are not in the list; a line about one may stand for them.
	const mayRead = grants.some((line) => /^GRANT (?:.*\b(?:SELECT|ALL PRIVILEGES)\b.* ON |(?!.* ON ))/s.test(line));
	return {
		severity: mayRead ? "warning" : "error",
		message: `${account} sees no table${place}`,
		remedy: grantSelect(database === undefined ? undefined : { schema: database, name: "*" }, account),
	};
}

async function processRight(connection: MysqlConnection): Promise<Finding> {
	try {
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

function writeRights({ server }: MysqlConnection, grants: readonly string[]): Finding {
	const rights = grants.flatMap((line) => {
		const listed = /^GRANT (.*?) ON /s.exec(line)?.[1] ?? "";
		return [...listed.matchAll(WRITE_RIGHTS), ...line.matchAll(/\bWITH (GRANT OPTION)\b/g)].map((match) => match[1]);
	});
	if (rights.length === 0) return { severity: "ok", message: `${server.account} can't write` };
	return {
		severity: "warning",
		message: `${server.account} has more rights than reading needs: ${[...new Set(rights)].join(", ")}`,
		remedy:
			"CREATE USER headrace_reader@'%' IDENTIFIED BY '…'; GRANT SELECT ON `<database>`.* TO headrace_reader@'%'; " +
			"GRANT PROCESS ON *.* TO headrace_reader@'%';    -- for mode cdc also: " +
			"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO headrace_reader@'%';",
	};
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
