import { describe, test } from "vitest";
import { caseTitle, sourceSuite } from "../../src/conformance/index.ts";
import { missing } from "../support/start.ts";
import { postgresFixture } from "./postgres-support.ts";

// The owner's marks are times; the reader, who may only SELECT, gets transaction ids.
describe.each([
	["postgres15", "reader"],
	["postgres18", "owner"],
] as const)("source %s as %s", (server, account) => {
	const cases = sourceSuite({ open: () => postgresFixture(server, account) });
	describe.skipIf(missing(server))("conformance", () => {
		for (const c of cases) test.skipIf(c.skip !== undefined)(caseTitle(c), c.run);
	});
});
