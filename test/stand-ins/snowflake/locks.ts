import { Refused } from "./errors.ts";

/**
 * One transaction, or writer of permanent tables, at a time. Snowflake locks by table or micro-partition
 * (https://docs.snowflake.com/en/sql-reference/transactions#resource-locking), so a statement may wait longer here than
 * there, never shorter; what it reads begins when it has the lock, which is READ COMMITTED.
 */
export class WriteLock {
	#holder: object | null = null;
	readonly #waiting: { readonly who: object; readonly go: () => void; readonly stop: (error: Refused) => void }[] = [];

	async take(who: object, timeoutMs: number): Promise<void> {
		if (this.#holder === who) return;
		if (this.#holder === null) {
			this.#holder = who;
			return;
		}
		await new Promise<void>((resolve, reject) => {
			const timer = setTimeout(() => {
				this.#leave(who);
				reject(
					new Refused(
						"000625",
						"57014",
						"Statement has locked table in another transaction and this lock has not yet been released. Your statement was aborted because of the lock timeout.",
					),
				);
			}, timeoutMs);
			timer.unref();
			this.#waiting.push({
				who,
				go: () => {
					clearTimeout(timer);
					resolve();
				},
				stop: (error) => {
					clearTimeout(timer);
					reject(error);
				},
			});
		});
	}

	/** Ends a wait. */
	cancel(who: object): void {
		const found = this.#waiting.find((waiting) => waiting.who === who);
		this.#leave(who);
		found?.stop(new Refused("000604", "57014", "SQL execution canceled"));
	}

	release(who: object): void {
		if (this.#holder !== who) return;
		const next = this.#waiting.shift();
		this.#holder = next?.who ?? null;
		next?.go();
	}

	#leave(who: object): void {
		const at = this.#waiting.findIndex((waiting) => waiting.who === who);
		if (at >= 0) this.#waiting.splice(at, 1);
	}
}
