import type { CheckedPipeline, Env } from "../config/index.ts";
import type { EventSink, RunReceipt } from "../core/index.ts";
import type { TablePlan } from "./planned-table.ts";
import type { SummaryPlan } from "./summaries.ts";
import { version } from "./version.ts";

/** Where an SDK makes itself known: `GLOBAL_OPENTELEMETRY_API_KEY` of @opentelemetry/api, the same for all of its 1.x. */
const SDK_REGISTERED: symbol = Symbol.for("opentelemetry.js.api.1");
/** A collector that does not answer keeps no command waiting longer than this at its end. */
const FINISH_MS_MAX = 10_000;
/** When the command is to end at once. */
const STOPPED_MS_MAX = 2_000;

export interface WatchOptions {
	readonly pipeline: CheckedPipeline;
	readonly env: Env;
	readonly redact: (text: string) => string;
	readonly signal: AbortSignal | undefined;
	/** A line for people. */
	readonly onWarning: (message: string) => void;
}

/** What tells others of runs: spans of OpenTelemetry, events of OpenLineage. Nothing that they do ends a run. */
export interface RunWatch {
	readonly onEvent: EventSink;
	planned(runId: string, plans: readonly TablePlan[], summaries: readonly SummaryPlan[]): void;
	/** The end of a run of which no event tells. */
	ended(run: RunReceipt): void;
	/** Waits a while for what is still to be sent. */
	finish(): Promise<void>;
}

/** Loads what the environment asks for, and nothing else. */
export async function watchRuns(options: WatchOptions): Promise<RunWatch> {
	const { onWarning } = options;
	const guarded = warnedOnce(onWarning);
	const tracing = await openTracing(options);
	const lineage = await openLineage(options);
	const watchers = [tracing, lineage].filter((watcher) => watcher !== null);
	return {
		onEvent(event) {
			for (const watcher of watchers) guarded(() => watcher.onEvent(event));
		},
		planned(runId, plans, summaries) {
			if (lineage !== null) guarded(() => lineage.planned(runId, plans, summaries));
		},
		ended(run) {
			for (const watcher of watchers) guarded(() => watcher.ended(run));
		},
		async finish() {
			await tracing?.flush();
			const lost = await lineage?.finish();
			if (typeof lost === "string") onWarning(`OpenLineage: ${lost}`);
		},
	};
}

/** What a collector's library throws must not end a run; it is told once. */
function warnedOnce(onWarning: (message: string) => void): (work: () => void) => void {
	let isTold = false;
	return (work) => {
		try {
			work();
		} catch (error) {
			if (!isTold) onWarning(`telling others of the run failed: ${error instanceof Error ? error.message : error}`);
			isTold = true;
		}
	};
}

/** Without an SDK in this process all spans would be for nothing: not even the API is loaded then. */
async function openTracing({ redact, env }: WatchOptions) {
	if (!(SDK_REGISTERED in globalThis)) return null;
	return (await import("../observe/tracing.ts")).openTracing({ version: version(), redact, env });
}

async function openLineage({ pipeline, env, redact, signal, onWarning }: WatchOptions) {
	// As cheap as can be where it is not asked for: that is every run but few.
	if (!Object.keys(env).some((name) => name.startsWith("OPENLINEAGE_"))) return null;
	const { lineageSettings } = await import("../observe/lineage-settings.ts");
	const settings = lineageSettings(env, pipeline.directory);
	if (typeof settings === "string") onWarning(`OpenLineage: ${settings}; no events are sent`);
	if (settings === null || typeof settings === "string") return null;
	const { RunLineage } = await import("../observe/lineage.ts");
	const { LineageSender } = await import("../observe/lineage-sender.ts");
	const { lineageTables } = await import("./lineage-tables.ts");
	const sender = new LineageSender(settings.transport);
	const lineage = new RunLineage({ settings, version: version(), redact, send: (event) => sender.add(event) });
	return {
		onEvent: lineage.onEvent,
		ended: (run: RunReceipt) => lineage.ended(run),
		planned: (runId: string, plans: readonly TablePlan[], summaries: readonly SummaryPlan[]) =>
			lineage.planned(runId, lineageTables(pipeline, plans, summaries)),
		finish: () => sender.finish(signal?.aborted === true ? STOPPED_MS_MAX : FINISH_MS_MAX),
	};
}
