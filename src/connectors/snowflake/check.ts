import type { Finding } from "../../core/index.ts";
import { quoteDouble } from "../../sql/index.ts";
import { controlTablesExist } from "./control.ts";
import { isNotThere } from "./errors.ts";
import { grantStatements, trustPolicy } from "./grants.ts";
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

/** The integration, with the trust policy that the AWS role needs for it. */
async function integration(session: Session, name: string): Promise<Finding[]> {
	try {
		const rows = await session.records(`DESCRIBE INTEGRATION ${quoteDouble(parsePath(name)[0]!)}`);
		const value = (property: string) => rows.find((row) => row["property"] === property)?.["property_value"] ?? "";
		const policy = trustPolicy(value("STORAGE_AWS_IAM_USER_ARN"), value("STORAGE_AWS_EXTERNAL_ID"));
		const role = value("STORAGE_AWS_ROLE_ARN");
		if (value("ENABLED") !== "true")
			return [
				{
					severity: "error",
					message: `the storage integration ${name} is not enabled`,
					remedy: `ALTER STORAGE INTEGRATION ${quoteDouble(parsePath(name)[0]!)} SET ENABLED = TRUE;`,
				},
			];
		return [
			{
				severity: "ok",
				message: `storage integration ${name} reads as ${role}; its trust policy must be`,
				remedy: policy,
			},
		];
	} catch (error) {
		if (!isNotThere(error)) throw error;
		return [
			{
				severity: "error",
				message: `there is no storage integration ${name} that the role may use`,
				remedy: `GRANT USAGE ON INTEGRATION ${quoteDouble(parsePath(name)[0]!)} TO ROLE …;`,
			},
		];
	}
}
