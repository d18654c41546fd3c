import {
	type ApplyRequest,
	type ApplyResult,
	type ChangesWrite,
	crashPoint,
	type DestinationChanges,
	type LoadResult,
	loadOfPart,
	requireKey,
} from "../../core/index.ts";
import { ensureSchema, evolve, evolveHere, type LoadContext, tableFor } from "./load.ts";
import { expectPosition, recordApply } from "./positions.ts";
import { Stages } from "./stage.ts";
import { foldRequest, Place } from "./target-names.ts";
import { type Relation, refuseTooMany } from "./target-table.ts";
import { applyPart, hasIndex, makeCurrentIndex } from "./write-changes.ts";
import type { WriteSession } from "./write-session.ts";

/** The changes of a log, several tables in one transaction of one connection. */
export class PostgresChanges implements DestinationChanges {
	readonly writes: readonly ChangesWrite[] = ["merge", "append", "history"];
	readonly #open: (signal?: AbortSignal) => Promise<WriteSession>;

	/** `open` gives a connection, once the control tables are there. */
	constructor(open: (signal?: AbortSignal) => Promise<WriteSession>) {
		this.#open = open;
	}

	async apply(request: ApplyRequest): Promise<ApplyResult> {
		const loads = request.parts.map((part) => foldRequest(loadOfPart(request, part)));
		for (const { target } of loads) refuseTooMany(target);
		for (const part of request.parts) requireKey(part);
		await using writer = await this.#open(request.signal);
		await expectPosition(writer.session, request);
		const contexts = loads.map((load): LoadContext => {
			return { writer, place: new Place(load.target.name), target: load.target, request: load };
		});
		const relations = await prepare(contexts);
		const result = await writer.transaction(async () => {
			// The tables' owner's keys, where they can be: what held at the end of the source's transactions holds at the end.
			await writer.execute("SET CONSTRAINTS ALL DEFERRED");
			const parts: LoadResult[] = [];
			const stages = new Stages();
			const begun = new Set<string>();
			for (const [index, context] of contexts.entries()) {
				const name = context.place.sql;
				writer.table = context.place;
				const there = relations.get(name) ?? null;
				const isLater = begun.has(name) && there !== null;
				const relation = isLater ? await evolveHere(context, there) : await tableFor(context, there);
				if (there === null && context.request.write === "history") await makeCurrentIndex(context);
				parts.push(await applyPart(context, relation, request.parts[index]!, stages));
				relations.set(name, relation);
				begun.add(name);
			}
			writer.table = undefined;
			await recordApply(writer, request, { parts });
			return { parts };
		});
		crashPoint("c10");
		return result;
	}
}

/**
 * Schemas, and columns of tables that are there, each table in a short transaction of its own: the ALTERs lock readers
 * out. What a later part of the same table needs comes at its place in the transaction of all.
 */
async function prepare(contexts: readonly LoadContext[]): Promise<Map<string, Relation | null>> {
	const relations = new Map<string, Relation | null>();
	for (const context of contexts) {
		const { writer, place, target, request } = context;
		if (relations.has(place.sql)) continue;
		writer.table = place;
		const relation = await evolve(context);
		relations.set(place.sql, relation);
		if (relation === null) await ensureSchema(context);
		else if (request.write === "history" && !(await hasIndex(writer.session, relation, target.key)))
			await writer.transaction(() => makeCurrentIndex(context));
	}
	return relations;
}
