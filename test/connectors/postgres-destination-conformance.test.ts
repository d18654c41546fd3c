import { describe, test } from "vitest";
import { caseTitle, destinationSuite } from "../../src/conformance/index.ts";
import { missing } from "../support/start.ts";
import { destinationFixture } from "./postgres-destination-support.ts";
import { SERVERS } from "./postgres-support.ts";

describe.each(SERVERS)("destination %s", (server) => {
	const cases = destinationSuite({ open: () => destinationFixture(server) });
	describe.skipIf(missing(server))("conformance", () => {
		for (const c of cases) test.skipIf(c.skip !== undefined)(caseTitle(c), c.run);
	});
});
