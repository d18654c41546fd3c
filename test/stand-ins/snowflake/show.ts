import { notModelled, notThere } from "./errors.ts";
import type { Reader } from "./lexer.ts";
import { type ResultSet, textResult } from "./result.ts";
import { mayUse, scopeOf } from "./scope.ts";
import type { SessionState } from "./session.ts";
import { tableOf } from "./translate.ts";

/** SHOW and DESCRIBE; columns that nobody here reads are left out. */
export async function showStatement(session: SessionState, reader: Reader): Promise<ResultSet> {
	const verb = reader.name();
	const what = reader.name();
	if (verb === "SHOW") {
		if (what === "TABLES") return showTables(session, reader);
		if (what === "TRANSACTIONS") return showTransactions(session);
		if (what === "GRANTS") return showGrants(session, reader);
		throw notModelled(`SHOW ${what}`);
	}
	switch (what) {
		case "TABLE":
			return describeTable(session, reader);
		case "SCHEMA": {
			const path = reader.path();
			if (!session.world.catalog.schemas.has(path.at(-1)!)) throw notThere("Schema", path.join("."));
			return textResult(["created_on", "name", "kind"], []);
		}
		case "STAGE": {
			const path = reader.path();
			const stage = session.world.catalog.stages.get(session.world.catalog.key(path, session.schema));
			if (stage === undefined) throw notThere("Stage", path.join("."));
			return textResult(
				["parent_property", "property", "property_type", "property_value", "property_default"],
				[
					["STAGE_LOCATION", "URL", "String", stage.url === undefined ? "" : `["${stage.url}"]`, ""],
					["STAGE_INTEGRATION", "STORAGE_INTEGRATION", "String", stage.integration ?? "", ""],
				],
			);
		}
		case "INTEGRATION": {
			const name = reader.name();
			const integration = session.world.integrations.get(name);
			const allowed = session.world.roles.get(session.role)?.integrations.includes(name) ?? false;
			if (integration === undefined || !allowed) throw notThere("Integration", name);
			return textResult(
				["property", "property_type", "property_value", "property_default"],
				[
					["ENABLED", "Boolean", String(integration.enabled), "false"],
					["STORAGE_ALLOWED_LOCATIONS", "List", integration.allowedLocations.join(","), "[]"],
					["STORAGE_AWS_ROLE_ARN", "String", integration.roleArn, ""],
					["STORAGE_AWS_IAM_USER_ARN", "String", "arn:aws:iam::123456789001:user/abc1-b-self1234", ""],
					["STORAGE_AWS_EXTERNAL_ID", "String", "STANDIN_SFCRole=2_a123456/s0aBCDEfGHIJklmNoPq=", ""],
				],
			);
		}
		default:
			throw notModelled(`DESCRIBE ${what}`);
	}
}

/** https://docs.snowflake.com/en/sql-reference/sql/show-tables: STARTS WITH minds case. */
async function showTables(session: SessionState, reader: Reader): Promise<ResultSet> {
	const { catalog } = session.world;
	let { schema } = session;
	if (reader.take("IN", "SCHEMA")) schema = reader.path().at(-1)!;
	if (!catalog.schemas.has(schema)) throw notThere("Schema", schema);
	const prefix = reader.take("STARTS", "WITH") ? reader.string() : "";
	const rows: (string | null)[][] = [];
	for (const [key, table] of [...catalog.tables, ...session.temporary]) {
		const [of, name] = JSON.parse(key) as [string, string];
		if (of !== schema || !name.startsWith(prefix) || !mayUse(session, table, "SELECT")) continue;
		const [row] = await session.connection.query(`SELECT count(*) AS n FROM ${table.physical}`);
		rows.push([
			name,
			session.world.catalog.database,
			of,
			table.temporary ? "TEMPORARY" : "TABLE",
			table.comment,
			"",
			String(row!["n"]),
			table.owner,
		]);
	}
	return textResult(["name", "database_name", "schema_name", "kind", "comment", "cluster_by", "rows", "owner"], rows);
}

/** https://docs.snowflake.com/en/sql-reference/sql/show-transactions: the user's own that are open. */
function showTransactions(session: SessionState): ResultSet {
	const rows: string[][] = [];
	for (const other of session.world.sessions.values()) {
		const { transaction } = other;
		if (transaction === null || other.user !== session.user) continue;
		rows.push([
			transaction.id,
			other.user,
			other.id,
			transaction.name,
			transaction.startedAt.toISOString(),
			"running",
			"0",
		]);
	}
	return textResult(["id", "user", "session", "name", "started_on", "state", "scope"], rows);
}

function showGrants(session: SessionState, reader: Reader): ResultSet {
	const columns = ["created_on", "privilege", "granted_on", "name", "granted_to", "grantee_name"];
	if (reader.take("ON", "TABLE")) {
		const path = reader.path();
		const { table } = {
			table: tableOf(
				path,
				scopeOf(session, [], () => {}),
			),
		};
		const all = [{ privilege: "OWNERSHIP", role: table.owner }, ...table.grants];
		return textResult(
			columns,
			all.map(({ privilege, role }) => ["", privilege, "TABLE", path.join("."), "ROLE", role]),
		);
	}
	reader.expect("TO", "ROLE");
	const name = reader.name();
	const role = session.world.roles.get(name);
	if (role === undefined) throw notThere("Role", name);
	return textResult(columns, [
		...role.database.map((privilege) => ["", privilege, "DATABASE", session.world.catalog.database, "ROLE", name]),
		...role.warehouses.map((warehouse) => ["", "USAGE", "WAREHOUSE", warehouse, "ROLE", name]),
		...role.integrations.map((integration) => ["", "USAGE", "INTEGRATION", integration, "ROLE", name]),
	]);
}

/** https://docs.snowflake.com/en/sql-reference/sql/desc-table */
function describeTable(session: SessionState, reader: Reader): ResultSet {
	const path = reader.path();
	const table = tableOf(
		path,
		scopeOf(session, [], () => {}),
	);
	if (!mayUse(session, table, "SELECT") && !mayUse(session, table, "INSERT")) throw notThere("Table", path.join("."));
	return textResult(
		["name", "type", "kind", "null?", "default", "primary key", "unique key"],
		table.columns.map(({ name, type, nullable, defaultSql }) => [
			name,
			type,
			"COLUMN",
			nullable ? "Y" : "N",
			defaultSql ?? null,
			table.primaryKey.includes(name) ? "Y" : "N",
			"N",
		]),
	);
}
