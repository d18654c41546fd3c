/** The stand-in's own rules, asked through the real driver. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { codeOf } from "../../../src/connectors/snowflake/errors.ts";
import { Session } from "../../../src/connectors/snowflake/session.ts";
import { optionsOf } from "../../connectors/snowflake-support.ts";
import { type SnowflakeStandIn, startSnowflakeStandIn } from "./index.ts";

let standIn: SnowflakeStandIn;
let session: Session;
let other: Session;
let count = 0;
let schema: string;

beforeAll(async () => {
	standIn = await startSnowflakeStandIn();
	session = await Session.open(optionsOf(standIn), true);
	other = await Session.open(optionsOf(standIn), true);
});
afterAll(async () => {
	await session?.end();
	await other?.end();
	await standIn?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
	schema = `s${++count}`;
	await session.run(`CREATE SCHEMA ${schema}`);
});

/** The server's code that a statement is refused with. */
async function refused(sql: string, by: Session = session): Promise<string> {
	try {
		await by.run(sql);
	} catch (error) {
		return codeOf((error as Error).cause);
	}
	return "";
}

const rows = (sql: string, by: Session = session) => by.rows(sql);

describe("the stand-in of Snowflake", () => {
	test("names are upper case unless quoted; those that differ by case are different", async () => {
		await session.run(`CREATE TABLE ${schema}.t (id INT, "id" INT, "ID""" VARCHAR)`);
		await session.run(`INSERT INTO ${schema}.T SELECT 1, 2, 'x'`);
		const { columns } = await session.run(`SELECT * FROM ${schema}.t`);
		expect(columns).toEqual(["ID", "id", 'ID"']);
		expect(await rows(`SELECT "id", Id FROM ${schema}.t`)).toEqual([["2", "1"]]);
		expect(await refused(`SELECT * FROM ${schema}."t"`)).toBe("002003");
	});

	test("a backslash escapes in literals", async () => {
		expect(await rows("SELECT 'a\\\\b', 'it''s', 'x\\ny'")).toEqual([["a\\b", "it's", "x\ny"]]);
	});

	test("keys are not enforced, NOT NULL is", async () => {
		await session.run(`CREATE TABLE ${schema}.t (id INT PRIMARY KEY, n VARCHAR)`);
		await session.run(`INSERT INTO ${schema}.t SELECT 1, 'a'`);
		await session.run(`INSERT INTO ${schema}.t SELECT 1, 'b'`);
		expect(await refused(`INSERT INTO ${schema}.t SELECT NULL, 'c'`)).toBe("100072");
		expect(await rows(`SELECT count(*) FROM ${schema}.t`)).toEqual([["2"]]);
	});

	test("transactions roll back, DDL commits them, and others see what is committed", async () => {
		await session.run(`CREATE TABLE ${schema}.t (id INT)`);
		await session.run("BEGIN");
		await session.run(`INSERT INTO ${schema}.t SELECT 1`);
		expect(await rows(`SELECT count(*) FROM ${schema}.t`, other)).toEqual([["0"]]);
		await session.run("ROLLBACK");
		expect(await rows(`SELECT count(*) FROM ${schema}.t`)).toEqual([["0"]]);
		await session.run("BEGIN");
		await session.run(`INSERT INTO ${schema}.t SELECT 2`);
		await session.run(`CREATE TABLE ${schema}.u (id INT)`);
		await session.run("ROLLBACK");
		expect(await rows(`SELECT id FROM ${schema}.t`, other)).toEqual([["2"]]);
	});

	test("an error ends the transaction when the session asks for it", async () => {
		await session.run(`CREATE TABLE ${schema}.t (id INT)`);
		await session.run("BEGIN");
		await session.run(`INSERT INTO ${schema}.t SELECT 1`);
		expect(await refused(`INSERT INTO ${schema}.nowhere SELECT 1`)).toBe("002003");
		await session.run("COMMIT");
		expect(await rows(`SELECT count(*) FROM ${schema}.t`)).toEqual([["0"]]);
	});

	test("a merge whose source rows meet one row twice is refused", async () => {
		await session.run(`CREATE TABLE ${schema}.t (id INT, n VARCHAR)`);
		await session.run(`INSERT INTO ${schema}.t SELECT 1, 'a'`);
		const source = "(SELECT 1 AS id, 'b' AS n UNION ALL SELECT 1, 'c')";
		const merge = `MERGE INTO ${schema}.t AS t USING ${source} AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = s.n`;
		expect(await refused(merge)).toBe("100090");
		expect(await rows(`SELECT n FROM ${schema}.t`)).toEqual([["a"]]);
	});

	test("types have their limits", async () => {
		expect(await refused(`CREATE TABLE ${schema}.t (n NUMBER(39,0))`)).toBe("002263");
		expect(await refused(`CREATE TABLE ${schema}.t (n NUMBER(38,38))`)).toBe("002263");
		expect(await refused(`CREATE TABLE ${schema}.t (n VARCHAR(134217729))`)).toBe("002263");
		expect(await refused(`CREATE TABLE ${schema}.t (n BINARY(67108865))`)).toBe("002263");
		expect(await refused(`CREATE TABLE ${schema}.t (n UUID2)`)).toBe("002040");
		await session.run(`CREATE TABLE ${schema}.t (n NUMBER(10,2), v VARCHAR(10))`);
		expect(await refused(`ALTER TABLE ${schema}.t ALTER COLUMN n SET DATA TYPE NUMBER(12,4)`)).toBe("002108");
		await session.run(`ALTER TABLE ${schema}.t ALTER COLUMN n SET DATA TYPE NUMBER(12,2)`);
		await session.run(`ALTER TABLE ${schema}.t ALTER COLUMN v SET DATA TYPE VARCHAR(20)`);
		expect(await refused(`ALTER TABLE ${schema}.t ALTER COLUMN v SET DATA TYPE VARCHAR(5)`)).toBe("002108");
	});

	test("SWAP WITH exchanges rows, comments and grants at once", async () => {
		await session.run(`CREATE TABLE ${schema}.a AS SELECT 1 AS id`);
		await session.run(`CREATE TABLE ${schema}.b AS SELECT 2 AS id`);
		await session.run(`COMMENT ON TABLE ${schema}.b IS 'of b'`);
		await session.run(`GRANT SELECT ON TABLE ${schema}.a TO ROLE ANALYSTS`);
		await session.run(`ALTER TABLE ${schema}.a SWAP WITH ${schema}.b`);
		expect(await rows(`SELECT id FROM ${schema}.a`)).toEqual([["2"]]);
		expect(standIn.table(schema.toUpperCase(), "A")!.comment).toBe("of b");
		expect(standIn.table(schema.toUpperCase(), "B")!.grants).toEqual([{ privilege: "SELECT", role: "ANALYSTS" }]);
	});

	const FORMAT = `FILE_FORMAT = (TYPE = CSV SKIP_HEADER = 1 FIELD_OPTIONALLY_ENCLOSED_BY = '"' ESCAPE = NONE ESCAPE_UNENCLOSED_FIELD = NONE TRIM_SPACE = FALSE EMPTY_FIELD_AS_NULL = FALSE NULL_IF = ('~'))`;

	test("COPY loads a file once unless it is forced, and forgets that with TRUNCATE; ON_ERROR says what a bad row does", async () => {
		const folder = standIn.world.folder;
		await writeFile(join(folder, "rows.csv"), "id\n1\n2\n");
		await writeFile(join(folder, "bad.csv"), "id\n3\nx\n5\n");
		await session.run(`CREATE TABLE ${schema}.t (id INT)`);
		await session.run(`CREATE STAGE ${schema}.files`);
		for (const name of ["rows.csv", "bad.csv"])
			await session.run(
				`PUT 'file://${join(folder, name)}' @${schema}.files/in/ AUTO_COMPRESS = FALSE OVERWRITE = TRUE`,
			);
		expect((await rows(`LIST @${schema}.files`)).map(([name]) => name)).toEqual([
			"files/in/bad.csv",
			"files/in/rows.csv",
		]);
		const copy = (file: string, options = "") =>
			session.records(
				`COPY INTO ${schema}.t (id) FROM (SELECT CAST($1 AS NUMBER(38,0)) FROM @${schema}.files/in/) FILES = ('${file}') ${FORMAT} ${options}`,
			);
		const all = async () => (await rows(`SELECT id FROM ${schema}.t ORDER BY id`)).map(([id]) => id);
		expect(await copy("rows.csv")).toMatchObject([{ status: "LOADED", rows_loaded: "2" }]);
		expect(await copy("rows.csv")).toEqual([{ status: "Copy executed with 0 files processed." }]);
		expect(await all()).toEqual(["1", "2"]);
		await copy("rows.csv", "FORCE = TRUE");
		expect(await all()).toEqual(["1", "1", "2", "2"]);
		await session.run(`TRUNCATE TABLE ${schema}.t`);
		expect(await copy("rows.csv")).toMatchObject([{ status: "LOADED" }]);
		await expect(copy("bad.csv")).rejects.toMatchObject({ code: "E_VALUE" });
		expect(await all()).toEqual(["1", "2"]);
		expect(await copy("bad.csv", "ON_ERROR = CONTINUE")).toMatchObject([
			{ status: "PARTIALLY_LOADED", rows_loaded: "2" },
		]);
		expect(await all()).toEqual(["1", "2", "3", "5"]);
		await expect(copy("absent.csv")).rejects.toMatchObject({ code: "E_CONFLICT" });
		await session.run(`REMOVE @${schema}.files/in/`);
		expect(await rows(`LIST @${schema}.files`)).toEqual([]);
	});

	test("answers of many rows come in chunks, slow ones are asked for again, several statements are refused", async () => {
		await session.run(`CREATE TABLE ${schema}.t (id INT)`);
		await session.run(
			`INSERT INTO ${schema}.t SELECT row_number() OVER (ORDER BY 1) FROM (SELECT 1 FROM ${schema}.t UNION ALL SELECT 1) AS a`,
		);
		for (let doubling = 0; doubling < 14; doubling++)
			await session.run(`INSERT INTO ${schema}.t SELECT id FROM ${schema}.t`);
		expect(await rows(`SELECT id FROM ${schema}.t`)).toHaveLength(2 ** 14);
		expect(await refused("SELECT 1; SELECT 2")).toBe("000008");
		await session.run("BEGIN");
		await session.run(`INSERT INTO ${schema}.t SELECT 1`);
		const waiting = other.run(`INSERT INTO ${schema}.t SELECT 2`);
		await new Promise((resolve) => setTimeout(resolve, 2_500));
		await session.run("COMMIT");
		await waiting;
		expect(await rows(`SELECT count(*) FROM ${schema}.t`)).toEqual([[String(2 ** 14 + 2)]]);
	});

	test("what it does not know it refuses", async () => {
		expect(await refused("CALL procedure()")).toBe("000002");
		expect(await refused("SELECT SOUNDEX('a')")).toBe("002141");
	});
});
