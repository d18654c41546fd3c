import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { PipelineList, PipelineSummary } from "../../../src/server/api.ts";
import { askPause, askRetryMany, askUnpause } from "../actions.tsx";
import { pipelineUrl } from "../addresses.ts";
import { bytes, count, duration, plural } from "../format.ts";
import { Loaded } from "../parts/load.tsx";
import { Legend } from "../parts/mark.tsx";
import { Empty } from "../parts/notice.tsx";
import { useResource } from "../resource.ts";
import { askRun, askRunMany } from "../run-dialog.tsx";
import { mayOperate } from "../session.tsx";
import { useTitle } from "../shell.tsx";
import { Fault, FreshText, ScheduleText, Squares } from "./pipeline-cells.tsx";

const KINDS = ["failing", "running", "late", "paused", "broken"] as const;
type Kind = (typeof KINDS)[number];

const filterText = signal("");
const filterKind = signal<Kind | null>(null);

/** What a pipeline is, for the buttons that filter: it can be several at once. */
function is(kind: Kind, pipeline: PipelineSummary): boolean {
	const last = pipeline.last_runs.at(-1);
	switch (kind) {
		case "failing":
			return last?.state === "failed";
		case "running":
			return last?.state === "running" || pipeline.jobs.some(({ state }) => state === "running");
		case "late":
			return pipeline.freshness.late;
		case "paused":
			return pipeline.paused !== null;
		case "broken":
			return pipeline.problems.length > 0;
	}
}

export function PipelinesPage(): JSX.Element {
	useTitle("Pipelines");
	return (
		<>
			<div class="page-head">
				<h1>Pipelines</h1>
			</div>
			<Loaded of={useResource<PipelineList>("/api/pipelines")}>
				{({ pipelines }) => (pipelines.length === 0 ? <NoPipelines /> : <List pipelines={pipelines} />)}
			</Loaded>
		</>
	);
}

function NoPipelines(): JSX.Element {
	return (
		<Empty title="No pipelines yet">
			<p>
				A pipeline is a file in <code>pipelines/</code>. It appears here as soon as it is saved:
			</p>
			<pre>
				{`# pipelines/shop.yaml
pipeline: shop
from: mysql://reader:\${env:SHOP_PASSWORD}@db/shop
to: duckdb:shop.duckdb
schedule: "0 2 * * *"
tables:
  shop.*: {}`}
			</pre>
			<p class="quiet">
				<code>headrace init</code> writes a small project that works.
			</p>
		</Empty>
	);
}

function List({ pipelines }: { readonly pipelines: readonly PipelineSummary[] }): JSX.Element {
	const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
	const kind = filterKind.value;
	const text = filterText.value.toLowerCase();
	const shown = pipelines.filter(
		(each) =>
			(kind === null || is(kind, each)) && `${each.pipeline} ${each.from} ${each.to}`.toLowerCase().includes(text),
	);
	const selected = pipelines.filter(({ pipeline }) => chosen.has(pipeline));
	const toggle = (name: string) => setChosen(chosen.symmetricDifference(new Set([name])));
	const filterButton = (each: Kind | null, word: string, number: number) => (
		<button
			type="button"
			class="button slim"
			aria-pressed={kind === each}
			onClick={() => {
				filterKind.value = each;
			}}
		>
			{word} <strong>{number}</strong>
		</button>
	);
	return (
		<>
			<div class="toolbar">
				<input
					type="search"
					class="input"
					placeholder="Filter by name"
					aria-label="Filter pipelines by name or connection"
					value={filterText.value}
					onInput={(event) => {
						filterText.value = event.currentTarget.value;
					}}
				/>
				<fieldset class="choices">
					<legend class="visually-hidden">Show</legend>
					{filterButton(null, "All", pipelines.length)}
					{KINDS.map((each) => filterButton(each, each[0]!.toUpperCase() + each.slice(1), countOf(each, pipelines)))}
				</fieldset>
			</div>
			{selected.length === 0 ? null : <Bulk selected={selected} onDone={() => setChosen(new Set())} />}
			<div class="scroll">
				<table class="pipelines">
					<thead>
						<tr>
							<td class="tick">
								<input
									type="checkbox"
									aria-label="Choose all that are shown"
									checked={shown.length > 0 && shown.every(({ pipeline }) => chosen.has(pipeline))}
									onChange={(event) =>
										setChosen(new Set(event.currentTarget.checked ? shown.map(({ pipeline }) => pipeline) : []))
									}
								/>
							</td>
							<th scope="col">Pipeline</th>
							<th scope="col">Last runs</th>
							<th scope="col">Schedule</th>
							<th scope="col">Fresh</th>
							<th scope="col" class="number">
								Lag
							</th>
							<th scope="col" class="number">
								Last 24 h
							</th>
							<td />
						</tr>
					</thead>
					<tbody>
						{shown.map((each) => (
							<Row
								key={each.pipeline + each.file}
								pipeline={each}
								chosen={chosen.has(each.pipeline)}
								onChoose={() => toggle(each.pipeline)}
							/>
						))}
					</tbody>
				</table>
			</div>
			{shown.length === 0 ? <p class="quiet">Nothing matches the filter.</p> : null}
			<Legend states={["succeeded", "failed", "running", "stopped", "queued", "paused"]} />
		</>
	);
}

function countOf(kind: Kind, pipelines: readonly PipelineSummary[]): number {
	return pipelines.filter((each) => is(kind, each)).length;
}

function Bulk(props: { readonly selected: readonly PipelineSummary[]; readonly onDone: () => void }): JSX.Element {
	const { selected } = props;
	const sound = selected.filter(({ problems }) => problems.length === 0);
	const active = sound.filter(({ paused }) => paused === null).map(({ pipeline }) => pipeline);
	const paused = sound.filter((each) => each.paused !== null);
	const off = !mayOperate();
	return (
		<section class="bulk" aria-label="With the chosen pipelines">
			<span>{plural(selected.length, "pipeline")} chosen</span>
			<button
				type="button"
				class="button slim"
				disabled={off || sound.length === 0}
				onClick={() => askRunMany(sound.map(({ pipeline }) => pipeline))}
			>
				Run
			</button>
			<button type="button" class="button slim" disabled={off} onClick={() => askRetryMany(sound)}>
				Retry failed
			</button>
			<button type="button" class="button slim" disabled={off || active.length === 0} onClick={() => askPause(active)}>
				Pause
			</button>
			<button
				type="button"
				class="button slim"
				disabled={off || paused.length === 0}
				onClick={() => askUnpause(paused)}
			>
				Resume
			</button>
			<button type="button" class="button plain slim" onClick={props.onDone}>
				Choose none
			</button>
		</section>
	);
}

function Row(props: {
	readonly pipeline: PipelineSummary;
	readonly chosen: boolean;
	readonly onChoose: () => void;
}): JSX.Element {
	const { pipeline } = props;
	const name = pipeline.pipeline;
	const broken = pipeline.problems.length > 0;
	const off = broken || !mayOperate();
	return (
		<>
			<tr>
				<td class="tick">
					<input type="checkbox" aria-label={`Choose ${name}`} checked={props.chosen} onChange={props.onChoose} />
				</td>
				<th scope="row">
					<Link href={pipelineUrl(name)}>{name}</Link>
					<div class="quiet small">{pipeline.from === null ? pipeline.file : `${pipeline.from} → ${pipeline.to}`}</div>
				</th>
				<td>
					<Squares pipeline={pipeline} />
				</td>
				<td>
					<ScheduleText pipeline={pipeline} />
				</td>
				<td data-label="Fresh">
					<FreshText pipeline={pipeline} />
				</td>
				<td class="number" data-label="Lag">
					{pipeline.lag_seconds === null ? <span class="quiet">–</span> : duration(pipeline.lag_seconds)}
				</td>
				<td class="number" data-label="Last 24 h">
					{count(pipeline.rows_day)} rows
					<div class="quiet small">{bytes(pipeline.bytes_day)}</div>
				</td>
				<td>
					<div class="actions row-actions">
						<button type="button" class="button slim" disabled={off} onClick={() => askRun(pipeline)}>
							Run<span class="visually-hidden"> {name}</span>
						</button>
						<button
							type="button"
							class="button slim"
							disabled={off || pipeline.schedule === null}
							onClick={() => (pipeline.paused === null ? askPause([name]) : askUnpause([pipeline]))}
						>
							{pipeline.paused === null ? "Pause" : "Resume"}
							<span class="visually-hidden"> {name}</span>
						</button>
					</div>
				</td>
			</tr>
			{broken ? (
				<tr class="detail">
					<td />
					<td colSpan={7}>
						<Fault pipeline={pipeline} />
					</td>
				</tr>
			) : null}
		</>
	);
}
