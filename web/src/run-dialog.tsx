import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { JobAnswer, PipelineDetail, PipelineSummary, PlanAnswer, RunRequest } from "../../src/server/api.ts";
import { Names, several } from "./actions.tsx";
import { pipelineApi } from "./addresses.ts";
import { post } from "./client.ts";
import { plural } from "./format.ts";
import { ask } from "./parts/dialog.tsx";
import { Findings } from "./parts/findings.tsx";
import { ErrorNotice } from "./parts/notice.tsx";
import { refresh, useResource } from "./resource.ts";

/** Asks what to run of one pipeline, shows what that would do, and runs it when it is confirmed. */
export function askRun(pipeline: PipelineSummary): void {
	const name = pipeline.pipeline;
	let request: RunRequest = {};
	ask({
		title: `Run ${name} now`,
		confirm: "Run",
		preview: (
			<RunForm
				pipeline={pipeline}
				onChange={(next) => {
					request = next;
				}}
			/>
		),
		act: async () => {
			const { job } = await post<JobAnswer>(`${pipelineApi(name)}/run`, request);
			void refresh();
			return job.state === "queued" && job.waits_for !== null
				? `${name}: queued; it waits for ${job.waits_for}.`
				: `${name}: started.`;
		},
	});
}

export function askRunMany(pipelines: readonly string[]): void {
	ask({
		title: "Run pipelines now",
		confirm: `Run ${plural(pipelines.length, "pipeline")}`,
		preview: (
			<>
				<p>All tables of these pipelines are read from where they stand:</p>
				<Names of={pipelines} />
			</>
		),
		act: () =>
			several(
				pipelines,
				(name) => post<JobAnswer>(`${pipelineApi(name)}/run`),
				(done) => `Started ${plural(done, "run")}`,
			),
	});
}

function RunForm(props: {
	readonly pipeline: PipelineSummary;
	readonly onChange: (request: RunRequest) => void;
}): JSX.Element {
	const { pipeline, from, to } = props.pipeline;
	const { data } = useResource<PipelineDetail>(pipelineApi(pipeline));
	const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
	const [fullRefresh, setFullRefresh] = useState(false);
	const [interval, setIntervalText] = useState("");
	const [params, setParams] = useState<Readonly<Record<string, string>>>({});
	const request: RunRequest = {
		...(chosen.size === 0 ? {} : { tables: [...chosen] }),
		...(fullRefresh ? { full_refresh: true } : {}),
		...(interval.trim() === "" ? {} : { interval: interval.trim() }),
		...(Object.keys(params).length === 0 ? {} : { params }),
	};
	props.onChange(request);
	const tables = data?.grid.tables ?? [];
	return (
		<>
			<p>
				{from} → {to}: {chosen.size === 0 ? "all tables" : plural(chosen.size, "table")}
				{fullRefresh ? ", all their rows anew; positions are given up" : ", from where they stand"}.
			</p>
			{tables.length < 2 ? null : (
				<details>
					<summary>Only some tables</summary>
					<div class="ticks">
						{tables.map(({ table }) => (
							<label key={table} class="check">
								<input
									type="checkbox"
									checked={chosen.has(table)}
									onChange={() => setChosen(chosen.symmetricDifference(new Set([table])))}
								/>
								<span class="mono">{table}</span>
							</label>
						))}
					</div>
				</details>
			)}
			{data?.can_backfill === true ? (
				<label class="field">
					<span>Interval of tables that have intervals</span>
					<input
						class="input"
						placeholder="the last one that is over"
						value={interval}
						onInput={(event) => setIntervalText(event.currentTarget.value)}
					/>
				</label>
			) : null}
			{Object.entries(data?.params ?? {}).map(([name, value]) => (
				<label key={name} class="field">
					<span>
						params.<span class="mono">{name}</span>
					</span>
					<input
						class="input"
						placeholder={String(value)}
						onInput={(event) => {
							const { [name]: _before, ...others } = params;
							const text = event.currentTarget.value;
							setParams(text === "" ? others : { ...others, [name]: text });
						}}
					/>
				</label>
			))}
			<label class="check">
				<input type="checkbox" checked={fullRefresh} onChange={() => setFullRefresh(!fullRefresh)} />
				Read everything anew (full refresh)
			</label>
			<Plan key={JSON.stringify(request)} pipeline={pipeline} request={request} />
		</>
	);
}

const CHANGE_SIGNS = { new: "+ new", changed: "~ changed", same: "as it is" } as const;

/** What `headrace plan` says: asked for by a button, since it connects to the databases. */
function Plan({ pipeline, request }: { readonly pipeline: string; readonly request: RunRequest }): JSX.Element {
	const [answer, setAnswer] = useState<PlanAnswer | "asking" | null>(null);
	const [error, setError] = useState<unknown>(null);
	const plan = async () => {
		setAnswer("asking");
		setError(null);
		try {
			setAnswer(await post<PlanAnswer>(`${pipelineApi(pipeline)}/plan`, request));
		} catch (failure) {
			setAnswer(null);
			setError(failure);
		}
	};
	return (
		<section class="plan">
			<button type="button" class="button slim" disabled={answer === "asking"} onClick={plan}>
				{answer === "asking" ? "Asking the databases…" : "Show what it would do"}
			</button>
			{error === null ? null : <ErrorNotice error={error} />}
			{answer === null || answer === "asking" ? null : (
				<>
					<table>
						<thead>
							<tr>
								<th scope="col">Table</th>
								<th scope="col">Into</th>
								<th scope="col">Table there</th>
								<th scope="col">Notes</th>
							</tr>
						</thead>
						<tbody>
							{answer.tables.map(({ table, into, mode, write, change, notes, ddl }) => (
								<tr key={table}>
									<th scope="row" class="mono">
										{table}
									</th>
									<td>
										<span class="mono">{into}</span>
										<div class="quiet small">
											{mode}, {write}
										</div>
									</td>
									<td class="nowrap" title={ddl.join("\n")}>
										{CHANGE_SIGNS[change]}
									</td>
									<td class="small">{notes.join("; ")}</td>
								</tr>
							))}
						</tbody>
					</table>
					<Findings findings={answer.findings} />
				</>
			)}
		</section>
	);
}
