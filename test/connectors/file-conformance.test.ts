import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "vitest";
import { caseTitle, destinationSuite, stagingSuite } from "../../src/conformance/index.ts";
import { createLocalFolderStaging } from "../../src/connectors/local-folder/index.ts";
import { fileFixture } from "./file-support.ts";

describe.each(["parquet", "csv", "jsonl"] as const)("a folder of %s as a destination", (format) => {
	for (const entry of destinationSuite({ open: () => fileFixture(format) }))
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
