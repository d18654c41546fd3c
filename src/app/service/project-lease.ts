import { HeadraceError } from "../../core/index.ts";
import { processHolder, type SqliteStateStore } from "../../state/index.ts";
import { abortableDelay } from "../retry.ts";

const NAME = "serve";
const LEASE_MS = 60_000;
const ASK_MS = 1_000;

export interface TakeOverOptions {
	/** How long to wait for another server of the project to end; default a little longer than a lease. */
	readonly waitMs?: number;
	/** Ends that waiting. */
	readonly signal?: AbortSignal;
	readonly onNotice: (message: string) => void;
	/** Another server has the project now. */
	readonly onLost: (error: HeadraceError) => void;
}

/**
 * Takes a project over, so that it has one server only; held until it is disposed. A server that was killed in another
 * container is known to be dead only when its lease is over.
 * @throws E_BUSY when another server goes on
 */
export async function takeProjectOver(state: SqliteStateStore, options: TakeOverOptions): Promise<AsyncDisposable> {
	const { waitMs = LEASE_MS + 5_000, signal, onNotice, onLost } = options;
	const deadlineMs = performance.now() + waitMs;
	let lease = await state.acquireLease(NAME, processHolder(), LEASE_MS);
	for (let told = false; lease === null; told = true) {
		signal?.throwIfAborted();
		const holder = (await state.leaseHolder(NAME))?.holder ?? "it ended just now";
		const message = `another server has this project (${holder})`;
		if (performance.now() >= deadlineMs)
			throw new HeadraceError("E_BUSY", message, { hint: "Stop it first, or serve another folder." });
		if (!told) onNotice(`! ${message}: waiting until it ends`);
		await abortableDelay(Math.min(ASK_MS, waitMs), signal ?? new AbortController().signal);
		lease = await state.acquireLease(NAME, processHolder(), LEASE_MS);
	}
	const held = lease;
	const renew = async () => {
		if (await state.renewLease(held, LEASE_MS)) return;
		clearInterval(timer);
		onLost(new HeadraceError("E_FENCED", "another server has taken this project over"));
	};
	// A store that does not answer now is asked again in time.
	const timer = setInterval(() => void renew().catch(() => {}), LEASE_MS / 3);
	return {
		async [Symbol.asyncDispose]() {
			clearInterval(timer);
			await state.releaseLease(held);
		},
	};
}
