import type { TableReceipt } from "../core/state-store.ts";
import { html, Markup } from "./html.ts";

export type MarkedState = TableReceipt["state"] | "warning";

interface Look {
	readonly word: string;
	readonly tone: "succeeded" | "failed" | "running" | "stopped" | "idle";
	readonly shape: string;
	readonly sign: string;
	readonly hollow?: true;
}

const SQUARE = "M3 1h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H3a2 2 0 0 1-2-2V3a2 2 0 0 1 2-2z";
const OCTAGON = "M5 1h6l4 4v6l-4 4H5l-4-4V5z";
const CIRCLE = "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1z";
const DIAMOND = "M8 .5L15.5 8 8 15.5.5 8z";

/** Told apart by their shapes too: the same as on the page of `headrace serve`. */
const LOOKS: Readonly<Record<MarkedState, Look>> = {
	succeeded: { word: "succeeded", tone: "succeeded", shape: SQUARE, sign: "M4.5 8.3l2.4 2.4 4.6-5" },
	failed: { word: "failed", tone: "failed", shape: OCTAGON, sign: "M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2" },
	running: { word: "running", tone: "running", shape: CIRCLE, sign: "M6.6 5v6l4.4-3z" },
	stopped: { word: "stopped", tone: "stopped", shape: SQUARE, sign: "M5.8 5.8h4.4v4.4H5.8z" },
	pending: { word: "not begun", tone: "idle", shape: CIRCLE, sign: "M8 5v3.2l2 1.3", hollow: true },
	skipped: { word: "skipped", tone: "idle", shape: SQUARE, sign: "M5.5 8h5", hollow: true },
	warning: { word: "warning", tone: "stopped", shape: DIAMOND, sign: "M8 4.8v3.6M8 11v.1" },
};

/** Sign and word of a state. */
export function stateMark(state: MarkedState, word?: string): Markup {
	const look = LOOKS[state];
	const svg = new Markup(
		`<svg class="mark${look.hollow === true ? " hollow" : ""}" viewBox="0 0 16 16" aria-hidden="true"><path d="${look.shape}"/><path class="sign" d="${look.sign}"/></svg>`,
	);
	return html`<span class="state ${look.tone}">${svg}${word ?? look.word}</span>`;
}
