import { crashPoint, HeadraceError, qualified } from "../../core/index.ts";
import {
	type ColumnDefinition,
	countKeys,
	createTable,
	type MergeTables,
	postgresDialect,
	quotedList,
	stageColumn,
} from "../../sql/index.ts";
import { copyRows, type ExtraColumn } from "./copy-rows.ts";
import { keptRows, type LoadContext, tagOf } from "./load.ts";
import { quoteTable } from "./sql-text.ts";
import { findColumn, type Relation } from "./target-table.ts";

const STAGE = quoteTable({ schema: "pg_temp", name: "_headrace_stage" });

export function tablesOf({ place, target }: LoadContext, stage = STAGE): MergeTables {
	return { target: place.sql, stage, key: target.key, columns: target.columns.map((column) => column.name) };
}

interface StageOptions {
	readonly withoutFlagged?: boolean;
	readonly key?: readonly string[];
	readonly extra?: readonly ExtraColumn[];
}

/**
 * The load's rows in a temporary table of the transaction, numbered as they came; gives how many there were. Its columns
 * have the types of the table's, so that what does not fit is told by COPY, with the column. Rows flagged as deleted stay
 * out when `withoutFlagged`; `extra` columns come behind the table's.
 */
export async function stageRows(context: LoadContext, relation: Relation, options: StageOptions = {}): Promise<number> {
	await context.writer.execute(stageDdl(STAGE, columnsOf(context, relation, options)));
	return fillStage(context, relation, STAGE, options);
}

/** The stages of one transaction that stages rows many times. */
export class Stages {
	/** By the columns that they have. */
	readonly #made = new Map<string, string>();

	/**
	 * As `stageRows`. A stage of the same columns is used again, since each that is made takes locks until the commit, of
	 * which a server has some thousands.
	 */
	async stage(
		context: LoadContext,
		relation: Relation,
		options: StageOptions,
	): Promise<{ readonly tables: MergeTables; readonly received: number }> {
		const { writer } = context;
		const columns = columnsOf(context, relation, options);
		const shape = JSON.stringify(columns.map(({ name, type }) => [name, type]));
		let stage = this.#made.get(shape);
		if (stage === undefined) {
			stage = quoteTable({ schema: "pg_temp", name: `_headrace_stage_${this.#made.size}` });
			await writer.execute(stageDdl(stage, columns));
			this.#made.set(shape, stage);
		} else await writer.execute(`TRUNCATE ${stage}`);
		return { tables: tablesOf(context, stage), received: await fillStage(context, relation, stage, options) };
	}
}

function columnsOf({ target }: LoadContext, relation: Relation, { extra = [] }: StageOptions): ColumnDefinition[] {
	return [
		...target.columns.map(({ name }) => ({
			name: stageColumn(postgresDialect, name),
			type: findColumn(relation, name)!.spelled,
			nullable: true,
		})),
		...extra.map(({ name, spelled }) => ({ name, type: spelled, nullable: true })),
		{ name: postgresDialect.rowIdentifier, type: "bigint", nullable: true },
	];
}

function stageDdl(stage: string, columns: readonly ColumnDefinition[]): string {
	return `${createTable(postgresDialect, stage, columns, { temporary: true })} ON COMMIT DROP`;
}

async function fillStage(
	context: LoadContext,
	relation: Relation,
	stage: string,
	options: StageOptions,
): Promise<number> {
	const { writer, target, request } = context;
	const constant = tagOf(request);
	const { received } = await copyRows(writer, {
		table: stage,
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

/** For statements that join it: the planner knows nothing of a temporary table. */
export async function analyzeStage({ writer }: LoadContext, stage = STAGE): Promise<void> {
	await writer.execute(`ANALYZE ${stage}`);
}

/** As `analyzeStage`, of those columns only, by which rows are joined or chosen: that is soon done. */
export async function analyzeStaged(
	{ writer }: LoadContext,
	{ stage }: Pick<MergeTables, "stage">,
	columns: readonly string[],
): Promise<void> {
	const names = columns.map((name) => stageColumn(postgresDialect, name));
	await writer.execute(`ANALYZE ${stage} (${quotedList(postgresDialect, names)})`);
}

export function duplicateKey({ request, target }: LoadContext): HeadraceError {
	const table = qualified(request.target.name);
	return new HeadraceError("E_DUPLICATE_KEY", `the key (${target.key.join(", ")}) of ${table} is not unique`, {
		table,
	});
}
