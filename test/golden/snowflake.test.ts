import { describe, expect, test } from "vitest";
import { Follower, gone, patch, put, type TextPart, whole } from "../../src/conformance/destination-changes-fixture.ts";
import { Loader } from "../../src/conformance/destination-fixture.ts";
import type { TextRow } from "../../src/conformance/rows.ts";
import { DELETED_AT_COLUMN, HISTORY_COLUMNS } from "../../src/core/index.ts";
import { SnowflakeLoads } from "../connectors/snowflake-loads.ts";

const DOCS = "https://docs.snowflake.com/en/sql-reference";

/** The rule of Snowflake's that each statement relies on; the first that matches. */
const RULES: readonly (readonly [statement: RegExp, rule: string])[] = [
	[
		/^ALTER SESSION SET TIMEZONE/,
		`what is read and compared does not depend on the account's settings: ${DOCS}/parameters`,
	],
	[/^ALTER SESSION SET QUERY_TAG/, `queries are found by their tag: ${DOCS}/parameters#query-tag`],
	[
		/^SHOW TRANSACTIONS/,
		`a transaction whose client is gone stays open, under its name: ${DOCS}/sql/show-transactions`,
	],
	[/^BEGIN TRANSACTION NAME/, `a transaction can have a name: ${DOCS}/sql/begin`],
	[/^(?:COMMIT|ROLLBACK)$/, `${DOCS}/sql/commit`],
	[
		/^CREATE TABLE IF NOT EXISTS "_HEADRACE"."MUTEX" AS/,
		`made with its row in one statement: ${DOCS}/sql/create-table#create-table-as-select-also-referred-to-as-ctas`,
	],
	[
		/^CREATE TABLE \S+ LIKE \S+ COPY GRANTS/,
		`columns, defaults, keys and clustering; grants by COPY GRANTS: ${DOCS}/sql/create-table#create-table-like`,
	],
	[/^CREATE TEMPORARY TABLE/, `DDL commits what is open, so before BEGIN: ${DOCS}/transactions#ddl`],
	[/^CREATE /, `does nothing when it is there: ${DOCS}/sql/create-table`],
	[/^(?:SHOW TABLES|DESCRIBE)/, `needs no warehouse: ${DOCS}/sql/desc-table, ${DOCS}/sql/show-tables`],
	[/^DROP TABLE IF EXISTS/, `${DOCS}/sql/drop-table`],
	[/^ALTER TABLE \S+ SWAP WITH/, `one atomic statement, metadata and grants too: ${DOCS}/sql/alter-table`],
	[/^ALTER TABLE \S+ RENAME TO/, `fails for all but one of those who try: ${DOCS}/sql/alter-table`],
	[/^ALTER TABLE \S+ (?:ADD COLUMN|ALTER COLUMN|RENAME COLUMN|DROP COLUMN)/, `${DOCS}/sql/alter-table-column`],
	[/^COMMENT ON TABLE/, `metadata of the table, which goes with it: ${DOCS}/sql/comment`],
	[/^PUT /, `as it is, over what an earlier try left: ${DOCS}/sql/put`],
	[/^REMOVE /, `${DOCS}/sql/remove`],
	[/^COPY INTO/, `named files, loaded whatever the load metadata says, all or none: ${DOCS}/sql/copy-into-table`],
	[/^MERGE INTO/, `one source row a key, so that it is deterministic: ${DOCS}/sql/merge#duplicate-join-behavior`],
	[
		/^UPDATE "_HEADRACE"."MUTEX"/,
		`holds its lock until the commit; what comes after it reads what is committed: ${DOCS}/transactions#isolation-level`,
	],
	[/^UPDATE "_HEADRACE"."POSITIONS"/, `compare-and-set, since keys are not enforced: ${DOCS}/constraints-overview`],
	[/^UPDATE "RAW"."T"/, `${DOCS}/sql/update`],
	[/^DELETE FROM/, `DELETE, for TRUNCATE would commit: ${DOCS}/sql/delete`],
	[/^INSERT INTO/, `${DOCS}/sql/insert`],
	[/^SELECT/, `${DOCS}/sql/select`],
];

/** Statements with the rule above each; what differs from run to run is named. */
function annotated(statements: readonly string[]): string {
	return statements
		.map((statement) => {
			const rule = RULES.find(([pattern]) => pattern.test(statement))?.[1];
			if (rule === undefined) throw new Error(`no rule for ${statement}`);
			return `-- ${rule}\n${statement
				.replace(/'file:\/\/[^']*\/([^/']+)'/g, "'file:///…/$1'")
				.replace(/(_HEADRACE_NEW_[0-9A-F]{12}_[0-9A-Z]+)_[0-9A-F]{8}\b/g, "$1_XXXXXXXX")
				.replace(/\b(HEADRACE)_[0-9A-F]{32}\b/g, "$1_XXXX")};\n`;
		})
		.join("\n");
}

const TWO = [
	["1", "one", "2024-01-01 00:00:00"],
	["2", "two", "2024-01-02 00:00:00"],
] as const;
const COLUMNS = "id int64, name text, at timestamp";

/** What changes of a log send, after others have made the table. */
async function changed(
	columns: string,
	part: Omit<TextPart, "target" | "write"> & Partial<Pick<TextPart, "write">>,
	...first: readonly TextRow[]
): Promise<string> {
	await using loads = await SnowflakeLoads.open();
	const target = loads.target(columns);
	const follower = await Follower.takeOver(loads.destination);
	await follower.apply({ target, write: "merge", ...part, partial: false, rows: first });
	loads.standIn.log.length = 0;
	await follower.apply({ target, write: "merge", ...part });
	return annotated(loads.standIn.log.map(({ sql }) => sql));
}

const { validFrom, validTo, operation, position } = HISTORY_COLUMNS;
const VERSION = `${validFrom} timestamptz, ${validTo} timestamptz, ${operation} text, ${position} text`;

/** What a load sends after the table is there; `first` is the load that makes it. */
async function sent(work: (loads: SnowflakeLoads, loader: Loader) => Promise<unknown>, first = true): Promise<string> {
	await using loads = await SnowflakeLoads.open();
	const target = loads.target(COLUMNS);
	const loader = await Loader.takeOver(loads.destination, target);
	if (first) await loader.load(TWO);
	loads.standIn.log.length = 0;
	await work(loads, loader);
	return annotated(loads.standIn.log.map(({ sql }) => sql));
}

const cases: readonly (readonly [string, () => Promise<string>])[] = [
	[
		"takeover-first",
		async () => {
			await using loads = await SnowflakeLoads.open();
			await loads.destination.takeOver("shop", ["raw.t"]);
			return annotated(loads.standIn.log.map(({ sql }) => sql));
		},
	],
	["takeover", () => sent((loads) => loads.destination.takeOver("conformance", ["t", "new"]))],
	["replace-first", () => sent((_loads, loader) => loader.load(TWO), false)],
	["replace", () => sent((_loads, loader) => loader.load(TWO))],
	["merge", () => sent((_loads, loader) => loader.load(TWO, { write: "merge", orderColumn: "at" }))],
	[
		"merge-deleted-interval",
		() =>
			sent((loads, loader) =>
				loader.load([["1", "one", "2024-01-01 00:00:00", "true"]], {
					write: "merge",
					target: loads.target(`${COLUMNS}, gone boolean`),
					deletedColumn: "gone",
					interval: { column: "at", start: "2024-01-01 00:00:00", end: "2024-01-02 00:00:00" },
				}),
			),
	],
	["merge-ignore", () => sent((_loads, loader) => loader.load(TWO, { write: "merge", onConflict: "ignore" }))],
	["append", () => sent((_loads, loader) => loader.load(TWO, { write: "append" }))],
	[
		"append-interval",
		() =>
			sent((_loads, loader) =>
				loader.load(TWO, { write: "append", interval: { start: "2024-01-01 00:00:00", end: "2024-01-02 00:00:00" } }),
			),
	],
	[
		"append-overlap",
		() =>
			sent((_loads, loader) =>
				loader.load(TWO, { write: "append", overlap: { column: "at", from: "2024-01-02 00:00:00" } }),
			),
	],
	[
		"append-overlap-added",
		() =>
			sent((loads, loader) =>
				loader.load([["2", "two", "2024-01-02 00:00:00", "a'b\\c"]], {
					write: "append",
					target: loads.target(`${COLUMNS}, note text`),
					overlap: { column: "at", from: "2024-01-02 00:00:00", added: ["note"] },
				}),
			),
	],
	[
		"exchange-in-place",
		() =>
			sent(async (loads, loader) => {
				const table = loads.standIn.table("RAW", "T")!;
				table.owner = "OWNER_ROLE";
				for (const privilege of ["SELECT", "INSERT", "DELETE"]) table.grants.push({ privilege, role: "LOADER_ROLE" });
				await loader.load(TWO);
			}),
	],
	[
		"changes-partial",
		() =>
			changed(
				"id int64, name text, doc json",
				{ partial: true, rows: [patch(put("1", "b", null), "001", "3"), whole(gone(3, "3"))] },
				put("3", "c", "[1]"),
			),
	],
	[
		"changes-soft-truncated",
		() =>
			changed(
				`id int64, name text, ${DELETED_AT_COLUMN} timestamptz`,
				{ rows: [put("1", "a", null)], truncatedAt: "2026-01-01 00:00:00+00" },
				put("3", "c", null),
			),
	],
	[
		"changes-history",
		() =>
			changed(
				`id int64, name text, ${VERSION}`,
				{ write: "history", rows: [["1", "a", "2026-01-01 00:00:00+00", "update", "log:1/0"]] },
				["1", "c", "2025-01-01 00:00:00+00", "insert", "log:0/0"],
			),
	],
	[
		"rebuild",
		() =>
			sent((loads) =>
				loads.destination.sql!.rebuild({
					table: { schema: "raw", name: "t" },
					select: 'select id, name, "AT" from raw.t where id = 1',
				}),
			).then((text) => text.replace(/_HEADRACE_BUILD_[0-9A-F]{16}/g, "_HEADRACE_BUILD_XXXX")),
	],
];

describe("SQL for Snowflake, as it is sent (to a stand-in)", () => {
	test.each(cases)("%s", async (name, statements) => {
		await expect(await statements()).toMatchFileSnapshot(`snowflake/${name}.sql`);
	});
});
