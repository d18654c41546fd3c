/** The databases' own C clients, reading a table and throwing it away: what a copy is measured against. */
import type { TestServer } from "../../test/support/server.ts";
import type { Contestant } from "./measure.ts";
import { DATABASE } from "./tables.ts";

/** `mariadb --quick`, or `psql` with a binary COPY. Debian's psql serves any version of the server. */
export function cClient(server: TestServer, table = "lineitem"): Contestant {
	if (server.kind === "postgres") {
		return {
			name: "psql, copy binary > /dev/null",
			command: {
				command: "psql",
				args: [
					...["-X", "-q", "-h", server.host, "-p", `${server.port}`, "-U", "bench", "-d", DATABASE],
					...["-c", `copy (select * from ${table}) to stdout (format binary)`],
				],
				env: { PGPASSWORD: "bench", PGSSLMODE: "disable" },
				discardOutput: true,
			},
		};
	}
	return {
		name: "mariadb --quick > /dev/null",
		command: {
			command: "mariadb",
			args: [
				...["--no-defaults", "--quick", "-N", "-h", server.host, "-P", `${server.port}`, "-u", "bench"],
				...["--default-character-set=utf8mb4", DATABASE, "-e", `select * from ${table}`],
			],
			env: { MYSQL_PWD: "bench" },
			discardOutput: true,
		},
	};
}
