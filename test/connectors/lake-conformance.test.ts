import { describe, it } from "vitest";
import { caseTitle, destinationSuite, withoutSql } from "../../src/conformance/index.ts";
import { lakeFixture } from "./lake-support.ts";

const skip = withoutSql("it has no SQL that writes");

describe("a lake in a folder as a destination", () => {
	for (const entry of destinationSuite({ open: () => lakeFixture(), skip }))
		it.skipIf(entry.skip !== undefined)(caseTitle(entry), () => entry.run());
});

// A folder for each row: what finds, moves and removes rows over many files; the rest is as above.
describe("a lake in a folder, partitioned by its key, as a destination", () => {
	const suite = destinationSuite({ open: () => lakeFixture({ partitionBy: ["id"] }), skip });
	const rowCases = suite.filter(({ name }) => /merge|delete|truncation/.test(name) && !/thousands/.test(name));
	for (const entry of rowCases) it.skipIf(entry.skip !== undefined)(caseTitle(entry), () => entry.run());
});
