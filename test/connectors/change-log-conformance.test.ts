import { afterAll, describe, test } from "vitest";
import { type Case, type ChangeLogFixture, caseTitle, changeLogSuite } from "../../src/conformance/index.ts";
import { missing } from "../support/start.ts";
import { archiveFixture } from "./archive-support.ts";
import { memorySourceFixture } from "./memory-support.ts";
import { mysqlFixture } from "./mysql-support.ts";
import { postgresFixture } from "./postgres-support.ts";

describe.each([
	["exact cuts", {}],
	["overlapping cuts", { cuts: "overlapping" }],
	["slots and partial rows", { cuts: "slots", toasted: ["name"], beforeImages: "key" }],
] as const)("change log in memory, %s", (_name, log) => {
	const cases = changeLogSuite({ open: () => memorySourceFixture(undefined, log) });
	for (const c of cases) test.skipIf(c.skip !== undefined)(caseTitle(c), c.run);
});

describe("change log of an archive", () => {
	const skip = [
		{
			case: "law: a snapshot and the log from its place are the table, whatever is committed meanwhile",
			reason: "what its tables held at first is in its log, and a snapshot of before it is empty",
		},
	];
	for (const c of changeLogSuite({ open: archiveFixture, skip }))
		test.skipIf(c.skip !== undefined)(caseTitle(c), c.run);
});

/** The tables of the cases have names of their own: one database does for all of them. */
function onOneDatabase(make: () => Promise<ChangeLogFixture>): readonly Case[] {
	let fixture: Promise<ChangeLogFixture> | null = null;
	afterAll(async () => (await fixture)?.[Symbol.asyncDispose]());
	return changeLogSuite({
		open: async () => {
			fixture ??= make();
			return { ...(await fixture), [Symbol.asyncDispose]: async () => {} };
		},
	});
}

describe.each([
	["mariadb", () => mysqlFixture("mariadb", { seesMarks: false })],
	["mysql56", () => mysqlFixture("mysql56", { seesMarks: false })],
	["postgres18", () => postgresFixture("postgres18", "owner")],
] as const)("change log of %s", (server, make) => {
	describe.skipIf(missing(server))("conformance", () => {
		for (const c of onOneDatabase(make)) test.skipIf(c.skip !== undefined)(caseTitle(c), c.run);
	});
});
