export type FaultEffect =
	/** The statement fails with error 1023 and is rolled back. */
	| { readonly kind: "1023" }
	/** The connection is cut, and what is open rolled back: the statement is not done. */
	| { readonly kind: "cut-before" }
	/** The statement is done, and the connection cut instead of an answer. */
	| { readonly kind: "cut-after" }
	/** An administrator ends the statement. */
	| { readonly kind: "cancelled" }
	/** Something happens just before the statement is done. */
	| { readonly kind: "before"; readonly run: () => void | Promise<void> };

export interface Fault {
	/** Which statements, by their text as it was sent. */
	readonly statement: RegExp;
	/** Matching ones that pass first; default 0. */
	readonly skip?: number;
	/** How many are hit; default 1. */
	readonly times?: number;
	readonly effect: FaultEffect;
}

/** Faults by plan: the first that matches a statement and has some left is the statement's. */
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

	take(statement: string): FaultEffect | null {
		for (const planned of this.#planned) {
			if (planned.left === 0 || !planned.fault.statement.test(statement)) continue;
			if (planned.skip > 0) {
				planned.skip--;
				continue;
			}
			planned.left--;
			planned.hits++;
			return planned.fault.effect;
		}
		return null;
	}
}
