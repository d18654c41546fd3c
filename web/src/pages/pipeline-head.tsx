import type { JSX } from "preact";
import { Link } from "wouter-preact";
import type { PipelineDetail, PipelineSummary } from "../../../src/server/api.ts";
import { askCancelJob, askPause, askRetryMany, askUnpause } from "../actions.tsx";
import { pipelineUrl, runUrl } from "../addresses.ts";
import { showCheck } from "../check-dialog.tsx";
import { roughly } from "../format.ts";
import { useShortcut } from "../keys.ts";
import { Mark, StateText } from "../parts/mark.tsx";
import { Ago } from "../parts/time.tsx";
import { now } from "../resource.ts";
import { askRun } from "../run-dialog.tsx";
import { mayOperate } from "../session.tsx";
import { hasNoRun, jobText } from "./pipeline-cells.tsx";

export type Tab = "grid" | "runs" | "calendar" | "changes" | "lineage";

const TABS: readonly (readonly [Tab, string, string])[] = [
	["grid", "", "Tables"],
	["runs", "/runs", "Runs"],
	["calendar", "/calendar", "Calendar"],
	["changes", "/changes", "Change capture"],
	["lineage", "/lineage", "Lineage"],
];

/** Name, actions, faults, what waits, and the tabs: at the top of each page of one pipeline. */
export function PipelineHead(props: {
	readonly pipeline: string;
	readonly detail: PipelineDetail | null;
	readonly tab: Tab | null;
}): JSX.Element {
	const { pipeline: name, detail, tab } = props;
	return (
		<>
			<p class="crumbs">
				<Link href="/">Pipelines</Link> /
			</p>
			<div class="page-head">
				<h1>{name}</h1>
				{detail === null ? null : <HeadState pipeline={detail} />}
				{detail === null ? null : <Actions pipeline={detail} />}
			</div>
			{detail === null ? null : <Faults pipeline={detail} />}
			{detail === null ? null : <Waiting pipeline={detail} />}
			<nav class="tabs" aria-label={`Pages of ${name}`}>
				{TABS.filter(([each]) => isOffered(each, detail)).map(([each, path, text]) => (
					<Link
						key={each}
						href={pipelineUrl(name) + path}
						{...(each === tab ? { "aria-current": "page" as const } : {})}
					>
						{text}
					</Link>
				))}
			</nav>
		</>
	);
}

function isOffered(tab: Tab, detail: PipelineDetail | null): boolean {
	if (detail === null) return true;
	if (tab === "calendar") return detail.can_backfill;
	return tab !== "changes" || detail.modes.includes("cdc");
}

function HeadState({ pipeline }: { readonly pipeline: PipelineSummary }): JSX.Element | null {
	const last = pipeline.last_runs.at(-1);
	if (pipeline.problems.length > 0) return <StateText state="failed" word="broken file" />;
	if (pipeline.paused !== null) return <StateText state="paused" />;
	return last === undefined ? null : (
		<Link href={runUrl(last.run_id)}>
			<StateText state={last.state} />{" "}
			{last.finished_at === null ? (
				`for ${roughly(Math.max(0, now.value - Date.parse(last.started_at)) / 1000)}`
			) : (
				<Ago at={last.finished_at} />
			)}
		</Link>
	);
}

function Actions({ pipeline }: { readonly pipeline: PipelineDetail }): JSX.Element {
	const off = !mayOperate() || pipeline.problems.length > 0;
	const failed = pipeline.last_runs.at(-1)?.state === "failed";
	useShortcut("r", "Run the pipeline (with a preview)", () => {
		if (!off) askRun(pipeline);
	});
	useShortcut("p", "Pause or resume its schedule", () => {
		if (!off && pipeline.schedule !== null) switchPause(pipeline);
	});
	return (
		<div class="actions">
			<button type="button" class="button" disabled={off} onClick={() => showCheck(pipeline.pipeline)}>
				Check
			</button>
			{failed ? (
				<button type="button" class="button" disabled={off} onClick={() => askRetryMany([pipeline])}>
					Retry failed
				</button>
			) : null}
			<button
				type="button"
				class="button"
				disabled={off || pipeline.schedule === null}
				onClick={() => switchPause(pipeline)}
			>
				{pipeline.paused === null ? "Pause" : "Resume"}
			</button>
			<button type="button" class="button main" disabled={off} onClick={() => askRun(pipeline)}>
				Run now
			</button>
		</div>
	);
}

function switchPause(pipeline: PipelineSummary): void {
	if (pipeline.paused === null) askPause([pipeline.pipeline]);
	else askUnpause([pipeline]);
}

function Faults({ pipeline }: { readonly pipeline: PipelineDetail }): JSX.Element | null {
	const { problems, paused, alerts } = pipeline;
	return (
		<>
			{problems.length === 0 ? null : (
				<div class="notice bad">
					<p>
						<strong>The file has {problems.length === 1 ? "a fault" : `${problems.length} faults`}</strong>: nothing of
						this pipeline is run until it is mended. It is read again as soon as it is saved.
					</p>
					<ul>
						{problems.map(({ file, line, column, code, message, hint }) => (
							<li key={`${line}:${column}:${message}`}>
								<span class="mono">
									{[file ?? pipeline.file, line, column].filter((each) => each !== null).join(":")}
								</span>{" "}
								<span class="code">{code}</span> {message}
								{hint === "" ? null : <div class="quiet">{hint}</div>}
							</li>
						))}
					</ul>
				</div>
			)}
			{paused === null ? null : (
				<div class="notice warn">
					<Mark state="paused" label="" /> Paused by {paused.by} <Ago at={paused.at} />
					{paused.reason === null ? "." : `: ${paused.reason}`}
				</div>
			)}
			{alerts.length === 0 ? null : (
				<div class="notice warn">
					{alerts.map(({ channel, event, table, failure, since }) => (
						<p key={`${channel}${event}${table}`}>
							The channel <strong>{channel}</strong> could not be told “{event.replace("_", " ")}”
							{table === null ? "" : ` of ${table}`} since <Ago at={since} />
							{failure === null ? "." : `: ${failure}`}
						</p>
					))}
				</div>
			)}
		</>
	);
}

function Waiting({ pipeline }: { readonly pipeline: PipelineSummary }): JSX.Element | null {
	const waiting = pipeline.jobs.filter(hasNoRun);
	if (waiting.length === 0) return null;
	return (
		<ul class="waiting">
			{waiting.map((job) => (
				<li key={job.job_id}>
					<StateText state={job.state} /> {job.trigger}, <Ago at={job.queued_at} />; {jobText(job)}
					{job.intervals > 1 ? `; ${job.intervals} runs` : ""}{" "}
					<button type="button" class="button slim" disabled={!mayOperate()} onClick={() => askCancelJob(job)}>
						Cancel
					</button>
				</li>
			))}
		</ul>
	);
}
