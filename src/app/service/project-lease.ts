import { HeadraceError, type Lease } from "../../core/index.ts";
import { type ProjectState, processHolder } from "../../state/index.ts";
import { keepLease } from "../lease.ts";
import { abortableDelay } from "../retry.ts";

const NAME = "serve";
const ASK_MS = 1_000;

export interface TakeOverOptions {
	readonly leaseMs: number;
	/** How long to wait for another server of the project to end; default a little longer than a lease. */
	readonly waitMs?: number;
	/** Ends that waiting. */
	readonly signal?: AbortSignal;
	/** Told when another server has it, by its holder's name. */
	readonly onWait: (holder: string) => void;
	/** Another server has the project now, or may have it. */
	readonly onLost: (error: HeadraceError) => void;
}

/** A project that this server has. */
export interface HeldProject extends AsyncDisposable {
	readonly lease: Lease;
}

/** Who has the project; null: nobody. */
export async function projectHolder(state: ProjectState): Promise<string | null> {
	return (await state.leaseHolder(NAME))?.holder ?? null;
}

/**
 * Takes a project over, so that one server alone runs its pipelines; held until it is disposed. A server that was
 * killed on another machine, or in another container, is known to be gone only when its lease is over.
 * @throws E_BUSY when another server goes on
 */
export async function takeProjectOver(state: ProjectState, options: TakeOverOptions): Promise<HeldProject> {
	const { leaseMs, waitMs = leaseMs + 5_000, signal, onWait, onLost } = options;
	const deadlineMs = performance.now() + waitMs;
	let told: string | null = null;
	for (;;) {
		signal?.throwIfAborted();
		// Looked at before it is asked for: each write is told to all who share the state.
		const holder = await projectHolder(state);
		const lease = holder === null ? await state.acquireLease(NAME, processHolder(), leaseMs) : null;
		if (lease !== null) return held(state, lease, leaseMs, onLost);
		if (holder === null) continue;
		if (performance.now() >= deadlineMs)
			throw new HeadraceError("E_BUSY", `another server has this project (${holder})`, {
				hint: "Stop it first, or serve another folder.",
			});
		if (told !== holder) onWait(holder);
		told = holder;
		await abortableDelay(Math.min(ASK_MS, waitMs), signal ?? new AbortController().signal);
	}
}

function held(state: ProjectState, lease: Lease, leaseMs: number, onLost: (error: HeadraceError) => void): HeldProject {
	const kept = keepLease(state, lease, leaseMs, (isTaken) =>
		onLost(
			new HeadraceError(
				"E_FENCED",
				isTaken
					? "another server has taken this project over"
					: `the state could not be written to for ${leaseMs / 1000} s: another server may have taken this project over`,
			),
		),
	);
	return {
		lease,
		async [Symbol.asyncDispose]() {
			kept.stop();
			await state.releaseLease(lease);
		},
	};
}
