import assert from "node:assert/strict";
import type { DestinationSql, SqlRow } from "../core/destination.ts";
import { HeadraceError } from "../core/errors.ts";
import type { TableName } from "../core/table.ts";
import { type CaseBody, type Gap, rejectsWith } from "./case.ts";
import {
	COLUMNS,
	type DestinationCase,
	type DestinationFixture,
	expectRows,
	type Loader,
	loaded,
	PIPELINE,
} from "./destination-fixture.ts";
import { numberedRows, sameRows, type TextRow } from "./rows.ts";

const OLD = numberedRows(50);
const NEW = numberedRows(60, 1000);
const WRITES = ["replace", "merge", "append"] as const;

const refused = () => Promise.reject(new HeadraceError("E_CHECK", "a check says no"));

/** Nothing of a load, in its table or its position. */
async function expectUnchanged(fixture: DestinationFixture, loader: Loader, loadId: string): Promise<void> {
	await expectRows(fixture, loader, OLD, "after the refusal");
	await loader.expectPosition();
	assert.equal(await fixture.destination.committed(loadId), false, "the refused load is committed");
}

/** What `verify` is: a look at new rows that can still turn them away. */
export const destinationVerifyCases: readonly DestinationCase[] = [
	...WRITES.map(
		(write): DestinationCase => [
			`${write} is verified once, while others see the old rows`,
			async (fixture) => {
				const loader = await loaded(fixture, "verified", OLD);
				let looks = 0;
				const verify = async () => {
					looks++;
					await expectRows(fixture, loader, OLD, "while the new rows are verified");
				};
				await loader.load(NEW, { write, verify });
				assert.equal(looks, 1, "verify was called");
				await expectRows(fixture, loader, write === "replace" ? NEW : [...OLD, ...NEW]);
			},
		],
	),
	...WRITES.map(
		(write): DestinationCase => [
			`${write} that verify refuses leaves the old rows and position, and can be repeated`,
			async (fixture) => {
				const loader = await loaded(fixture, "refused", OLD);
				const request = loader.request(NEW, { write, verify: refused });
				await rejectsWith("E_CHECK", fixture.destination.load(request));
				await expectUnchanged(fixture, loader, request.loadId);
				await loader.load(NEW, { write });
				await expectRows(fixture, loader, write === "replace" ? NEW : [...OLD, ...NEW], "after the repetition");
			},
		],
	),
	[
		"a first load that verify refuses leaves no rows",
		async (fixture) => {
			const known = await loaded(fixture, "known", OLD);
			const name = { ...known.target.name, name: "first" };
			const row = (await fixture.destination.takeOver(PIPELINE, ["first"])).get("first")!;
			const request = known.request(NEW, {
				stream: "first",
				target: { ...known.target, name },
				epoch: row.epoch,
				seq: 0,
				fromPosition: null,
				verify: refused,
			});
			await rejectsWith("E_CHECK", fixture.destination.load(request));
			const rows = await fixture.rows(name, COLUMNS);
			assert.ok(rows === null || rows.length === 0, "rows of a refused load are visible");
		},
	],
];

type SqlCase = (fixture: DestinationFixture, sql: DestinationSql) => Promise<void>;

function withSql(body: SqlCase): CaseBody<DestinationFixture> {
	return async (fixture) => {
		const { sql } = fixture.destination;
		assert.ok(sql !== undefined, "it has no SQL: leave these cases out by `skip: withoutSql(…)`");
		await body(fixture, sql);
	};
}

/** SQL that any engine understands: the rows of a table in their order. */
const selectAll = (relation: string) => `SELECT id, name FROM ${relation} ORDER BY id`;
const textOf = (rows: readonly SqlRow[]): TextRow[] => rows.map((row) => [row["id"]!, row["name"] ?? null]);
const summary = (fixture: DestinationFixture): TableName => ({ schema: fixture.schema, name: "summary" });

/** What a destination that speaks SQL offers checks, hooks and summaries. */
const sqlCases: readonly (readonly [name: string, body: SqlCase])[] = [
	...WRITES.map((write): readonly [string, SqlCase] => [
		`verify of ${write} can ask about all rows as they will be`,
		async (fixture) => {
			const loader = await loaded(fixture, "asked", OLD);
			let rows: readonly SqlRow[] = [];
			await loader.load(NEW, {
				write,
				verify: async (view) => {
					rows = await view.query(selectAll(view.relation));
				},
			});
			sameRows(textOf(rows), write === "replace" ? NEW : [...OLD, ...NEW], "what verify sees");
		},
	]),
	[
		"verify that asks something wrong fails the load and leaves nothing",
		async (fixture) => {
			const loader = await loaded(fixture, "wrong", OLD);
			const request = loader.request(NEW, {
				verify: async (view) => {
					await view.query(`SELECT no_such_column FROM ${view.relation}`);
				},
			});
			await assert.rejects(fixture.destination.load(request), HeadraceError);
			await expectUnchanged(fixture, loader, request.loadId);
		},
	],
	[
		"query gives every value as text, and NULL as null",
		async (fixture, sql) => {
			const rows: TextRow[] = [
				["1", "it's"],
				["2", null],
				["3", ""],
			];
			const loader = await loaded(fixture, "queried", rows);
			const found = await sql.query(selectAll(sql.relation(loader.target.name)));
			assert.deepEqual(textOf(found), rows);
			assert.deepEqual(await sql.query(`${selectAll(sql.relation(loader.target.name))} LIMIT 0`), []);
		},
	],
	[
		"query changes nothing",
		async (fixture, sql) => {
			const loader = await loaded(fixture, "read_only", OLD);
			const relation = sql.relation(loader.target.name);
			await assert.rejects(sql.query(`DELETE FROM ${relation}`), HeadraceError);
			await assert.rejects(sql.query(`SELECT 1; DELETE FROM ${relation}`), HeadraceError);
			await expectRows(fixture, loader, OLD);
		},
	],
	[
		"identifiers and literals are quoted, whatever is in them",
		async (fixture, sql) => {
			const loader = await loaded(fixture, "quoted", numberedRows(1));
			for (const text of ["it's", 'a "name"', "back\\slash", "semi; -- colon", "Ünïcode 😀", "{{ braces }} $1 ?"]) {
				const found = await sql.query(
					`SELECT ${sql.quoteLiteral(text)} AS ${sql.quoteIdentifier(text)} FROM ${sql.relation(loader.target.name)}`,
				);
				assert.deepEqual(found, [{ [text]: text }]);
			}
		},
	],
	[
		"execute runs all statements or none",
		async (fixture, sql) => {
			const loader = await loaded(fixture, "executed", OLD);
			const relation = sql.relation(loader.target.name);
			await sql.execute([`DELETE FROM ${relation} WHERE id >= 10`, `UPDATE ${relation} SET name = NULL WHERE id = 0`]);
			const left: TextRow[] = [["0", null], ...OLD.slice(1, 10)];
			await expectRows(fixture, loader, left);
			const failing = sql.execute([`DELETE FROM ${relation}`, `DELETE FROM ${relation} WHERE no_such_column = 1`]);
			await assert.rejects(failing, HeadraceError);
			await expectRows(fixture, loader, left, "after statements of which one failed");
		},
	],
	[
		"rebuild makes a table that is missing, and replaces the rows of one that is there",
		async (fixture, sql) => {
			const loader = await loaded(fixture, "summed", OLD);
			const select = selectAll(sql.relation(loader.target.name));
			const table = summary(fixture);
			assert.deepEqual(await sql.rebuild({ table, select }), { rows: 50 });
			sameRows(await fixture.rows(table, COLUMNS), OLD);
			await loader.load(NEW);
			assert.deepEqual(await sql.rebuild({ table, select: `${select} -- the end` }), { rows: 60 });
			sameRows(await fixture.rows(table, COLUMNS), NEW);
		},
	],
	[
		"rebuild goes by the names of columns, and one that the SELECT lacks is NULL",
		async (fixture, sql) => {
			const { target } = await loaded(fixture, "renamed", OLD);
			const from = sql.relation(target.name);
			await sql.rebuild({ table: summary(fixture), select: selectAll(from) });
			await sql.rebuild({ table: summary(fixture), select: `SELECT name, id + 1 AS id FROM ${from} WHERE id < 2` });
			sameRows(await fixture.rows(summary(fixture), COLUMNS), [
				["1", "row 0"],
				["2", "row 1"],
			]);
			await sql.rebuild({ table: summary(fixture), select: `SELECT id FROM ${from} WHERE id < 2` });
			sameRows(await fixture.rows(summary(fixture), COLUMNS), [
				["0", null],
				["1", null],
			]);
		},
	],
	[
		"rebuild can read the table that it replaces",
		async (fixture, sql) => {
			const { target } = await loaded(fixture, "self", OLD);
			const select = `SELECT id, name FROM ${sql.relation(target.name)} WHERE id < 5`;
			assert.deepEqual(await sql.rebuild({ table: target.name, select }), { rows: 5 });
			sameRows(await fixture.rows(target.name, COLUMNS), OLD.slice(0, 5));
		},
	],
	[
		"rebuild shows its rows to verify while others see the old ones, and to nobody when it is refused",
		async (fixture, sql) => {
			const { target } = await loaded(fixture, "judged", OLD);
			const select = `SELECT id, name FROM ${sql.relation(target.name)} WHERE id < 5`;
			let looks = 0;
			const verify: NonNullable<Parameters<DestinationSql["rebuild"]>[0]["verify"]> = async (view) => {
				looks++;
				sameRows(textOf(await view.query(selectAll(view.relation))), OLD.slice(0, 5), "what verify sees");
				sameRows(await fixture.rows(target.name, COLUMNS), OLD, "while the new rows are verified");
			};
			const refusing = async (view: Parameters<typeof verify>[0]) => {
				await verify(view);
				return refused();
			};
			await rejectsWith("E_CHECK", sql.rebuild({ table: target.name, select, verify: refusing }));
			sameRows(await fixture.rows(target.name, COLUMNS), OLD, "after the refusal");
			await sql.rebuild({ table: target.name, select, verify });
			sameRows(await fixture.rows(target.name, COLUMNS), OLD.slice(0, 5), "after the rebuild");
			assert.equal(looks, 2);
		},
	],
	[
		"rebuild whose SELECT fails, or that is stopped, leaves the table as it is",
		async (fixture, sql) => {
			const { target } = await loaded(fixture, "kept", OLD);
			const table = target.name;
			const relation = sql.relation(table);
			await assert.rejects(sql.rebuild({ table, select: `SELECT no_such_column FROM ${relation}` }), HeadraceError);
			await assert.rejects(
				sql.rebuild({ table, select: `SELECT id, CAST(name AS INTEGER) AS name FROM ${relation}` }),
				HeadraceError,
			);
			sameRows(await fixture.rows(table, COLUMNS), OLD, "after SELECTs that fail");
			const abort = new AbortController();
			const verify = async () => abort.abort();
			const { signal } = abort;
			await rejectsWith("E_STOPPED", sql.rebuild({ table, select: `SELECT id FROM ${relation}`, verify, signal }));
			sameRows(await fixture.rows(table, COLUMNS), OLD, "after it was stopped");
		},
	],
];

export const destinationSqlCases: readonly DestinationCase[] = sqlCases.map(([name, body]) => [name, withSql(body)]);

/** The gaps of a destination without `sql`. */
export function withoutSql(reason: string): Gap[] {
	return destinationSqlCases.map(([name]) => ({ case: name, reason }));
}

/** The gaps of a destination that asks no `verify`, which it need not where there is no SQL to ask with. */
export function withoutVerify(reason: string): Gap[] {
	return destinationVerifyCases.map(([name]) => ({ case: name, reason }));
}
