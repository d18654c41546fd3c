import type { S3ErrorCode } from "./errors.ts";

export type FaultEffect =
	/** S3 answers with an error and does nothing. */
	| { readonly kind: "error"; readonly code: S3ErrorCode; readonly message?: string }
	/** The answer begins as a success and turns out an error: CompleteMultipartUpload and CopyObject may do so. */
	| { readonly kind: "error-in-success"; readonly code: S3ErrorCode }
	/** The connection is cut when this many bytes of the request's body have come; nothing is done. */
	| { readonly kind: "cut"; readonly afterBytes: number }
	/** The request is done, and the connection cut instead of an answer. */
	| { readonly kind: "lost-answer" }
	/** The request is taken and never answered, nor done. */
	| { readonly kind: "stall" }
	/** The body of the answer stops after so many bytes, and the connection stays open. */
	| { readonly kind: "stall-body"; readonly afterBytes: number }
	/** The body of the answer ends after so many bytes, and the connection is closed. */
	| { readonly kind: "short-body"; readonly afterBytes: number }
	/** One bit of the answer's body is flipped on the way. */
	| { readonly kind: "corrupt-body"; readonly atByte: number }
	| { readonly kind: "delay"; readonly milliseconds: number }
	/** Something happens just before the request is done. */
	| { readonly kind: "before"; readonly run: () => void | Promise<void> };

export interface Fault {
	/** Operations as AWS names them: `PutObject`; absent: each. */
	readonly operation?: string | readonly string[];
	/** Which keys; absent: each, also requests without a key. */
	readonly key?: RegExp;
	/** Matching requests that pass before the first one is hit; default 0. */
	readonly skip?: number;
	/** How many are hit; default 1. */
	readonly times?: number;
	readonly effect: FaultEffect;
}

/** Faults by plan: the first one that matches a request and has some left is the request's. */
export class FaultPlan {
	#planned: { readonly fault: Fault; skip: number; left: number; hits: number }[] = [];

	/** Gives a function that tells how often the fault has hit. */
	add(fault: Fault): () => number {
		const planned = { fault, skip: fault.skip ?? 0, left: fault.times ?? 1, hits: 0 };
		this.#planned.push(planned);
		return () => planned.hits;
	}

	clear(): void {
		this.#planned = [];
	}

	take(operation: string, key: string): FaultEffect | null {
		for (const planned of this.#planned) {
			const { fault } = planned;
			if (planned.left === 0) continue;
			if (fault.operation !== undefined && ![fault.operation].flat().includes(operation)) continue;
			if (fault.key !== undefined && !fault.key.test(key)) continue;
			if (planned.skip > 0) {
				planned.skip--;
				continue;
			}
			planned.left--;
			planned.hits++;
			return fault.effect;
		}
		return null;
	}
}
