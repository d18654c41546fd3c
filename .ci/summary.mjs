/** Reads vitest's JSON report and closes CI's output: node .ci/summary.mjs REPORT STATUS. Exits non-zero on any failure. */
import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";

const [reportPath = "", statusText = "1"] = process.argv.slice(2);
const status = Number(statusText);
const counts = { passed: 0, failed: 0, skipped: 0 };
const skipped = new Map();

const report = existsSync(reportPath) ? JSON.parse(readFileSync(reportPath, "utf8")) : undefined;
if (report === undefined) console.log(`vitest ended with status ${status} and wrote no report`);
for (const file of report?.testResults ?? []) {
	const name = relative(process.cwd(), file.name);
	let failedHere = 0;
	for (const test of file.assertionResults) {
		if (test.status === "passed") counts.passed++;
		else if (test.status === "failed") failedHere++;
		else {
			counts.skipped++;
			skipped.set(name, [...(skipped.get(name) ?? []), test.fullName]);
		}
	}
	// A file that could not be loaded, or whose hooks failed, has no failed test of its own.
	if (file.status === "failed" && failedHere === 0) {
		failedHere = 1;
		console.log(`failed: ${name}: ${file.message ?? "the file could not be run"}`);
	}
	counts.failed += failedHere;
}
for (const [name, tests] of skipped) console.log(`skipped in ${name}:\n${tests.map((test) => `  ${test}`).join("\n")}`);

const ranNone = counts.passed + counts.failed === 0;
if (ranNone) console.log("no test ran");
else if (status === 124) console.log("the tests took longer than 20 minutes and were stopped");
else if (status !== 0 && counts.failed === 0)
	console.log(`vitest ended with status ${status} (coverage, or an unhandled error)`);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 || ranNone ? 1 : status;
