import { describe, test } from "vitest";
import { caseTitle, destinationSuite, withoutChanges } from "../../src/conformance/index.ts";
import { destinationFixture } from "./snowflake-support.ts";

/** How rows come into the stage makes no difference to what is done with them there: one way tries that. */
const TRIED_BY_PARQUET = withoutChanges("by parquet").filter(
	({ case: name }) => !/^(?:values|changes come)/.test(name),
);

describe.each(["parquet", "csv"] as const)("destination Snowflake (stand-in) by %s", (format) => {
	const cases = destinationSuite({
		open: () => destinationFixture(format),
		skip: format === "csv" ? TRIED_BY_PARQUET : [],
	});
	for (const c of cases) test.skipIf(c.skip !== undefined)(caseTitle(c), c.run);
});
