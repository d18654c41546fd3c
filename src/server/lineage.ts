import { summaryLineage } from "../app/lineage.ts";
import { tableRule } from "../config/index.ts";
import { entryOf } from "./pipelines.ts";
import { type Route, route } from "./route.ts";
import { lineage } from "./schemas/tables.ts";

export const LINEAGE_ROUTES: readonly Route[] = [
	route({
		method: "GET",
		path: "/api/pipelines/:pipeline/lineage",
		summary: "Where each column of the destination comes from, as the last runs planned it",
		role: "viewer",
		answer: lineage,
		async handle(request) {
			const { name, pipeline } = entryOf(request);
			const planned = await request.context.service.state.server.allColumns(name);
			const tables = [...planned].flatMap(([table, { seenAt, into, key, lineage: columns }]) => {
				const rule = pipeline === null ? undefined : tableRule(pipeline, table);
				// What was kept by an older version says too little; what the file no longer takes goes nowhere.
				if (columns === undefined || into === undefined || (pipeline !== null && (rule?.skip ?? true))) return [];
				return [{ table, into, mode: rule?.options.mode ?? null, seen_at: seenAt, key, columns }];
			});
			return {
				pipeline: name,
				from: pipeline?.from.name ?? null,
				to: pipeline?.to.name ?? null,
				tables,
				summaries: pipeline === null ? [] : summaryLineage(pipeline, tables),
			};
		},
	}),
];
