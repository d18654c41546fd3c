import { HeadraceError, toHeadraceErrors } from "../../core/index.ts";
import type { ProjectState } from "../../state/index.ts";
import { abortableDelay } from "../retry.ts";
import type { Leading } from "./leading.ts";
import { type HeldProject, takeProjectOver } from "./project-lease.ts";

/** How soon a server tries again to lead after that failed. */
const AGAIN_MS = 5_000;

export interface ElectionOptions {
	readonly state: ProjectState;
	readonly leaseMs: number;
	/** How long to wait for another server to end where the state can't be shared. */
	readonly waitMs?: number;
	/** Ends that waiting. */
	readonly signal?: AbortSignal;
	/** What to do while this server leads; begun after this. */
	readonly newTerm: (held: HeldProject) => Leading;
	/** Another one leads from now on, or nobody is known to: what this one led has ended. */
	readonly onFollow: () => Promise<void>;
	readonly onChange: () => void;
	readonly onNotice: (message: string) => void;
}

/**
 * Says which server runs the pipelines of a project. Where servers share the state one leads and the others stand by;
 * who loses its lease ends what it does and stands by too. Where they can't, a second one waits and gives up.
 */
export class Election {
	readonly #options: ElectionOptions;
	readonly #closing = new AbortController();
	readonly #lost = new AbortController();
	#held: HeldProject | null = null;
	#leading: Leading | null = null;
	#leader: string | null = null;
	#electing: Promise<void> = Promise.resolve();

	constructor(options: ElectionOptions) {
		this.#options = options;
	}

	/** Null while this server does not lead. */
	get leading(): Leading | null {
		return this.#leading;
	}

	/** The process that leads where it is another one; null when none is known to. */
	get leader(): string | null {
		return this.#leader;
	}

	/** Aborted when another server has taken over a project that can't be shared. */
	get lost(): AbortSignal {
		return this.#lost.signal;
	}

	/**
	 * Resolves when it is known who leads.
	 * @throws E_BUSY when another server has a project that can't be shared
	 */
	async start(): Promise<void> {
		const { state, onNotice } = this.#options;
		if (state.isShared) {
			await new Promise<void>((resolve) => {
				this.#electing = this.#elect(resolve).finally(resolve);
			});
			return;
		}
		const held = await this.#take(
			(holder) => onNotice(`! another server has this project (${holder}): waiting until it ends`),
			(error) => this.#lost.abort(error),
		);
		await this.#begin(held);
	}

	/** Ends what this server leads; what is at work may end by itself for a while. */
	async stop(graceMs: number, reason: HeadraceError): Promise<void> {
		this.#closing.abort(reason);
		await this.#leading?.stop(graceMs, reason);
		await this.#electing;
		await this.#held?.[Symbol.asyncDispose]();
		this.#held = null;
	}

	async #elect(onKnown: () => void): Promise<void> {
		const { onChange, onNotice } = this.#options;
		const closing = this.#closing.signal;
		const stoodBy = (holder: string) => {
			this.#leader = holder;
			onNotice(`stands by: ${holder} leads`);
			onChange();
			onKnown();
		};
		while (!closing.aborted) {
			const over = new AbortController();
			try {
				const held = await this.#take(stoodBy, (error) => over.abort(error));
				this.#leader = null;
				await this.#begin(held);
				onNotice("leads");
				onChange();
				onKnown();
				await aborted(AbortSignal.any([over.signal, closing]));
				if (closing.aborted) return;
				throw over.signal.reason;
			} catch (thrown) {
				if (closing.aborted) return;
				for (const { code, message } of toHeadraceErrors(thrown)) onNotice(`! ${code} ${message}`);
				await this.#stepDown(thrown);
				onChange();
				// Who was fenced off stands by at once; what failed otherwise may pass.
				if (!over.signal.aborted) await abortableDelay(AGAIN_MS, closing).catch(() => {});
			}
		}
	}

	async #stepDown(reason: unknown): Promise<void> {
		const [error = new HeadraceError("E_FENCED", "another server leads")] = toHeadraceErrors(reason);
		const [leading, held] = [this.#leading, this.#held];
		this.#leading = null;
		this.#held = null;
		await leading?.stop(0, error);
		// A state that does not answer is read when it does.
		const { onNotice, onFollow } = this.#options;
		const told = (thrown: unknown) => {
			for (const { code, message } of toHeadraceErrors(thrown)) onNotice(`! ${code} ${message}`);
		};
		await Promise.resolve(held?.[Symbol.asyncDispose]()).catch(told);
		await onFollow().catch(told);
	}

	#take(onWait: (holder: string) => void, onLost: (error: HeadraceError) => void): Promise<HeldProject> {
		const { state, leaseMs, waitMs, signal } = this.#options;
		return takeProjectOver(state, {
			leaseMs,
			...(state.isShared ? { waitMs: Number.POSITIVE_INFINITY } : waitMs === undefined ? {} : { waitMs }),
			signal: signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]),
			onWait,
			onLost,
		});
	}

	async #begin(held: HeldProject): Promise<void> {
		this.#held = held;
		const leading = this.#options.newTerm(held);
		this.#leading = leading;
		await leading.start();
	}
}

async function aborted(signal: AbortSignal): Promise<void> {
	if (signal.aborted) return;
	await new Promise<void>((resolve) => {
		signal.addEventListener("abort", () => resolve(), { once: true });
	});
}
