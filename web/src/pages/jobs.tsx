import type { JSX } from "preact";
import { Link } from "wouter-preact";
import type { Job, JobList } from "../../../src/server/api.ts";
import { askCancelJob } from "../actions.tsx";
import { pipelineUrl, runUrl } from "../addresses.ts";
import { plural } from "../format.ts";
import { Loaded } from "../parts/load.tsx";
import { StateText } from "../parts/mark.tsx";
import { Empty } from "../parts/notice.tsx";
import { Ago } from "../parts/time.tsx";
import { useResource } from "../resource.ts";
import { mayOperate } from "../session.tsx";
import { useTitle } from "../shell.tsx";

/** What the server has to do, does, and did last. */
export function JobsPage(): JSX.Element {
	useTitle("Queue");
	return (
		<>
			<div class="page-head">
				<h1>Queue</h1>
			</div>
			<Loaded of={useResource<JobList>("/api/jobs")}>
				{({ jobs }) =>
					jobs.length === 0 ? (
						<Empty title="Nothing waits, and nothing is at work">
							<p>Runs of schedules, and runs that somebody asks for, appear here.</p>
						</Empty>
					) : (
						<div class="scroll">
							<table>
								<thead>
									<tr>
										<th scope="col">Pipeline</th>
										<th scope="col">State</th>
										<th scope="col">Begun by</th>
										<th scope="col">Asked</th>
										<th scope="col">What</th>
										<th scope="col">Runs</th>
										<td />
									</tr>
								</thead>
								<tbody>
									{jobs.map((job) => (
										<JobRow key={job.job_id} job={job} />
									))}
								</tbody>
							</table>
						</div>
					)
				}
			</Loaded>
		</>
	);
}

function JobRow({ job }: { readonly job: Job }): JSX.Element {
	const isOver = job.finished_at !== null;
	return (
		<tr>
			<th scope="row">
				<Link href={pipelineUrl(job.pipeline)}>{job.pipeline}</Link>
			</th>
			<td>
				<StateText state={job.state} />
				{job.waits_for === null ? null : <div class="quiet small">waits for {job.waits_for}</div>}
				{job.error === null ? null : (
					<div class="small">
						<span class="code">{job.error.code}</span> {job.error.message}
					</div>
				)}
			</td>
			<td>
				{job.trigger}
				{job.requested_by === null ? "" : `, ${job.requested_by}`}
			</td>
			<td>
				<Ago at={job.queued_at} />
			</td>
			<td>
				{job.tables.length === 0 ? "all tables" : plural(job.tables.length, "table")}
				{job.intervals > 1 ? `, ${plural(job.intervals, "interval")}` : ""}
			</td>
			<td>
				{job.run_ids.slice(-3).map((runId, index) => (
					<span key={runId}>
						{index === 0 ? "" : " · "}
						<Link href={runUrl(runId)}>run {job.run_ids.indexOf(runId) + 1}</Link>
					</span>
				))}
			</td>
			<td>
				{isOver ? null : (
					<button type="button" class="button slim" disabled={!mayOperate()} onClick={() => askCancelJob(job)}>
						Cancel<span class="visually-hidden"> the job of {job.pipeline}</span>
					</button>
				)}
			</td>
		</tr>
	);
}
