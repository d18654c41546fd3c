import type { JSX } from "preact";
import { Link } from "wouter-preact";
import type { Job, PipelineSummary, RunSquare } from "../../../src/server/api.ts";
import { logUrl, runUrl } from "../addresses.ts";
import { dateTime, duration, intervalText, plural, roughly } from "../format.ts";
import { Mark, StateText } from "../parts/mark.tsx";
import { Ago } from "../parts/time.tsx";

/** The first fault of a pipeline's file, with its place. */
export function Fault({ pipeline }: { readonly pipeline: PipelineSummary }): JSX.Element {
	const { file, line, column, code, message } = pipeline.problems[0]!;
	const place = [file ?? pipeline.file, line, column].filter((each) => each !== null).join(":");
	return (
		<div class="fault small">
			<Mark state="failed" label="broken file" /> <span class="mono">{place}</span> {code}: {message}
		</div>
	);
}

/** What a run's square says when it is pointed at or read aloud. */
export function squareLabel(run: RunSquare): string {
	const interval = run.interval === null ? "" : `, interval ${intervalText(run.interval)}`;
	return `${run.state}, ${dateTime(run.started_at)}${interval}, ${duration(run.seconds)}, ${plural(run.rows, "row")}`;
}

/** Whether a job is in no run's square: it waits, or it is connecting and planning still. */
export function hasNoRun({ state, run_ids }: Job): boolean {
	return state === "queued" || (state === "running" && run_ids.length === 0);
}

/** What a job without a run does. */
export function jobText({ state, waits_for }: Job): string {
	if (state === "running") return "connecting and planning";
	return waits_for === null ? "about to begin" : `it waits for ${waits_for}`;
}

/** The last runs, oldest first, and what waits. A failed one leads to its first error, the others to the run. */
export function Squares({ pipeline }: { readonly pipeline: PipelineSummary }): JSX.Element {
	const waiting = pipeline.jobs.filter(hasNoRun);
	if (pipeline.last_runs.length === 0 && waiting.length === 0) return <span class="quiet">no run yet</span>;
	return (
		<ol class="squares">
			{pipeline.last_runs.map((run) => (
				<li key={run.run_id}>
					<Link
						href={run.state === "failed" ? logUrl(run.run_id, { firstError: true }) : runUrl(run.run_id)}
						title={squareLabel(run)}
					>
						<Mark state={run.state} label={squareLabel(run)} />
					</Link>
				</li>
			))}
			{waiting.map((job) => (
				<li key={job.job_id} title={jobText(job)}>
					<Mark state={job.state} label={`${job.state}: ${jobText(job)}`} />
				</li>
			))}
		</ol>
	);
}

export function ScheduleText({ pipeline }: { readonly pipeline: PipelineSummary }): JSX.Element {
	const { schedule, paused } = pipeline;
	if (schedule === null) return <span class="quiet">by hand</span>;
	return (
		<>
			<span title={schedule.text}>{schedule.words}</span>
			<div class="quiet small">
				{paused !== null ? (
					<span title={`by ${paused.by}${paused.reason === null ? "" : `: ${paused.reason}`}`}>
						<StateText state="paused" /> <Ago at={paused.at} />
					</span>
				) : schedule.next_at === null ? (
					schedule.timezone
				) : (
					<>
						next <Ago at={schedule.next_at} /> · {schedule.timezone}
					</>
				)}
			</div>
		</>
	);
}

export function FreshText({ pipeline }: { readonly pipeline: PipelineSummary }): JSX.Element {
	const { last_success_at, late, late_after_seconds, message, never_loaded } = pipeline.freshness;
	// A change stream has no end that could have succeeded: what it is behind says how fresh its tables are.
	const isStream =
		pipeline.lag_seconds !== null &&
		pipeline.modes.every((mode) => mode === "cdc") &&
		pipeline.last_runs.at(-1)?.state === "running";
	return (
		<>
			{late ? <StateText state="warning" word="late" /> : null}{" "}
			{isStream ? "follows the log" : <Ago at={last_success_at} never="never loaded" />}
			{/* One that has loaded nothing at all says so already; a stream's first load has no end yet. */}
			{never_loaded.length === 0 || last_success_at === null || isStream ? null : (
				<div class="small" title={never_loaded.join(", ")}>
					<StateText state="warning" word={`${never_loaded.length} never loaded`} />
				</div>
			)}
			{late_after_seconds === null ? null : (
				<div class="quiet small nowrap" title={message ?? ""}>
					late after {roughly(late_after_seconds)}
				</div>
			)}
		</>
	);
}
