import {
	type DescribeRequest,
	HeadraceError,
	HeadraceErrors,
	qualified,
	type SourceColumn,
	type SourceTable,
	type TableName,
	type TypePolicy,
} from "../../core/index.ts";
import { type CatalogTable, readCatalog } from "./catalog.ts";
import type { MysqlConnection } from "./connection.ts";
import { portableDefault } from "./defaults.ts";
import { grantSelect } from "./errors.ts";
import { nativeOfCatalog, nativeOfField } from "./native.ts";
import { derived, tableSql } from "./sql.ts";
import { sourceColumn } from "./types.ts";

/** Describes tables by the catalog, in a few queries a schema, and queries by their result's fields. */
export async function describeAll(
	connection: MysqlConnection,
	requests: readonly DescribeRequest[],
	defaultSchema: string,
): Promise<SourceTable[]> {
	const named = (name: TableName): TableName => (name.schema === "" ? { ...name, schema: defaultSchema } : name);
	const tables = requests.flatMap(({ table }) => ("query" in table ? [] : [named(table)]));
	const catalog = await readCatalog(connection, tables);
	const described: SourceTable[] = [];
	const errors: HeadraceError[] = [];
	for (const { table, types } of requests) {
		try {
			if ("query" in table) described.push(await describeQuery(connection, table.name, table.query, types));
			else {
				const name = named(table);
				const found = catalog.get(name) ?? (await lookAgain(connection, name));
				described.push(describeTable(connection, found, types));
			}
		} catch (error) {
			if (!(error instanceof HeadraceError) || connection.lost !== null) throw error;
			errors.push(error);
		}
	}
	if (errors.length === 1) throw errors[0]!;
	if (errors.length > 1) throw new HeadraceErrors(errors);
	return described;
}

/**
 * A table of which the catalog shows no column: the server's own answer to a read says why. One that was being made anew
 * when the catalog was asked is there now.
 */
async function lookAgain(connection: MysqlConnection, name: TableName): Promise<CatalogTable> {
	const table = qualified(name);
	if (name.schema === "")
		throw new HeadraceError("E_UNKNOWN_TABLE", `the table ${table} is named without its database`, { table });
	await connection.rows(`SELECT 1 FROM ${tableSql(name)} LIMIT 0`, name);
	const found = (await readCatalog(connection, [name])).get(name);
	if (found !== undefined) return found;
	throw new HeadraceError("E_UNKNOWN_TABLE", `${table} has no columns that can be read`, { table });
}

/** A table of the catalog under a policy. */
export function describeTable(connection: MysqlConnection, found: CatalogTable, policy: TypePolicy): SourceTable {
	const table = qualified(found.name);
	const readable = found.columns.filter((column) => column.readable);
	if (readable.length === 0)
		throw new HeadraceError("E_RIGHTS", `${connection.server.account} may not read ${table}`, {
			table,
			hint: `Run: ${grantSelect(found.name, connection.server.account)}`,
		});
	const columns = readable.map((column): SourceColumn => {
		const native = nativeOfCatalog(column);
		if (native === null)
			return {
				name: column.name,
				type: { kind: "text" },
				nullable: column.nullable,
				nativeType: column.columnType,
				fidelity: "refused",
				note: `the type ${column.columnType} is not known`,
			};
		const described = sourceColumn(native, policy);
		const { server } = connection;
		const defaultSql = portableDefault(column.defaultText, column.extra, native, described.type, server);
		return defaultSql === undefined ? described : { ...described, defaultSql };
	});
	const warnings = [...found.warnings];
	const hidden = found.columns.filter((column) => !column.readable).map((column) => column.name);
	if (hidden.length > 0)
		warnings.push(
			`left out for want of rights: ${hidden.join(", ")}; ${grantSelect(found.name, connection.server.account)}`,
		);
	const keyIsReadable = found.primaryKey.every((name) => readable.some((column) => column.name === name));
	return {
		name: found.name,
		kind: found.isView ? "view" : "table",
		columns,
		primaryKey: keyIsReadable ? found.primaryKey : [],
		...(found.estimatedRows === null ? {} : { estimatedRows: found.estimatedRows }),
		warnings,
	};
}

async function describeQuery(
	connection: MysqlConnection,
	name: TableName,
	query: string,
	policy: TypePolicy,
): Promise<SourceTable> {
	try {
		const { fields } = await connection.answer(`SELECT * FROM ${derived(query)} LIMIT 0`);
		const columns = fields.map((field) => sourceColumn(nativeOfField(field), policy));
		return { name, kind: "query", query, columns, primaryKey: [], warnings: [] };
	} catch (error) {
		throw error instanceof HeadraceError ? error.at({ table: qualified(name) }) : error;
	}
}
