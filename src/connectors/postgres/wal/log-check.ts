import { type Finding, type Grant, qualified, type SourceTable, type TableName } from "../../../core/index.ts";
import type { ServerFacts } from "../server-facts.ts";
import type { Session } from "../session.ts";
import { quoteIdentifier, quoteLiteral, quoteTable } from "../sql-text.ts";
import {
	type Publication,
	publicationStatement,
	type ReplicaIdentity,
	readPublications,
	readReplicaIdentities,
	tableKey,
} from "./publication.ts";
import { PLUGIN, readSlots, type Slot, slotName } from "./slot.ts";

/** Less than this much of the allowed log left is said before the slot is lost. */
const HEADROOM_SHARE_MIN = 0.5;
const VERSION_GENERATED = 180000;
const MEGABYTE = 1 << 20;

/** Settings, rights and tables by which changes would be missed, each with the statement that cures it. */
export async function checkLog(
	session: Session,
	facts: ServerFacts,
	tables: readonly SourceTable[],
): Promise<Finding[]> {
	const level = await checkLevel(session);
	if (level !== null) return [level];
	const names = tables.map(({ name }) => name);
	const slots = await readSlots(session);
	return [
		await checkRight(session, facts),
		...(await checkRoom(session)),
		...(await checkKeeping(session, slots)),
		...checkSlots(slots, facts),
		...(await checkOpenTransactions(session, facts)),
		...(await readReplicaIdentities(session, names)).flatMap((identity) => checkTable(identity, facts)),
		...checkPublications(await readPublications(session, names, []), tables),
	];
}

/** What lets the user read the log of tables: a right of the server's, and a publication that their owner makes. */
export function logGrants({ user, database }: ServerFacts, tables: readonly TableName[]): Grant[] {
	const publication = slotName("log", database);
	return [
		{
			title: `rights of ${user}, given by a superuser; the server needs wal_level = logical`,
			language: "sql",
			text: `ALTER ROLE ${quoteIdentifier(user)} REPLICATION;`,
		},
		...(tables.length === 0
			? []
			: [
					{
						title: "a publication, made by the tables' owner: tables without a key need REPLICA IDENTITY FULL before",
						language: "sql" as const,
						text: publicationStatement(publication, tables, false),
					},
				]),
	];
}

async function checkLevel(session: Session): Promise<Finding | null> {
	const [row] = await session.rows("SELECT pg_catalog.current_setting('wal_level')");
	if (row?.[0] === "logical") return null;
	return {
		severity: "error",
		message: `wal_level is ${row?.[0]}: the log does not hold what a decoder needs`,
		remedy: "ALTER SYSTEM SET wal_level = 'logical'; -- then restart the server",
	};
}

async function checkRight(session: Session, { user }: ServerFacts): Promise<Finding> {
	const [row] = await session.rows(
		"SELECT r.rolreplication OR r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user",
	);
	if (row?.[0] === "t") return { severity: "ok", message: `${user} may read the change log` };
	return {
		severity: "error",
		message: `${user} may not read the change log (REPLICATION)`,
		remedy: `ALTER ROLE ${quoteIdentifier(user)} REPLICATION;    -- on RDS: GRANT rds_replication TO ${quoteIdentifier(user)};`,
	};
}

async function checkRoom(session: Session): Promise<Finding[]> {
	const [row] = await session.rows(
		`SELECT pg_catalog.current_setting('max_replication_slots'), (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots),
		   pg_catalog.current_setting('max_wal_senders'), (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication)`,
	);
	const [slots, slotsUsed, senders, sendersUsed] = (row ?? []).map(Number);
	const rooms = [
		["max_replication_slots", slots!, slotsUsed!, "replication slots"],
		["max_wal_senders", senders!, sendersUsed!, "walsenders"],
	] as const;
	return rooms.map(([setting, most, used, what]): Finding => {
		if (used < most) return { severity: "ok", message: `${used} of ${most} ${what} are in use` };
		return {
			severity: "error",
			message: `all ${most} ${what} are in use`,
			remedy: `ALTER SYSTEM SET ${setting} = ${most + 10}; -- then restart the server`,
		};
	});
}

/** What happens when nobody reads: the disk fills up, or the slot is given up. */
async function checkKeeping(session: Session, slots: readonly Slot[]): Promise<Finding[]> {
	const rows = await session.rows(
		`SELECT s.name, s.setting FROM pg_catalog.pg_settings AS s
		 WHERE s.name IN ('max_slot_wal_keep_size', 'idle_replication_slot_timeout')`,
	);
	const settings = new Map(rows.map(([name, value]) => [name, Number(value)]));
	const kept = settings.get("max_slot_wal_keep_size");
	const found: Finding[] = [];
	if (kept === undefined || kept < 0)
		found.push({
			severity: "warning",
			message: "max_slot_wal_keep_size is not set: a slot that nobody reads keeps the log until the disk is full",
			remedy:
				"ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); -- as much as the disk has room for",
		});
	else {
		found.push({ severity: "ok", message: `a slot that is behind keeps at most ${kept} MB of log` });
		for (const { name, safeBytes } of slots)
			if (safeBytes !== null && safeBytes < kept * MEGABYTE * HEADROOM_SHARE_MIN)
				found.push({
					severity: "warning",
					message: `the slot ${name} is given up after ${Math.max(0, Math.floor(safeBytes / MEGABYTE))} MB more of log`,
					remedy: `ALTER SYSTEM SET max_slot_wal_keep_size = '${kept * 2}MB'; SELECT pg_reload_conf(); -- or let its reader run`,
				});
	}
	if ((settings.get("idle_replication_slot_timeout") ?? 0) > 0)
		found.push({
			severity: "warning",
			message: `idle_replication_slot_timeout gives up a slot that nobody has read for ${settings.get("idle_replication_slot_timeout")} s`,
			remedy: "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();",
		});
	return found;
}

/** Slots of ours that nobody reads hold the log up for all. */
function checkSlots(slots: readonly Slot[], { database }: ServerFacts): Finding[] {
	return slots
		.filter((slot) => slot.plugin === PLUGIN && slot.database === database && slot.name.startsWith("headrace_"))
		.flatMap(({ name, activePid, invalidated }): Finding[] => {
			const remedy = `SELECT pg_drop_replication_slot(${quoteLiteral(name)}); -- when its pipeline is no more, or is to be read anew`;
			if (invalidated !== null)
				return [{ severity: "error", message: `the server has given up the slot ${name}: ${invalidated}`, remedy }];
			if (activePid !== null) return [];
			return [{ severity: "warning", message: `nobody reads the slot ${name} now; it keeps the log`, remedy }];
		});
}

/** A slot can be made once all transactions that were open have ended. */
async function checkOpenTransactions(session: Session, { seesActivity }: ServerFacts): Promise<Finding[]> {
	if (!seesActivity) return [];
	const [row] = await session.rows(
		`SELECT a.pid, pg_catalog.round(extract(epoch FROM pg_catalog.now() - a.xact_start)::pg_catalog.numeric)
		 FROM pg_catalog.pg_stat_activity AS a
		 WHERE a.backend_xid IS NOT NULL AND a.xact_start < pg_catalog.now() - interval '1 minute' AND a.pid <> pg_catalog.pg_backend_pid()
		 ORDER BY a.xact_start LIMIT 1`,
	);
	if (row === undefined) return [];
	return [
		{
			severity: "warning",
			message: `process ${row[0]} has a transaction open for ${row[1]} s: a slot is made after it has ended`,
			remedy: `SELECT pg_terminate_backend(${row[0]}); -- when it is not needed`,
		},
	];
}

function checkTable(identity: ReplicaIdentity, { version, user }: ServerFacts): Finding[] {
	const { table, relkind, persistence, isMissing, kind, hasKey, rowSecurity, generated } = identity;
	const name = qualified(table);
	const found: Finding[] = [];
	if (relkind !== "r" && relkind !== "p")
		return [{ severity: "error", message: `${name} is no table: its rows are not in the log` }];
	if (persistence !== "p")
		found.push({
			severity: "error",
			message: `${name} is unlogged: its rows are not in the log`,
			remedy: `ALTER TABLE ${quoteTable(table)} SET LOGGED;`,
		});
	if (isMissing)
		found.push({
			severity: "error",
			message: `${name} has no replica identity: once published, the application's own UPDATE and DELETE fail`,
			remedy: `ALTER TABLE ${quoteTable(table)} REPLICA IDENTITY FULL; -- or add a primary key; or publish its inserts only`,
		});
	else if (!hasKey && kind === "f")
		found.push({
			severity: "warning",
			message: `${name} has no primary key: its rows are told apart by all their values`,
			remedy: `ALTER TABLE ${quoteTable(table)} ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;`,
		});
	if (rowSecurity)
		found.push({
			severity: "warning",
			message: `${name} has row security: the log tells all of its rows, a snapshot only those that the user may see`,
			remedy: `ALTER ROLE ${quoteIdentifier(user)} BYPASSRLS;`,
		});
	if (generated.length > 0)
		found.push({
			severity: "warning",
			message: `${name}: the generated ${generated.length === 1 ? "column" : "columns"} ${generated.join(", ")} ${generated.length === 1 ? "is" : "are"} not in the log`,
			remedy:
				version >= VERSION_GENERATED
					? "ALTER PUBLICATION <name> SET (publish_generated_columns = 'stored');"
					: generated
							.map(
								(column) => `ALTER TABLE ${quoteTable(table)} ALTER COLUMN ${quoteIdentifier(column)} DROP EXPRESSION;`,
							)
							.join(" "),
		});
	return found;
}

function checkPublications(publications: readonly Publication[], tables: readonly SourceTable[]): Finding[] {
	return tables.flatMap(({ name }): Finding[] => {
		const having = publications.filter((publication) => publication.tables.has(tableKey(name)));
		const kinds = ["inserts", "updates", "deletes", "truncates"] as const;
		if (having.length === 0) return [];
		const left = kinds.filter((kind) => !having.some((publication) => publication[kind]));
		if (left.length === 0) return [];
		return [
			{
				severity: "warning",
				message: `${qualified(name)}: ${left.join(", ")} are not published by ${having.map((publication) => publication.name).join(", ")}`,
				remedy: `ALTER PUBLICATION ${quoteIdentifier(having[0]!.name)} SET (publish = 'insert, update, delete, truncate');`,
			},
		];
	});
}
