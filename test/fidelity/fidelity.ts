import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PlanColumn } from "../../src/app/api.ts";
import { parseColumnType } from "../../src/core/index.ts";
import { duckdbType } from "../../src/engine/index.ts";
import type { ServerName } from "../support/server.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { type CopyRequest, FORMATS, ROUTES, ROW_IDENTIFIER, type Route, Workbench } from "./copy.ts";
import { arrivesAs, comparable, nameOf, TYPE_MODES, type TypeCase, type TypeMode } from "./type-case.ts";

/** How one kind of server is asked. */
export interface Dialect {
	readonly cases: readonly TypeCase[];
	readonly quote: (name: string) => string;
	/** Statements before anything else, on the connection that makes the table and prints its values. */
	readonly prepare: string;
	/** DDL of the cursor column and a value of it, within the interval 2024-05-01 to 2024-05-02. */
	readonly cursor: readonly [ddl: string, value: string];
	/** SQL of the server's own text of a value, for the type that it arrives as. */
	readonly sql: (type: string, column: string) => string;
	readonly tableName: (database: TestDatabase) => string;
}

const KEY = "id";
const CURSOR = "changed_at";
const NIGHT = { start: "2024-05-01T00:00:00Z", end: "2024-05-02T00:00:00Z" };

/** Copies one wide table of a server, every type of it a column, by every mode and route, and compares with the server. */
export function fidelityOf(server: ServerName, dialect: Dialect): void {
	const cases = dialect.cases.filter(({ only }) => only === undefined || only === server);
	const rowCount = 1 + Math.max(...cases.map(({ values }) => values.length));

	describe.skipIf(missing(server))(server, () => {
		let database: TestDatabase;
		let workbench: Workbench;
		const expected = {} as Record<TypeMode, Map<string, (string | null)[]>>;

		beforeAll(async () => {
			database = await freshDatabase(await sharedServer(server));
			await database.query(dialect.prepare);
			await createTable(database, dialect, cases, rowCount);
			for (const mode of TYPE_MODES) expected[mode] = await printed(database, dialect, cases, mode);
			workbench = await Workbench.open(database.readerUrl);
		});
		afterAll(async () => {
			await workbench?.[Symbol.asyncDispose]();
			await database?.drop();
		});

		const fixed = Object.fromEntries(
			cases.flatMap((each) => (each.fixed ? [[nameOf(each), { type: each.fixed }]] : [])),
		);
		// In the modes that change its type a cursor would lose its order.
		const withOrder = { [CURSOR]: { type: "timestamp" } };

		const request = (mode: TypeMode, route: Route, rest: Partial<CopyRequest> = {}): CopyRequest => ({
			name: dashed(`${mode} ${route}`),
			route,
			table: dialect.tableName(database),
			types: { mode },
			arrives: new Map(cases.map((each) => [nameOf(each), arrivesAs(each, mode)])),
			...rest,
			options: { mode: "full", columns: { ...fixed, ...withOrder }, ...rest.options },
		});

		/** A line for each value that is not the server's. */
		async function differences(copy: CopyRequest, mode: TypeMode): Promise<string[]> {
			return differencesOf(await workbench.arrived(copy.name, copy.arrives), mode);
		}

		function differencesOf(arrived: ReadonlyMap<string, (string | null)[]>, mode: TypeMode): string[] {
			return cases.flatMap((each) => {
				const column = nameOf(each);
				if (!arrived.has(column)) return [];
				// A float has many texts: in mode string they are compared as the numbers they are.
				const type = /^float\d+$/.test(each.exact) && mode === "string" ? each.exact : arrivesAs(each, mode);
				const theirs = expected[mode].get(column)!;
				const ours = arrived.get(column)!;
				if (ours.length !== theirs.length) return [`${column}: ${theirs.length} rows became ${ours.length}`];
				return theirs.flatMap((text, row) =>
					comparable(type, text) === comparable(type, ours[row]!)
						? []
						: [`${column}, row ${row}: ${excerpt(text)} arrived as ${excerpt(ours[row]!)}`],
				);
			});
		}

		test("a cursor that becomes text is refused with the line that mends it", async () => {
			const options = { mode: "incremental", cursor: CURSOR, columns: { ...fixed, [CURSOR]: {} } } as const;
			const copy = request("string", "direct", { name: "string-cursor", options });
			await expect(workbench.copy(copy)).rejects.toMatchObject({
				errors: [{ code: "E_INVALID_VALUE", hint: expect.stringContaining(`${CURSOR}: { type: timestamp }`) }],
			});
		});

		describe.each(TYPE_MODES)("types: %s", (mode) => {
			const lost = cases.filter((each) => each.loss?.[mode] !== undefined);
			const changed = () =>
				Object.fromEntries(
					lost.flatMap((each): [string, number][] => {
						const count = each.loss![mode]!.changed;
						const column = nameOf(each);
						const number = count === "rounded" ? roundedCount(expected, column) : count;
						return number === 0 ? [] : [[column, number]];
					}),
				);

			test("the plan names each type, and every column whose values may change", async () => {
				const plan = await workbench.plan(request(mode, "direct"));
				const columns = new Map(plan.tables[0]!.columns.map((column) => [column.name, column]));
				const wrong = cases.flatMap((each) => {
					const column = columns.get(nameOf(each));
					const wanted = duckdbType(parseColumnType(arrivesAs(each, mode))!);
					const fault = column === undefined ? "missing" : planFault(column, wanted, each, mode);
					return fault === null ? [] : [`${nameOf(each)}: ${fault}: ${JSON.stringify(column)}`];
				});
				expectNone(wrong);
			});

			test.each(ROUTES)("%s: every value is the server's, and what changed is counted", async (route) => {
				const copy = request(mode, route);
				const receipt = await workbench.copy(copy);
				expect(receipt).toMatchObject({ state: "succeeded", rows_read: rowCount, rows_loaded: rowCount });
				expectNone(await differences(copy, mode));
				expect(receipt.values_changed).toEqual(changed());
				const format = FORMATS.find((each) => route === `${each} folder`);
				if (format === undefined || (format !== "parquet" && mode !== "string")) return;
				// Parquet has no such interval: it is text there, which only the way back can compare.
				const others = new Map([...copy.arrives].filter(([, type]) => type !== "interval"));
				expectNone(differencesOf(await workbench.arrivedInFiles(format, copy.name, others), mode));
			});

			test.each(["direct", "staged parquet", "staged csv"] as const)(
				"%s: a merge of rows that are equal writes none of them",
				async (route) => {
					const options = { mode: "incremental", cursor: CURSOR, key: KEY } as const;
					const copy = request(mode, route, { name: dashed(`${mode} ${route} merged`), options });
					await workbench.copy(copy);
					const before = await workbench.arrived(copy.name, copy.arrives);
					const again = await workbench.copy(copy);
					expect(again).toMatchObject({ write: "merge", rows_read: rowCount, rows_inserted: 0, rows_updated: 0 });
					expectNone(await differences(copy, mode));
					const after = await workbench.arrived(copy.name, copy.arrives);
					expect(after.get(ROW_IDENTIFIER)).toEqual(before.get(ROW_IDENTIFIER));
				},
			);

			test("an interval, twice, is the server's rows once", async () => {
				const options = { mode: "interval", cursor: CURSOR, write: "append" } as const;
				const copy = request(mode, "direct", { name: `${mode}-interval`, options, interval: NIGHT });
				await workbench.copy(copy);
				expect(await workbench.copy(copy)).toMatchObject({ rows_read: rowCount });
				expectNone(await differences(copy, mode));
			});
		});
	});
}

export async function createTable(
	database: TestDatabase,
	dialect: Dialect,
	cases: readonly TypeCase[],
	rowCount: number,
) {
	const { quote } = dialect;
	const [cursorDdl, cursorValue] = dialect.cursor;
	const table = dialect.tableName(database);
	const columns = cases.map((each) => `${quote(nameOf(each))} ${each.type}`);
	await database.query(`create table ${table} (${KEY} int primary key, ${CURSOR} ${cursorDdl}, ${columns.join(", ")})`);
	for (let id = 0; id < rowCount; id++) {
		const values = cases.map(({ values }) => values[id] ?? "null");
		await database.query(`insert into ${table} values (${id}, ${cursorValue}, ${values.join(", ")})`);
	}
}

/** The server's own text of every value, by column. */
export async function printed(database: TestDatabase, dialect: Dialect, cases: readonly TypeCase[], mode: TypeMode) {
	const texts = new Map<string, (string | null)[]>();
	for (const each of cases) {
		const column = dialect.quote(nameOf(each));
		const sql = each.sql?.[mode]?.replace(/\bc\b(?!')/g, () => column) ?? dialect.sql(arrivesAs(each, mode), column);
		const rows = await database.query(`select ${sql} as v from ${dialect.tableName(database)} order by ${KEY}`);
		texts.set(
			nameOf(each),
			rows.map((row) => row["v"] ?? null),
		);
	}
	return texts;
}

/** Why a column of the plan is not as its case says; null when it is. */
function planFault(column: PlanColumn, destinationType: string, each: TypeCase, mode: TypeMode): string | null {
	if (column.destination_type !== destinationType) return `its type is not ${destinationType}`;
	const loss = each.loss?.[mode];
	const fidelity = loss?.fidelity ?? "exact";
	if (column.fidelity !== fidelity) return `it is not ${fidelity}`;
	return loss === undefined || loss.note.test(column.note ?? "") ? null : `its note does not match ${loss.note}`;
}

/** How many numbers have other digits once they are doubles. */
function roundedCount(expected: Record<TypeMode, Map<string, (string | null)[]>>, column: string): number {
	return expected.exact
		.get(column)!
		.filter((text) => text !== null && /\d/.test(text) && plainDigits(text) !== plainDigits(String(Number(text))))
		.length;
}

/** Sign, digits and exponent of a decimal in one form: `-12.50` and `-1.25e1` are equal. */
function plainDigits(text: string): string {
	const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/.exec(text)!;
	const all = `${whole}${fraction}`.replace(/^0+/, "");
	const significant = all.replace(/0+$/, "");
	if (significant === "") return "0";
	return `${sign}${significant}e${Number(exponent) - fraction.length + all.length - significant.length}`;
}

const dashed = (text: string): string => text.replaceAll(" ", "-");
const excerpt = (text: string | null): string => JSON.stringify(text === null ? null : text.slice(0, 60));

function expectNone(faults: readonly string[]): void {
	expect(faults, faults.join("\n")).toEqual([]);
}
