/**
 * Reads what `.ci/reporter.mjs` wrote and closes CI's output, so that its last lines say all there is to know: what was skipped
 * and why, what failed and with what, and how many. `node .ci/summary.mjs REPORT STATUS SECONDS`, where SECONDS is the
 * time limit of the tests. Exits non-zero on any failure.
 */
import { existsSync, readFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";

/** A record of CI keeps the end of the output only. */
const LINE_LENGTH_MAX = 300;
const FAILURES_SHOWN_MAX = 30;

const [reportPath = "", statusText = "1", limitSeconds = ""] = process.argv.slice(2);
const status = Number(statusText);
const counts = { passed: 0, failed: 0, skipped: 0 };
/** @type {Map<string, number>} */
const skipped = new Map();
/** @type {string[]} */
const failures = [];

/** @param {string | undefined} text */
function firstLine(text) {
	const line = stripVTControlCharacters(text ?? "")
		.split("\n")
		.map((each) => each.trim())
		.find((each) => each !== "");
	return (line ?? "no message").slice(0, LINE_LENGTH_MAX);
}

/** `… (skipped: MySQL has no arrays)` gives its reason; where the test's name has none, the file stands for it. */
function reasonOf(/** @type {string} */ testName, /** @type {string} */ fileName) {
	return /\((?:skipped|skip): (.+?)\)$/.exec(testName)?.[1] ?? `see the reason printed in ${fileName}`;
}

const report = existsSync(reportPath) ? readFileSync(reportPath, "utf8") : "";
for (const line of report.split("\n")) {
	if (line === "") continue;
	const { file, name, state, message } = JSON.parse(line);
	if (state === "passed") counts.passed++;
	else if (state === "failed") {
		counts.failed++;
		failures.push(`${file}${name === undefined ? "" : `: ${name}`}\n    ${firstLine(message)}`);
	} else if (state === "skipped") {
		counts.skipped++;
		const reason = reasonOf(name, file);
		skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
	}
}

if (skipped.size > 0) console.log("skipped:");
for (const [reason, count] of [...skipped].sort(([, a], [, b]) => b - a))
	console.log(`  ${count} × ${reason.slice(0, LINE_LENGTH_MAX)}`);
if (failures.length > 0) console.log("failed:");
for (const failure of failures.slice(0, FAILURES_SHOWN_MAX)) console.log(`  ${failure}`);
if (failures.length > FAILURES_SHOWN_MAX) console.log(`  and ${failures.length - FAILURES_SHOWN_MAX} more`);

const ranNone = counts.passed + counts.failed === 0;
if (ranNone) console.log("no test ran");
if (status === 124 || status === 137)
	console.log(
		`the tests took longer than ${limitSeconds} s and were stopped: those that had not ended are not counted`,
	);
else if (!ranNone && status !== 0 && counts.failed === 0)
	console.log(`vitest ended with status ${status} (coverage, or an unhandled error)`);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 || ranNone ? 1 : status;
