import type { DestinationParts, LoadRequest, LoadResult, PartsRequest } from "../../core/destination.ts";
import { HeadraceError } from "../../core/errors.ts";
import { checkPosition, rowsOf } from "./incoming.ts";
import type { Row } from "./values.ts";
import { type MemoryWarehouse, streamId, type Unfinished, type WarehouseState } from "./warehouse.ts";

type Commit = (request: Omit<LoadRequest, "input">, rows: readonly Row[]) => Promise<LoadResult>;

/** Parts of loads in a `MemoryWarehouse`: each call that changes something is one transaction. */
export function memoryParts(warehouse: MemoryWarehouse, commit: Commit): DestinationParts {
	const change = (request: PartsRequest, next: (old: Unfinished | undefined) => Unfinished | undefined): void => {
		checkPosition(warehouse, request);
		const before = warehouse.state;
		const id = streamId(request.pipeline, request.stream);
		const unfinished = new Map(before.unfinished);
		const after = next(unfinished.get(id));
		if (after === undefined) unfinished.delete(id);
		else unfinished.set(id, after);
		warehouse.commit(before, { ...before, unfinished });
	};
	return {
		parallel: 2,
		find: async (pipeline, stream) => {
			const found = warehouse.state.unfinished.get(streamId(pipeline, stream));
			if (found === undefined) return null;
			const records = [...found.parts].map(([index, { record }]) => [index, record] as const);
			return { seq: found.seq, plan: found.plan, records: new Map(records) };
		},
		begin: async (request, plan) =>
			change(request, () => ({
				pipeline: request.pipeline,
				seq: request.seq,
				plan,
				begunAt: Date.now(),
				parts: new Map(),
			})),
		add: async (request, { index, fields, batches, record }) => {
			checkPosition(warehouse, request);
			const rows = await rowsOf({ ...request, input: { kind: "batches", fields, batches } });
			change(request, (old) => {
				if (old === undefined || old.seq !== request.seq || old.parts.has(index))
					throw new HeadraceError("E_FENCED", "the load in parts is no longer the one that this run goes on with");
				return { ...old, parts: new Map(old.parts).set(index, { rows, record: record(rows.length) }) };
			});
			return rows.length;
		},
		remove: async (request, indexes) =>
			change(request, (old) => {
				if (old === undefined) return undefined;
				const parts = new Map(old.parts);
				for (const index of indexes) parts.delete(index);
				return { ...old, parts };
			}),
		load: async (request, rowsExpected) => {
			checkPosition(warehouse, request);
			const found = warehouse.state.unfinished.get(streamId(request.pipeline, request.stream));
			const rows = [...(found?.parts ?? [])].sort(([a], [b]) => a - b).flatMap(([, part]) => part.rows);
			if (rows.length !== rowsExpected)
				throw new HeadraceError("E_STATE", `the parts hold ${rows.length} rows, not ${rowsExpected}`);
			return commit(request, rows);
		},
		discard: async (request) => change(request, () => undefined),
		sweep: async (pipeline, before) => {
			const old = [...warehouse.state.unfinished].filter(
				([, load]) => load.pipeline === pipeline && load.begunAt < before.getTime(),
			);
			const state = warehouse.state;
			const ids = old.map(([id]) => id);
			if (ids.length > 0) warehouse.commit(state, { ...state, unfinished: withoutUnfinished(state, ids) });
		},
	};
}

export function withoutUnfinished(state: WarehouseState, ids: readonly string[]): WarehouseState["unfinished"] {
	if (!ids.some((id) => state.unfinished.has(id))) return state.unfinished;
	return new Map([...state.unfinished].filter(([id]) => !ids.includes(id)));
}
