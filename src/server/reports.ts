import { z } from "zod";
import { reportFileName, reportPage } from "../app/report-page.ts";
import type { CheckedPipeline } from "../config/index.ts";
import { type Route, route, type ServerContext } from "./route.ts";
import { runOf } from "./runs.ts";

function pipelineOf({ service }: ServerContext, name: string): CheckedPipeline | string {
	const entry = service.catalog.entries.get(name);
	if (entry === undefined) return "The run's pipeline has no file in this project, as with `headrace copy`.";
	return entry.pipeline ?? `The pipeline's file can't be read now (${entry.errors[0]?.code ?? "E_YAML"}).`;
}

export const REPORT_ROUTES: readonly Route[] = [
	route({
		method: "GET",
		path: "/api/runs/:run/report",
		summary: "A run as one HTML file that needs nothing else, to keep or to send; as `headrace report`",
		role: "viewer",
		answer: z.string(),
		media: "text/html",
		async handle(request) {
			const { context } = request;
			const { state, redactor, clock } = context.service;
			const run = await runOf(request);
			const pipeline = pipelineOf(context, run.pipeline);
			const page = await reportPage({ state, run, pipeline, redactor, nowMs: clock.nowMs() });
			return new Response(page, {
				headers: {
					"Content-Type": "text/html; charset=utf-8",
					// Saved, never shown as a page of this server.
					"Content-Disposition": `attachment; filename="${reportFileName(run.run_id)}"`,
				},
			});
		},
	}),
];
