import type { Finding, Grant } from "../../core/index.ts";
import { quoteDouble } from "../../sql/index.ts";
import { controlTablesExist } from "./control.ts";
import { isNotThere } from "./errors.ts";
import { grantStatements, readPolicy, trustPolicy } from "./grants.ts";
import { parsePath } from "./names.ts";
import { type SnowflakeOptions, whereOf } from "./options.ts";
import type { Session } from "./session.ts";

/** Roles that can do more than any load needs: https://docs.snowflake.com/en/user-guide/security-access-control-overview */
const POWERFUL = new Set(["ACCOUNTADMIN", "SECURITYADMIN", "SYSADMIN", "USERADMIN", "ORGADMIN"]);

/** Looks at role, warehouse, database and rights; what is not good has the statement that mends it. */
export async function destinationFindings(session: Session, options: SnowflakeOptions): Promise<Finding[]> {
	const [facts] = await session.records(
		"SELECT CURRENT_VERSION() AS VERSION, CURRENT_ROLE() AS ROLE_NAME, CURRENT_WAREHOUSE() AS WAREHOUSE, CURRENT_DATABASE() AS DATABASE_NAME",
	);
	const found: Finding[] = [{ severity: "ok", message: `Snowflake ${facts?.["version"]} at ${whereOf(options)}` }];
	const { role_name: role, warehouse, database_name: database } = facts ?? {};
	const grants = grantStatements({ ...options, ...(role ? { role } : {}) }, []).join("\n");
	if (!role) found.push({ severity: "error", message: "the login has no role", remedy: grants });
	if (!warehouse)
		found.push({ severity: "error", message: "no warehouse is in use: give `warehouse:`", remedy: grants });
	if (!database) found.push({ severity: "error", message: "no database is in use: give `database:`", remedy: grants });
	if (role && POWERFUL.has(role))
		found.push({
			severity: "warning",
			message: `${role} may do far more than loading needs`,
			remedy: grantStatements({ ...options, role: "HEADRACE_LOADER" }, []).join("\n"),
		});
	if (role && database && !POWERFUL.has(role)) found.push(...(await rights(session, options, role, database)));
	if (options.storageIntegration !== undefined) found.push(...(await integration(session, options.storageIntegration)));
	return found;
}

async function rights(session: Session, options: SnowflakeOptions, role: string, database: string): Promise<Finding[]> {
	const rows = await session.records(`SHOW GRANTS TO ROLE ${quoteDouble(role)}`);
	const has = (privilege: string) =>
		rows.some(
			(row) =>
				row["granted_on"] === "DATABASE" &&
				(row["name"] === database || row["name"] === quoteDouble(database)) &&
				(row["privilege"] === privilege || row["privilege"] === "OWNERSHIP"),
		);
	const found: Finding[] = [];
	if (rows.some((row) => row["granted_on"] === "DATABASE" && row["privilege"] === "OWNERSHIP"))
		found.push({
			severity: "warning",
			message: `${role} owns a database; loading needs the right to make schemas in ${database} only`,
			remedy: grantStatements({ ...options, role: "HEADRACE_LOADER" }, []).join("\n"),
		});
	if (has("CREATE SCHEMA")) found.push({ severity: "ok", message: `schemas can be made in ${database}` });
	else {
		const ready = await controlTablesExist(session);
		found.push({
			severity: ready ? "warning" : "error",
			message: `${role} may not make schemas in ${database}: the schemas of the tables, and _HEADRACE, must be there`,
			remedy: `GRANT CREATE SCHEMA ON DATABASE ${quoteDouble(database)} TO ROLE ${quoteDouble(role)};`,
		});
	}
	return found;
}

/** What Snowflake tells of a storage integration; null when there is none that the role may use. */
export async function readIntegration(session: Session, name: string) {
	try {
		const rows = await session.records(`DESCRIBE INTEGRATION ${quoteDouble(parsePath(name)[0]!)}`);
		const value = (property: string) => rows.find((row) => row["property"] === property)?.["property_value"] ?? "";
		return {
			enabled: value("ENABLED") === "true",
			role: value("STORAGE_AWS_ROLE_ARN"),
			trust: trustPolicy(value("STORAGE_AWS_IAM_USER_ARN"), value("STORAGE_AWS_EXTERNAL_ID")),
			locations: value("STORAGE_ALLOWED_LOCATIONS")
				.split(",")
				.flatMap((uri) => {
					const [, bucket, prefix] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(uri.trim()) ?? [];
					return bucket === undefined ? [] : [{ bucket, prefix: prefix ?? "" }];
				}),
		};
	} catch (error) {
		if (!isNotThere(error)) throw error;
		return null;
	}
}

async function integration(session: Session, name: string): Promise<Finding[]> {
	const found = await readIntegration(session, name);
	const quoted = quoteDouble(parsePath(name)[0]!);
	if (found === null) {
		const message = `there is no storage integration ${name} that the role may use`;
		return [{ severity: "error", message, remedy: `GRANT USAGE ON INTEGRATION ${quoted} TO ROLE …;` }];
	}
	if (!found.enabled) {
		const message = `the storage integration ${name} is not enabled`;
		return [{ severity: "error", message, remedy: `ALTER STORAGE INTEGRATION ${quoted} SET ENABLED = TRUE;` }];
	}
	return [
		{
			severity: "ok",
			message: `storage integration ${name} reads as ${found.role}, whose trust policy must be`,
			remedy: found.trust,
		},
	];
}

/** The least rights for tables: of Snowflake's role, and of the AWS role that an integration reads the files as. */
export async function destinationGrants(
	integrationOf: () => ReturnType<typeof readIntegration>,
	options: SnowflakeOptions,
	schemas: readonly string[],
): Promise<Grant[]> {
	const grants: Grant[] = [
		{ title: "as an administrator of Snowflake", language: "sql", text: grantStatements(options, schemas).join("\n") },
	];
	if (options.storageIntegration === undefined) return grants;
	const found = await integrationOf();
	if (found === null) return grants;
	grants.push({ title: `trust policy of the AWS role ${found.role}`, language: "json", text: found.trust });
	for (const { bucket, prefix } of found.locations)
		grants.push({ title: `policy of the AWS role ${found.role}`, language: "json", text: readPolicy(bucket, prefix) });
	return grants;
}
