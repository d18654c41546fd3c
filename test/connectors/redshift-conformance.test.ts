import { describe, test } from "vitest";
import { caseTitle, destinationSuite, type Gap, typeCaseName, withoutChanges } from "../../src/conformance/index.ts";
import { missing } from "../support/start.ts";
import { BACKEND, destinationFixture } from "./redshift-support.ts";

const skip: readonly Gap[] = [
	{
		case: typeCaseName({ kind: "text" }),
		reason:
			"a VARCHAR of Redshift has 65,535 bytes, and a sample more; test/fidelity/into-redshift.test.ts has the others",
	},
];

/** The wait of an input that fails or hangs is while files are made, before the destination knows of the load. */
const BEFORE_THE_LOAD = "rows are staged before the load begins, so the input can't race it";

/** How rows come into the stage makes no difference to what is done with them there: one way tries that. */
const ONLY_STAGED_OTHERWISE = withoutChanges("by parquet").filter(
	({ case: name }) => !/^(?:values|changes come)/.test(name),
);

const STAGED_GAPS: readonly Gap[] = [
	{ case: "takeOver in the middle of a load: one of the two wins, and both know which", reason: BEFORE_THE_LOAD },
	{ case: "takeOver in the middle of changes: one of the two wins, and both know which", reason: BEFORE_THE_LOAD },
];

describe.skipIf(missing(BACKEND)).each(["insert", "parquet", "csv"] as const)(
	"destination redshift (stand-in), rows by %s",
	(way) => {
		const others = way === "parquet" ? [] : ONLY_STAGED_OTHERWISE;
		const gaps = [...skip, ...others, ...(way === "insert" ? [] : STAGED_GAPS)];
		const cases = destinationSuite({ open: () => destinationFixture(way), skip: gaps });
		for (const c of cases) test.skipIf(c.skip !== undefined)(caseTitle(c), c.run);
	},
);
