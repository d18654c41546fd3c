import type { JSX } from "preact";
import type { RunDetail, StageBar } from "../../../src/server/api.ts";
import { bytes, clockTime, count, duration, secondsBetween } from "../format.ts";
import { now } from "../resource.ts";

const TICKS = [0, 0.25, 0.5, 0.75, 1];
const STAGE_WORDS = { wait: "waiting to try again", extract: "extract", load: "load" } as const;

/** When each table was read and loaded. A bar's pattern, not only its colour, says which stage it is. */
export function Gantt({ detail }: { readonly detail: RunDetail }): JSX.Element | null {
	const { run, stages } = detail;
	if (stages.length === 0) return null;
	const startMs = Math.min(Date.parse(run.started_at), ...stages.map(({ started_at }) => Date.parse(started_at)));
	const lastMs = Math.max(...stages.map((stage) => endOf(stage)), run.finished_at === null ? now.value : 0);
	const endMs = Math.max(lastMs, run.finished_at === null ? 0 : Date.parse(run.finished_at), startMs + 1);
	const per = (ms: number) => `${(((ms - startMs) / (endMs - startMs)) * 100).toFixed(3)}%`;
	const tables = [...new Set([...run.tables.map(({ table }) => table), ...stages.map(({ table }) => table)])].filter(
		(table) => stages.some((stage) => stage.table === table),
	);
	return (
		<>
			<h2>Timeline</h2>
			<div class="gantt">
				<div class="gantt-axis" aria-hidden="true">
					{TICKS.map((tick) => (
						<span key={tick} class={tick === 1 ? "last" : ""} style={{ left: `${tick * 100}%` }}>
							{duration((tick * (endMs - startMs)) / 1000)}
						</span>
					))}
				</div>
				<ul class="gantt-rows" aria-label="Stages by table">
					{tables.map((table) => (
						<li key={table} class="gantt-row">
							<span class="gantt-name mono" title={table}>
								{table}
							</span>
							<span class="gantt-track">
								{stages
									.filter((stage) => stage.table === table)
									.map((stage) => (
										<span
											key={`${stage.stage} ${stage.attempt} ${stage.started_at}`}
											class={`gantt-bar ${stage.stage}${stage.finished_at === null ? " open" : ""}`}
											style={{
												left: per(Date.parse(stage.started_at)),
												width: `max(3px, ${(((endOf(stage) - Date.parse(stage.started_at)) / (endMs - startMs)) * 100).toFixed(3)}%)`,
											}}
											role="img"
											aria-label={barLabel(stage)}
											title={barLabel(stage)}
										/>
									))}
							</span>
						</li>
					))}
				</ul>
			</div>
			<div class="legend">
				{(["extract", "load", "wait"] as const).map((stage) => (
					<span key={stage} class="state-text">
						<span class={`gantt-bar sample ${stage}`} />
						{STAGE_WORDS[stage]}
					</span>
				))}
			</div>
		</>
	);
}

function endOf({ finished_at }: StageBar): number {
	return finished_at === null ? now.value : Date.parse(finished_at);
}

function barLabel(stage: StageBar): string {
	const attempt = stage.attempt > 1 ? `, attempt ${stage.attempt}` : "";
	const moved = stage.stage === "wait" ? "" : `, ${count(stage.rows)} rows, ${bytes(stage.bytes)}`;
	const seconds = secondsBetween(stage.started_at, stage.finished_at);
	return `${STAGE_WORDS[stage.stage]}${attempt}: from ${clockTime(stage.started_at)}, ${duration(seconds)}${moved}`;
}
