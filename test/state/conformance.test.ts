import { afterAll, describe, test } from "vitest";
import { caseTitle, stateStoreSuite } from "../../src/conformance/index.ts";
import { STATE_KINDS } from "./stores.ts";

describe.each(STATE_KINDS.map((kind) => [kind.name, kind] as const))("a state store in %s", (_name, kind) => {
	afterAll(() => kind.close());
	const cases = stateStoreSuite({
		async open() {
			const fresh = await kind.fresh();
			const store = await fresh.open();
			return {
				store,
				reopen: () => fresh.open(),
				async [Symbol.asyncDispose]() {
					await store[Symbol.asyncDispose]();
					await fresh[Symbol.asyncDispose]();
				},
			};
		},
	});
	for (const c of cases) test.skipIf(kind.isMissing || c.skip !== undefined)(caseTitle(c), c.run);
});
