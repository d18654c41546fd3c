import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Calendar, CalendarDay } from "../../../src/server/api.ts";
import { duration, plural } from "../format.ts";
import { Mark } from "../parts/mark.tsx";

/** Indices of intervals, both included. */
export interface Range {
	readonly from: number;
	readonly to: number;
	/** The one that the range began with, and the one that it was drawn to. */
	readonly anchor: number;
	readonly head: number;
}

function rangeOf(anchor: number, head: number): Range {
	return { from: Math.min(anchor, head), to: Math.max(anchor, head), anchor, head };
}

const WEEKDAYS = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
/** How much of an interval's name (`2026-01-31T05:00`) names its block, and from where on it is written in its cell. */
const PARTS = {
	minute: { block: 10, cell: 11 },
	day: { block: 7, cell: 8 },
	week: { block: 4, cell: 5 },
	month: { block: 4, cell: 5 },
	year: { block: 0, cell: 0 },
} as const;
const MONTHS = ["January", "February", "March", "April", "May", "June", "July"].concat([
	"August",
	"September",
	"October",
	"November",
	"December",
]);

/** Intervals in blocks: days by month under their weekdays, hours by day, weeks and months by year. */
export function Months(props: {
	readonly calendar: Calendar;
	readonly range: Range | null;
	readonly onRange: (range: Range) => void;
}): JSX.Element {
	const { calendar, range } = props;
	const { intervals, unit } = calendar;
	const root = useRef<HTMLDivElement>(null);
	const focused = range?.head ?? intervals.length - 1;
	const blocks = Map.groupBy(
		intervals.map((interval, index) => ({ interval, index })),
		({ interval }) => interval.name.slice(0, PARTS[unit].block),
	);
	const choose = (index: number, extend: boolean) => {
		const opens = range !== null && range.from === range.to && index !== range.from;
		props.onRange(range !== null && (extend || opens) ? rangeOf(range.anchor, index) : rangeOf(index, index));
	};
	const onKeyDown = (event: KeyboardEvent) => {
		const rows = unit === "day" ? 7 : 1;
		const steps: Readonly<Record<string, number>> = {
			ArrowLeft: -1,
			ArrowRight: 1,
			ArrowUp: -rows,
			ArrowDown: rows,
		};
		const step = steps[event.key];
		if (step === undefined) return;
		event.preventDefault();
		const next = Math.min(intervals.length - 1, Math.max(0, focused + step));
		props.onRange(event.shiftKey && range !== null ? rangeOf(range.anchor, next) : rangeOf(next, next));
		root.current?.querySelector<HTMLElement>(`[data-index="${next}"]`)?.focus();
	};
	return (
		<div class="months" ref={root}>
			{[...blocks].map(([name, cells]) => (
				<section key={name} class={`month unit-${unit}`} aria-label={blockName(name, unit)}>
					<h3>{blockName(name, unit)}</h3>
					<div class="days">
						{unit === "day"
							? WEEKDAYS.map((day) => (
									<span key={day} class="weekday" aria-hidden="true">
										{day}
									</span>
								))
							: null}
						{cells.map(({ interval, index }, place) => (
							<button
								key={interval.name}
								type="button"
								data-index={index}
								class={range !== null && index >= range.from && index <= range.to ? "day-cell chosen" : "day-cell"}
								style={unit === "day" && place === 0 ? { gridColumnStart: String(weekday(interval.name)) } : {}}
								tabIndex={index === focused ? 0 : -1}
								aria-pressed={range !== null && index >= range.from && index <= range.to}
								aria-label={cellLabel(interval)}
								title={cellLabel(interval)}
								onClick={(event) => choose(index, event.shiftKey)}
								onKeyDown={onKeyDown}
							>
								<span class="day-name">{interval.name.slice(PARTS[unit].cell)}</span>
								<Mark state={interval.state} label="" />
							</button>
						))}
					</div>
				</section>
			))}
		</div>
	);
}

function blockName(name: string, unit: Calendar["unit"]): string {
	if (unit !== "day") return name === "" ? "All years" : name;
	return `${MONTHS[Number(name.slice(5)) - 1]} ${name.slice(0, 4)}`;
}

/** 1 for a Monday to 7 for a Sunday. */
function weekday(day: string): number {
	return ((new Date(`${day.slice(0, 10)}T00:00:00Z`).getUTCDay() + 6) % 7) + 1;
}

function cellLabel({ name, state, run_id, rows, seconds }: CalendarDay): string {
	return `${name}: ${state}${run_id === null ? "" : `, ${plural(rows, "row")}, ${duration(seconds)}`}`;
}
