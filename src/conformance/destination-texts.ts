import assert from "node:assert/strict";
import { type ColumnType, parseColumnType } from "../core/column-type.ts";
import type { DestinationSql } from "../core/destination.ts";
import { qualified } from "../core/table.ts";
import { type DestinationCase, expectRows, loaded, targetOf } from "./destination-fixture.ts";
import { ID, type TextRow } from "./rows.ts";

const TEXT = { name: "v", type: { kind: "text" }, nullable: true } as const;

/** Texts by type: what each becomes as canonical text, null for one that is no value of the type. */
const TEXTS: readonly (readonly [type: string, Readonly<Record<string, string | null>>])[] = [
	["boolean", { true: "true", false: "false", "1": null, TRUE: null, "": null }],
	[
		"int32",
		{
			"7": "7",
			"-2147483648": "-2147483648",
			"+7": "7",
			"007": "7",
			"7.00": "7",
			"2147483648": null,
			"7.5": null,
			" 7": null,
			"0x10": null,
			"1_000": null,
			"1e3": null,
			"": null,
		},
	],
	["int64", { "9223372036854775807": "9223372036854775807", "9223372036854775808": null }],
	[
		"decimal(10,2)",
		{
			"1.5": "1.50",
			"1.50000": "1.50",
			"-99999999.99": "-99999999.99",
			"100000000": null,
			"1.505": null,
			"1,5": null,
			NaN: null,
		},
	],
	["decimal(4,0)", { "9999": "9999", "1.0": "1", "10000": null, "0.5": null }],
	[
		"float64",
		{
			"0.1": "0.1",
			"-1.5e-1": "-0.15",
			"0.30000000000000004": "0.30000000000000004",
			"0.10000000000000000001": null,
			"1,5": null,
		},
	],
	[
		"date",
		{
			"2024-02-29": "2024-02-29",
			"2023-02-29": null,
			"2024-13-01": null,
			"2024-00-10": null,
			"0000-00-00": null,
			"2024-2-9": null,
			"2024-02-29 00:00:00": null,
		},
	],
	[
		"timestamp",
		{
			"2024-02-29 12:30:00.50": "2024-02-29 12:30:00.5",
			"2024-02-29T12:30:00": "2024-02-29 12:30:00",
			"2024-02-29": "2024-02-29 00:00:00",
			"2024-02-29 25:00:00": null,
			"2024-02-29 12:30:60": null,
			"2024-02-29 12:30:00.1234567": null,
			"2024-02-29 12:30:00+00": null,
		},
	],
	[
		"timestamptz",
		{
			"2024-02-29 12:30:00+02": "2024-02-29 10:30:00+00",
			"2024-02-29T12:30:00Z": "2024-02-29 12:30:00+00",
			"2024-02-29 12:30:00": null,
		},
	],
	["uuid", { "6BA7B810-9DAD-11D1-80B4-00C04FD430C8": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b810": null }],
];

/** Texts as values, for destinations that try them. */
export const destinationTextCases: readonly DestinationCase[] = TEXTS.map(([typeText, texts]) => [
	`texts are tried as ${typeText}, exactly, and the column gets the type`,
	async (fixture) => {
		const { destination } = fixture;
		const { sql } = destination;
		if (sql?.texts === undefined || sql.retype === undefined) return;
		const type = parseColumnType(typeText) as ColumnType;
		const entries = [...Object.entries(texts), [null, "kept"]] as [string | null, string | null][];
		const loader = await loaded(
			fixture,
			"tried",
			entries.map(([text], index) => [String(index), text]),
			[ID, TEXT],
		);
		const fails = sql.texts.fails("v", type);
		assert.ok(fails !== null, `${typeText} can't be tried`);
		assert.deepEqual(
			await ids(sql, `SELECT id FROM ${sql.relation(loader.target.name)} WHERE ${fails}`),
			entries.flatMap(([text, value], index) => (text !== null && value === null ? [index] : [])),
			"the texts that fail",
		);
		await loader.load(
			entries.flatMap(([text, value], index): TextRow[] => (value === null ? [] : [[String(index), text]])),
		);
		const value = sql.texts.value("v", type);
		const { destinationType } = destination.mapType(type);
		const request = { table: loader.target.name, columns: [{ name: "v", destinationType, value }] };
		const broken = sql.retype({
			...request,
			verify: async () => {
				throw new Error("not so");
			},
		});
		await assert.rejects(broken, `a verify that throws keeps ${qualified(loader.target.name)}`);
		const sum = async (expression: string) =>
			(await sql.query(`SELECT ${sql.texts!.checksum(expression)} AS s FROM ${sql.relation(loader.target.name)}`))[0]?.[
				"s"
			];
		const before = await sum(value);
		await sql.retype(request);
		assert.equal(await sum(sql.quoteIdentifier("v")), before, "checksum");
		const target = targetOf(fixture, "tried", [ID, { ...TEXT, type }]);
		await expectRows(
			fixture,
			{ target },
			entries.flatMap(([text, value], index): TextRow[] =>
				value === null ? [] : [[String(index), text === null ? null : value]],
			),
		);
	},
]);

async function ids(sql: DestinationSql, query: string): Promise<number[]> {
	return (await sql.query(query)).map((row) => Number(row["id"])).sort((a, b) => a - b);
}
