import {
	type DescribeRequest,
	HeadraceError,
	HeadraceErrors,
	type QueryRequest,
	qualified,
	type SourceColumn,
	type SourceTable,
	type TypePolicy,
} from "../../core/index.ts";
import {
	type Attribute,
	formatTypes,
	type Relation,
	readAttributes,
	readPrimaryKeys,
	readRelations,
	replacedMeanwhile,
	TypeCatalog,
} from "./catalog.ts";
import type { DecodeName } from "./decoders.ts";
import { portableDefault } from "./default-sql.ts";
import { grantStatements } from "./errors.ts";
import { builtIn, extensionType, type NativeType } from "./native-type.ts";
import type { ServerFacts } from "./server-facts.ts";
import type { Session } from "./session.ts";
import { bracketed, quoteIdentifier } from "./sql-text.ts";
import type { ResultColumn } from "./statements.ts";
import { readingOf } from "./types.ts";

const DESCRIBE_ATTEMPTS = 5;

/** What `read` needs of a column; plain data. */
export interface ColumnDecoder {
	/** The item of the SELECT list. */
	readonly sql: string;
	/** Type oid that the server must send for it. */
	readonly wire: number;
	readonly decode: DecodeName;
	/** The column's base type, quoted, to cast a bound to. */
	readonly baseType: string;
	/** The column's type, domains resolved. */
	readonly native: NativeType;
}

/**
 * Tables, views and queries as they are now: a fixed number of statements for all tables, one more a query.
 * @throws E_UNKNOWN_TABLE, E_RIGHTS, E_NAME_COLLISION; several as HeadraceErrors
 */
export async function describeAll(
	session: Session,
	facts: ServerFacts,
	requests: readonly DescribeRequest[],
): Promise<SourceTable[]> {
	for (let attempt = 1; ; attempt++)
		try {
			return await describeOnce(session, facts, requests);
		} catch (error) {
			// Tables that are rebuilt by swapping them change between two look-ups.
			if (!(error instanceof HeadraceError) || error.code !== "E_CONFLICT" || attempt === DESCRIBE_ATTEMPTS)
				throw error;
		}
}

async function describeOnce(
	session: Session,
	facts: ServerFacts,
	requests: readonly DescribeRequest[],
): Promise<SourceTable[]> {
	const faults: HeadraceError[] = [];
	const tables = requests.flatMap((request, index) =>
		"query" in request.table ? [] : [{ index, name: request.table }],
	);
	const relations = await readRelations(
		session,
		tables.map(({ name }) => name),
	);
	const known: { index: number; relation: Relation }[] = [];
	tables.forEach(({ index, name }, i) => {
		const relation = relations[i] ?? null;
		if (relation === null)
			faults.push(
				new HeadraceError("E_UNKNOWN_TABLE", `there is no table ${qualified(name)}`, { table: qualified(name) }),
			);
		else if (!relation.schemaUsable || !relation.selectable)
			faults.push(
				new HeadraceError("E_RIGHTS", `${facts.user} may not read ${qualified(name)}`, {
					table: qualified(name),
					hint: grantStatements(facts.user, name),
				}),
			);
		else known.push({ index, relation });
	});
	const queries: { index: number; columns: readonly ResultColumn[] }[] = [];
	for (const [index, request] of requests.entries())
		if ("query" in request.table)
			try {
				queries.push({ index, columns: await describeQuery(session, request.table) });
			} catch (error) {
				if (!(error instanceof HeadraceError)) throw error;
				faults.push(error.at({ table: qualified(request.table.name) }));
			}
	if (faults.length > 1) throw new HeadraceErrors(faults);
	if (faults[0] !== undefined) throw faults[0];

	const oids = known.map(({ relation }) => relation.oid);
	const { attributes, keys } = await readShapes(session, oids);
	const typeOids = [...attributes.values()].flatMap((list) => list.map((a) => a.typeOid));
	const results = queries.flatMap(({ columns }) => columns);
	const types = await TypeCatalog.read(session, [...typeOids, ...results.map((c) => String(c.type))]);
	const spelled = results.length === 0 ? [] : await formatTypes(session, results);

	const described: SourceTable[] = [];
	for (const { index, relation } of known) {
		const { table, types: policy } = requests[index]!;
		const list = attributes.get(relation.oid) ?? [];
		// A table without columns is possible, but nothing can be read from it either.
		if (list.length === 0) throw replacedMeanwhile();
		const name = table as SourceTable["name"];
		described[index] = {
			name,
			kind: relation.relkind === "v" || relation.relkind === "m" ? "view" : "table",
			columns: list.map((attribute) => {
				const native = types.resolve(attribute.typeOid, attribute.modifier, attribute.dimensions);
				return columnOf(attribute, native, policy, facts);
			}),
			primaryKey: keys.get(relation.oid) ?? [],
			...(relation.estimatedRows === undefined ? {} : { estimatedRows: relation.estimatedRows }),
			warnings: warningsOf(relation, list, name, facts),
		};
	}
	let position = 0;
	for (const { index, columns } of queries) {
		const { table, types: policy } = requests[index]! as { table: QueryRequest; types: TypePolicy };
		described[index] = {
			name: table.name,
			kind: "query",
			query: table.query,
			columns: columns.map(({ name, type, modifier }) => {
				const native = types.resolve(String(type), modifier, 0);
				return columnOf(
					{ name, nativeType: spelled[position++]!, nullable: true, defaultExpression: null, looseCollation: null },
					native,
					policy,
					facts,
				);
			}),
			primaryKey: [],
			warnings: [],
		};
	}
	return described;
}

/** The result's columns, by parsing only. Names without a schema are looked up where the user's session would. */
async function describeQuery(session: Session, request: QueryRequest): Promise<readonly ResultColumn[]> {
	const about = { table: request.name, ownSql: true };
	await session.script(["BEGIN READ ONLY", "SET LOCAL search_path TO DEFAULT"]);
	try {
		const columns = await session.describe(`SELECT * FROM ${bracketed(request.query)} AS q`, about);
		const names = new Set<string>();
		for (const { name } of columns) {
			if (names.has(name))
				throw new HeadraceError("E_NAME_COLLISION", `the query has two columns with the name ${name}`, {
					hint: "Give one of them another name by AS.",
				});
			names.add(name);
		}
		if (columns.length === 0) throw new HeadraceError("E_INVALID_VALUE", "the query gives no columns");
		return columns;
	} finally {
		if (!session.broken) await session.script(["ROLLBACK"]);
	}
}

export type ColumnFacts = Pick<Attribute, "name" | "nativeType" | "nullable" | "defaultExpression" | "looseCollation"> &
	Partial<Pick<Attribute, "identity" | "collation">>;

/** A column as it is read under a policy. */
export function columnOf(
	column: ColumnFacts,
	native: NativeType,
	policy: TypePolicy,
	facts: Pick<ServerFacts, "moneyScale">,
): SourceColumn {
	const override =
		policy.overrides !== undefined && Object.hasOwn(policy.overrides, column.name)
			? policy.overrides[column.name]
			: undefined;
	const reading = readingOf(native, quoteIdentifier(column.name), policy, facts, override);
	const decoder: ColumnDecoder = {
		sql: reading.sql,
		wire: reading.wire,
		decode: reading.decode,
		baseType: `${quoteIdentifier(native.schema)}.${quoteIdentifier(native.name)}`,
		native,
	};
	const defaultSql =
		column.defaultExpression === null ? undefined : portableDefault(column.defaultExpression, reading.type);
	const loose = looseEquality(column, native, reading.type.kind);
	return {
		name: column.name,
		type: reading.type,
		nullable: column.nullable,
		nativeType: column.nativeType,
		fidelity: reading.fidelity,
		...(reading.note === undefined ? {} : { note: reading.note }),
		...(defaultSql === undefined ? {} : { defaultSql }),
		...(loose === undefined ? {} : { looseEquality: loose }),
		...(column.identity === undefined ? {} : { identity: column.identity }),
		...((column.collation ?? null) === null ? {} : { collation: column.collation! }),
		decoder,
	};
}

function looseEquality(column: ColumnFacts, native: NativeType, kind: string): string | undefined {
	if (extensionType(native) === "citext") return "citext compares without case";
	if (builtIn(native) === "bpchar") return "char(n) compares without trailing blanks";
	if (column.looseCollation !== null) return `collation ${column.looseCollation} calls different texts equal`;
	if (builtIn(native) === "numeric" && kind === "text") return "1.0 and 1.00 are equal as numeric, not as text";
	return undefined;
}

/** Columns and keys of one moment: a table that is dropped between two look-ups would seem to have no key. */
async function readShapes(session: Session, oids: readonly string[]) {
	if (oids.length === 0) return { attributes: new Map<string, Attribute[]>(), keys: new Map<string, string[]>() };
	await session.script(["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"]);
	try {
		return { attributes: await readAttributes(session, oids), keys: await readPrimaryKeys(session, oids) };
	} finally {
		// The error that counts is the first.
		if (!session.broken) await session.script(["ROLLBACK"]);
	}
}

function warningsOf(
	relation: Relation,
	attributes: readonly Attribute[],
	name: SourceTable["name"],
	facts: ServerFacts,
): string[] {
	const warnings: string[] = [];
	const hidden = attributes.filter((a) => !a.readable).map((a) => quoteIdentifier(a.name));
	if (hidden.length > 0) {
		const table = `${quoteIdentifier(name.schema)}.${quoteIdentifier(name.name)}`;
		warnings.push(
			`no right to read ${hidden.length} of its columns: GRANT SELECT (${hidden.join(", ")}) ON ${table} TO ${quoteIdentifier(facts.user)};`,
		);
	}
	if (relation.rowSecurity) warnings.push(`row security is on: only the rows that ${facts.user} may see are read`);
	if (relation.relkind === "f")
		warnings.push("foreign table: another server's rows, not part of the consistent snapshot");
	if (relation.relkind === "m")
		warnings.push(
			relation.populated ? "materialized view: as of its last REFRESH" : "materialized view that was never filled",
		);
	if (relation.relkind === "r" && relation.children > 0)
		warnings.push(`the rows of ${relation.children} tables that inherit from it are part of it, as in SELECT`);
	return warnings;
}
