import type { CheckedPipeline } from "../config/index.ts";
import { HeadraceError, type Lease, type StateStore } from "../core/index.ts";
import { holderText, type ProjectState, processHolder } from "../state/index.ts";
import { abortableDelay } from "./retry.ts";

/** How long who has a lease may say nothing before another one takes it. */
export const LEASE_MS = 60_000;
/** How often whoever waits for a lease asks for it. */
const ASK_AGAIN_MS = 500;

/** A pipeline's lease, while it is held. */
export interface HeldLease {
	/** Aborted when the run is stopped or its lease lost. */
	readonly signal: AbortSignal;
	/** The state, written to only while the lease is not another's. */
	readonly state: ProjectState;
	/**
	 * Asked before a run takes streams over: a process that slept must not do so behind the back of the run that came
	 * after it, though the destination's positions would keep both from doing harm.
	 * @throws E_FENCED when another run has the lease
	 */
	confirm(): Promise<void>;
}

export interface LeaseOptions {
	readonly signal?: AbortSignal;
	/** How long to wait for another holder's end, in milliseconds; default not at all. */
	readonly waitMs?: number;
}

/**
 * Holds the pipeline's lease while `work` goes on. A lost lease aborts it: a newer run has taken over.
 * @throws E_BUSY when another run holds it, E_STOPPED when it was stopped while it waited
 */
export async function withLease<T>(
	{ state, leaseMs }: { readonly state: ProjectState; readonly leaseMs: number },
	pipeline: CheckedPipeline,
	{ signal, waitMs = 0 }: LeaseOptions,
	work: (held: HeldLease) => Promise<T>,
): Promise<T> {
	const name = `pipeline:${pipeline.name}`;
	const holder = processHolder();
	const givenUpMs = performance.now() + waitMs;
	let lease = await state.acquireLease(name, holder, leaseMs);
	while (lease === null && performance.now() < givenUpMs && signal?.aborted !== true) {
		await abortableDelay(Math.min(ASK_AGAIN_MS, givenUpMs - performance.now()), signal);
		lease = await state.acquireLease(name, holder, leaseMs);
	}
	if (lease === null && waitMs > 0 && signal?.aborted === true)
		throw new HeadraceError("E_STOPPED", `stopped while another run had the pipeline ${pipeline.name}`);
	if (lease === null) {
		const other = await state.leaseHolder(name);
		throw new HeadraceError(
			"E_BUSY",
			`another run holds the pipeline ${pipeline.name} (${other === null ? "it ended just now" : holderText(other.holder)})`,
			{
				pipeline: pipeline.name,
			},
		);
	}
	const lost = new AbortController();
	const kept = keepLease(state, lease, leaseMs, (isTaken) => {
		const message = isTaken
			? "another run has taken this run's lease over"
			: `the state could not be written to for ${leaseMs / 1000} s: another run may have taken this one's lease over`;
		lost.abort(new HeadraceError("E_FENCED", message, { pipeline: pipeline.name }));
	});
	try {
		return await work({
			signal: signal === undefined ? lost.signal : AbortSignal.any([signal, lost.signal]),
			state: state.fencedBy(lease),
			confirm: async () => {
				if (!(await kept.renew())) throw lost.signal.reason;
			},
		});
	} finally {
		kept.stop();
		await state.releaseLease(lease);
	}
}

/** A lease that is renewed by itself. */
export interface KeptLease {
	/** Renews it now. False when it is lost, which `onLost` was told. */
	renew(): Promise<boolean>;
	stop(): void;
}

/** How often a lease is renewed in its duration. */
const RENEWALS = 3;

/**
 * Renews a lease three times in its duration. `onLost` is told, once, when another one has taken it, or when the state
 * did not answer for as long as it lasts: another one may have it then. Answers are counted, not time: a process that
 * stood still asks before it gives up.
 */
export function keepLease(
	state: Pick<StateStore, "renewLease">,
	lease: Lease,
	leaseMs: number,
	onLost: (isTaken: boolean) => void,
): KeptLease {
	let unanswered = 0;
	let isLost = false;
	const lose = (isTaken: boolean): void => {
		clearInterval(timer);
		if (!isLost) onLost(isTaken);
		isLost = true;
	};
	const renew = async (): Promise<boolean> => {
		if (await state.renewLease(lease, leaseMs)) unanswered = 0;
		else lose(true);
		return !isLost;
	};
	const timer = setInterval(() => {
		unanswered++;
		if (unanswered >= RENEWALS) lose(false);
		// A store that does not answer now is asked again in time.
		else renew().catch(() => {});
	}, leaseMs / RENEWALS);
	timer.unref();
	return { renew, stop: () => clearInterval(timer) };
}
