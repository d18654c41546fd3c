import type { Finding } from "../../core/index.ts";
import { type RedshiftOptions, tlsMode } from "./connect.ts";
import type { Session } from "./session.ts";
import { quoteIdentifier, quoteLiteral, quoteOption } from "./sql-text.ts";

/** Looks at version, encryption and the rights to load; what is not good has the statement that mends it. */
export async function findings(session: Session, options: RedshiftOptions): Promise<Finding[]> {
	const [version] = await session.rows("SELECT version()");
	const release = /Redshift ([\w.-]+)/.exec(version?.[0] ?? "")?.[1];
	return [
		release === undefined
			? { severity: "error", message: `${session.context.where} is not Redshift: give the connection another type` }
			: { severity: "ok", message: `Redshift ${release} at ${session.context.where}` },
		...encryption(options),
		...(await rights(session, options)),
		...(await role(session, options)),
	];
}

function encryption(options: RedshiftOptions): Finding[] {
	const mode = tlsMode(options);
	if (mode === "verify") return [{ severity: "ok", message: "TLS, verified" }];
	const what = mode === "off" ? "the connection is not encrypted" : "the server's certificate is not verified";
	return [{ severity: "warning", message: what, remedy: "Leave `tls` out of the connection." }];
}

async function rights(session: Session, { database }: RedshiftOptions): Promise<Finding[]> {
	const [row] = await session.rows(
		`SELECT usename, usesuper, has_database_privilege(current_database(), 'create'),
	has_database_privilege(current_database(), 'temp')
FROM pg_user WHERE usename = current_user`,
	);
	const [name = session.context.user, superuser, create, temporary] = row ?? [];
	const user = quoteIdentifier(name!);
	const quoted = quoteIdentifier(database);
	const found: Finding[] = [];
	if (superuser === "t")
		found.push({
			severity: "warning",
			message: `${name} is a superuser; loading needs schemas of its own and temporary tables only`,
			remedy: `CREATE USER headrace_loader PASSWORD '…'; GRANT CREATE, TEMPORARY ON DATABASE ${quoted} TO headrace_loader;`,
		});
	if (temporary !== "t")
		found.push({
			severity: "error",
			message: `${name} may not make temporary tables, which files are copied into`,
			remedy: `GRANT TEMPORARY ON DATABASE ${quoted} TO ${user};`,
		});
	const control = await controlRights(session);
	if (create === "t") found.push({ severity: "ok", message: `schemas can be made in ${database}` });
	else
		found.push({
			severity: control === "missing" ? "error" : "warning",
			message: `${name} may not make schemas in ${database}: the schemas of the tables, and _headrace, must be there`,
			remedy: `CREATE SCHEMA IF NOT EXISTS _headrace AUTHORIZATION ${user};`,
		});
	if (control === "refused")
		found.push({
			severity: "error",
			message: `${name} may not use the control tables in the schema _headrace`,
			remedy: `GRANT USAGE, CREATE ON SCHEMA _headrace TO ${user}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA _headrace TO ${user};`,
		});
	return found;
}

async function controlRights(session: Session): Promise<"missing" | "refused" | "usable"> {
	const [row] = await session.rows(
		`SELECT has_schema_privilege(nspname, 'usage'), has_schema_privilege(nspname, 'create')
FROM pg_namespace WHERE nspname = '_headrace'`,
	);
	if (row === undefined) return "missing";
	if (row[0] !== "t") return "refused";
	const tables = await session.rows(
		`SELECT has_table_privilege(c.oid, 'select'), has_table_privilege(c.oid, 'insert'), has_table_privilege(c.oid, 'update')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = '_headrace' AND c.relkind = 'r' AND c.relname IN ('positions', 'loads', 'schemas')`,
	);
	const usable = tables.every((granted) => granted.every((word) => word === "t"));
	return usable && (tables.length === 3 || row[1] === "t") ? "usable" : "refused";
}

/** https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_IAM_PRIVILEGES.html */
async function role(session: Session, { iamRole }: RedshiftOptions): Promise<Finding[]> {
	if (iamRole === undefined)
		return [
			{
				severity: "warning",
				message: "no iam_role is given: COPY reads with the default role of the warehouse, which others use too",
				remedy: "Add `iam_role: arn:aws:iam::…:role/…` to the connection.",
			},
		];
	const rows = await session
		.rows(
			`SELECT identity_name, identity_type FROM svv_iam_privileges
WHERE iam_arn IN (${quoteOption(iamRole)}, 'ALL') AND upper(command_type) IN ('COPY', 'ALL')`,
		)
		.catch(() => null);
	// An older warehouse has no such view, and lets every user use every role.
	if (rows === null) return [];
	const user = session.context.user;
	const granted = rows.some(([name, type]) => type === "public" || name === user);
	const found: Finding[] = granted
		? [{ severity: "ok", message: `COPY may use the role ${iamRole}` }]
		: [
				{
					severity: "error",
					message: `${user} may not use the role ${iamRole} for COPY, as far as SVV_IAM_PRIVILEGES shows`,
					remedy: `GRANT ASSUMEROLE ON ${quoteLiteral(iamRole)} TO ${quoteIdentifier(user)} FOR COPY;`,
				},
			];
	if (rows.some(([, type]) => type === "public"))
		found.push({
			severity: "warning",
			message: "every user of the warehouse may use its roles for COPY",
			remedy: `REVOKE ASSUMEROLE ON ALL FROM PUBLIC FOR ALL; GRANT ASSUMEROLE ON ${quoteLiteral(iamRole)} TO ${quoteIdentifier(user)} FOR COPY;`,
		});
	return found;
}
