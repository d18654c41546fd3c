import { crashPoint, HeadraceError, qualified } from "../../core/index.ts";
import { countKeys, createTable, type MergeTables, postgresDialect, quotedList, stageColumn } from "../../sql/index.ts";
import { copyRows, type ExtraColumn } from "./copy-rows.ts";
import { keptRows, type LoadContext, tagOf } from "./load.ts";
import { quoteTable } from "./sql-text.ts";
import { findColumn, type Relation } from "./target-table.ts";

const STAGE = quoteTable({ schema: "pg_temp", name: "_headrace_stage" });

export function tablesOf({ place, target }: LoadContext, stage = STAGE): MergeTables {
	return { target: place.sql, stage, key: target.key, columns: target.columns.map((column) => column.name) };
}

/**
 * The load's rows in a temporary table of the transaction, numbered as they came; gives how many there were. Its columns
 * have the types of the table's, so that what does not fit is told by COPY, with the column. Rows flagged as deleted stay
 * out when `withoutFlagged`; `extra` columns come behind the table's.
 */
export async function stageRows(
	context: LoadContext,
	relation: Relation,
	options: {
		readonly withoutFlagged?: boolean;
		readonly key?: readonly string[];
		readonly extra?: readonly ExtraColumn[];
	} = {},
): Promise<number> {
	const { writer, target, request } = context;
	const columns = target.columns.map(({ name }) => ({
		name: stageColumn(postgresDialect, name),
		type: findColumn(relation, name)!.spelled,
		nullable: true,
	}));
	for (const { name, spelled } of options.extra ?? []) columns.push({ name, type: spelled, nullable: true });
	columns.push({ name: postgresDialect.rowIdentifier, type: "bigint", nullable: true });
	await writer.execute(`${createTable(postgresDialect, STAGE, columns, { temporary: true })} ON COMMIT DROP`);
	const constant = tagOf(request);
	const { received } = await copyRows(writer, {
		table: STAGE,
		relation,
		target,
		request,
		staged: true,
		freeze: true,
		...(options.key === undefined ? {} : { key: options.key }),
		...(options.extra === undefined ? {} : { extra: options.extra }),
		...(constant === undefined ? {} : { constant }),
		...(options.withoutFlagged ? keptRows(context, relation) : {}),
	});
	crashPoint("c08");
	return received;
}

/** How many rows and keys a stage has. */
export async function stagedKeys({ writer, target }: LoadContext): Promise<{ rows: number; keys: number }> {
	const names = target.key.map((name) => stageColumn(postgresDialect, name));
	const { row_count, keys } = await writer.counts(countKeys(postgresDialect, STAGE, names));
	return { rows: row_count!, keys: keys! };
}

/** Another stage may follow in the same transaction. */
export async function dropStage({ writer }: Pick<LoadContext, "writer">): Promise<void> {
	await writer.execute(`DROP TABLE ${STAGE}`);
}

/** For statements that join it: the planner knows nothing of a temporary table. */
export async function analyzeStage({ writer }: LoadContext, stage = STAGE): Promise<void> {
	await writer.execute(`ANALYZE ${stage}`);
}

/** As `analyzeStage`, of those columns only, by which rows are joined or chosen: that is soon done. */
export async function analyzeStaged({ writer }: LoadContext, columns: readonly string[]): Promise<void> {
	const names = columns.map((name) => stageColumn(postgresDialect, name));
	await writer.execute(`ANALYZE ${STAGE} (${quotedList(postgresDialect, names)})`);
}

export function duplicateKey({ request, target }: LoadContext): HeadraceError {
	const table = qualified(request.target.name);
	return new HeadraceError("E_DUPLICATE_KEY", `the key (${target.key.join(", ")}) of ${table} is not unique`, {
		table,
	});
}
