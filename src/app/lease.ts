import type { CheckedPipeline } from "../config/index.ts";
import { HeadraceError, type StateStore } from "../core/index.ts";
import { processHolder } from "../state/index.ts";

const LEASE_MS = 60_000;

/** A pipeline's lease, while it is held. */
export interface HeldLease {
	/** Aborted when the run is stopped or its lease lost. */
	readonly signal: AbortSignal;
	/**
	 * Asked before a run takes streams over: a process that slept must not do so behind the back of the run that came
	 * after it, though the destination's positions would keep both from doing harm.
	 * @throws E_FENCED when another run has the lease
	 */
	confirm(): Promise<void>;
}

/** Holds the pipeline's lease while `work` goes on. A lost lease aborts it: a newer run has taken over. */
export async function withLease<T>(
	state: StateStore,
	pipeline: CheckedPipeline,
	signal: AbortSignal | undefined,
	work: (held: HeldLease) => Promise<T>,
): Promise<T> {
	const name = `pipeline:${pipeline.name}`;
	const holder = processHolder();
	const lease = await state.acquireLease(name, holder, LEASE_MS);
	if (lease === null) {
		const other = await state.leaseHolder(name);
		throw new HeadraceError(
			"E_BUSY",
			`another run holds the pipeline ${pipeline.name} (${other?.holder ?? "it ended just now"})`,
			{
				pipeline: pipeline.name,
			},
		);
	}
	const lost = new AbortController();
	const confirm = async () => {
		if (await state.renewLease(lease, LEASE_MS)) return;
		const fenced = new HeadraceError("E_FENCED", "another run has taken this run's lease over", {
			pipeline: pipeline.name,
		});
		lost.abort(fenced);
		throw fenced;
	};
	// A store that does not answer now is asked again in time.
	const renewal = setInterval(() => void confirm().catch(() => {}), LEASE_MS / 3);
	renewal.unref();
	try {
		return await work({
			signal: signal === undefined ? lost.signal : AbortSignal.any([signal, lost.signal]),
			confirm,
		});
	} finally {
		clearInterval(renewal);
		await state.releaseLease(lease);
	}
}
