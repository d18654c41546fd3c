import type { RunReceipt, StageTime } from "../core/state-store.ts";
import { bytesText, rowsText, secondsText, timeText } from "./format.ts";
import { html, type Markup } from "./html.ts";

const WORDS = { wait: "waiting to try again", extract: "extract", load: "load" } as const;
const TICKS = [0, 0.25, 0.5, 0.75, 1];

/** When each table was read and loaded; null when the run told of no stage. A bar's pattern says which stage it is. */
export function timeline(run: RunReceipt, nowMs: number): Markup | null {
	const rows = run.tables.flatMap(({ table, stages = [] }) => (stages.length === 0 ? [] : [{ table, stages }]));
	if (rows.length === 0) return null;
	const stages = rows.flatMap((row) => row.stages);
	const startMs = Math.min(Date.parse(run.started_at), ...stages.map(({ started_at }) => Date.parse(started_at)));
	const runEndMs = run.finished_at === null ? nowMs : Date.parse(run.finished_at);
	const span: Span = { startMs, endMs: Math.max(runEndMs, startMs + 1, ...stages.map((stage) => endOf(stage, nowMs))) };
	return html`
<h2>Timeline</h2>
<svg width="0" height="0" aria-hidden="true" style="position:absolute">
<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>
</svg>
<table class="timeline">
<tr aria-hidden="true"><th></th><td>${axis(span)}</td></tr>
${rows.map((row) => html`<tr><th scope="row" title="${row.table}">${row.table}</th><td>${bars(row.stages, span, nowMs)}</td></tr>\n`)}
</table>
<p class="legend small">${(["extract", "load", "wait"] as const).map((stage) => sample(stage))}</p>
<p class="quiet small">A table without a bar for load went straight into the destination: read and loaded at once.</p>`;
}

interface Span {
	readonly startMs: number;
	readonly endMs: number;
}

function endOf({ finished_at }: StageTime, nowMs: number): number {
	return finished_at === null ? nowMs : Date.parse(finished_at);
}

function percent(part: number): string {
	return `${(part * 100).toFixed(3)}%`;
}

function axis({ startMs, endMs }: Span): Markup {
	const anchors = ["start", "middle", "middle", "middle", "end"];
	return html`<svg class="axis">${TICKS.map(
		(tick, index) =>
			html`<text x="${percent(tick)}" y="13" text-anchor="${anchors[index]!}">${secondsText((tick * (endMs - startMs)) / 1000)}</text>`,
	)}</svg>`;
}

function bars(stages: readonly StageTime[], span: Span, nowMs: number): Markup {
	const length = span.endMs - span.startMs;
	const drawn = stages.map((stage) => {
		const fromMs = Date.parse(stage.started_at);
		const toMs = Math.max(fromMs, endOf(stage, nowMs));
		// What took no time to speak of is seen too.
		const width = Math.max(0.002, (toMs - fromMs) / length);
		const left = Math.min((fromMs - span.startMs) / length, 1 - width);
		return html`<rect class="bar ${stage.stage}" x="${percent(left)}" y="2" width="${percent(width)}" height="14" rx="2"><title>${label(stage, toMs - fromMs)}</title></rect>`;
	});
	const spoken = stages.map((stage) => label(stage, endOf(stage, nowMs) - Date.parse(stage.started_at))).join("; ");
	return html`<svg role="img" aria-label="${spoken}">${TICKS.map(
		(tick) => html`<line class="tick" x1="${percent(tick)}" x2="${percent(tick)}" y1="0" y2="18"/>`,
	)}${drawn}</svg>`;
}

function label(stage: StageTime, ms: number): string {
	const attempt = stage.attempt > 1 ? `, attempt ${stage.attempt}` : "";
	const moved = stage.stage === "wait" ? "" : `, ${rowsText(stage.rows)}, ${bytesText(stage.bytes)}`;
	return `${WORDS[stage.stage]}${attempt}: from ${timeText(stage.started_at)}, ${secondsText(Math.max(0, ms) / 1000)}${moved}`;
}

function sample(stage: "extract" | "load" | "wait"): Markup {
	return html`<span><svg aria-hidden="true"><rect class="bar ${stage}" x="1" y="1" width="24" height="10" rx="2"/></svg>${WORDS[stage]}</span>`;
}
