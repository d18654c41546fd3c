import { afterAll, describe, it } from "vitest";
import {
	caseTitle,
	type DestinationFixture,
	destinationSuite,
	withoutChanges,
	withoutSql,
	withoutVerify,
} from "../../src/conformance/index.ts";
import { createLakeDestination } from "../../src/connectors/lake/index.ts";
import { createS3Staging } from "../../src/connectors/s3/index.ts";
import { s3Rows } from "./lake-support.ts";
import { s3Place } from "./s3-support.ts";

const place = await s3Place();
afterAll(() => place[Symbol.asyncDispose]());
let prefixes = 0;

/** A prefix of its own for each case. */
async function s3Fixture(): Promise<DestinationFixture> {
	const prefix = `lake-${++prefixes}`;
	const open = () =>
		createLakeDestination({
			store: createS3Staging(place.options({ prefix })),
			localDirectories: [place.temporaryDirectory],
			temporaryDirectory: place.temporaryDirectory,
		});
	const destination = open();
	return {
		destination,
		schema: "shop",
		reopen: async () => open(),
		rows: (table, columns) => s3Rows(place.s3, `${prefix}/`, table, columns),
		[Symbol.asyncDispose]: () => destination[Symbol.asyncDispose](),
	};
}

describe("a lake in the stand-in of S3 as a destination", () => {
	const skip = [
		...withoutSql("it has no SQL"),
		...withoutVerify("it has no SQL to check with"),
		...withoutChanges("it loads one table at a time"),
	];
	for (const entry of destinationSuite({ open: s3Fixture, skip }))
		it.skipIf(entry.skip !== undefined)(caseTitle(entry), () => entry.run());
});
