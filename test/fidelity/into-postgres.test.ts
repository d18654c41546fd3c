import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type App, definePipeline, openApp, type PipelineInput, type TableReceipt } from "../../src/index.ts";
import type { ServerName } from "../support/server.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { MYSQL, POSTGRES } from "./dialects.ts";
import { createTable, type Dialect, printed } from "./fidelity.ts";
import { postgresSql } from "./postgres-cases.ts";
import { arrivesAs, comparable, nameOf, TYPE_MODES, type TypeCase, type TypeMode } from "./type-case.ts";

const KEY = "id";
const CURSOR = "changed_at";
const NIGHT = { start: "2024-05-01T00:00:00Z", end: "2024-05-02T00:00:00Z" };
const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** PostgreSQL's own text of a column of a canonical type, in the forms that the source's is printed in. */
function targetSql(type: string, c: string): string {
	if (type === "binary[]") return `replace(to_json(${c}::text[])::text, '\\\\x', '')`;
	if (type === "timestamptz[]" || type === "timestamp[]")
		return `(select to_json(array_agg((extract(epoch from e) * 1000000)::int8::text order by o))::text from unnest(${c}) with ordinality u(e, o))`;
	return type.endsWith("[]") ? `to_json(${c}::text[])::text` : postgresSql(type, c);
}

/** Copies one wide table of a server into PostgreSQL by every mode and write, and compares with the server. */
function fidelityInto(from: ServerName, to: ServerName, dialect: Dialect): void {
	const cases = dialect.cases.filter(({ only }) => only === undefined || only === from);
	const rowCount = 1 + Math.max(...cases.map(({ values }) => values.length));

	describe.skipIf(missing(from) ?? missing(to))(`${from} into ${to}`, () => {
		let database: TestDatabase;
		let target: TestDatabase;
		let directory: string;
		let app: App;
		let connections: Record<string, string | { type: "file"; path: string }>;
		const expected = {} as Record<TypeMode, Map<string, (string | null)[]>>;

		beforeAll(async () => {
			[database, target] = [await freshDatabase(await sharedServer(from)), await freshDatabase(await sharedServer(to))];
			await database.query(dialect.prepare);
			await createTable(database, dialect, cases, rowCount);
			for (const mode of TYPE_MODES) expected[mode] = await printed(database, dialect, cases, mode);
			await target.query("set intervalstyle = 'iso_8601'; set timezone = 'UTC'");
			directory = await mkdtemp(join(tmpdir(), "headrace-into-postgres-"));
			app = await openApp({ directory });
			connections = { source: database.readerUrl, copy: target.url, files: { type: "file", path: "./out" } };
		});
		afterAll(async () => {
			await app?.[Symbol.asyncDispose]();
			await database?.drop();
			await target?.drop();
			if (directory !== undefined) await rm(directory, { recursive: true, force: true });
		});

		const fixed = Object.fromEntries(
			cases.flatMap((each) => (each.fixed ? [[nameOf(each), { type: each.fixed }]] : [])),
		);

		async function copy(
			name: string,
			mode: TypeMode,
			options: NonNullable<PipelineInput["defaults"]>,
			rest: Partial<PipelineInput> = {},
			interval?: typeof NIGHT,
		): Promise<TableReceipt> {
			const dropped = Object.fromEntries(withNul(mode).map((column) => [column, "drop" as const]));
			const columns = { ...fixed, [CURSOR]: { type: "timestamp" }, ...dropped } as const;
			const pipeline = definePipeline(
				{
					pipeline: name,
					from: "source",
					to: "copy",
					retries: 0,
					types: { mode },
					tables: { [dialect.tableName(database)]: { ...options, columns, into: `${name}.arrived` } },
					...rest,
				} as PipelineInput,
				{ directory, connections },
			);
			const [run] = await app.run(pipeline, interval === undefined ? {} : { interval });
			const receipt = run!.tables[0]!;
			if (receipt.error !== null) throw new Error(`${receipt.error.code} ${receipt.error.message}`);
			return receipt;
		}

		/** Columns of a value that PostgreSQL's text does not hold: they stop a load, which is tested by itself. */
		const withNul = (mode: TypeMode) =>
			cases
				.filter((each) => arrivesAs(each, mode) === "text" || arrivesAs(each, mode) === "json")
				.map(nameOf)
				.filter((column) => expected[mode].get(column)!.some((text) => text?.includes("\0")));

		const typeOf = async (of: TestDatabase, table: string, column: string) =>
			(
				await of.query(
					"select format_type(atttypid, atttypmod) as t from pg_attribute where attrelid = $1::regclass and attname = $2",
					[table, column],
				)
			)[0]?.["t"];

		async function differences(name: string, mode: TypeMode): Promise<string[]> {
			const faults: string[] = [];
			const dropped = new Set(withNul(mode));
			for (const each of cases) {
				const column = nameOf(each);
				if (dropped.has(column)) continue;
				const type = /^float\d+$/.test(each.exact) && mode === "string" ? each.exact : arrivesAs(each, mode);
				const theirs = expected[mode].get(column)!;
				const sql = await arrivedSql(each, column, name, mode);
				const rows = await target.query(`select ${sql} as v from ${quote(name)}.arrived order by ${KEY}::bigint`);
				const ours = rows.map((row) => row["v"] ?? null);
				if (ours.length !== theirs.length) faults.push(`${column}: ${theirs.length} rows became ${ours.length}`);
				else
					theirs.forEach((text, row) => {
						if (comparable(type, text) !== comparable(type, ours[row]!))
							faults.push(`${column}, row ${row}: ${text?.slice(0, 60)} arrived as ${ours[row]?.slice(0, 60)}`);
					});
			}
			return faults;
		}

		/** A column that kept its type is printed by the same SQL as at the source. */
		async function arrivedSql(each: TypeCase, column: string, name: string, mode: TypeMode): Promise<string> {
			const c = quote(column);
			const own = each.sql?.[mode];
			if (own !== undefined && from.startsWith("postgres")) {
				const [there, here] = [
					await typeOf(database, dialect.tableName(database), column),
					await typeOf(target, `${quote(name)}.arrived`, column),
				];
				if (there === here) return own.replace(/\bc\b(?!')/g, () => c);
			}
			return targetSql(arrivesAs(each, mode), c);
		}

		/** From a folder of Headrace's own Parquet files, as the types that it wrote there. */
		test.each(TYPE_MODES)("by way of Parquet files that are a source, types: %s", async (mode) => {
			const name = `${mode}_files`;
			await copy(name, mode, { mode: "full" }, { to: "files" });
			const dropped = new Set(withNul(mode));
			const columns = Object.fromEntries(
				cases
					.filter((each) => !dropped.has(nameOf(each)))
					.map((each) => [nameOf(each), { type: arrivesAs(each, mode) }]),
			);
			const pipeline = definePipeline(
				{
					pipeline: `${name}_back`,
					from: "files",
					to: "copy",
					retries: 0,
					tables: { [`${name}.arrived`]: { columns, into: `${name}.arrived` } },
				} as PipelineInput,
				{ directory, connections },
			);
			const [run] = await app.run(pipeline, {});
			expect(run!.tables[0]!.error).toBeNull();
			expect(run!.tables[0]).toMatchObject({ rows_read: rowCount, rows_loaded: rowCount });
			expect(await differences(name, mode)).toEqual([]);
		});

		describe.each(TYPE_MODES)("types: %s", (mode) => {
			test("full, twice: every value is the server's", async () => {
				const name = `${mode}_full`;
				await copy(name, mode, { mode: "full" });
				const receipt = await copy(name, mode, { mode: "full" });
				expect(receipt).toMatchObject({ state: "succeeded", rows_read: rowCount, rows_loaded: rowCount });
				expect(await differences(name, mode)).toEqual([]);
			});

			test("by way of staged files", async () => {
				const name = `${mode}_staged`;
				await copy(name, mode, { mode: "full" }, { staging: "./staged" });
				expect(await differences(name, mode)).toEqual([]);
			});

			test("a merge of rows that are equal writes none of them", async () => {
				const name = `${mode}_merged`;
				const options = { mode: "incremental", cursor: CURSOR, key: KEY } as const;
				await copy(name, mode, options);
				const versions = () => target.query(`select ctid, xmin, ${KEY} from ${name}.arrived order by 3`);
				const before = await versions();
				const again = await copy(name, mode, options);
				expect(again).toMatchObject({ write: "merge", rows_read: rowCount, rows_inserted: 0, rows_updated: 0 });
				expect(await versions()).toEqual(before);
				expect(await differences(name, mode)).toEqual([]);
			});

			test("appended again by cursor, rows that are there are found equal", async () => {
				const name = `${mode}_appended`;
				const options = { mode: "incremental", cursor: CURSOR, write: "append" } as const;
				await copy(name, mode, options);
				expect(await copy(name, mode, options)).toMatchObject({ rows_read: rowCount, rows_inserted: 0 });
				expect(await differences(name, mode)).toEqual([]);
			});

			test("an interval, twice, is the server's rows once", async () => {
				const name = `${mode}_interval`;
				const options = { mode: "interval", cursor: CURSOR, write: "append" } as const;
				await copy(name, mode, options, {}, NIGHT);
				await copy(name, mode, options, {}, NIGHT);
				expect(await differences(name, mode)).toEqual([]);
			});
		});

		test.skipIf(!from.startsWith("postgres"))(
			"columns keep their types where values come as the text of them",
			async () => {
				await copy("kept", "exact", { mode: "full" });
				for (const column of [
					"numeric",
					"numeric(60,30)",
					"bit(3)",
					"varbit",
					"inet",
					"cidr",
					"macaddr",
					"jsonb",
					"inet[]",
				])
					expect(await typeOf(target, "kept.arrived", column)).toBe(
						await typeOf(database, dialect.tableName(database), column),
					);
			},
		);
	});
}

fidelityInto("mariadb", "postgres15", MYSQL);
fidelityInto("mysql56", "postgres18", MYSQL);
fidelityInto("postgres15", "postgres18", POSTGRES);
fidelityInto("postgres18", "postgres15", POSTGRES);
