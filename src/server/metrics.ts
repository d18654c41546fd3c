import type { RunEvent, RunReceipt, TableReceipt } from "../core/index.ts";
import type { ServerContext } from "./route.ts";

/** Seconds; runs take from a moment to a night. */
const BUCKETS = [1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200];

interface Histogram {
	readonly counts: number[];
	sum: number;
	count: number;
}

type Labels = Readonly<Record<string, string>>;

/** A family of metrics as text: https://prometheus.io/docs/instrumenting/exposition_formats/ */
class Family {
	readonly #name: string;
	readonly #lines: string[] = [];

	constructor(name: string, type: "counter" | "gauge" | "histogram", help: string) {
		this.#name = name;
		this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
	}

	add(labels: Labels, value: number, suffix = ""): this {
		const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
		const braces = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
		this.#lines.push(`${this.#name}${suffix}${braces} ${Number.isFinite(value) ? value : "NaN"}`);
		return this;
	}

	get lines(): readonly string[] {
		return this.#lines.length > 2 ? this.#lines : [];
	}
}

function escaped(text: string): string {
	return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

/** Counts what the runs of this process do; `text` is what Prometheus scrapes. */
export class Metrics {
	readonly #tables = new Map<string, { readonly labels: Labels; rows: number; bytes: number }>();
	readonly #failures = new Map<string, { readonly labels: Labels; count: number }>();
	readonly #runs = new Map<string, { readonly labels: Labels; count: number }>();
	readonly #seconds = new Map<string, Histogram>();
	/** Runs that follow a change stream: they end in months, and their rows count before. */
	readonly #following = new Set<string>();
	readonly #followed = new Map<string, { readonly labels: Labels; rows: number; bytes: number }>();

	/** An event of a run. */
	onRunEvent(pipeline: string, event: RunEvent): void {
		if (event.type === "run-started" && event.run.origin?.trigger === "continuous")
			this.#following.add(event.run.run_id);
		else if (event.type === "progress" && event.phase === "load" && this.#following.has(event.runId)) {
			const { table, rows, bytes } = event;
			this.#followed.set(`${event.runId}\n${table}`, { labels: { pipeline, table }, rows, bytes });
		} else if (event.type === "table-finished") {
			this.#followed.delete(`${event.runId}\n${event.receipt.table}`);
			this.#table(pipeline, event.receipt);
		} else if (event.type === "run-finished") {
			this.#following.delete(event.run.run_id);
			this.#run(pipeline, event.run);
		}
	}

	#table(pipeline: string, receipt: TableReceipt): void {
		const { table, rows_loaded: rows, bytes, error } = receipt;
		const key = `${pipeline}\n${table}`;
		const sums = this.#tables.get(key) ?? { labels: { pipeline, table }, rows: 0, bytes: 0 };
		sums.rows += rows;
		sums.bytes += bytes;
		this.#tables.set(key, sums);
		if (receipt.state !== "failed") return;
		const code = error?.code ?? "E_INTERNAL";
		const failures = this.#failures.get(`${key}\n${code}`) ?? { labels: { pipeline, table, code }, count: 0 };
		failures.count++;
		this.#failures.set(`${key}\n${code}`, failures);
	}

	#run(pipeline: string, { state, started_at, finished_at }: RunReceipt): void {
		const key = `${pipeline}\n${state}`;
		const runs = this.#runs.get(key) ?? { labels: { pipeline, state }, count: 0 };
		runs.count++;
		this.#runs.set(key, runs);
		if (finished_at === null) return;
		const seconds = Math.max(0, (Date.parse(finished_at) - Date.parse(started_at)) / 1000);
		const histogram = this.#seconds.get(pipeline) ?? { counts: BUCKETS.map(() => 0), sum: 0, count: 0 };
		for (const [index, limit] of BUCKETS.entries()) if (seconds <= limit) histogram.counts[index]!++;
		histogram.sum += seconds;
		histogram.count++;
		this.#seconds.set(pipeline, histogram);
	}

	async text(context: ServerContext): Promise<string> {
		const families = [...this.#counters(context), ...(await gaugesOf(context))];
		return `${families.flatMap(({ lines }) => lines).join("\n")}\n`;
	}

	#counters({ version }: ServerContext): Family[] {
		const rows = new Family(
			"headrace_rows_loaded_total",
			"counter",
			"Rows loaded by tables that ended, or follow a change stream.",
		);
		const bytes = new Family("headrace_bytes_total", "counter", "Bytes moved by them.");
		const sums = new Map([...this.#tables].map(([key, sum]) => [key, { ...sum }]));
		for (const { labels, rows, bytes } of this.#followed.values()) {
			const key = `${labels["pipeline"]}\n${labels["table"]}`;
			const sum = sums.get(key) ?? { labels, rows: 0, bytes: 0 };
			sums.set(key, { labels, rows: sum.rows + rows, bytes: sum.bytes + bytes });
		}
		for (const { labels, ...sum } of sums.values()) {
			rows.add(labels, sum.rows);
			bytes.add(labels, sum.bytes);
		}
		const runs = new Family("headrace_runs_total", "counter", "Runs that ended, by their state.");
		for (const { labels, count } of this.#runs.values()) runs.add(labels, count);
		const failures = new Family("headrace_table_failures_total", "counter", "Tables that failed, by error code.");
		for (const { labels, count } of this.#failures.values()) failures.add(labels, count);
		const seconds = new Family("headrace_run_duration_seconds", "histogram", "How long runs took.");
		for (const [pipeline, { counts, sum, count }] of this.#seconds) {
			for (const [index, limit] of BUCKETS.entries())
				seconds.add({ pipeline, le: String(limit) }, counts[index]!, "_bucket");
			seconds.add({ pipeline, le: "+Inf" }, count, "_bucket").add({ pipeline }, sum, "_sum");
			seconds.add({ pipeline }, count, "_count");
		}
		const build = new Family("headrace_build_info", "gauge", "The version, as a label.").add({ version }, 1);
		const { user, system } = process.cpuUsage();
		return [
			build,
			rows,
			bytes,
			runs,
			failures,
			seconds,
			new Family("process_resident_memory_bytes", "gauge", "Memory of the process.").add({}, process.memoryUsage.rss()),
			new Family("process_cpu_seconds_total", "counter", "CPU time of the process.").add({}, (user + system) / 1e6),
			new Family("process_start_time_seconds", "gauge", "When the process began, seconds since 1970.").add(
				{},
				Math.round(performance.timeOrigin / 1000),
			),
		];
	}
}

/** What is so now. */
async function gaugesOf({ service }: ServerContext): Promise<Family[]> {
	const jobs = new Family("headrace_jobs", "gauge", "Jobs that wait and that are at work.");
	for (const state of ["queued", "running"] as const)
		jobs.add({ state }, service.jobs.open().filter((job) => job.state === state).length);
	const pipelines = new Family("headrace_pipeline_info", "gauge", "Pipelines by state: ok, paused, or broken.");
	const last = new Family(
		"headrace_last_success_timestamp_seconds",
		"gauge",
		"When a table was last loaded, seconds since 1970.",
	);
	const lag = new Family("headrace_change_lag_seconds", "gauge", "How far a change stream is behind.");
	const behind = new Family("headrace_change_behind_bytes", "gauge", "Bytes of the source's log not read yet.");
	const left = new Family("headrace_change_headroom_seconds", "gauge", "Until the position can no longer be read.");
	const leftBytes = new Family("headrace_change_headroom_bytes", "gauge", "Growth of the log until then.");
	const restarts = new Family("headrace_change_restarts_total", "counter", "How often a change stream began again.");
	for (const { name, pipeline } of service.catalog.entries.values()) {
		const state = pipeline === null ? "broken" : service.paused(name) === null ? "ok" : "paused";
		pipelines.add({ pipeline: name, state }, 1);
		for (const { table, at } of await service.history.successes(name))
			last.add({ pipeline: name, table }, Date.parse(at) / 1000);
		const headroom = service.changes.measure(name)?.headroom;
		const labels = { pipeline: name };
		const lagSeconds = await service.changes.lagSeconds(name);
		if (lagSeconds !== null) lag.add(labels, lagSeconds);
		if (headroom !== null && headroom !== undefined) behind.add(labels, headroom.bytesBehind);
		if (headroom?.secondsLeft !== undefined) left.add(labels, headroom.secondsLeft);
		if (headroom?.bytesLeft !== undefined) leftBytes.add(labels, headroom.bytesLeft);
		const follower = service.follower(name);
		if (follower !== null) restarts.add(labels, follower.restarts);
	}
	return [jobs, pipelines, last, lag, behind, left, leftBytes, restarts];
}
