import {
	type ApplyRequest,
	type ApplyResult,
	CHANGE_BASE_COLUMN,
	type ChangesPart,
	type ChangesWrite,
	changeColumns,
	crashPoint,
	type DestinationChanges,
	type LoadResult,
	loadOfPart,
	requireKey,
	type TargetColumn,
} from "../../core/index.ts";
import { quoteEscaped } from "../../sql/index.ts";
import { endTransactionsOf, expectPosition, recordApply } from "./control.ts";
import { createStage, ensureSchema, type LoadContext, tableFor } from "./load.ts";
import { foldName, foldRequest, Place } from "./names.ts";
import type { SnowflakeOptions } from "./options.ts";
import { queryTag, type Session, transactionName } from "./session.ts";
import { changesFolder, clearFolder, isPut, stageFiles } from "./stage-files.ts";
import { findColumn, type Relation } from "./table.ts";
import { mapType } from "./types.ts";
import { applyPart, createWhole, type ReadyPart } from "./write-changes.ts";

interface ChangesContext {
	readonly options: SnowflakeOptions;
	/** A session of its own, once the control tables are there. */
	readonly write: <T>(signal: AbortSignal | undefined, work: (session: Session) => Promise<T>) => Promise<T>;
}

/**
 * Changes of a log: tables, their columns and the temporary tables of all parts are made first, since DDL would commit;
 * then one transaction copies the files of each part, brings their rows into the tables, and moves the position.
 * https://docs.snowflake.com/en/sql-reference/transactions#ddl
 */
export class SnowflakeChanges implements DestinationChanges {
	readonly writes: readonly ChangesWrite[] = ["merge", "append", "history"];
	readonly #context: ChangesContext;
	/** Folders of the internal stage that have nothing of runs that were killed. */
	readonly #cleared = new Set<string>();

	constructor(context: ChangesContext) {
		this.#context = context;
	}

	apply(request: ApplyRequest): Promise<ApplyResult> {
		for (const part of request.parts) requireKey(part);
		const { pipeline, stream, runId, signal } = request;
		const { options } = this.#context;
		return this.#context.write(signal, async (session) => {
			const tag = queryTag({ pipeline, runId, table: stream });
			await session.run(`ALTER SESSION SET QUERY_TAG = ${quoteEscaped(tag)}`);
			await expectPosition(session, request);
			await endTransactionsOf(session, pipeline, [stream]);
			const folder = request.parts.some(isPut) ? changesFolder(pipeline, stream) : null;
			if (folder !== null && !this.#cleared.has(folder)) await clearFolder(session, options, folder);
			if (folder !== null) this.#cleared.add(folder);
			const ready = await this.#ready(session, request);
			const result = await session.transaction(transactionName(pipeline, stream), async () => {
				const parts: LoadResult[] = [];
				for (const one of ready) parts.push(await applyPart(one));
				await recordApply(session, request, { parts });
				return { parts };
			});
			crashPoint("c10");
			for (const { stage, whole } of ready)
				for (const table of [stage, whole]) if (table !== null) await session.run(`DROP TABLE IF EXISTS ${table}`);
			// The changes are committed: a file that stays is only a file.
			if (folder !== null) await clearFolder(session, options, folder).catch(() => this.#cleared.delete(folder));
			return result;
		});
	}

	async #ready(session: Session, request: ApplyRequest): Promise<ReadyPart[]> {
		const { options } = this.#context;
		const contexts: LoadContext[] = [];
		const relations = new Map<string, Relation>();
		for (const part of request.parts) {
			const load = foldRequest(loadOfPart(request, part));
			const place = new Place(load.target.name, options.schema);
			await ensureSchema(session, place);
			const folder = `${changesFolder(load.pipeline, load.stream)}${load.loadId}/`;
			const staged = await stageFiles(session, options, load, folder);
			const context: LoadContext = { session, options, place, target: load.target, request: load, staged };
			relations.set(place.sql, await tableFor(context));
			contexts.push(context);
		}
		const ready: ReadyPart[] = [];
		for (const [index, context] of contexts.entries()) {
			const relation = relations.get(context.place.sql)!;
			const later = contexts.slice(index + 1).filter(({ place }) => place.sql === context.place.sql);
			const nameOf = (name: string) => (findColumn(relation, name) === undefined ? renamed(later, name) : name);
			ready.push(await readyPart(context, relation, request.parts[index]!, nameOf));
		}
		return ready;
	}
}

/** The name that a column has after the tables got the columns of all parts. */
function renamed(later: readonly LoadContext[], name: string): string {
	return later.reduce(
		(known, { target }) => target.columns.find(({ renamedFrom }) => renamedFrom === known)?.name ?? known,
		name,
	);
}

async function readyPart(
	whole: LoadContext,
	relation: Relation,
	part: ChangesPart,
	nameOf: (name: string) => string,
): Promise<ReadyPart> {
	const { name, columns, key } = whole.target;
	const own = columns.map((column) => ({ ...column, name: nameOf(column.name) }));
	const context: LoadContext = { ...whole, target: { ...whole.target, columns: own, key: key.map(nameOf) } };
	const target = { name, columns: rowColumns(part, relation, context, nameOf), key: context.target.key };
	const rows: LoadContext = { ...context, target, request: { ...context.request, target } };
	if (part.write === "append" && !part.partial) return { part, context, relation, rows, stage: null, whole: null };
	const stage = await createStage(rows, relation);
	const isFilled = part.partial && part.write !== "append";
	return { part, context, relation, rows, stage, whole: isFilled ? await createWhole(rows, relation) : null };
}

/** Columns of the rows: those of the table under its names and types, then those that only changes have. */
function rowColumns(
	part: ChangesPart,
	relation: Relation,
	{ target }: LoadContext,
	nameOf: (name: string) => string,
): TargetColumn[] {
	const own = new Set(part.target.columns.map((column) => column.name));
	const typeIn = (name: string, otherwise: string) => findColumn(relation, name)?.type ?? otherwise;
	return changeColumns(part, (type) => mapType(type).destinationType).map((column) => {
		if (own.has(column.name)) {
			const name = nameOf(foldName(column.name));
			return { ...column, name, destinationType: typeIn(name, column.destinationType) };
		}
		const base = target.key[Number(column.name.slice(CHANGE_BASE_COLUMN.length))];
		if (!column.name.startsWith(CHANGE_BASE_COLUMN) || base === undefined) return column;
		return { ...column, destinationType: typeIn(base, column.destinationType) };
	});
}
