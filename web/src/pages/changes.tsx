import type { JSX } from "preact";
import { Link } from "wouter-preact";
import type { ChangeCapture, PipelineDetail } from "../../../src/server/api.ts";
import { pipelineApi, tableUrl } from "../addresses.ts";
import { bytes, duration } from "../format.ts";
import { Loaded } from "../parts/load.tsx";
import { StateText } from "../parts/mark.tsx";
import { Empty, Problem } from "../parts/notice.tsx";
import { Ago } from "../parts/time.tsx";
import { useResource } from "../resource.ts";
import { useTitle } from "../shell.tsx";
import { PipelineHead } from "./pipeline-head.tsx";

const STATES = {
	following: ["running", "following"],
	loading: ["queued", "loading its rows"],
	stopped: ["stopped", "stopped"],
	restarting: ["queued", "restarting"],
	paused: ["paused", "paused"],
	none: ["unknown", "no table follows a log"],
} as const;

/** Less than this until the log is gone is worth a warning: a weekend. */
const HEADROOM_SECONDS_MIN = 3 * 86_400;

/** How far a pipeline is behind its source's log, and how long the log will wait for it. */
export function ChangesPage({ pipeline }: { readonly pipeline: string }): JSX.Element {
	useTitle(`Change capture of ${pipeline}`);
	const detail = useResource<PipelineDetail>(pipelineApi(pipeline));
	const changes = useResource<ChangeCapture>(`${pipelineApi(pipeline)}/changes`);
	return (
		<>
			<PipelineHead pipeline={pipeline} detail={detail.data} tab="changes" />
			<Loaded of={changes}>
				{(data) =>
					data.state === "none" ? (
						<Empty title="No table of this pipeline follows a change log">
							<p>
								Give a table <code>mode: cdc</code> in {detail.data?.file ?? "the pipeline's file"}; then inserts,
								updates and deletes arrive within seconds, and its lag is shown here.
							</p>
						</Empty>
					) : (
						<ChangesView data={data} />
					)
				}
			</Loaded>
		</>
	);
}

function ChangesView({ data }: { readonly data: ChangeCapture }): JSX.Element {
	const [state, word] = STATES[data.state];
	const short = data.headroom_seconds !== null && data.headroom_seconds < HEADROOM_SECONDS_MIN;
	return (
		<>
			<dl class="tiles">
				<div>
					<dt>State</dt>
					<dd>
						<StateText state={state} word={word} />
					</dd>
					<dd class="quiet small">
						{data.restarts === 0
							? "not restarted"
							: `restarted ${data.restarts === 1 ? "once" : `${data.restarts} times`}`}
						{data.next_restart_at === null ? null : (
							<>
								; again <Ago at={data.next_restart_at} />
							</>
						)}
					</dd>
				</div>
				<div>
					<dt>Lag</dt>
					<dd>{data.bytes_behind === 0 ? "none" : duration(data.lag_seconds)}</dd>
					<dd class="quiet small">
						{data.bytes_behind === 0 && data.lag_seconds !== null
							? `the last change was ${duration(data.lag_seconds)} ago`
							: "since the last change in the destination was committed"}
					</dd>
				</div>
				<div>
					<dt>Behind</dt>
					<dd>{bytes(data.bytes_behind)}</dd>
					<dd class="quiet small">of the source's log</dd>
				</div>
				<div>
					<dt>Headroom</dt>
					<dd>
						{short ? (
							<StateText state="warning" word={duration(data.headroom_seconds)} />
						) : (
							duration(data.headroom_seconds)
						)}
					</dd>
					<dd class="quiet small">
						until the log is gone{data.headroom_bytes === null ? "" : `, or ${bytes(data.headroom_bytes)} more of it`}
					</dd>
				</div>
			</dl>
			{data.problem === null ? null : <Problem {...data.problem} />}
			<dl class="facts">
				<div>
					<dt>Position in the log</dt>
					<dd class="mono">{data.position ?? "–"}</dd>
				</div>
				<div>
					<dt>End of the log</dt>
					<dd class="mono">{data.log_end ?? "–"}</dd>
				</div>
				<div>
					<dt>Measured</dt>
					<dd>
						<Ago at={data.measured_at} never="not yet" />
					</dd>
				</div>
			</dl>
			<h2>Tables</h2>
			<div class="scroll">
				<table>
					<thead>
						<tr>
							<th scope="col">Table</th>
							<th scope="col">State</th>
							<th scope="col">Changes from</th>
							<th scope="col">Rows read until</th>
						</tr>
					</thead>
					<tbody>
						{data.tables.map((table) => (
							<tr key={table.table}>
								<th scope="row">
									<Link href={tableUrl(data.pipeline, table.table)}>{table.table}</Link>
								</th>
								<td>
									<StateText state={STATES[table.state][0]} word={STATES[table.state][1]} />
								</td>
								<td class="mono">{table.from ?? ""}</td>
								<td class="mono">{table.until ?? ""}</td>
							</tr>
						))}
					</tbody>
				</table>
			</div>
		</>
	);
}
