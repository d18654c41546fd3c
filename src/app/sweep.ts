import type { Staging } from "../core/index.ts";
import { CHUNKS_KEPT_MS, sweepStaging } from "../flow/index.ts";
import type { HeldLease } from "./lease.ts";
import type { Session } from "./session.ts";

/** Streams that runs of this process are at work on, with how many of them; by pipeline and folder. */
const busy = new Map<string, Map<string, number>>();

function busyOf({ pipeline }: Session): Map<string, number> {
	const key = JSON.stringify([pipeline.directory, pipeline.name]);
	const found = busy.get(key) ?? new Map<string, number>();
	busy.set(key, found);
	return found;
}

/** Notes that a run is at work on these streams, until it is disposed: a backfill has several runs at once. */
export function busyStreams(session: Session, streams: readonly string[]): Disposable {
	const counts = busyOf(session);
	const add = (by: number) => {
		for (const stream of streams) {
			const count = (counts.get(stream) ?? 0) + by;
			if (count > 0) counts.set(stream, count);
			else counts.delete(stream);
		}
	};
	add(1);
	return { [Symbol.dispose]: () => add(-1) };
}

/** Removes what killed runs left of streams that no run is at work on. A run never fails by it: gives what went wrong. */
export async function sweepLeftovers(
	session: Session,
	staging: Staging | null,
	held: HeldLease,
): Promise<string | null> {
	const { pipeline, destination } = session;
	const nowMs = Date.now();
	try {
		await held.confirm();
		await destination.parts?.sweep(pipeline.name, new Date(nowMs - CHUNKS_KEPT_MS));
		if (staging === null) return null;
		const rows = await destination.positions(pipeline.name);
		await sweepStaging({ staging, pipeline: pipeline.name, rows, busy: new Set(busyOf(session).keys()), nowMs });
		return null;
	} catch (error) {
		return `what earlier runs left could not be cleaned up: ${error instanceof Error ? error.message : String(error)}`;
	}
}
