/**
 * A reporter of vitest that appends a line of JSON for each test to the file CI_REPORT: also of a run that is stopped at
 * its time limit, all that had ended is known.
 */
import { appendFileSync } from "node:fs";

const path = process.env.CI_REPORT;

function tell(/** @type {{ file: string, state: string, name?: string, message?: string }} */ line) {
	if (path !== undefined) appendFileSync(path, `${JSON.stringify(line)}\n`);
}

export default class LinesReporter {
	onTestCaseResult(/** @type {import("vitest/node").TestCase} */ test) {
		const { state, errors } = test.result();
		const message = errors?.[0]?.message;
		tell({
			file: test.module.relativeModuleId,
			name: test.fullName,
			state,
			...(message === undefined ? {} : { message }),
		});
	}

	/** A file that could not be loaded, or whose hooks failed, has no failed test of its own. */
	onTestModuleEnd(/** @type {import("vitest/node").TestModule} */ module) {
		const suites = [...module.children.allSuites()].flatMap((suite) => suite.errors());
		for (const { message } of [...module.errors(), ...suites])
			tell({ file: module.relativeModuleId, state: "failed", message });
	}
}
