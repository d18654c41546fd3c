import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { shortDateTime } from "../format.ts";
import { theme, zone } from "../settings.ts";

export interface Point {
	/** ISO 8601, UTC. */
	readonly at: string;
	readonly value: number;
	/** Points that say something is wrong are drawn as rings. */
	readonly bad?: boolean;
}

const HEIGHT_PX = 170;

/**
 * A series over time. The drawing library is loaded with the first chart only. A chart is never the only place of its
 * numbers: a table near it has them for those who can't see it.
 */
export function Chart(props: {
	readonly title: string;
	readonly points: readonly Point[];
	readonly format: (value: number) => string;
}): JSX.Element {
	const box = useRef<HTMLDivElement>(null);
	const { points, format, title } = props;
	const [hover, setHover] = useState("");
	const pointText = (point: Point | null) =>
		point === null ? "" : `${shortDateTime(point.at)}: ${format(point.value)}${point.bad === true ? ", failed" : ""}`;
	const key = JSON.stringify(points);
	useEffect(() => {
		const element = box.current;
		if (element === null) return;
		let plot: uPlot | null = null;
		let gone = false;
		const resize = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
		void import("./uplot.ts").then(({ draw }) => {
			if (gone) return;
			plot = draw(element, { points, format, height: HEIGHT_PX, onPoint: (point) => setHover(pointText(point)) });
			resize.observe(element);
		});
		return () => {
			gone = true;
			resize.disconnect();
			plot?.destroy();
		};
	}, [key, theme.value, zone.value]);
	return (
		<figure class="chart">
			<figcaption>
				{title}
				{hover === "" ? null : <strong> {hover}</strong>}
			</figcaption>
			<div ref={box} class="chart-box" role="img" aria-label={`${title}: ${summary(points, format)}`} />
		</figure>
	);
}

function summary(points: readonly Point[], format: (value: number) => string): string {
	const values = points.map(({ value }) => value);
	if (values.length === 0) return "nothing yet";
	return `${values.length} runs, least ${format(Math.min(...values))}, most ${format(Math.max(...values))}, last ${format(values.at(-1)!)}`;
}
