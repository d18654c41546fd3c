/** What the stand-in of Redshift is sent, statement by statement, without look-ups and settings. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Follower, gone, patch, put, type TextPart, whole } from "../../src/conformance/destination-changes-fixture.ts";
import { type DestinationFixture, Loader, targetOf } from "../../src/conformance/destination-fixture.ts";
import type { TextRow } from "../../src/conformance/rows.ts";
import { loaderStatements, rolePolicy, roleTrust, warehouseArnOf } from "../../src/connectors/redshift/index.ts";
import { type Field, HISTORY_COLUMNS, type LoadRequest, parseColumnType } from "../../src/core/index.ts";
import { BACKEND, destinationFixture, type Way, warehouseOf } from "../connectors/redshift-support.ts";
import { missing } from "../support/start.ts";

const LOOK_UP = /^(SELECT\s+(?!count|coalesce)|SET|SHOW)\b/;
const RULES = JSON.parse(readFileSync(join(import.meta.dirname, "redshift/rules.json"), "utf8")) as Record<
	string,
	string[]
>;

const fieldsOf = (text: string): Field[] =>
	text.split(", ").map((part) => {
		const [name, type] = part.split(" ");
		return { name: name!, type: parseColumnType(type!)!, nullable: name !== "id" };
	});
const COLUMNS = fieldsOf('id int64, na"me text, price decimal(10,2), share float64, doc json');
const row = (id: string): TextRow => [id, "a", "1.50", "0.5", '{"a": 1}'];

describe.skipIf(missing(BACKEND))("SQL for Redshift (stand-in)", () => {
	let fixture: DestinationFixture;
	afterEach(() => fixture?.[Symbol.asyncDispose]());

	const log = () => warehouseOf(fixture).redshift.log;

	/** The statements of some work, against the file of that name, under the pages of the vendor that they rely on. */
	async function golden(name: string, work: () => Promise<unknown>): Promise<void> {
		log().length = 0;
		await work();
		const sent = log().filter((sql) => !LOOK_UP.test(sql));
		const rules = RULES[name]?.map((rule) => `-- ${rule}\n`).join("") ?? "";
		const text = `${rules}${sent.join(";\n\n")};\n`
			.replaceAll(/__new_\w+/g, "__new_LOAD")
			.replaceAll(/files\/\d{20}-ab/g, "files/EPOCH-LOAD")
			.replaceAll(/'NULL-\w+'/g, "'NULL-SENTINEL'")
			.replaceAll(/_headrace_rows_\w+/g, "_headrace_rows_ID");
		expect(rules, `rules.json has no rule of ${name}`).not.toBe("");
		await expect(text).toMatchFileSnapshot(`redshift/${name}.sql`);
	}

	async function open(way: Way): Promise<Loader> {
		fixture = await destinationFixture(way);
		return Loader.takeOver(fixture.destination, targetOf(fixture, "t", COLUMNS));
	}

	const cases: readonly [string, Way, Partial<LoadRequest>, readonly TextRow[]][] = [
		["merge", "parquet", { write: "merge", orderColumn: "share" }, [row("1"), row("2"), row("2")]],
		["merge-flagged", "parquet", { write: "merge", deletedColumn: "id" }, [row("1")]],
		["ignore", "parquet", { write: "merge", onConflict: "ignore" }, [row("1")]],
		["replace", "parquet", {}, [row("1")]],
		["copy-csv", "csv", {}, [row("1")]],
		["insert", "insert", {}, [row("1"), ["2", "it's \\ here", null, "NaN", null]]],
		["append", "parquet", { write: "append" }, [row("1")]],
		[
			"append-beyond-overlap",
			"parquet",
			{ write: "append", overlap: { column: "id", from: "1" } },
			[row("1"), row("2")],
		],
		["interval-column", "parquet", { write: "merge", interval: { column: "share", start: "0", end: "1" } }, [row("1")]],
		[
			"interval-tag",
			"parquet",
			{ write: "append", interval: { start: "2026-01-01 00:00:00", end: "2026-01-02 00:00:00" } },
			[row("1")],
		],
	];
	test.each(cases)("%s", async (name, way, change, rows) => {
		const loader = await open(way);
		await loader.load([row("1"), ["3", "other", null, null, null]]);
		await golden(name, () => loader.load(rows, change));
	});

	test("the control tables, and a new table by its key and order", async () => {
		fixture = await destinationFixture("parquet");
		await golden("create", async () => {
			const target = { ...targetOf(fixture, "t", COLUMNS), distKey: "id", sortKey: ["share", "id"] };
			const loader = await Loader.takeOver(fixture.destination, target);
			await loader.load([row("1")]);
		});
	});

	test("columns that are added, renamed and longer, where the table is", async () => {
		const loader = await open("parquet");
		const short = {
			...loader.target,
			columns: loader.target.columns.map((column) =>
				column.name === 'na"me' ? { ...column, destinationType: "VARCHAR(40)" } : column,
			),
		};
		await loader.load([row("1")], { target: short });
		const wider = targetOf(fixture, "t", [
			...fieldsOf('id int64, na"me text, cost decimal(10,2), share float64, doc json, more int32'),
		]);
		const renamed = {
			...wider,
			columns: wider.columns.map((column) => (column.name === "cost" ? { ...column, renamedFrom: "price" } : column)),
		};
		await golden("evolve", () => loader.load([[...row("2"), "7"]], { write: "merge", target: renamed }));
	});

	test("a type that Redshift can't change where it is: a table built beside, with its grants", async () => {
		fixture = await destinationFixture("parquet");
		const narrow = targetOf(fixture, "t", fieldsOf("id int32, price decimal(4,1)"));
		const loader = await Loader.takeOver(fixture.destination, narrow);
		await loader.load([["1", "1.5"]]);
		await warehouseOf(fixture).client.query("grant select on raw.t to reader");
		const wide = targetOf(fixture, "t", fieldsOf("id int64, price decimal(10,2)"));
		await golden("beside", () => loader.load([["2", "2.25"]], { write: "merge", target: wide }));
		expect(await fixture.rows(wide.name, wide.columns)).toEqual(
			expect.arrayContaining([
				["1", "1.50"],
				["2", "2.25"],
			]),
		);
	});

	const fields = fieldsOf("id int64, name text, doc json");
	const { validFrom, validTo, operation, position } = HISTORY_COLUMNS;
	const VERSION = `${validFrom} timestamptz, ${validTo} timestamptz, ${operation} text, ${position} text`;
	const changes: readonly [string, readonly Field[], Partial<TextPart> & Pick<TextPart, "rows">][] = [
		["changes-merge", fields, { rows: [put("1", "a", null), put("1", "b", "2"), gone(3, "3")] }],
		["changes-partial", fields, { partial: true, rows: [patch(put("1", "b", null), "001", "3"), whole(gone(3, "3"))] }],
		["changes-truncated", fields, { rows: [put("1", "a", "{}")], truncatedAt: "2026-01-01 00:00:00+00" }],
		[
			"changes-history",
			[...fields, ...fieldsOf(VERSION)],
			{ write: "history", rows: [["1", "a", "{}", "2026-01-01 00:00:00+00", "update", "log:1/0"]] },
		],
	];
	test.each(changes)("%s", async (file, columns, part) => {
		fixture = await destinationFixture("parquet");
		const target = targetOf(fixture, "t", columns);
		const follower = await Follower.takeOver(fixture.destination);
		const first = ["3", "c", "[1]", "2025-01-01 00:00:00+00", "insert", "log:0/0"];
		const row = part.write === "history" ? first : put(...first.slice(0, 3));
		await follower.apply({ target, write: "merge", ...part, partial: false, rows: [row] });
		await golden(file, () => follower.apply({ target, write: "merge", ...part }));
	});

	test("rights: the loader's statements, the role's policy and trust", async () => {
		const statements = loaderStatements({
			user: "loader",
			database: "dw",
			schemas: ["raw"],
			iamRole: "arn:aws:iam::123456789012:role/copy",
		});
		await expect(`${statements.join("\n")}\n`).toMatchFileSnapshot("redshift/grants.sql");
		const policy = rolePolicy({
			bucket: "acme-lake",
			prefix: "staging/",
			kmsKey: "arn:aws:kms:eu-west-1:123456789012:key/k",
		});
		await expect(`${JSON.stringify(policy, null, "\t")}\n`).toMatchFileSnapshot("redshift/role-policy.json");
		const trust = roleTrust("arn:aws:redshift:eu-west-1:123456789012:cluster:dw");
		await expect(`${JSON.stringify(trust, null, "\t")}\n`).toMatchFileSnapshot("redshift/role-trust.json");
		const arn = (host: string) => warehouseArnOf(host, "arn:aws:iam::123456789012:role/copy");
		expect(arn("dw.abc123xyz.eu-west-1.redshift.amazonaws.com")).toBe(
			"arn:aws:redshift:eu-west-1:123456789012:cluster:dw",
		);
		expect(arn("wg.123456789012.eu-west-1.redshift-serverless.amazonaws.com")).toBe(
			"arn:aws:redshift-serverless:eu-west-1:123456789012:namespace/*",
		);
		expect(roleTrust(warehouseArnOf("dw.internal", undefined))).toMatchObject({
			Statement: [{ Condition: { ArnLike: { "aws:SourceArn": "arn:aws:redshift:*:*:cluster:*" } } }],
		});
		expect(() => roleTrust("arn:aws:s3:::bucket")).toThrow(/not the ARN/);
	});
});
