import type { Table } from "./catalog.ts";
import type { SessionState } from "./session.ts";
import type { Bind, Scope } from "./translate.ts";

/** The scope in which a statement's names are looked up. */
export function scopeOf(session: SessionState, binds: readonly Bind[], uses: (table: Table) => void): Scope {
	const now = `${new Date().toISOString().slice(0, -1)}${String(process.hrtime.bigint() % 1000n).padStart(3, "0")}`;
	return {
		catalog: session.world.catalog,
		schema: session.schema,
		temporary: session.temporary,
		facts: {
			CURRENT_ROLE: session.role,
			CURRENT_USER: session.user,
			CURRENT_WAREHOUSE: session.warehouse,
			CURRENT_DATABASE: session.database,
			CURRENT_SCHEMA: session.schema,
			CURRENT_VERSION: "9.0.0 stand-in",
			CURRENT_TRANSACTION: session.transaction?.id ?? null,
			SYSDATE: now.replace("T", " "),
		},
		binds,
		uses,
	};
}

/** Privileges are by table: the owner's, or granted: https://docs.snowflake.com/en/user-guide/security-access-control-privileges */
export function mayUse(session: SessionState, table: Table, privilege: string): boolean {
	return (
		table.owner === session.role ||
		session.role === "ACCOUNTADMIN" ||
		table.grants.some(
			(grant) => grant.role === session.role && (grant.privilege === privilege || grant.privilege === "ALL"),
		)
	);
}
