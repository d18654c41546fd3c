import { describe, test } from "vitest";
import { caseTitle, destinationSuite, type Gap, typeCaseName } from "../../src/conformance/index.ts";
import { missing } from "../support/start.ts";
import { BACKEND, destinationFixture } from "./redshift-support.ts";

const skip: readonly Gap[] = [
	{
		case: typeCaseName({ kind: "text" }),
		reason:
			"a VARCHAR of Redshift has 65,535 bytes, and a sample more; test/fidelity/into-redshift.test.ts has the others",
	},
];

describe.skipIf(missing(BACKEND))("destination redshift (stand-in)", () => {
	const cases = destinationSuite({ open: destinationFixture, skip });
	for (const c of cases) test.skipIf(c.skip !== undefined)(caseTitle(c), c.run);
});
