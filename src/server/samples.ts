import { HeadraceError } from "../core/index.ts";
import { plural } from "../observe/index.ts";
import { RequestFailure } from "./failure.ts";
import { entryOf } from "./pipelines.ts";
import { RateLimit } from "./rate-limit.ts";
import { param, type Route, route } from "./route.ts";
import { tableSample } from "./schemas/tables.ts";

/** Of one person: enough to look at some tables, and few questions to the destination. */
const SAMPLES_MAX = 10;
const SAMPLES_WINDOW_MS = 60_000;

export function sampleLimit(nowMs: () => number): RateLimit {
	const message = "too many samples within a minute";
	return new RateLimit({ countMax: SAMPLES_MAX, windowMs: SAMPLES_WINDOW_MS, nowMs, message });
}

export const SAMPLE_ROUTES: readonly Route[] = [
	route({
		// Not a GET: it is asked for by hand, and goes to the destination each time.
		method: "POST",
		path: "/api/pipelines/:pipeline/tables/:table/sample",
		summary: "A few rows of the table in the destination, every value masked; only with `headrace serve --sample-rows`",
		role: "admin",
		answer: tableSample,
		action: "sample",
		async handle(request) {
			const { context, who, note, signal } = request;
			const { service, samples } = context;
			const { name } = entryOf(request);
			const table = param(request, "table");
			note({ subject: `${name} ${table}` });
			if (samples === null)
				throw new RequestFailure(
					403,
					new HeadraceError("E_ACCESS", "this server shows no rows", {
						hint: "Whoever starts it may allow it: `headrace serve --sample-rows`. Values stay masked then too.",
					}),
				);
			const person = who?.name ?? "";
			samples.check(person);
			samples.count(person);
			const sample = await service.app.sample(service.catalog.pipeline(name), table, { signal });
			note({ detail: `${plural(sample.rows.length, "row")} of ${sample.into}, masked` });
			return { pipeline: name, table, ...sample };
		},
	}),
];
