import type { Attributes, Context, Span, TracerProvider } from "@opentelemetry/api";
import type { RunEvent } from "../core/events.ts";
import type { RunReceipt, StageTime, TableReceipt } from "../core/state-store.ts";

type OpenTelemetry = typeof import("@opentelemetry/api");

/** A collector that does not answer keeps no run waiting longer than this. */
const FLUSH_MS_MAX = 5_000;

export interface TracingOptions {
	readonly version: string;
	readonly redact: (text: string) => string;
	/** Its TRACEPARENT and TRACESTATE say which span a run is a part of: https://www.w3.org/TR/trace-context/ */
	readonly env: Readonly<Record<string, string | undefined>>;
}

/** Spans of runs, for the SDK that has registered itself in this process. */
export async function openTracing(options: TracingOptions): Promise<RunTracing> {
	return new RunTracing(await import("@opentelemetry/api"), options);
}

interface OpenRun {
	readonly span: Span;
	readonly within: Context;
	readonly tables: Map<string, Span>;
}

/**
 * Runs as spans of OpenTelemetry: the run, in it its tables, in them their stages, with names, states, rows and bytes as
 * attributes, and never a value. Stages are told when their table has ended, with the times that its receipt has, so
 * that nothing is done while rows move.
 */
export class RunTracing {
	readonly #api: OpenTelemetry;
	readonly #options: TracingOptions;
	readonly #runs = new Map<string, OpenRun>();

	constructor(api: OpenTelemetry, options: TracingOptions) {
		this.#api = api;
		this.#options = options;
	}

	/** An event sink. Bound, so that it can be passed on. */
	readonly onEvent = (event: RunEvent): void => {
		switch (event.type) {
			case "run-started":
				this.#begin(event.run);
				return;
			case "table-started":
				this.#table(event.runId, event.table, new Date());
				return;
			case "retry": {
				const { attempt, delayMs, error } = event;
				const attributes = { "headrace.attempt": attempt, "headrace.delay_ms": delayMs, "error.type": error.code };
				this.#runs.get(event.runId)?.tables.get(event.table)?.addEvent("retry", attributes);
				return;
			}
			case "table-finished":
				this.#endTable(event.runId, event.receipt);
				return;
			case "run-finished":
				this.ended(event.run);
		}
	};

	/** Ends the span of a run, also of one that never began. */
	ended(run: RunReceipt): void {
		const { span, tables } = this.#runs.get(run.run_id) ?? this.#begin(run);
		for (const table of tables.values()) table.end();
		this.#runs.delete(run.run_id);
		span.setAttributes({ "headrace.state": run.state, "headrace.tables": run.tables.length });
		const error = run.error ?? run.tables.find(({ state }) => state === "failed")?.error ?? null;
		this.#fail(span, run.state, error);
		span.end(run.finished_at === null ? new Date() : new Date(run.finished_at));
	}

	/** Gives what was told to the SDK's exporter, before the process ends. */
	async flush(): Promise<void> {
		const provider = this.#api.trace.getTracerProvider() as TracerProvider & {
			getDelegate?: () => TracerProvider;
			forceFlush?: () => Promise<void>;
		};
		const delegate = (provider.getDelegate?.() ?? provider) as { forceFlush?: () => Promise<void> };
		if (delegate.forceFlush === undefined) return;
		let timer: NodeJS.Timeout | undefined;
		const late = new Promise<void>((resolve) => {
			timer = setTimeout(resolve, FLUSH_MS_MAX);
		});
		// An exporter's trouble is told by the SDK's own log.
		await Promise.race([delegate.forceFlush().catch(() => {}), late]);
		clearTimeout(timer);
	}

	#begin(run: RunReceipt): OpenRun {
		const { context, propagation, trace } = this.#api;
		const { TRACEPARENT: traceparent, TRACESTATE: tracestate } = this.#options.env;
		const above = propagation.extract(context.active(), { traceparent, tracestate });
		const span = this.#start("headrace.run", above, new Date(run.started_at), {
			"headrace.pipeline": run.pipeline,
			"headrace.run_id": run.run_id,
			"headrace.trigger": run.origin?.trigger ?? "command",
			...(run.stage === undefined ? {} : { "headrace.stage": run.stage }),
			...(run.interval === null
				? {}
				: { "headrace.interval.start": run.interval.start, "headrace.interval.end": run.interval.end }),
		});
		const open = { span, within: trace.setSpan(above, span), tables: new Map<string, Span>() };
		this.#runs.set(run.run_id, open);
		return open;
	}

	#table(runId: string, table: string, startedAt: Date): Span | null {
		const run = this.#runs.get(runId);
		if (run === undefined) return null;
		const span = this.#start("headrace.table", run.within, startedAt, { "headrace.table": table });
		run.tables.set(table, span);
		return span;
	}

	#endTable(runId: string, receipt: TableReceipt): void {
		const run = this.#runs.get(runId);
		const now = new Date();
		// One that could not be planned, or was left out, never began.
		const span =
			run?.tables.get(receipt.table) ??
			this.#table(runId, receipt.table, new Date(now.getTime() - receipt.seconds * 1000));
		if (run === undefined || span === null) return;
		run.tables.delete(receipt.table);
		const within = this.#api.trace.setSpan(run.within, span);
		for (const stage of receipt.stages ?? []) this.#stage(stage, within, now);
		span.setAttributes({
			"headrace.into": receipt.into,
			"headrace.mode": receipt.mode,
			"headrace.write": receipt.write,
			"headrace.state": receipt.state,
			"headrace.attempts": receipt.attempts,
			"headrace.rows_read": receipt.rows_read,
			"headrace.rows_staged": receipt.rows_staged,
			"headrace.rows_loaded": receipt.rows_loaded,
			"headrace.rows_rejected": receipt.rows_rejected,
			"headrace.bytes": receipt.bytes,
		});
		this.#fail(span, receipt.state, receipt.error);
		span.end(now);
	}

	#stage({ stage, attempt, started_at, finished_at, rows, bytes }: StageTime, within: Context, now: Date): void {
		const attributes = { "headrace.attempt": attempt, "headrace.rows": rows, "headrace.bytes": bytes };
		const span = this.#start(`headrace.${stage}`, within, new Date(started_at), attributes);
		span.end(finished_at === null ? now : new Date(finished_at));
	}

	#fail(span: Span, state: TableReceipt["state"], error: TableReceipt["error"]): void {
		if (error === null || state === "succeeded") return;
		span.setAttribute("error.type", error.code);
		// Stopped by a person, or left out because of another table: no error of its own.
		if (state !== "failed") return;
		const message = `${error.code}: ${this.#options.redact(error.message)}`;
		span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message });
	}

	#start(name: string, within: Context, startTime: Date, attributes: Attributes): Span {
		// Asked for each time: an SDK may come later than this.
		const tracer = this.#api.trace.getTracer("headrace", this.#options.version);
		return tracer.startSpan(name, { startTime, attributes }, within);
	}
}
