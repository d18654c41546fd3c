import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { Calendar, CalendarDay, PipelineDetail } from "../../../src/server/api.ts";
import { pipelineApi, runUrl } from "../addresses.ts";
import { BackfillDialog } from "../backfill-dialog.tsx";
import { count, duration, plural } from "../format.ts";
import { Loaded } from "../parts/load.tsx";
import { Legend, StateText } from "../parts/mark.tsx";
import { Empty } from "../parts/notice.tsx";
import { useResource } from "../resource.ts";
import { mayOperate } from "../session.tsx";
import { useTitle } from "../shell.tsx";
import { Months, type Range } from "./calendar-months.tsx";
import { PipelineHead } from "./pipeline-head.tsx";

/** Where a backfill begins and ends; `which` of its intervals. */
interface Asked {
	readonly start: string;
	readonly end: string;
	readonly which: "all" | "missing" | "failed";
}

/** The intervals of a pipeline: which are there, which failed, which are missing; and the way to fill them. */
export function CalendarPage({ pipeline }: { readonly pipeline: string }): JSX.Element {
	useTitle(`Calendar of ${pipeline}`);
	const detail = useResource<PipelineDetail>(pipelineApi(pipeline));
	const [span, setSpan] = useState<{ readonly from: string; readonly to: string } | null>(null);
	const query = span === null ? "" : `?${new URLSearchParams(span)}`;
	const hasIntervals = detail.data?.can_backfill === true;
	const calendar = useResource<Calendar>(hasIntervals ? `${pipelineApi(pipeline)}/calendar${query}` : null);
	return (
		<>
			<PipelineHead pipeline={pipeline} detail={detail.data} tab="calendar" />
			{detail.data !== null && !detail.data.can_backfill ? (
				<Empty title="This pipeline has no intervals">
					<p>
						A table with <code>mode: interval</code> is read a day (or an hour, a week) at a time; its intervals are
						shown here and can be filled again.
					</p>
				</Empty>
			) : (
				<Loaded of={calendar}>
					{(data) => <CalendarView key={`${data.from} ${data.to}`} calendar={data} onSpan={setSpan} />}
				</Loaded>
			)}
		</>
	);
}

function CalendarView(props: {
	readonly calendar: Calendar;
	readonly onSpan: (span: { readonly from: string; readonly to: string }) => void;
}): JSX.Element {
	const { calendar } = props;
	const { intervals, unit, timezone } = calendar;
	const [range, setRange] = useState<Range | null>(null);
	const [asked, setAsked] = useState<Asked | null>(null);
	const missing = intervals.filter(({ state }) => state === "missing");
	const failed = intervals.filter(({ state }) => state === "failed" || state === "stopped");
	const ask = (from: CalendarDay, to: CalendarDay, which: Asked["which"]) =>
		setAsked({ start: from.name, end: endName(to, unit, timezone), which });
	const shift = (direction: 1 | -1) => {
		const length = Date.parse(calendar.to) - Date.parse(calendar.from);
		const moved = (time: string) => new Date(Date.parse(time) + direction * length).toISOString();
		props.onSpan({ from: moved(calendar.from), to: moved(calendar.to) });
	};
	const chosen = range === null ? [] : intervals.slice(range.from, range.to + 1);
	return (
		<>
			<div class="toolbar">
				<button type="button" class="button slim" onClick={() => shift(-1)}>
					← Earlier
				</button>
				<button
					type="button"
					class="button slim"
					disabled={Date.parse(calendar.to) > Date.now()}
					onClick={() => shift(1)}
				>
					Later →
				</button>
				<span class="quiet">
					{calendar.from.slice(0, 10)} – {calendar.to.slice(0, 10)}, each {unit === "minute" ? "interval" : unit},{" "}
					{timezone}
				</span>
				<button
					type="button"
					class="button"
					disabled={!mayOperate() || missing.length === 0}
					onClick={() => ask(missing[0]!, missing.at(-1)!, "missing")}
				>
					Fill {plural(missing.length, "missing interval")}
				</button>
				<button
					type="button"
					class="button"
					disabled={!mayOperate() || failed.length === 0}
					onClick={() => ask(failed[0]!, failed.at(-1)!, "failed")}
				>
					Retry {count(failed.length)} that failed or stopped
				</button>
			</div>
			<Chosen
				chosen={chosen}
				onBackfill={() =>
					ask(chosen[0]!, chosen.at(-1)!, chosen.some(({ state }) => state === "missing") ? "missing" : "all")
				}
				onNone={() => setRange(null)}
			/>
			{intervals.length === 0 ? (
				<Empty title="No interval is over in this time">
					<p>
						Intervals begin at the pipeline's <code>start</code>, and appear when they are over.
					</p>
				</Empty>
			) : (
				<Months calendar={calendar} range={range} onRange={setRange} />
			)}
			<Legend states={["succeeded", "failed", "running", "queued", "stopped", "missing"]} />
			{asked === null ? null : (
				<BackfillDialog pipeline={calendar.pipeline} initial={asked} onClose={() => setAsked(null)} />
			)}
		</>
	);
}

/** The end of an interval as a person writes it in the pipeline's zone; times of a clock as instants, which are unique. */
function endName({ interval }: CalendarDay, unit: Calendar["unit"], timeZone: string): string {
	if (unit === "minute") return interval.end;
	return new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short" }).format(new Date(interval.end));
}

function Chosen(props: {
	readonly chosen: readonly CalendarDay[];
	readonly onBackfill: () => void;
	readonly onNone: () => void;
}): JSX.Element {
	const { chosen } = props;
	const first = chosen[0];
	const last = chosen.at(-1);
	if (first === undefined || last === undefined)
		return (
			<p class="quiet small">Click an interval, then another one, to choose a range; Shift and arrows do the same.</p>
		);
	return (
		<section class="bulk" aria-label="With the chosen intervals">
			{chosen.length === 1 ? (
				<span>
					{first.name}: <StateText state={first.state} />
					{first.run_id === null ? null : (
						<>
							, {count(first.rows)} rows in {duration(first.seconds)}, <Link href={runUrl(first.run_id)}>its run</Link>
						</>
					)}
				</span>
			) : (
				<span>
					{first.name} – {last.name}: {plural(chosen.length, "interval")}
				</span>
			)}
			<button type="button" class="button slim" disabled={!mayOperate()} onClick={props.onBackfill}>
				Backfill…
			</button>
			<button type="button" class="button plain slim" onClick={props.onNone}>
				Choose none
			</button>
		</section>
	);
}
