import type { JSX } from "preact";
import type { JobAnswer, PipelineSummary, RunDetail, RunRequest } from "../../src/server/api.ts";
import { jobApi, pipelineApi, runApi } from "./addresses.ts";
import { post } from "./client.ts";
import { intervalText, plural } from "./format.ts";
import { ask } from "./parts/dialog.tsx";
import { refresh } from "./resource.ts";

/** Each of these shows what it will touch first, and changes something only when that is confirmed. */

function started({ job }: JobAnswer): string {
	void refresh();
	if (job.state !== "queued") return `${job.pipeline}: started.`;
	return `${job.pipeline}: queued${job.waits_for === null ? "." : `; it waits for ${job.waits_for}.`}`;
}

export function Names({ of }: { readonly of: readonly string[] }): JSX.Element {
	const shown = of.slice(0, 12);
	return (
		<ul class="names">
			{shown.map((name) => (
				<li key={name} class="mono">
					{name}
				</li>
			))}
			{of.length > shown.length ? <li>and {of.length - shown.length} more</li> : null}
		</ul>
	);
}

/** Tables of a run that did not succeed: what `retry` takes. */
export function failedTables({ run }: RunDetail): string[] {
	return run.tables.filter(({ state }) => state !== "succeeded" && state !== "skipped").map(({ table }) => table);
}

export function askRetry(detail: RunDetail): void {
	const { run } = detail;
	const tables = failedTables(detail);
	const whole = tables.length === 0;
	ask({
		title: `Retry what failed in ${run.pipeline}`,
		confirm: whole ? "Retry the run" : `Retry ${plural(tables.length, "table")}`,
		preview: (
			<>
				<p>
					{whole
						? "The run ended before its tables began: all of them are read."
						: "Only these tables are read again; what the others loaded stays as it is."}
					{run.interval === null ? "" : ` Interval: ${intervalText(run.interval)}.`}
				</p>
				<Names of={tables} />
				<p class="quiet small">A new run is recorded. What was loaded once is not loaded twice.</p>
			</>
		),
		...(run.state === "running" ? { blocked: "The run is still at work." } : {}),
		act: async () => started(await post<JobAnswer>(`${runApi(run.run_id)}/retry`)),
	});
}

/** Retries the last run of several pipelines. */
export function askRetryMany(pipelines: readonly PipelineSummary[]): void {
	const failed = pipelines.flatMap(({ pipeline, last_runs }) => {
		const last = last_runs.at(-1);
		return last === undefined || last.state === "succeeded" || last.state === "running" ? [] : [{ pipeline, last }];
	});
	ask({
		title: "Retry what failed",
		confirm: `Retry ${plural(failed.length, "run")}`,
		preview: (
			<>
				<p>Of the last run of each of these pipelines, what failed is read again:</p>
				<Names of={failed.map(({ pipeline }) => pipeline)} />
			</>
		),
		...(failed.length === 0 ? { blocked: "The last run of each of them succeeded, or is still at work." } : {}),
		act: () =>
			several(
				failed.map(({ last }) => last.run_id),
				(runId) => post<JobAnswer>(`${runApi(runId)}/retry`),
				(done) => `Retrying ${plural(done, "run")}`,
			),
	});
}

/** Does one thing after the other; those that were refused are told, the others are done. */
export async function several<Item>(
	items: readonly Item[],
	act: (item: Item) => Promise<unknown>,
	said: (done: number) => string,
): Promise<string> {
	const refused: Error[] = [];
	for (const item of items) {
		try {
			await act(item);
		} catch (error) {
			refused.push(error as Error);
		}
	}
	void refresh();
	if (refused.length === items.length && refused[0] !== undefined) throw refused[0];
	const done = said(items.length - refused.length);
	return refused.length === 0 ? `${done}.` : `${done}; ${refused.length} refused: ${refused[0]!.message}`;
}

/** Runs chosen tables again, as part of a run's interval or of none. */
export function askRerun(
	pipeline: string,
	tables: readonly string[],
	interval: { readonly name: string; readonly text: string } | null,
	fullRefresh: boolean,
): void {
	const request: RunRequest = {
		tables: [...tables],
		...(interval === null ? {} : { interval: interval.name }),
		...(fullRefresh ? { full_refresh: true } : {}),
	};
	ask({
		title: fullRefresh ? `Clear and rerun in ${pipeline}` : `Run again in ${pipeline}`,
		confirm: `${fullRefresh ? "Clear and rerun" : "Run"} ${plural(tables.length, "table")}`,
		preview: (
			<>
				<p>
					{fullRefresh
						? "The position of these tables is given up and all their rows are read from the source. Readers see the old table until the new one takes its place."
						: "These tables are read from where they stand."}
					{interval === null ? "" : ` Interval: ${interval.text}.`}
				</p>
				<Names of={tables} />
			</>
		),
		act: async () => started(await post<JobAnswer>(`${pipelineApi(pipeline)}/run`, request)),
	});
}

export function askCancel(run: { readonly run_id: string; readonly pipeline: string }): void {
	ask({
		title: `Cancel the run of ${run.pipeline}`,
		confirm: "Cancel the run",
		preview: (
			<p>
				It stops at the next safe place. Tables that are loaded stay loaded; what was staged is used by the next run.
			</p>
		),
		act: async () => {
			await post<JobAnswer>(`${runApi(run.run_id)}/cancel`);
			void refresh();
			return "The run is being stopped.";
		},
	});
}

export function askCancelJob(job: { readonly job_id: string; readonly pipeline: string }): void {
	ask({
		title: `Cancel what waits for ${job.pipeline}`,
		confirm: "Cancel it",
		preview: <p>Runs that have begun stop at the next safe place; those that wait are not begun.</p>,
		act: async () => {
			await post<JobAnswer>(`${jobApi(job.job_id)}/cancel`);
			void refresh();
			return "Cancelled.";
		},
	});
}

export function askPause(pipelines: readonly string[]): void {
	let reason = "";
	ask({
		title: pipelines.length === 1 ? `Pause ${pipelines[0]}` : "Pause pipelines",
		confirm: `Pause ${plural(pipelines.length, "pipeline")}`,
		preview: (
			<>
				<p>
					The schedule is held until somebody resumes it, and a change stream stops. A run at work goes on, and runs by
					hand are possible.
				</p>
				<Names of={pipelines} />
				<label class="field">
					<span>Reason, for the others (may be empty)</span>
					<input
						class="input"
						maxLength={500}
						onInput={(event) => {
							reason = event.currentTarget.value;
						}}
					/>
				</label>
			</>
		),
		act: async () => {
			const body = () => (reason.trim() === "" ? {} : { reason: reason.trim() });
			return several(
				pipelines,
				(name) => post<PipelineSummary>(`${pipelineApi(name)}/pause`, body()),
				(done) => `Paused ${plural(done, "pipeline")}`,
			);
		},
	});
}

export function askUnpause(pipelines: readonly PipelineSummary[]): void {
	const names = pipelines.map(({ pipeline }) => pipeline);
	const catchup = pipelines.some(({ schedule }) => schedule?.catchup === true);
	ask({
		title: names.length === 1 ? `Resume ${names[0]}` : "Resume pipelines",
		confirm: `Resume ${plural(names.length, "pipeline")}`,
		preview: (
			<>
				<p>
					The schedule goes on.{" "}
					{catchup
						? "Where `catchup` is true, all runs that were missed are made up for."
						: "Of the times that were missed, the last one comes now."}
				</p>
				<Names of={names} />
			</>
		),
		act: async () =>
			several(
				names,
				(name) => post<PipelineSummary>(`${pipelineApi(name)}/unpause`),
				(done) => `Resumed ${plural(done, "pipeline")}`,
			),
	});
}
