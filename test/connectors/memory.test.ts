import { describe, test } from "vitest";
import {
	type Case,
	caseTitle,
	destinationSuite,
	sourceSuite,
	stagingSuite,
	stateStoreSuite,
	withoutSql,
} from "../../src/conformance/index.ts";
import {
	memoryDestinationFixture,
	memorySourceFixture,
	memoryStagingFixture,
	memoryStateStoreFixture,
} from "./memory-support.ts";

const suites: readonly (readonly [port: string, cases: readonly Case[]])[] = [
	["source", sourceSuite({ open: () => memorySourceFixture() })],
	["destination", destinationSuite({ open: () => memoryDestinationFixture(), skip: withoutSql("it has no SQL") })],
	["staging", stagingSuite({ open: () => memoryStagingFixture() })],
	["state store", stateStoreSuite({ open: () => memoryStateStoreFixture() })],
];

describe.each(suites)("%s in memory", (_port, cases) => {
	for (const c of cases) test.skipIf(c.skip !== undefined)(caseTitle(c), c.run);
});
