import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { PipelineDetail, RunList, RunListItem } from "../../../src/server/api.ts";
import { logUrl, pipelineApi, runUrl, shortRunId } from "../addresses.ts";
import { bytes, count, duration, intervalText } from "../format.ts";
import { Loaded } from "../parts/load.tsx";
import { StateText } from "../parts/mark.tsx";
import { Empty } from "../parts/notice.tsx";
import { Time } from "../parts/time.tsx";
import { useResource } from "../resource.ts";
import { useTitle } from "../shell.tsx";
import { PipelineHead } from "./pipeline-head.tsx";

const PAGE_RUNS = 50;
const STATES = ["", "failed", "running", "succeeded", "stopped"];

/** The runs of one pipeline, newest first. */
export function RunsPage({ pipeline }: { readonly pipeline: string }): JSX.Element {
	useTitle(`Runs of ${pipeline}`);
	const detail = useResource<PipelineDetail>(pipelineApi(pipeline));
	const [state, setState] = useState("");
	const [pages, setPages] = useState<readonly (string | null)[]>([null]);
	return (
		<>
			<PipelineHead pipeline={pipeline} detail={detail.data} tab="runs" />
			<div class="toolbar">
				<label class="check">
					State
					<select
						class="input"
						value={state}
						onChange={(event) => {
							setState(event.currentTarget.value);
							setPages([null]);
						}}
					>
						{STATES.map((each) => (
							<option key={each} value={each}>
								{each === "" ? "any" : each}
							</option>
						))}
					</select>
				</label>
			</div>
			{pages.map((before, index) => (
				<RunsPart
					key={`${state} ${before}`}
					query={{ pipeline, state, before }}
					onMore={index === pages.length - 1 ? (next) => setPages([...pages, next]) : null}
				/>
			))}
		</>
	);
}

function RunsPart(props: {
	readonly query: { readonly pipeline: string; readonly state: string; readonly before: string | null };
	readonly onMore: ((before: string) => void) | null;
}): JSX.Element {
	const { pipeline, state, before } = props.query;
	const query = new URLSearchParams({ pipeline, limit: String(PAGE_RUNS) });
	if (state !== "") query.set("state", state);
	if (before !== null) query.set("before", before);
	const list = useResource<RunList>(`/api/runs?${query}`);
	return (
		<Loaded of={list}>
			{(data) =>
				data.runs.length === 0 ? (
					<Empty title="No runs">
						<p>{state === "" ? "This pipeline has not run yet." : `No run of it ${state}.`}</p>
					</Empty>
				) : (
					<>
						<RunsTable runs={data.runs} />
						{data.before === null || props.onMore === null ? null : (
							<p>
								<button type="button" class="button" onClick={() => props.onMore?.(data.before!)}>
									Older runs
								</button>
							</p>
						)}
					</>
				)
			}
		</Loaded>
	);
}

function RunsTable({ runs }: { readonly runs: readonly RunListItem[] }): JSX.Element {
	return (
		<div class="scroll">
			<table>
				<thead>
					<tr>
						<th scope="col">Run</th>
						<th scope="col">State</th>
						<th scope="col">Started</th>
						<th scope="col">Interval</th>
						<th scope="col">Begun by</th>
						<th scope="col" class="number">
							Took
						</th>
						<th scope="col" class="number">
							Tables
						</th>
						<th scope="col" class="number">
							Rows
						</th>
						<th scope="col" class="number">
							Bytes
						</th>
						<th scope="col">First error</th>
					</tr>
				</thead>
				<tbody>
					{runs.map((run) => (
						<tr key={run.run_id}>
							<th scope="row" class="mono">
								<Link href={runUrl(run.run_id)}>{shortRunId(run.run_id)}</Link>
							</th>
							<td>
								<StateText state={run.state} />
							</td>
							<td>
								<Time at={run.started_at} />
							</td>
							<td class="nowrap">{intervalText(run.interval)}</td>
							<td>{run.trigger}</td>
							<td class="number">{duration(run.seconds)}</td>
							<td class="number">
								{run.tables_failed === 0 ? run.tables : `${run.tables_failed} of ${run.tables} failed`}
							</td>
							<td class="number">{count(run.rows)}</td>
							<td class="number">{bytes(run.bytes)}</td>
							<td>
								{run.error === null ? null : (
									<Link href={logUrl(run.run_id, { firstError: true })} title={run.error.message}>
										{run.error.code}
									</Link>
								)}
							</td>
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}
