import type { JSX } from "preact";
import { Link } from "wouter-preact";
import type { TablePage as TableData } from "../../../src/server/api.ts";
import { askRerun } from "../actions.tsx";
import { lineageUrl, pipelineUrl, runUrl, tableApi } from "../addresses.ts";
import { ApiError } from "../client.ts";
import { bytes, count, duration, roughly } from "../format.ts";
import { Chart } from "../parts/chart.tsx";
import { Loaded } from "../parts/load.tsx";
import { StateText } from "../parts/mark.tsx";
import { Empty, Problem } from "../parts/notice.tsx";
import { Ago, Time } from "../parts/time.tsx";
import { useResource } from "../resource.ts";
import { mayOperate } from "../session.tsx";
import { useTitle } from "../shell.tsx";
import { Sample } from "./table-sample.tsx";

const LISTED_RUNS = 20;
const FIDELITY = {
	exact: ["succeeded", "exact"],
	lossy: ["warning", "lossy"],
	refused: ["failed", "refused"],
} as const;

/** One table of a pipeline: what of it arrived when, its columns, and how they changed. */
export function TablePage({ pipeline, table }: { readonly pipeline: string; readonly table: string }): JSX.Element {
	useTitle(`${table} in ${pipeline}`);
	const page = useResource<TableData>(tableApi(pipeline, table));
	return (
		<>
			<p class="crumbs">
				<Link href="/">Pipelines</Link> / <Link href={pipelineUrl(pipeline)}>{pipeline}</Link> /
			</p>
			<div class="page-head">
				<h1>{table}</h1>
				{page.data?.last ? <StateText state={page.data.last.state} /> : null}
				<div class="actions">
					<button
						type="button"
						class="button"
						disabled={!mayOperate()}
						onClick={() => askRerun(pipeline, [table], null, true)}
					>
						Clear and rerun
					</button>
					<button
						type="button"
						class="button main"
						disabled={!mayOperate()}
						onClick={() => askRerun(pipeline, [table], null, false)}
					>
						Run this table
					</button>
				</div>
			</div>
			{page.data === null && page.error instanceof ApiError && page.error.status === 404 ? (
				<Empty title="This table has not been in a run yet">
					<p>“Run this table” shows what will be done, and does it.</p>
				</Empty>
			) : (
				<Loaded of={page}>{(data) => <TableView data={data} />}</Loaded>
			)}
		</>
	);
}

function TableView({ data }: { readonly data: TableData }): JSX.Element {
	const { freshness, position, last, history } = data;
	return (
		<>
			<dl class="facts">
				<div>
					<dt>Into</dt>
					<dd class="mono">{data.into}</dd>
				</div>
				<div>
					<dt>Mode, write</dt>
					<dd>
						{data.mode}, {data.write}
					</dd>
				</div>
				<div>
					<dt>Key</dt>
					<dd class="mono">{data.key.length === 0 ? "none" : data.key.join(", ")}</dd>
				</div>
				<div>
					<dt>Fresh</dt>
					<dd>
						{freshness.late ? <StateText state="warning" word="late" /> : null}{" "}
						<Ago at={freshness.last_success_at} never="never loaded" />
						{freshness.late_after_seconds === null ? "" : `; late after ${roughly(freshness.late_after_seconds)}`}
					</dd>
				</div>
				<div>
					<dt>Position</dt>
					<dd>
						{position === null ? (
							<span class="quiet">none yet</span>
						) : (
							<>
								<span class="mono">{position.text}</span>
								<div class="quiet small">
									committed <Ago at={position.committed_at} />
								</div>
							</>
						)}
					</dd>
				</div>
			</dl>
			{last?.error ? <Problem {...last.error} /> : null}
			{history.length === 0 ? null : (
				<div class="charts">
					<Chart title="Rows loaded by run" format={count} points={pointsOf(history, "rows")} />
					<Chart title="Bytes by run" format={bytes} points={pointsOf(history, "bytes")} />
					<Chart title="Duration of runs" format={duration} points={pointsOf(history, "seconds")} />
				</div>
			)}
			<Columns data={data} />
			<Sample pipeline={data.pipeline} table={data.table} />
			<SchemaChanges data={data} />
			{history.length === 0 ? null : <History data={data} />}
		</>
	);
}

function pointsOf(history: TableData["history"], name: "rows" | "bytes" | "seconds") {
	return history.map((run) => ({ at: run.started_at, value: run[name], bad: run.state === "failed" }));
}

function Columns({ data }: { readonly data: TableData }): JSX.Element {
	return (
		<>
			<h2>
				Columns{" "}
				{data.columns_at === null ? null : (
					<span class="quiet small">
						as of <Time at={data.columns_at} />;{" "}
						<Link href={lineageUrl(data.pipeline, data.table)}>where each comes from</Link>
					</span>
				)}
			</h2>
			{data.columns.length === 0 ? (
				<p class="quiet">Known after the first run.</p>
			) : (
				<div class="scroll">
					<table>
						<thead>
							<tr>
								<th scope="col">Column</th>
								<th scope="col">Source type</th>
								<th scope="col">Destination type</th>
								<th scope="col">Arrives</th>
								<th scope="col">Note</th>
							</tr>
						</thead>
						<tbody>
							{data.columns.map(({ name, source_type, destination_type, fidelity, note }) => (
								<tr key={name}>
									<th scope="row" class="mono">
										{name}
										{data.key.includes(name) ? <span class="quiet"> key</span> : null}
									</th>
									<td class="mono">{source_type}</td>
									<td class="mono">{destination_type}</td>
									<td>
										<StateText state={FIDELITY[fidelity][0]} word={FIDELITY[fidelity][1]} />
									</td>
									<td>{note}</td>
								</tr>
							))}
						</tbody>
					</table>
				</div>
			)}
		</>
	);
}

function SchemaChanges({ data }: { readonly data: TableData }): JSX.Element {
	return (
		<>
			<h2>Schema changes</h2>
			{data.schema_changes.length === 0 ? (
				<p class="quiet">None in the runs that are kept.</p>
			) : (
				<ol class="timeline">
					{data.schema_changes.map(({ run_id, at, changes }) => (
						<li key={run_id}>
							<Link href={runUrl(run_id)}>
								<Time at={at} />
							</Link>
							<ul>
								{changes.map(({ column, change, action }) => (
									<li key={`${column}${change}`}>
										<span class="mono">{column === "" ? "key" : column}</span> {change}
										{change.startsWith(action) ? "" : `: ${action}`}
									</li>
								))}
							</ul>
						</li>
					))}
				</ol>
			)}
		</>
	);
}

function History({ data }: { readonly data: TableData }): JSX.Element {
	const runs = data.history.slice(-LISTED_RUNS).reverse();
	return (
		<>
			<h2>Last runs</h2>
			<div class="scroll">
				<table>
					<thead>
						<tr>
							<th scope="col">Run</th>
							<th scope="col">State</th>
							{["Rows", "Deleted", "Bytes", "Took"].map((word) => (
								<th key={word} scope="col" class="number">
									{word}
								</th>
							))}
						</tr>
					</thead>
					<tbody>
						{runs.map((run) => (
							<tr key={run.run_id}>
								<th scope="row">
									<Link href={runUrl(run.run_id)}>
										<Time at={run.started_at} />
									</Link>
								</th>
								<td>
									<StateText state={run.state} />
								</td>
								<td class="number">{count(run.rows)}</td>
								<td class="number">{count(run.rows_deleted)}</td>
								<td class="number">{bytes(run.bytes)}</td>
								<td class="number">{duration(run.seconds)}</td>
							</tr>
						))}
					</tbody>
				</table>
			</div>
		</>
	);
}
