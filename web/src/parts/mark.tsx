import type { JSX } from "preact";

/** How a state looks: a colour, and a shape and a sign of its own for those who do not see the colour. */
interface Look {
	readonly word: string;
	readonly tone: "succeeded" | "failed" | "running" | "stopped" | "queued" | "idle";
	readonly shape: "square" | "octagon" | "circle" | "diamond";
	readonly sign: string;
	readonly hollow?: true;
	readonly dashed?: true;
	readonly moving?: true;
}

const CHECK = "M4.5 8.3l2.4 2.4 4.6-5";
const CROSS = "M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2";
const PLAY = "M6.6 5v6l4.4-3z";
const STOP = "M5.8 5.8h4.4v4.4H5.8z";
const CLOCK = "M8 5v3.2l2 1.3";
const DASH = "M5.5 8h5";
const WARN = "M8 4.8v3.6M8 11v.1";
const PAUSE = "M6.3 5.5v5M9.7 5.5v5";
const NONE = "";

const LOOKS: Readonly<Record<string, Look>> = {
	succeeded: { word: "succeeded", tone: "succeeded", shape: "square", sign: CHECK },
	failed: { word: "failed", tone: "failed", shape: "octagon", sign: CROSS },
	running: { word: "running", tone: "running", shape: "circle", sign: PLAY, moving: true },
	stopped: { word: "stopped", tone: "stopped", shape: "square", sign: STOP },
	queued: { word: "queued", tone: "queued", shape: "circle", sign: CLOCK },
	pending: { word: "pending", tone: "idle", shape: "circle", sign: CLOCK, hollow: true },
	skipped: { word: "skipped", tone: "idle", shape: "square", sign: DASH, hollow: true },
	missing: { word: "missing", tone: "idle", shape: "square", sign: NONE, hollow: true, dashed: true },
	paused: { word: "paused", tone: "stopped", shape: "square", sign: PAUSE, hollow: true },
	warning: { word: "warning", tone: "stopped", shape: "diamond", sign: WARN },
	future: { word: "in the future", tone: "idle", shape: "circle", sign: NONE, hollow: true, dashed: true },
	unknown: { word: "unknown", tone: "idle", shape: "diamond", sign: DASH, hollow: true },
};

const SHAPES = {
	square: "M3 1h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H3a2 2 0 0 1-2-2V3a2 2 0 0 1 2-2z",
	octagon: "M5 1h6l4 4v6l-4 4H5l-4-4V5z",
	circle: "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1z",
	diamond: "M8 .5L15.5 8 8 15.5.5 8z",
} as const;

export function lookOf(state: string): Look {
	return LOOKS[state] ?? { ...LOOKS["unknown"]!, word: state };
}

/** The sign of a state; `label` is what is read aloud, empty beside a text that says it already. */
export function Mark({ state, label }: { readonly state: string; readonly label?: string }): JSX.Element {
	const { word, tone, shape, sign, hollow, dashed, moving } = lookOf(state);
	const classes = ["mark", `state-${tone}`, hollow && "hollow", dashed && "dashed", moving && "moving"];
	const name = label ?? word;
	return (
		// biome-ignore lint/a11y/noSvgWithoutTitle: it is named by aria-label, or hidden beside a text
		<svg
			class={classes.filter(Boolean).join(" ")}
			viewBox="0 0 16 16"
			{...(name === "" ? { "aria-hidden": true } : { role: "img", "aria-label": name })}
		>
			<path class="mark-body" d={SHAPES[shape]} />
			{sign === NONE ? null : <path class="mark-sign" d={sign} />}
		</svg>
	);
}

/** Sign and word. */
export function StateText({ state, word }: { readonly state: string; readonly word?: string }): JSX.Element {
	const look = lookOf(state);
	return (
		<span class={`state-text state-${look.tone}`}>
			<Mark state={state} label="" />
			<span class="word">{word ?? look.word}</span>
		</span>
	);
}

/** What the signs of a page mean. */
export function Legend({ states }: { readonly states: readonly string[] }): JSX.Element {
	return (
		<div class="legend">
			{states.map((state) => (
				<span key={state} class="state-text">
					<Mark state={state} label="" />
					{lookOf(state).word}
				</span>
			))}
		</div>
	);
}
