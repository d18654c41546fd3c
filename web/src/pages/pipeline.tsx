import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Grid, PipelineDetail } from "../../../src/server/api.ts";
import { pipelineApi } from "../addresses.ts";
import { bytes, count, duration } from "../format.ts";
import { Loaded } from "../parts/load.tsx";
import { Empty } from "../parts/notice.tsx";
import { Time } from "../parts/time.tsx";
import { useResource } from "../resource.ts";
import { useTitle } from "../shell.tsx";
import { GridView } from "./grid.tsx";
import { FreshText, ScheduleText } from "./pipeline-cells.tsx";
import { PipelineHead } from "./pipeline-head.tsx";

/** One pipeline: its tables by its last runs. */
export function PipelinePage({ pipeline }: { readonly pipeline: string }): JSX.Element {
	useTitle(pipeline);
	const detail = useResource<PipelineDetail>(pipelineApi(pipeline));
	return (
		<>
			<PipelineHead pipeline={pipeline} detail={detail.data} tab="grid" />
			<Loaded of={detail}>
				{(data) => (
					<>
						<Facts detail={data} />
						{data.grid.runs.length === 0 ? (
							<Empty title="No run yet">
								<p>
									{data.problems.length > 0
										? "The file has to be mended first."
										: "“Run now” shows what it would do, and does it. The schedule does it without you."}
								</p>
							</Empty>
						) : (
							<GridRuns pipeline={pipeline} first={data.grid} />
						)}
					</>
				)}
			</Loaded>
		</>
	);
}

const RUN_COUNTS = [14, 30, 60, 120];

/** The grid with as many runs as are asked for; the few that came with the pipeline are shown until they are there. */
function GridRuns({ pipeline, first }: { readonly pipeline: string; readonly first: Grid }): JSX.Element {
	const [runs, setRuns] = useState(30);
	const { data } = useResource<Grid>(`${pipelineApi(pipeline)}/grid?runs=${runs}`);
	return (
		<GridView
			grid={data ?? first}
			control={
				<label class="check">
					Runs
					<select class="input" value={runs} onChange={(event) => setRuns(Number(event.currentTarget.value))}>
						{RUN_COUNTS.map((each) => (
							<option key={each} value={each}>
								{each}
							</option>
						))}
					</select>
				</label>
			}
		/>
	);
}

function Facts({ detail }: { readonly detail: PipelineDetail }): JSX.Element {
	return (
		<dl class="facts">
			<div>
				<dt>Source → destination</dt>
				<dd>
					{detail.from === null ? <span class="quiet">unknown</span> : `${detail.from} → ${detail.to}`}
					{detail.from_type === null ? null : (
						<div class="quiet small">
							{detail.from_type} → {detail.to_type}
							{detail.staging === null ? "" : `, staged in ${detail.staging}`}
						</div>
					)}
				</dd>
			</div>
			<div>
				<dt>Schedule</dt>
				<dd>
					<ScheduleText pipeline={detail} />
				</dd>
			</div>
			{detail.next_runs.length === 0 ? null : (
				<div>
					<dt>Next runs</dt>
					<dd>
						<details class="next-runs">
							<summary>
								<Time at={detail.next_runs[0]!} short />
							</summary>
							{detail.next_runs.slice(1).map((at) => (
								<div key={at}>
									<Time at={at} short />
								</div>
							))}
						</details>
					</dd>
				</div>
			)}
			<div>
				<dt>Freshness</dt>
				<dd>
					<FreshText pipeline={detail} />
				</dd>
			</div>
			{detail.lag_seconds === null ? null : (
				<div>
					<dt>Lag</dt>
					<dd>{duration(detail.lag_seconds)}</dd>
				</div>
			)}
			<div>
				<dt>Last 24 h</dt>
				<dd>
					{count(detail.rows_day)} rows, {bytes(detail.bytes_day)}
				</dd>
			</div>
			{detail.retries === null ? null : (
				<div>
					<dt>Rules</dt>
					<dd>
						{[
							detail.retries === 1 ? "1 retry" : `${detail.retries} retries`,
							detail.concurrency === null ? null : `${detail.concurrency} at once`,
							detail.schema_changes === null ? null : `schema changes: ${detail.schema_changes}`,
						]
							.filter((each) => each !== null)
							.join(" · ")}
					</dd>
				</div>
			)}
			<div>
				<dt>File</dt>
				<dd class="mono">{detail.file}</dd>
			</div>
		</dl>
	);
}
