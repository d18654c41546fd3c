import type { CheckedPipeline } from "../../config/index.ts";
import { ERRORS, type ErrorCode, EXIT, HeadraceError, type RunEvent, toHeadraceErrors } from "../../core/index.ts";
import { type Clock, type SupervisedState, Supervisor } from "../../schedule/index.ts";
import type { App } from "../api.ts";

export interface FollowersOptions {
	readonly app: App;
	readonly clock: Clock;
	readonly onEvent: (pipeline: string, event: RunEvent) => void;
	readonly onChange: (pipeline: string) => void;
}

interface Follower {
	readonly fingerprint: string;
	readonly supervisor: Supervisor;
}

/** How a follower of a change stream is. */
export interface FollowerState {
	readonly state: SupervisedState;
	readonly restarts: number;
	readonly nextMs: number | null;
	readonly error: HeadraceError | null;
}

/** The pipelines with `schedule: continuous`: their change streams are followed, and begun again when they end. */
export class Followers {
	readonly #options: FollowersOptions;
	readonly #followers = new Map<string, Follower>();
	/** One pipeline's changes come one after the other. */
	readonly #changing = new Map<string, Promise<void>>();
	#closed = false;

	constructor(options: FollowersOptions) {
		this.#options = options;
	}

	isWorking(pipeline: string): boolean {
		return this.#followers.get(pipeline)?.supervisor.state === "working";
	}

	/** Null when nothing of the pipeline is followed. */
	of(pipeline: string): FollowerState | null {
		const supervisor = this.#followers.get(pipeline)?.supervisor;
		if (supervisor === undefined) return null;
		const { state, restarts, nextMs, failure } = supervisor;
		return { state, restarts, nextMs, error: failure === null ? null : (toHeadraceErrors(failure)[0] ?? null) };
	}

	/** Follows these pipelines and no others; one whose file changed is begun anew. */
	set(wanted: readonly { readonly pipeline: CheckedPipeline; readonly fingerprint: string }[]): void {
		if (this.#closed) return;
		const byName = new Map(wanted.map((each) => [each.pipeline.name, each]));
		for (const name of new Set([...this.#followers.keys(), ...byName.keys()])) {
			const before = this.#changing.get(name) ?? Promise.resolve();
			this.#changing.set(
				name,
				before.then(() => this.#bring(name, byName.get(name))),
			);
		}
	}

	async stop(reason: HeadraceError): Promise<void> {
		this.#closed = true;
		await Promise.all(this.#changing.values());
		await Promise.all([...this.#followers.values()].map(({ supervisor }) => supervisor.stop(reason)));
	}

	async #bring(name: string, wanted: { pipeline: CheckedPipeline; fingerprint: string } | undefined): Promise<void> {
		const follower = this.#followers.get(name);
		if (follower !== undefined && follower.fingerprint === wanted?.fingerprint) return;
		if (follower !== undefined) {
			this.#followers.delete(name);
			const why = wanted === undefined ? "was paused or taken away" : "has changed";
			await follower.supervisor.stop(new HeadraceError("E_STOPPED", `the pipeline ${why}`));
		}
		if (wanted === undefined || this.#closed) return;
		const supervisor = this.#supervisor(wanted.pipeline);
		this.#followers.set(name, { fingerprint: wanted.fingerprint, supervisor });
		supervisor.start();
	}

	#supervisor(pipeline: CheckedPipeline): Supervisor {
		const { app, clock, onEvent, onChange } = this.#options;
		const { name } = pipeline;
		return new Supervisor({
			clock,
			work: async (signal) => {
				const origin = { trigger: "continuous" } as const;
				const each = (event: RunEvent) => onEvent(name, event);
				const receipts = await app.run(pipeline, { follow: true, retryStart: false, origin, signal, onEvent: each });
				for (const { state, error, tables } of receipts) {
					const first = error ?? tables.find((table) => table.error !== null)?.error;
					if (state !== "failed" || first === undefined || first === null) continue;
					throw new HeadraceError(codeOf(first.code), first.message, { hint: first.hint, pipeline: name });
				}
			},
			// What is wrong with the configuration stays wrong until its file changes.
			mayRestart: (thrown) => toHeadraceErrors(thrown).every((error) => error.exit !== EXIT.usage),
			onChange: () => onChange(name),
		});
	}
}

function codeOf(code: string): ErrorCode {
	return Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : "E_INTERNAL";
}
