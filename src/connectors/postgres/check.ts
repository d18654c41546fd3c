import type { Finding } from "../../core/index.ts";
import type { ServerFacts } from "./server-facts.ts";
import type { Session } from "./session.ts";
import { quoteIdentifier } from "./sql-text.ts";

/** Names in one message. */
const NAMES_MAX = 5;

/** Looks at server, encryption, settings and rights; every finding that is not good has the statement that mends it. */
export async function findings(session: Session, facts: ServerFacts): Promise<Finding[]> {
	return [
		{ severity: "ok", message: `PostgreSQL ${facts.versionText} at ${session.where}` },
		...(await encryption(session, facts)),
		...(await settings(session, facts)),
		...(await tooManyRights(session, facts)),
		...(await missingRights(session, facts)),
	];
}

export async function encryption(session: Session, facts: ServerFacts): Promise<Finding[]> {
	const [row] = await session.rows(
		"SELECT s.version, s.cipher FROM pg_catalog.pg_stat_ssl AS s WHERE s.pid = pg_catalog.pg_backend_pid() AND s.ssl",
	);
	if (row === undefined) {
		if (facts.loopback) return [{ severity: "ok", message: "no TLS: the server is on this machine" }];
		if (facts.tls === "off")
			return [{ severity: "warning", message: "TLS is off: data and password can be read on the way" }];
		return [{ severity: "ok", message: "TLS up to a proxy; the server itself sees a connection without it" }];
	}
	const what = `${row[0]} (${row[1]})`;
	if (facts.tls === "verify") return [{ severity: "ok", message: `TLS is verified: ${what}` }];
	return [
		{
			severity: "warning",
			message: `TLS is not verified: ${what}; whoever sits on the way can pose as the server`,
			remedy: "tls: on    # with ca: <file> when the server's authority is your own",
		},
	];
}

async function settings(session: Session, facts: ServerFacts): Promise<Finding[]> {
	const found: Finding[] = [];
	if (facts.textUnchecked)
		found.push({
			severity: "warning",
			message:
				"the database's encoding is SQL_ASCII: text is taken as UTF-8, and types.invalid_text says what becomes of the rest",
		});
	if (facts.standby) {
		const [row] = await session.rows(
			`SELECT pg_catalog.current_setting('hot_standby_feedback'), pg_catalog.current_setting('max_standby_streaming_delay'),
			   pg_catalog.round(extract(epoch FROM pg_catalog.now() - pg_catalog.pg_last_xact_replay_timestamp()))`,
		);
		found.push({
			severity: row?.[0] === "on" ? "ok" : "warning",
			message: `this is a standby: a cut is as old as what it has replayed${row?.[2] ? ` (last transaction ${row[2]} s ago)` : ""}, and open transactions of the primary can't be seen: give incremental tables \`late\``,
			...(row?.[0] === "on"
				? {}
				: {
						remedy:
							"ALTER SYSTEM SET hot_standby_feedback = on; -- else long reads may be cancelled after max_standby_streaming_delay",
					}),
		});
	} else if (!facts.seesActivity)
		found.push({
			severity: "warning",
			message: `${facts.user} does not see when other transactions began: an incremental read can miss rows of one that began before a run, wrote first after it, and stamped them with its start (now())`,
			remedy: `GRANT pg_read_all_stats TO ${quoteIdentifier(facts.user)};    -- or give the tables \`late\``,
		});
	return found;
}

async function tooManyRights(session: Session, facts: ServerFacts): Promise<Finding[]> {
	const [row] = await session.rows(
		`SELECT r.rolsuper,
		   (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		    WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
		      AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
		      AND pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
		 FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user`,
	);
	const remedy = `CREATE ROLE headrace_reader LOGIN PASSWORD '…'; GRANT pg_read_all_data TO headrace_reader;    -- PostgreSQL 14 and later; for mode cdc also: ALTER ROLE headrace_reader REPLICATION;`;
	if (row?.[0] === "t")
		return [{ severity: "warning", message: `${facts.user} is a superuser; reading needs SELECT only`, remedy }];
	if (Number(row?.[1] ?? 0) > 0)
		return [
			{ severity: "warning", message: `${facts.user} may write ${row![1]} tables; reading needs SELECT only`, remedy },
		];
	return [];
}

async function missingRights(session: Session, facts: ServerFacts): Promise<Finding[]> {
	const rows = await session.rows(
		`SELECT n.nspname, pg_catalog.has_schema_privilege(n.oid, 'USAGE'), pg_catalog.count(*),
		   pg_catalog.count(*) FILTER (WHERE NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')),
		   (pg_catalog.array_agg(c.relname::pg_catalog.text ORDER BY c.relname)
		     FILTER (WHERE NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')))[1:${NAMES_MAX}],
		   pg_catalog.count(*) FILTER (WHERE pg_catalog.row_security_active(c.oid))
		 FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
		   AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
		   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS d WHERE d.deptype = 'e'
		     AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid)
		 GROUP BY n.oid, n.nspname ORDER BY n.nspname COLLATE "C"`,
	);
	const found: Finding[] = [];
	const role = quoteIdentifier(facts.user);
	let readable = 0;
	for (const [schema, usable, total, hidden, names, secured] of rows) {
		const quoted = quoteIdentifier(schema!);
		if (usable !== "t")
			found.push({
				severity: "warning",
				message: `schema ${schema}: no right to use it, so none of its ${total} tables and views can be read`,
				remedy: `GRANT USAGE ON SCHEMA ${quoted} TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA ${quoted} TO ${role};`,
			});
		else {
			readable += Number(total) - Number(hidden);
			if (hidden !== "0")
				found.push({
					severity: "warning",
					message: `schema ${schema}: ${hidden} of ${total} tables and views cannot be read: ${names}${Number(hidden) > NAMES_MAX ? " …" : ""}`,
					remedy: `GRANT SELECT ON ALL TABLES IN SCHEMA ${quoted} TO ${role};`,
				});
		}
		if (secured !== "0")
			found.push({
				severity: "warning",
				message: `schema ${schema}: row security hides rows of ${secured} tables from ${facts.user}`,
				remedy: `ALTER ROLE ${role} BYPASSRLS;`,
			});
	}
	found.unshift({ severity: "ok", message: `${readable} tables and views can be read` });
	return found;
}
