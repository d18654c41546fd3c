import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "vitest";
import {
	caseTitle,
	destinationSuite,
	sourceSuite,
	stagingSuite,
	withoutMergedChanges,
	withoutSql,
	withoutVerify,
} from "../../src/conformance/index.ts";
import { createLocalFolderStaging } from "../../src/connectors/local-folder/index.ts";
import { fileFixture, fileSourceFixture } from "./file-support.ts";

describe.each(["parquet", "csv", "jsonl"] as const)("a folder of %s as a destination", (format) => {
	const skip = [
		...withoutSql("it has no SQL"),
		...withoutVerify("it has no SQL to check with"),
		...withoutMergedChanges("it keeps changes as rows"),
		{
			case: "changes are atomic for a reader: it sees those of all tables or of none",
			reason: "files of several tables get their names one after the other",
		},
	];
	for (const entry of destinationSuite({ open: () => fileFixture(format), skip }))
		it.skipIf(entry.skip !== undefined)(caseTitle(entry), () => entry.run());
});

describe("a folder of Parquet as a source", () => {
	const noTransactions = "files have no transactions: a file that changes while it is read is E_CONFLICT";
	const skip = [
		"a column that was added is described, and older descriptions still read their own columns",
		"a snapshot is one cut: what is committed after it is in none of its reads",
		"several reads at once see the same cut, and those over the number of readers wait their turn",
		"rows of an open transaction are not seen before its commit, not when it is rolled back",
		"marks tell an open writing transaction, and that it began after an earlier cut",
	].map((name) => ({ case: name, reason: noTransactions }));
	for (const entry of sourceSuite({ open: fileSourceFixture, skip }))
		it.skipIf(entry.skip !== undefined)(caseTitle(entry), () => entry.run());
});

describe("a local folder as staging", () => {
	const suite = stagingSuite({
		open: async () => {
			const folder = await mkdtemp(join(tmpdir(), "headrace-staging-"));
			const open = async () => createLocalFolderStaging(join(folder, "staging"));
			return {
				staging: await open(),
				reopen: open,
				[Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
			};
		},
	});
	for (const entry of suite) it.skipIf(entry.skip !== undefined)(caseTitle(entry), () => entry.run());
});
