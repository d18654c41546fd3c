import { describe, test } from "vitest";
import { caseTitle, sourceSuite } from "../../src/conformance/index.ts";
import { missing } from "../support/start.ts";
import { postgresFixture, SERVERS } from "./postgres-support.ts";

describe.each(SERVERS)("source %s", (server) => {
	describe.skipIf(missing(server)).each(["owner", "reader"] as const)("conformance as %s", (account) => {
		const cases = sourceSuite({ open: () => postgresFixture(server, account === "reader" ? account : undefined) });
		for (const c of cases) test.skipIf(c.skip !== undefined)(caseTitle(c), c.run);
	});
});
