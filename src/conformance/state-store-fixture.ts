import type { StateStore } from "../core/state-store.ts";

/** A state store under test, empty at first. */
export interface StateStoreFixture extends AsyncDisposable {
	readonly store: StateStore;
	/** Another port on the same store, as another process opens it; the caller closes it. */
	readonly reopen: () => Promise<StateStore>;
}
