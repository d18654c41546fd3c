import {
	type Attributes,
	type Context,
	propagation,
	type Span,
	type SpanContext,
	type SpanStatus,
	type TextMapPropagator,
	type TimeInput,
	type Tracer,
	trace,
} from "@opentelemetry/api";
import { afterEach, beforeEach, expect, test } from "vitest";
import { World } from "./world.ts";

/** What an SDK would export. */
interface Exported {
	readonly name: string;
	readonly parent: string;
	readonly spanId: string;
	readonly attributes: Attributes;
	readonly startMs: number;
	readonly events: string[];
	endMs: number | null;
	status: SpanStatus | null;
}

let spans: Exported[];
let flushes: number;
/** What the SDK's spans throw, when they do. */
let trouble: Error | null;

const millisecondsOf = (time: TimeInput | undefined) => (time instanceof Date ? time.getTime() : Date.now());

function startSpan(name: string, options: Parameters<Tracer["startSpan"]>[1], within: Context | undefined): Span {
	if (trouble !== null) throw trouble;
	const parent = within === undefined ? undefined : trace.getSpanContext(within);
	const spanId = String(spans.length + 1).padStart(16, "0");
	const exported: Exported = {
		name,
		parent: parent?.spanId ?? "",
		spanId,
		attributes: { ...options?.attributes },
		startMs: millisecondsOf(options?.startTime),
		events: [],
		endMs: null,
		status: null,
	};
	spans.push(exported);
	const context: SpanContext = { traceId: parent?.traceId ?? "1".repeat(32), spanId, traceFlags: 1 };
	const span: Span = {
		spanContext: () => context,
		setAttribute: (key, value) => {
			if (value !== undefined) exported.attributes[key] = value;
			return span;
		},
		setAttributes: (attributes) => {
			Object.assign(exported.attributes, attributes);
			return span;
		},
		addEvent: (event, attributes) => {
			exported.events.push(`${event} ${JSON.stringify(attributes)}`);
			return span;
		},
		addLink: () => span,
		addLinks: () => span,
		setStatus: (status) => {
			exported.status = status;
			return span;
		},
		updateName: () => span,
		end: (time) => {
			exported.endMs = millisecondsOf(time);
		},
		isRecording: () => exported.endMs === null,
		recordException: () => {},
	};
	return span;
}

/** Of https://www.w3.org/TR/trace-context/, as far as is needed to be told of a parent. */
const traceContext: TextMapPropagator = {
	inject: () => {},
	fields: () => ["traceparent"],
	extract(context, carrier, getter) {
		const [, traceId, spanId] = /^00-(\w{32})-(\w{16})-01$/.exec(String(getter.get(carrier, "traceparent"))) ?? [];
		if (traceId === undefined) return context;
		return trace.setSpanContext(context, { traceId, spanId: spanId!, traceFlags: 1, isRemote: true });
	},
};

beforeEach(() => {
	spans = [];
	flushes = 0;
	trouble = null;
});
afterEach(() => {
	trace.disable();
	propagation.disable();
});

function registerSdk(): void {
	const tracer = { startSpan, startActiveSpan: () => undefined } as unknown as Tracer;
	const forceFlush = () => {
		flushes++;
		return Promise.resolve();
	};
	trace.setGlobalTracerProvider(Object.assign({ getTracer: () => tracer }, { forceFlush }));
	propagation.setGlobalPropagator(traceContext);
}

const named = (name: string) => spans.filter((span) => span.name === name);

test("a run is a span, in it each table, in it each stage, all ended and given to the exporter", async () => {
	registerSdk();
	const world = new World();
	const receipt = await world.run(
		{ TRACEPARENT: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` },
		{ staging: "./staged" },
	);
	expect(receipt.state).toBe("succeeded");
	const [run] = named("headrace.run");
	expect(run).toMatchObject({
		parent: "b".repeat(16),
		startMs: Date.parse(receipt.started_at),
		endMs: Date.parse(receipt.finished_at!),
		status: null,
		attributes: {
			"headrace.pipeline": "shop",
			"headrace.run_id": receipt.run_id,
			"headrace.trigger": "command",
			"headrace.state": "succeeded",
			"headrace.tables": 2,
		},
	});
	const tables = named("headrace.table");
	expect(tables.map(({ parent }) => parent)).toEqual([run!.spanId, run!.spanId]);
	const orders = tables.find(({ attributes }) => attributes["headrace.table"] === "shop.orders")!;
	const told = receipt.tables.find(({ table }) => table === "shop.orders")!;
	expect(orders.attributes).toMatchObject({
		"headrace.into": "shop.orders",
		"headrace.mode": "full",
		"headrace.write": "replace",
		"headrace.state": "succeeded",
		"headrace.rows_read": 2,
		"headrace.rows_loaded": 2,
		"headrace.bytes": told.bytes,
	});
	const stages = spans.filter(({ parent }) => parent === orders.spanId);
	expect(stages.map(({ name, startMs, endMs }) => ({ name, startMs, endMs }))).toEqual(
		told.stages!.map(({ stage, started_at, finished_at }) => ({
			name: `headrace.${stage}`,
			startMs: Date.parse(started_at),
			endMs: Date.parse(finished_at!),
		})),
	);
	expect(stages.map(({ name }) => name)).toEqual(["headrace.extract", "headrace.load"]);
	expect(spans.every(({ endMs }) => endMs !== null)).toBe(true);
	expect(flushes).toBe(1);
	expect(JSON.stringify(spans)).not.toContain("secret value");
});

test("what failed says with which code; attempts and the pause between them are told", async () => {
	registerSdk();
	const world = new World();
	world.failing.set("orders", { code: "E_TIMEOUT", times: 2 });
	const receipt = await world.run({}, { retries: 1 });
	expect(receipt.state).toBe("failed");
	const [orders] = named("headrace.table").filter(({ attributes }) => attributes["headrace.table"] === "shop.orders");
	expect(orders).toMatchObject({
		status: { code: 2, message: "E_TIMEOUT: orders did not answer ***" },
		attributes: { "error.type": "E_TIMEOUT", "headrace.attempts": 2 },
	});
	expect(orders!.events).toEqual([expect.stringMatching(/^retry .*"headrace.attempt":1.*"error.type":"E_TIMEOUT"/)]);
	expect(spans.filter(({ parent, name }) => parent === orders!.spanId && name === "headrace.wait")).toHaveLength(1);
	expect(named("headrace.run")[0]).toMatchObject({ parent: "", status: { code: 2 } });
});

test("a run that could not connect has its span", async () => {
	registerSdk();
	const world = new World();
	world.connects = "E_LOGIN";
	await expect(world.run({})).rejects.toThrow("no way to db.internal");
	expect(spans).toMatchObject([
		{ name: "headrace.run", status: { code: 2, message: "E_LOGIN: no way to db.internal as ***" } },
	]);
	expect(spans[0]!.endMs).not.toBeNull();
});

test("an SDK that throws ends no run, and is complained of once; without an SDK there is nothing", async () => {
	registerSdk();
	trouble = new Error("exporter is full");
	const world = new World();
	expect((await world.run({})).state).toBe("succeeded");
	expect(world.notices.filter((notice) => notice.includes("exporter is full"))).toHaveLength(1);
	trace.disable();
	propagation.disable();
	trouble = null;
	expect((await world.run({})).state).toBe("succeeded");
	expect(spans).toEqual([]);
});
