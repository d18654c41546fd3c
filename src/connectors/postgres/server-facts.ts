import type { Session } from "./session.ts";

/** What decides how a server is read; asked once a connection. */
export interface ServerFacts {
	/** As in server_version_num: 150004, 180001. */
	readonly version: number;
	readonly versionText: string;
	readonly user: string;
	readonly database: string;
	/** Text comes unchecked: the database's encoding is SQL_ASCII. */
	readonly textUnchecked: boolean;
	readonly standby: boolean;
	/** Digits after the point of `money`, from the server's lc_monetary. */
	readonly moneyScale: number;
	/** The user may see when other sessions' transactions began. */
	readonly seesActivity: boolean;
	readonly tls: "off" | "insecure" | "verify";
	/** The server is on this machine: there is no way to listen on. */
	readonly loopback: boolean;
	/** Process id of this session at the server. */
	readonly processId: string;
}

export async function readFacts(session: Session, how: Pick<ServerFacts, "tls" | "loopback">): Promise<ServerFacts> {
	const [row] = await session.rows(
		`SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('server_version'),
		   current_user, pg_catalog.current_database(), pg_catalog.current_setting('server_encoding'),
		   pg_catalog.pg_is_in_recovery(), pg_catalog.scale(0::pg_catalog.int4::pg_catalog.money::pg_catalog.numeric),
		   pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), pg_catalog.pg_backend_pid()`,
	);
	const [version, versionText, user, database, encoding, standby, moneyScale, seesActivity, processId] = row ?? [];
	return {
		version: Number(version),
		versionText: versionText ?? "",
		user: user ?? "",
		database: database ?? "",
		textUnchecked: encoding === "SQL_ASCII",
		standby: standby === "t",
		moneyScale: Number(moneyScale),
		seesActivity: seesActivity === "t",
		...how,
		processId: processId ?? "0",
	};
}
