/** Any server by its name. */
import { tlsUnavailable } from "./certificates.ts";
import { mariadbUnavailable, startMariadb } from "./mariadb.ts";
import { mysql56Unavailable, startMysql56 } from "./mysql56.ts";
import { postgresUnavailable, startPostgres } from "./postgres.ts";
import type { RunningServer, ServerName, StartOptions } from "./server.ts";

const reported = new Set<ServerName>();

/** Why the server cannot be started on this machine, or undefined when it can. Costs a few file look-ups. */
export function available(name: ServerName): string | undefined {
	switch (name) {
		case "mariadb":
			return mariadbUnavailable();
		case "mysql56":
			return mysql56Unavailable();
		case "postgres15":
			return postgresUnavailable(15);
		case "postgres18":
			return postgresUnavailable(18);
	}
}

/** For `describe.skipIf(missing("mariadb"))`: true when it can't be started, with the reason printed once a process. */
export function missing(name: ServerName): boolean {
	const reason = available(name);
	if (reason === undefined) return false;
	if (!reported.has(name)) console.error(`skipped: tests on ${name}: ${reason}`);
	reported.add(name);
	return true;
}

/** As the servers that tests share are started: TLS on and not required, but for MySQL 5.6, whose TLS 1.0 Node refuses. */
export function startShared(name: ServerName): Promise<RunningServer> {
	return startServer(name, { tls: name !== "mysql56" && tlsUnavailable() === undefined });
}

/** Starts a server of one's own; the caller stops it (`await using`). */
export function startServer(name: ServerName, options: StartOptions = {}): Promise<RunningServer> {
	switch (name) {
		case "mariadb":
			return startMariadb(options);
		case "mysql56":
			return startMysql56(options);
		case "postgres15":
			return startPostgres({ ...options, version: 15 });
		case "postgres18":
			return startPostgres({ ...options, version: 18 });
	}
}
