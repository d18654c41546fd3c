import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { zone } from "../settings.ts";
import type { Point } from "./chart.tsx";

/** Smallest distance of ticks in seconds, and what is written at them. */
const AXIS_TIMES: uPlot.Axis.Values = [
	[86_400 * 28, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
	[86_400, "{MM}-{DD}", null, null, null, null, null, null, 1],
	[60, "{HH}:{mm}", null, null, null, null, null, null, 1],
	[1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1],
];

/** Draws bars of a series into an element of the page, in the page's colours. */
export function draw(
	element: HTMLElement,
	chart: {
		readonly points: readonly Point[];
		readonly format: (value: number) => string;
		/** In pixels. */
		readonly height: number;
		/** The point that is pointed at; null when there is none. */
		readonly onPoint: (point: Point | null) => void;
	},
): uPlot {
	const color = colorsOf(element);
	const { points, format, height } = chart;
	const at = points.map((point) => Date.parse(point.at) / 1000);
	const values = points.map(({ value }) => value);
	const bars = uPlot.paths.bars!({ size: [0.7, 14], align: 0 });
	const bad = points.map((point) => (point.bad === true ? point.value : null));
	return new uPlot(
		{
			width: element.clientWidth,
			height,
			cursor: { points: { show: false }, drag: { x: false, y: false } },
			legend: { show: false },
			hooks: { setCursor: [({ cursor }) => chart.onPoint(points[cursor.idx ?? -1] ?? null)] },
			tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone.value === "UTC" ? "Etc/UTC" : localZone()),
			scales: { x: { time: true, range: padded }, y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
			axes: [
				{
					stroke: color("--text-quiet"),
					grid: { show: false },
					ticks: { stroke: color("--line") },
					values: AXIS_TIMES,
				},
				{
					stroke: color("--text-quiet"),
					grid: { stroke: color("--line"), width: 1 },
					ticks: { show: false },
					size: 74,
					values: (_plot, ticks) => ticks.map(format),
				},
			],
			series: [
				{},
				{
					label: "value",
					stroke: color("--accent"),
					fill: color("--accent"),
					paths: bars,
					points: { show: false },
					value: (_plot, value) => (value === null ? "" : format(value)),
				},
				{
					label: "failed",
					stroke: color("--failed"),
					paths: () => null,
					points: { show: true, size: 9, width: 2, fill: color("--ground") },
				},
			],
		},
		[at, values, bad],
		element,
	);
}

function localZone(): string {
	return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** Room for half a bar at both ends. */
function padded(_plot: uPlot, min: number, max: number): [number, number] {
	const room = max > min ? (max - min) * 0.06 : 1800;
	return [min - room, max + room];
}

/** A canvas knows no custom properties and no `light-dark()`: an element with the colour says what it comes to. */
function colorsOf(element: HTMLElement): (name: string) => string {
	return (name) => {
		const probe = document.createElement("span");
		probe.style.color = `var(${name})`;
		element.append(probe);
		const { color } = getComputedStyle(probe);
		probe.remove();
		return color;
	};
}
