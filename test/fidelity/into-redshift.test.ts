import { describe, expect, test } from "vitest";
import { Loader, targetOf } from "../../src/conformance/destination-fixture.ts";
import { AWKWARD_TEXTS } from "../../src/conformance/index.ts";
import type { TextRow } from "../../src/conformance/rows.ts";
import { mapType } from "../../src/connectors/redshift/target-types.ts";
import type { ColumnType, Field } from "../../src/core/index.ts";
import { BACKEND, destinationFixture, type Way, warehouseOf } from "../connectors/redshift-support.ts";
import { missing } from "../support/start.ts";

const ID: Field = { name: "id", type: { kind: "int64" }, nullable: false };
const of = (type: ColumnType): Field => ({ name: "v", type, nullable: true });
const numbered = (values: readonly (string | null)[]): TextRow[] => values.map((value, at) => [String(at), value]);

/** Column R of the table of types: what a source's DDL becomes. */
test.each<[ColumnType, string | undefined, string]>([
	[{ kind: "int8" }, "tinyint(4)", "SMALLINT"],
	[{ kind: "uint8" }, "tinyint(3) unsigned", "SMALLINT"],
	[{ kind: "uint16" }, "smallint unsigned", "INTEGER"],
	[{ kind: "uint32" }, "int unsigned", "BIGINT"],
	[{ kind: "uint64" }, "bigint unsigned", "NUMERIC(20,0)"],
	[{ kind: "decimal", precision: 38, scale: 37 }, "decimal(38,37)", "NUMERIC(38,37)"],
	[{ kind: "text" }, "varchar(50)", "VARCHAR(200)"],
	[{ kind: "text" }, "character varying(20000)", "VARCHAR(65535)"],
	[{ kind: "text" }, "char(9)", "VARCHAR(36)"],
	[{ kind: "text" }, "nvarchar(10)", "VARCHAR(40)"],
	[{ kind: "text" }, "tinytext", "VARCHAR(255)"],
	[{ kind: "text" }, "longtext", "VARCHAR(65535)"],
	[{ kind: "text" }, "decimal(65,30)", "VARCHAR(65535)"],
	[{ kind: "text" }, undefined, "VARCHAR(65535)"],
	[{ kind: "binary" }, "varbinary(16)", "VARBYTE(16)"],
	[{ kind: "binary" }, "longblob", "VARBYTE(16777216)"],
	[{ kind: "timestamp" }, "datetime(6)", "TIMESTAMP"],
	[{ kind: "timestamptz" }, "timestamp", "TIMESTAMPTZ"],
	[{ kind: "interval" }, "time", "VARCHAR(64)"],
	[{ kind: "uuid" }, "uuid", "VARCHAR(36)"],
	[{ kind: "json" }, "json", "SUPER"],
	[{ kind: "list", element: { kind: "int64" } }, "bigint[]", "SUPER"],
])("%j declared %s is %s", (type, declared, wanted) => {
	expect(mapType(type, undefined, declared).destinationType).toBe(wanted);
});

test("a decimal with more digits behind its point than Redshift has is refused", () => {
	expect(mapType({ kind: "decimal", precision: 38, scale: 38 }).fidelity).toBe("refused");
});

describe.skipIf(missing(BACKEND)).each(["insert", "parquet", "csv"] as const)(
	"values into Redshift (stand-in) by %s",
	(way: Way) => {
		test("texts of up to 65,535 bytes, whatever is in them", { timeout: 60_000 }, async () => {
			await using fixture = await destinationFixture(way);
			const texts = AWKWARD_TEXTS.filter((text) => Buffer.byteLength(text) <= 65_535);
			expect(texts.length).toBe(AWKWARD_TEXTS.length - 1);
			const rows = numbered([...texts, "é".repeat(32_767), null]);
			const columns = [ID, of({ kind: "text" })];
			const loader = await Loader.takeOver(fixture.destination, targetOf(fixture, "texts", columns));
			await loader.load(rows);
			const sorted = (found: readonly TextRow[] | null) => found?.map((row) => JSON.stringify(row)).sort();
			expect(sorted(await fixture.rows(loader.target.name, columns))).toEqual(sorted(rows));
			await loader.load(rows, { write: "merge" });
			expect(sorted(await fixture.rows(loader.target.name, columns))).toEqual(sorted(rows));
		});

		test("JSON and lists are documents of SUPER, equal as such, and a merge of equal ones changes nothing", {
			timeout: 60_000,
		}, async () => {
			await using fixture = await destinationFixture(way);
			const { client } = warehouseOf(fixture);
			const documents = [
				'{"a": 12345678901234567890123456789, "b": [1, null, "\\u00e9"]}',
				"[]",
				"null",
				'"\\"\\\\"',
				"true",
				null,
			];
			const list: Field = { name: "l", type: { kind: "list", element: { kind: "int64" } }, nullable: true };
			const columns = [ID, of({ kind: "json" }), list];
			const rows = documents.map(
				(text, at): TextRow => [String(at), text, at === 0 ? null : '["1",null,"9223372036854775807"]'],
			);
			const loader = await Loader.takeOver(fixture.destination, targetOf(fixture, "documents", columns));
			await loader.load(rows);
			for (const [at, text] of documents.entries()) {
				const [row] = await client.arrays(
					'select v = $2::jsonb, v is null, l = \'["1",null,"9223372036854775807"]\'::jsonb from raw.documents where id = $1',
					[at, text],
				);
				expect(row, text ?? "NULL").toEqual([
					text === null ? null : "t",
					text === null ? "t" : "f",
					at === 0 ? null : "t",
				]);
			}
			const again = await loader.load(rows, { write: "merge" });
			expect([again.rowsInserted, again.rowsUpdated, again.rowsDeleted]).toEqual([0, 0, 0]);
		});

		test("floats without a number, and zeros with a sign, are told apart by a merge", { timeout: 60_000 }, async () => {
			await using fixture = await destinationFixture(way);
			const columns = [ID, of({ kind: "float64" })];
			const loader = await Loader.takeOver(fixture.destination, targetOf(fixture, "floats", columns));
			await loader.load(numbered(["Infinity", "-Infinity", "NaN", "-0", "0"]));
			const changed = await loader.load([["3", "0"]], { write: "merge" });
			expect(changed.rowsUpdated, "-0 is not 0").toBe(1);
		});
	},
);
