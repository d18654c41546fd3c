export type FaultEffect =
	/** Answers HTTP 503 and does nothing. */
	| { readonly kind: "unavailable" }
	/**
	 * Cuts the connection, before the statement is done or after. The same request sent again is answered, unless the
	 * session is `gone` with it: then it is rolled back, and the client is told to log in anew.
	 */
	| { readonly kind: "cut"; readonly when: "before" | "after"; readonly gone?: boolean }
	/** The session's token is no longer valid: the client must renew it. */
	| { readonly kind: "expired-session" }
	/** The statement fails with this error. */
	| { readonly kind: "error"; readonly code: string; readonly message: string }
	/** COPY meets a bad value in this row, counted from 1. */
	| { readonly kind: "bad-row"; readonly row: number };

export interface Fault {
	/** Statements that it is about; absent: each. */
	readonly sql?: RegExp;
	/** Matching statements that pass before the first one is hit; default 0. */
	readonly skip?: number;
	/** How many are hit; default 1. */
	readonly times?: number;
	readonly effect: FaultEffect;
}

/** Faults by plan: the first one that matches a statement and has some left is the statement's. */
export class FaultPlan {
	#planned: { readonly fault: Fault; skip: number; left: number; hits: number }[] = [];

	/** Gives a function that tells how often the fault has hit. */
	add(fault: Fault): () => number {
		const planned = { fault, skip: fault.skip ?? 0, left: fault.times ?? 1, hits: 0 };
		this.#planned.push(planned);
		return () => planned.hits;
	}

	take(sql: string): FaultEffect | null {
		for (const planned of this.#planned) {
			if (planned.left === 0 || planned.fault.sql?.test(sql) === false) continue;
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

	clear(): void {
		this.#planned = [];
	}
}
