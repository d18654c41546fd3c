import assert from "node:assert/strict";
import { type ChangeLogCase, commit, Follower } from "./change-log-fixture.ts";
import { ID, NAME, numberedRows } from "./rows.ts";
import { makeTable, numberedTable } from "./source-fixture.ts";

/** The order of one table's rows; that of two tables within a transaction is not told. */
const of = (name: string, texts: readonly string[]) => texts.filter((text) => text.split(" ")[1] === name);

export const changeLogRowCases: readonly ChangeLogCase[] = [
	[
		"inserts, updates and deletes come in the order of their commits",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_order", 1);
			await using follower = await Follower.of(fixture, [t]);
			await commit(fixture, { insert: t, rows: [["7", "seven"]] }, { insert: t, rows: [["8", null]] });
			await commit(fixture, { update: t, id: "7", set: "name", to: "VII" });
			await commit(fixture, { delete: t, id: "7" }, { insert: t, rows: [["7", "again"]] });
			const { rows, texts } = await follower.read({ before: "key-changes" });
			const [gone] = texts.splice(3, 1);
			assert.deepEqual(texts, [
				"insert log_order 7,seven",
				"insert log_order 8,NULL",
				"update log_order 7,VII",
				"insert log_order 7,again",
			]);
			assert.match(gone ?? "", /^delete log_order 7,/);
			assert.equal(new Set(rows.map(({ transaction }) => transaction)).size, 3, "three transactions");
			assert.equal(rows[3]!.transaction, rows[4]!.transaction, "a transaction is one");
		},
	],
	[
		"a transaction over several tables lies whole between two boundaries",
		async (fixture) => {
			const a = await numberedTable(fixture, "log_whole_a", 1);
			const b = await numberedTable(fixture, "log_whole_b", 1);
			await using follower = await Follower.of(fixture, [a, b]);
			for (let i = 1; i <= 4; i++)
				await commit(
					fixture,
					{ insert: a, rows: numberedRows(3, i * 10) },
					{ update: b, id: "0", set: "name", to: `${i}` },
					{ insert: b, rows: numberedRows(2, i * 10) },
				);
			const logged = await follower.read({ rows: 1, before: "key-changes" });
			const byBoundary = Map.groupBy(logged.placed, ({ position }) => position);
			assert.equal(byBoundary.size, 4, "four transactions");
			for (const rows of byBoundary.values()) {
				assert.equal(rows.length, 6, "a transaction's rows");
				assert.equal(new Set(rows.map(({ boundary }) => boundary)).size, 1, "one boundary for all of them");
			}
			assert.ok(logged.boundaries.length >= 4, "with a flush of one row each transaction has its boundary");
			assert.equal((await follower.read()).boundaries.length < 4, true, "with a large one they share it");
		},
	],
	[
		"what is open, or was rolled back, is not in the log",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_open", 0);
			await using follower = await Follower.of(fixture, [t]);
			{
				await using rolledBack = await fixture.begin();
				await rolledBack.insert(t.name, [["1", "no"]]);
			}
			await using open = await fixture.begin();
			await open.insert(t.name, [["2", "late"]]);
			await commit(fixture, { insert: t, rows: [["3", "yes"]] });
			const before = await follower.read();
			assert.deepEqual(before.texts, ["insert log_open 3,yes"]);
			await open.commit();
			const after = await follower.read({ from: before.boundaries.at(-1)!.position });
			assert.deepEqual(after.texts, ["insert log_open 2,late"], "it comes when it is committed");
		},
	],
	[
		"rows of other tables are passed over",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_wanted", 0);
			const other = await numberedTable(fixture, "log_other", 0);
			await using follower = await Follower.of(fixture, [t]);
			await commit(fixture, { insert: other, rows: [["1", "x"]] }, { insert: t, rows: [["1", "a"]] });
			await commit(fixture, { insert: other, rows: [["2", "x"]] });
			assert.deepEqual((await follower.read()).texts, ["insert log_wanted 1,a"]);
		},
	],
	[
		"a row as it was comes right before what it became: for changes of the key, or for all",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_before", 3);
			await using follower = await Follower.of(fixture, [t]);
			await commit(fixture, { update: t, id: "1", set: "name", to: "one" });
			await commit(
				fixture,
				{ update: t, id: "2", set: "id", to: "20" },
				{ update: t, id: "0", set: "name", to: "null" },
			);
			const keys = await follower.read({ before: "key-changes" });
			assert.deepEqual(
				keys.rows.map(({ operation, values }) => `${operation} ${values[0]}`),
				["update 1", "before 2", "update 20", "update 0"],
			);
			const all = await follower.read({ before: "all" });
			for (const [index, row] of all.rows.entries())
				if (row.operation === "before") assert.equal(all.rows[index + 1]?.operation, "update", "an update follows");
			assert.deepEqual(
				all.rows.filter(({ operation }) => operation === "update").map(({ values }) => values[0]),
				["1", "20", "0"],
			);
		},
	],
	[
		"a transaction of many rows comes in batches that are bounded, in its order, before one boundary",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_many", 0);
			await using follower = await Follower.of(fixture, [t]);
			await commit(fixture, { insert: t, rows: numberedRows(5000) });
			const logged = await follower.read({ rows: 100 });
			assert.deepEqual(
				logged.rows.map(({ values }) => values),
				numberedRows(5000),
			);
			assert.equal(new Set(logged.placed.map(({ boundary }) => boundary)).size, 1, "one boundary");
		},
	],
	[
		"rows without a key come with all their values",
		async (fixture) => {
			const t = await makeTable(fixture, { name: "log_keyless", columns: [ID, NAME], primaryKey: [], rows: [] });
			await using follower = await Follower.of(fixture, [t]);
			await commit(fixture, { insert: t, rows: [["1", "same"]] }, { insert: t, rows: [["1", "same"]] });
			assert.deepEqual((await follower.read()).texts, ["insert log_keyless 1,same", "insert log_keyless 1,same"]);
		},
	],
	[
		"all rows of a table that go at once go at their place",
		async (fixture) => {
			if (fixture.truncate === undefined) return;
			const a = await numberedTable(fixture, "log_gone_a", 2);
			const b = await numberedTable(fixture, "log_gone_b", 0);
			await using follower = await Follower.of(fixture, [a, b]);
			await commit(fixture, { insert: a, rows: [["7", "old"]] }, { insert: b, rows: [["1", "stays"]] });
			await fixture.truncate(a.name);
			await commit(fixture, { insert: a, rows: [["8", "new"]] });
			const { events } = await follower.read();
			const words = events.flatMap((event) =>
				!("kind" in event)
					? [`${event.operation} ${event.table} ${event.values[0]}`]
					: event.kind === "truncate"
						? [`truncate ${event.table.name.name}`]
						: [],
			);
			assert.deepEqual(of("log_gone_a", words), ["insert log_gone_a 7", "truncate log_gone_a", "insert log_gone_a 8"]);
			assert.deepEqual(of("log_gone_b", words), ["insert log_gone_b 1"]);
		},
	],
	[
		"the times of commits do not go back, and are the source's own",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_times", 0);
			await using follower = await Follower.of(fixture, [t]);
			for (let i = 0; i < 3; i++) await commit(fixture, { insert: t, rows: [[`${i}`, "x"]] });
			const { boundaries } = await follower.read({ rows: 1 });
			const times = boundaries.flatMap(({ transactions }) => transactions.map(({ committedAt }) => committedAt));
			assert.ok(times.length >= 3, "each transaction tells its time");
			for (const [index, time] of times.entries()) assert.ok(index === 0 || time >= times[index - 1]!, "it goes back");
			assert.ok(Math.abs(Number(times[0]! / 1000n) - Date.now()) < 600_000, "microseconds since 1970");
		},
	],
];
