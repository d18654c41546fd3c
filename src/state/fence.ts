import { HeadraceError } from "../core/errors.ts";
import type { Lease } from "../core/state-store.ts";
import { first, numberOf, textOrNull, type Work } from "./work.ts";

/**
 * Work that is done only while the lease has not gone to another: looked up in the work's own transaction, so that
 * who froze after its last look writes nothing either. One that is over and that nobody took is its holder's still.
 * @throws E_FENCED
 */
export function* fenced<Result>(lease: Lease | null, work: () => Work<Result>): Work<Result> {
	if (lease !== null) {
		const row = yield* first("SELECT epoch, holder FROM leases WHERE name = $1", lease.name);
		if (row === null || numberOf(row, "epoch") !== lease.epoch || textOrNull(row, "holder") !== lease.holder)
			throw new HeadraceError("E_FENCED", `${lease.name} was taken over: nothing more of this process is kept`);
	}
	return yield* work();
}
