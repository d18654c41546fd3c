import { type ChangesPosition, encodePosition, type StateStore } from "../core/index.ts";
import { CHANGES_STREAM } from "../flow/index.ts";

/** A stream commits many times a second; who looks at it looks seldom. */
const KEEP_MS = 2_000;

/** Keeps where a change stream stands while it is followed: the state store is otherwise told when a run ends. */
export function keepPosition(state: StateStore, pipeline: string): (position: ChangesPosition) => Promise<void> {
	let keptMs = Number.NEGATIVE_INFINITY;
	return async (position) => {
		if (performance.now() - keptMs < KEEP_MS) return;
		keptMs = performance.now();
		const committedAt = new Date().toISOString();
		const row = { stream: CHANGES_STREAM, position: encodePosition(position), loadId: null, committedAt };
		await state.savePositions(pipeline, [row]);
	};
}
