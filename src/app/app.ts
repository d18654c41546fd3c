import {
	type CheckedPipeline,
	type Env,
	intervalBoundaries,
	intervalsBetween,
	lastInterval,
	parseInterval,
} from "../config/index.ts";
import {
	type CompactedTable,
	type Finding,
	type Grant,
	HeadraceError,
	type Port,
	type RunReceipt,
	type Source,
	type TableName,
	toHeadraceErrors,
} from "../core/index.ts";
import { CHANGES_STREAM } from "../flow/index.ts";
import { redactByLook } from "../observe/index.ts";
import { holderText, type ProjectState } from "../state/index.ts";
import { Alarms } from "./alarms.ts";
import type {
	AlertDelivery,
	App,
	BackfillOptions,
	CheckReport,
	CompactOptions,
	ConnectionGrants,
	GrantReport,
	HistoryRows,
	PauseReport,
	Plan,
	PlanOptions,
	PositionChanged,
	PositionRequest,
	RunInterval,
	RunOptions,
	SampleRows,
	StateReport,
	StatusReport,
	TaskSummary,
} from "./api.ts";
import { waitingAlert } from "./api.ts";
import { standingFindings } from "./change-standing.ts";
import {
	type ChangeProject,
	changesOf,
	holdPipeline,
	leaseIsHeld,
	pauseOf,
	requestChange,
	stateOf,
} from "./change-verbs.ts";
import { compactPipeline } from "./compact.ts";
import { lateMessage, lateTables } from "./freshness.ts";
import { openHistory } from "./history.ts";
import { LEASE_MS } from "./lease.ts";
import { plannedColumns } from "./lineage.ts";
import { planOf } from "./plan.ts";
import type { TablePlan } from "./planned-table.ts";
import { openProjectState, type ProjectStateOptions } from "./project-state.ts";
import { readOnly } from "./read-only.ts";
import { type Recorder, recorded } from "./recorded.ts";
import { openStaging } from "./registry.ts";
import { needsStaging, type RunContext, type RunScope, runOnce } from "./run.ts";
import { newRunId } from "./run-id.ts";
import type { RunWatch } from "./run-watch.ts";
import { sampleRows } from "./sample-rows.ts";
import { selectSummaries } from "./select.ts";
import { openSession } from "./session.ts";
import { planSession, tablesOf } from "./session-plan.ts";
import { tasksOf } from "./tasks.ts";

export interface AppOptions {
	/** The project's folder; `.headrace/` is made in it. */
	readonly directory: string;
	/** A source of the user's own instead of the pipeline's `from`. */
	readonly source?: Source;
	/**
	 * What references read, and `HEADRACE_STATE`, which says where the state is; default: a file of the project. And who
	 * else is told of runs (OPENLINEAGE_URL, TRACEPARENT), for which the default is the process's own.
	 */
	readonly env?: Env;
	/** The clock that says which interval is the last; default: the machine's. */
	readonly nowMs?: () => number;
	/** Masks secrets in what is kept of runs; default: whatever looks like a password. */
	readonly redact?: (text: string) => string;
	/** Told of the connection that the state is reached by, which has a password. */
	readonly onConnection?: ProjectStateOptions["onConnection"];
	/** Told when the history was damaged and is begun anew. */
	readonly onNotice?: (message: string) => void;
	/** How long a run may say nothing before another one takes its pipeline; default a minute. */
	readonly leaseMs?: number;
	/** A state store that is open already; it stays open when the app is closed. */
	readonly state?: ProjectState;
}

/** Opens a project: its state store, and everything that can be asked of its pipelines. */
export async function openApp(options: AppOptions): Promise<App> {
	const { redact, onNotice, onConnection } = options;
	if (options.state !== undefined) return new LocalApp(options, options.state);
	const state = await openProjectState({
		directory: options.directory,
		env: options.env ?? {},
		...(redact === undefined ? {} : { redact }),
		...(onNotice === undefined ? {} : { onNotice }),
		...(onConnection === undefined ? {} : { onConnection }),
	});
	return new LocalApp(options, state);
}

class LocalApp implements App {
	readonly directory: string;
	readonly #options: AppOptions;
	readonly #state: ProjectState;
	readonly #recorder: Recorder;
	readonly #project: ChangeProject;

	constructor(options: AppOptions, state: ProjectState) {
		this.directory = options.directory;
		this.#options = options;
		this.#state = state;
		const nowMs = options.nowMs ?? (() => state.nowMs());
		const leaseMs = options.leaseMs ?? LEASE_MS;
		this.#recorder = { state, nowMs, redact: options.redact ?? redactByLook, leaseMs, env: options.env ?? process.env };
		this.#project = { state, source: options.source, nowMs, leaseMs };
	}

	async run(pipeline: CheckedPipeline, options: RunOptions): Promise<RunReceipt[]> {
		if (options.stage === "check") return this.#checkStage(pipeline);
		const failed = options.failedRun === undefined ? null : await this.#failedRun(pipeline, options.failedRun);
		const wanted: RunOptions = failed?.tables === undefined ? options : { ...options, tables: failed.tables };
		const interval = failed?.interval ?? options.interval ?? this.#lastInterval(pipeline);
		if (options.test === true) {
			await using session = await openSession(pipeline, wanted, this.#options.source);
			return [await readOnly(session, wanted, interval)];
		}
		return recorded(
			this.#recorder,
			{ pipeline, options: wanted, intervals: [interval] },
			async ({ held, logged, starts: [start], watch }) => {
				await using session = await start!.attempt(() => openSession(pipeline, logged, this.#options.source));
				const { requests } = this.#state;
				const context = { state: held.state, requests, options: logged, interval, held, start: start! };
				return [await runOnce(session, { ...context, onPlanned: this.#onPlanned(pipeline, watch) })];
			},
		);
	}

	async backfill(pipeline: CheckedPipeline, options: BackfillOptions): Promise<RunReceipt[]> {
		const intervals = await this.backfillIntervals(pipeline, options);
		// Summaries of all the intervals are built once, by a run behind the last.
		const behind = intervals.length > 0 && selectSummaries(pipeline.summaries, options.tables).length > 0 ? [null] : [];
		const runs = { pipeline, options, intervals: [...intervals, ...behind] };
		return recorded(this.#recorder, runs, async ({ held, logged, starts, fail, watch }) => {
			const start = behind.length === 0 ? undefined : starts.at(-1);
			await using session = await starts[0]!.attempt(() => openSession(pipeline, logged, this.#options.source));
			const receipts: RunReceipt[] = [];
			const queue = [...intervals.entries()];
			const worker = async (isEnough = () => false) => {
				while (queue.length > 0 && !held.signal.aborted && !isEnough()) {
					const [index, interval] = queue.shift()!;
					const start = starts[index]!;
					const onPlanned = this.#onPlanned(pipeline, watch);
					const context = { state: held.state, options: logged, interval, held, start, scope: byInterval, onPlanned };
					try {
						receipts[index] = await runOnce(session, context);
					} catch (thrown) {
						// What ends one run as a whole would end the others too; those that have begun come to their end first.
						queue.length = 0;
						await fail(start, thrown);
						throw thrown;
					}
				}
			};
			const parallel = Math.max(1, Math.min(options.maxActiveRuns ?? pipeline.maxActiveRuns, intervals.length));
			// One that makes a table anew reads what was loaded before it was planned, and would put away what the runs beside
			// it load: the first that succeeds has none beside it.
			const [first] = await Promise.allSettled([worker(() => receipts.some(({ state }) => state === "succeeded"))]);
			const rest = Array.from({ length: first.status === "fulfilled" ? parallel : 0 }, () => worker());
			const ended = [first, ...(await Promise.allSettled(rest))];
			const failed = ended.find((each) => each.status === "rejected");
			if (failed !== undefined) throw failed.reason;
			const done = receipts.filter((receipt) => receipt !== undefined);
			if (start === undefined || held.signal.aborted) return done;
			const bad = done.filter((receipt) => receipt.state !== "succeeded").length;
			const scope: RunScope = {
				summaries: "only",
				...(bad === 0 ? {} : { blocked: `not built: ${bad} of ${done.length} intervals failed` }),
			};
			const interval = intervals.at(-1) ?? null;
			const onPlanned = this.#onPlanned(pipeline, watch);
			const context = { state: held.state, options: logged, interval, held, start, scope, onPlanned };
			return [...done, await runOnce(session, context)];
		});
	}

	async backfillIntervals(pipeline: CheckedPipeline, options: BackfillOptions): Promise<RunInterval[]> {
		const wanted = options.tables ?? [];
		const rules = pipeline.tables.filter((rule) => !rule.skip && rule.options.mode === "interval");
		if (rules.length === 0)
			throw new HeadraceError(
				"E_USAGE",
				`${pipeline.name} has no table with mode interval${wanted.length > 0 ? " among those" : ""}`,
				{
					pipeline: pipeline.name,
					hint: "A full or incremental table has no intervals to fill; `headrace run --full-refresh` reads it anew.",
				},
			);
		const between = intervalsBetween(options.start, options.end, pipeline.schedule, pipeline.timezone).map(bounds);
		if (options.intervals === undefined) return between;
		const known = new Set(between.map(({ start }) => start));
		return options.intervals.filter(({ start }) => known.has(start));
	}

	async plan(pipeline: CheckedPipeline, options: PlanOptions): Promise<Plan> {
		await using session = await openSession(pipeline, options, this.#options.source);
		return await planOf(session, options, options.interval ?? this.#lastInterval(pipeline));
	}

	async check(pipeline: CheckedPipeline): Promise<CheckReport> {
		const findings: (Finding & { readonly subject: string })[] = [];
		const look = async (subject: string, work: () => Promise<readonly Finding[]>) => {
			try {
				findings.push(...(await work()).map((finding) => ({ ...finding, subject })));
			} catch (thrown) {
				const errors = toHeadraceErrors(thrown);
				// Can't connect at all: the command ends with that error, unless something was found before it.
				if (errors.some((error) => error.exit === 4 || error.code === "E_BUSY")) throw thrown;
				findings.push(
					...errors.map((e): Finding & { subject: string } => ({
						severity: "error",
						message: `${e.code} ${e.message}`,
						remedy: e.hint,
						subject,
					})),
				);
			}
		};
		await using session = await openSession(pipeline, {}, this.#options.source);
		await look(pipeline.from.name, () => session.source.check());
		await look(pipeline.to.name, () => session.destination.check());
		if (needsStaging(session))
			await look(pipeline.staging?.name ?? "staging", async () => {
				await using staging = await openStaging(pipeline, session.resources);
				return await staging.check();
			});
		let planned: readonly TablePlan[] = [];
		await look(pipeline.name, async () => {
			const plan = await planSession(session, {}, this.#lastInterval(pipeline), newRunId());
			planned = plan.tables;
			return plan.tables.flatMap((table) =>
				table.errors.map(
					(error): Finding => ({ severity: "error", message: `${table.source} ${error.message}`, remedy: error.hint }),
				),
			);
		});
		const log = session.source.changeLog;
		const followed = planned.filter(({ selected }) => selected.options.mode === "cdc");
		if (log !== undefined && followed.length > 0) {
			const subject = `${pipeline.from.name}: change log`;
			await look(subject, () => log.check(followed.map(({ table }) => table)));
			await look(subject, async () => {
				const rows = await session.destination.positions(pipeline.name);
				const row = rows.find(({ stream }) => stream === CHANGES_STREAM);
				return standingFindings(pipeline, log, row, () => leaseIsHeld(this.#state, pipeline));
			});
		}
		await look(pipeline.name, () => this.#unfinished(pipeline));
		return { ok: findings.every((finding) => finding.severity !== "error"), findings };
	}

	async grants(pipeline: CheckedPipeline): Promise<GrantReport> {
		await using session = await openSession(pipeline, {}, this.#options.source);
		// The destination is not asked for anything that it does not tell by itself: whoever needs the list of its rights
		// may have none there yet.
		const selected = await tablesOf(session);
		const tables = selected.filter(({ kind }) => kind === "table").map(({ source }) => source);
		const queries = selected.filter(({ kind }) => kind === "query").map(({ source }) => source.name);
		const ofQueries: Grant[] =
			queries.length === 0
				? []
				: [
						{
							title: "what queries read",
							language: "sql",
							text: `-- SELECT on what these read, too: ${queries.join(", ")}`,
						},
					];
		const targets = selected.map(({ into }) => into);
		await using staging = needsStaging(session) ? await openStaging(pipeline, session.resources) : null;
		const of = async (role: ConnectionGrants["role"], port: Port, names: readonly TableName[]) => {
			const { name: connection, type } = { source: pipeline.from, staging: pipeline.staging, destination: pipeline.to }[
				role
			] ?? { name: "staging", type: "file" };
			const grants = (await port.grants?.(names)) ?? (type === "file" || type === "duckdb" ? [] : null);
			return { connection, role, type, grants };
		};
		const source = await of("source", session.source, tables);
		const followed = selected.filter(({ options }) => options.mode === "cdc");
		const log =
			followed.length === 0
				? []
				: ((await session.source.changeLog?.grants?.(followed.map(({ source }) => source))) ?? []);
		return {
			connections: [
				{
					...source,
					grants: source.grants === null && log.length === 0 ? null : [...(source.grants ?? []), ...ofQueries, ...log],
				},
				...(staging === null ? [] : [await of("staging", staging, [])]),
				await of("destination", session.destination, targets),
			],
		};
	}

	compact(pipeline: CheckedPipeline, options: CompactOptions): Promise<CompactedTable[]> {
		return compactPipeline(this.#project, pipeline, options);
	}

	async tasks(pipeline: CheckedPipeline): Promise<TaskSummary[]> {
		await using session = await openSession(pipeline, {}, this.#options.source);
		const plan = await planSession(session, {}, this.#lastInterval(pipeline), newRunId());
		return tasksOf(plan);
	}

	async status(pipeline: CheckedPipeline): Promise<StatusReport> {
		const [lastRun] = await this.#state.runs({ pipeline: pipeline.name, limit: 1 });
		const lease = await this.#state.leaseHolder(`pipeline:${pipeline.name}`);
		let positions = await this.#state.positions(pipeline.name);
		if (positions.length === 0 && lease === null) {
			// The cache is lost or new: the destination knows.
			await using session = await openSession(pipeline, {}, this.#options.source);
			positions = await session.destination.positions(pipeline.name);
			await this.#state.savePositions(pipeline.name, positions);
		}
		const late = await lateTables(this.#state, pipeline, this.#recorder.nowMs());
		const alerts = (await this.#state.alerts(pipeline.name)).filter((entry) => entry.state === "waiting");
		return {
			pipeline: pipeline.name,
			last_run: lastRun ?? null,
			held_by: lease === null ? null : holderText(lease.holder),
			paused: await pauseOf(this.#state, pipeline),
			positions,
			late: late.map((table) => ({
				table: table.table === "" ? null : table.table,
				last_success: table.lastSuccess,
				message: lateMessage(table, this.#recorder.nowMs()),
			})),
			alerts_waiting: alerts.map(waitingAlert),
			changes: await changesOf(this.#project, pipeline, positions),
		};
	}

	changePosition(
		pipeline: CheckedPipeline,
		request: PositionRequest,
		options: { readonly signal?: AbortSignal } = {},
	): Promise<PositionChanged> {
		return requestChange(this.#project, pipeline, request, options.signal);
	}

	pause(pipeline: CheckedPipeline, paused: boolean): Promise<PauseReport> {
		return holdPipeline(this.#project, pipeline, paused);
	}

	history(
		pipeline: CheckedPipeline,
		table: string,
		asOf: string,
		options: { readonly signal?: AbortSignal } = {},
	): Promise<HistoryRows> {
		return openHistory(pipeline, table, asOf, options.signal);
	}

	sample(
		pipeline: CheckedPipeline,
		table: string,
		options: { readonly signal?: AbortSignal } = {},
	): Promise<SampleRows> {
		return sampleRows(pipeline, table, options.signal);
	}

	positions(pipeline: CheckedPipeline): Promise<StateReport> {
		return stateOf(this.#project, pipeline);
	}

	async alert(pipeline: CheckedPipeline, options: { readonly signal?: AbortSignal } = {}): Promise<AlertDelivery[]> {
		const alarms = this.#alarms(pipeline, options.signal);
		await alarms.checkLate(null);
		return [...(await alarms.finish(null))];
	}

	async alertTest(
		pipeline: CheckedPipeline,
		options: { readonly signal?: AbortSignal } = {},
	): Promise<AlertDelivery[]> {
		return [...(await this.#alarms(pipeline, options.signal).test())];
	}

	#alarms(pipeline: CheckedPipeline, signal: AbortSignal | undefined): Alarms {
		return new Alarms({ ...this.#recorder, pipeline, signal, onLine: () => {} });
	}

	async #checkStage(pipeline: CheckedPipeline): Promise<RunReceipt[]> {
		const started = new Date().toISOString();
		const report = await this.check(pipeline);
		const errors = report.findings.filter((finding) => finding.severity === "error");
		if (errors.length > 0)
			throw new HeadraceError("E_CHECK", errors.map((finding) => `${finding.subject}: ${finding.message}`).join("; "), {
				pipeline: pipeline.name,
				hint: errors.map((finding) => finding.remedy).find((remedy) => remedy !== undefined) ?? "See `headrace check`.",
			});
		return [
			{
				run_id: newRunId(),
				pipeline: pipeline.name,
				interval: null,
				state: "succeeded",
				started_at: started,
				finished_at: new Date().toISOString(),
				tables: [],
			},
		];
	}

	/** Runs that were cut off: the next run finishes what they sealed. */
	async #unfinished(pipeline: CheckedPipeline): Promise<Finding[]> {
		const lease = await this.#state.leaseHolder(`pipeline:${pipeline.name}`);
		if (lease !== null) return [{ severity: "warning", message: `a run is going on: ${holderText(lease.holder)}` }];
		const [last] = await this.#state.runs({ pipeline: pipeline.name, limit: 1 });
		if (last?.state !== "running" && last?.state !== "stopped")
			return [{ severity: "ok", message: "no unfinished work" }];
		return [
			{
				severity: "warning",
				message: `run ${last.run_id} was cut short; the next run goes on where it stopped`,
				remedy: `headrace run ${pipeline.name}`,
			},
		];
	}

	async #failedRun(pipeline: CheckedPipeline, runId: string) {
		const run = await this.#state.run(runId);
		if (run === null || run.pipeline !== pipeline.name)
			throw new HeadraceError("E_USAGE", `${pipeline.name} has no run ${runId}`, {
				hint: `See \`headrace runs ${pipeline.name}\`.`,
			});
		const tables = run.tables.filter((table) => table.state !== "succeeded").map((table) => table.table);
		// It ended before its tables were known: all of it is to be repeated.
		if (run.tables.length === 0 && run.state !== "succeeded") return { tables: undefined, interval: run.interval };
		if (tables.length === 0)
			throw new HeadraceError("E_USAGE", `nothing failed in run ${run.run_id}`, { hint: "Nothing to repeat." });
		return { tables, interval: run.interval };
	}

	/** What the columns of its tables were at this run, for who asks without connecting. */
	#onPlanned(pipeline: CheckedPipeline, watch: RunWatch): NonNullable<RunContext["onPlanned"]> {
		return async ({ runId, plans, summaries }) => {
			watch.planned(runId, plans, summaries);
			await this.#state.server.saveColumns(pipeline.name, plannedColumns(plans, new Date().toISOString()));
		};
	}

	#lastInterval(pipeline: CheckedPipeline): RunInterval {
		return bounds(lastInterval(this.#recorder.nowMs(), scheduleOf(pipeline), pipeline.timezone));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.#options.state === undefined) await this.#state[Symbol.asyncDispose]();
	}
}

/** The interval that `--interval` names. @throws E_INVALID_VALUE */
export function namedInterval(pipeline: CheckedPipeline, text: string): RunInterval {
	return bounds(parseInterval(text, scheduleOf(pipeline), pipeline.timezone));
}

/** Without tables that are read by intervals any schedule will do: `{{ ds }}` is the day then. */
function scheduleOf({ schedule, timezone, tables }: CheckedPipeline): CheckedPipeline["schedule"] {
	const needed = tables.some((rule) => !rule.skip && rule.options.mode === "interval");
	return needed || intervalBoundaries(schedule, timezone) !== null ? schedule : undefined;
}

const bounds = ({ start, end }: RunInterval): RunInterval => ({ start, end });

/** The intervals of a backfill only move rows: a summary of them all is built once, behind the last. */
const byInterval: RunScope = {
	tables: (plan) => plan.selected.options.mode === "interval",
	summaries: "none",
};
