import type { DatabaseSync } from "node:sqlite";
import { HeadraceError } from "../core/errors.ts";
import { MIGRATIONS, SCHEMA_VERSION } from "./migrations.ts";

/** Marks the file as ours: `HDRC`, see https://www.sqlite.org/pragma.html#pragma_application_id */
export const APPLICATION_ID = 0x48445243;

/**
 * Brings an open store to `SCHEMA_VERSION`, or leaves it untouched.
 * @throws E_STATE when the file belongs to another program or to a newer Headrace
 */
export function migrate(database: DatabaseSync, path: string): void {
	const found = versionOf(database, path);
	if (found === SCHEMA_VERSION) return;
	// Works only before the first table is made, outside a transaction: https://www.sqlite.org/pragma.html#pragma_auto_vacuum
	if (found === 0) database.exec("PRAGMA auto_vacuum = INCREMENTAL");
	database.exec("BEGIN IMMEDIATE");
	try {
		// Read again under the lock: another process may have been faster.
		const version = versionOf(database, path);
		for (const step of MIGRATIONS.slice(version)) database.exec(step);
		database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}; PRAGMA application_id = ${APPLICATION_ID}`);
		database.exec("COMMIT");
	} catch (error) {
		if (database.isTransaction) database.exec("ROLLBACK");
		throw error;
	}
}

function versionOf(database: DatabaseSync, path: string): number {
	const applicationId = pragma(database, "application_id");
	const version = pragma(database, "user_version");
	const tables = database.prepare("SELECT count(*) AS tables FROM sqlite_schema").get() as { tables: number };
	if (applicationId !== APPLICATION_ID && (applicationId !== 0 || version !== 0 || tables.tables > 0))
		throw new HeadraceError("E_STATE", `${path} is a SQLite database of another program`, {
			hint: "Move it elsewhere, or choose another project folder with -C.",
		});
	if (version > SCHEMA_VERSION)
		throw new HeadraceError(
			"E_STATE",
			`${path} was written by a newer Headrace: its version is ${version}, this one knows ${SCHEMA_VERSION}`,
			{
				hint: "Use the newer Headrace, or move the file aside: only history is lost, positions are read from the destination.",
			},
		);
	return version;
}

/** The number that a pragma gives. */
export function pragma(database: DatabaseSync, name: string): number {
	return Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}
