import { describe, test } from "vitest";
import { caseTitle, destinationSuite, withoutChanges } from "../../src/conformance/index.ts";
import { destinationFixture } from "./snowflake-support.ts";

describe.each(["parquet", "csv"] as const)("destination Snowflake (stand-in) by %s", (format) => {
	const cases = destinationSuite({
		open: () => destinationFixture(format),
		skip: withoutChanges("it loads one table at a time"),
	});
	for (const c of cases) test.skipIf(c.skip !== undefined)(caseTitle(c), c.run);
});
