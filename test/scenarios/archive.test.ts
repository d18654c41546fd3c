/** An archive of changes: what it holds, and that the same history comes of it as of the log itself. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { queryWarehouse } from "../faults/warehouse.ts";
import { missing } from "../support/start.ts";
import { ArchiveWorld } from "./archive-world.ts";

/** Between two runs of the followers; each line is a transaction. */
const WORK: readonly (readonly string[])[] = [
	[
		"insert into items values (10, 'ten', 1.50, 'note'), (11, null, null, null); insert into orders values (1, 10, 'new')",
		"update items set name = 'TEN' where id = 10",
		"update items set id = 12 where id = 11; update orders set state = 'paid' where id = 1",
		"delete from items where id = 1",
	],
	[
		"update items set note = note, price = 2.25 where id = 2",
		"update items set id = 20, name = 'moved' where id = 2",
		"insert into orders values (2, 12, 'new'), (3, 12, 'new')",
		"truncate table orders",
		"insert into orders values (2, 12, 'again')",
		"delete from orders where id = 2; insert into orders values (2, 10, 'and again'); update orders set state = 'last' where id = 2",
	],
	[
		"alter table items add column stock integer not null default 7",
		"insert into items values (30, 'late', 3, null, 9)",
	],
	["update items set stock = 8 where id = 10", "delete from items where id = 12"],
];

/** Operations on one row, with what is told of it. */
const TOLD = {
	mariadb: [
		"snapshot|2|two|∅|∅",
		"before|2|two|∅|∅",
		"update|2|two|2.25|∅",
		"before|2|two|2.25|∅",
		"update|20|moved|2.25|∅",
	],
	postgres15: [
		"snapshot|2|two|∅|∅",
		"update|2|two|2.25|[note]",
		"before|2|∅|∅|[name, price, note]",
		"update|20|moved|2.25|[note]",
	],
} as const;

describe.each(["mariadb", "postgres15"] as const)("an archive of the changes of %s", (server) => {
	describe.skipIf(missing(server))("on a real server", () => {
		let world: ArchiveWorld;
		beforeAll(async () => {
			world = await ArchiveWorld.open(server);
			for (const name of ["follow", "archive"]) await world.project.succeed("run", name);
			if (server === "postgres15") await world.project.succeed("run", "keep");
			for (const [index, transactions] of WORK.entries()) {
				await world.work(transactions);
				for (const name of ["follow", "archive"]) await world.project.succeed("run", name);
				if (index === 0 && server === "mariadb") await world.project.succeed("run", "rebuild");
			}
			for (const name of ["rebuild", "state"]) await world.project.succeed("run", name);
		});
		afterAll(() => world?.[Symbol.asyncDispose]());

		test("history rebuilt from it is the one that following the log gave, row for row", async () => {
			for (const table of ["items", "orders", "facts"]) {
				const wanted = await world.versions("followed.duckdb", table);
				expect(await world.versions("rebuilt.duckdb", table), table).toEqual(wanted);
				expect(wanted.length).toBeGreaterThan(0);
			}
		});

		test("the state rebuilt from it all at once is the source's", async () => {
			for (const table of ["items", "orders", "facts"]) {
				const [kept, wanted] = await world.states("state.duckdb", table);
				expect(kept, table).toEqual(wanted);
			}
		});

		if (server === "postgres15")
			test("a database that keeps changes has the same rows", async () => {
				await world.project.succeed("run", "keep");
				const columns = "_headrace_operation, cast(_headrace_untold as varchar), id";
				const kept = await queryWarehouse(
					world.project.path("kept.duckdb"),
					`select ${columns} from "${world.schema}".items order by all`,
				);
				expect(
					kept.map((row) =>
						Object.values(row)
							.map((v) => (v === null ? "∅" : String(v)))
							.join("|"),
					),
				).toEqual(await world.archived("items", (files) => `select ${columns} from ${files} order by all`));
			});

		test("its files tell each change, the rows before updates, truncations, and what is not told", async () => {
			const order = "order by _headrace_transaction, _headrace_position";
			const told = await world.archived(
				"items",
				(files) =>
					`select _headrace_operation, id, name, price, cast(_headrace_untold as varchar) from ${files} where id in (2, 20) ${order}`,
			);
			expect(told).toEqual(TOLD[server]);
			const orders = await world.archived(
				"orders",
				(files) => `select _headrace_operation, id, state from ${files} ${order}`,
			);
			expect(orders).toEqual([
				"insert|1|new",
				"before|1|new",
				"update|1|paid",
				"insert|2|new",
				"insert|3|new",
				"truncate|∅|∅",
				"insert|2|again",
				"delete|2|again",
				"insert|2|and again",
				"before|2|and again",
				"update|2|last",
			]);
			const together = (files: string) =>
				`select distinct _headrace_transaction, _headrace_changed_at from ${files} where id = 1 and _headrace_operation = 'insert'`;
			const ten = (files: string) => together(files).replace("id = 1 ", "id = 10 ");
			expect(await world.archived("orders", together)).toEqual(await world.archived("items", ten));
		});

		test("a table that is read anew begins anew in what follows the archive", async () => {
			await world.work(["delete from items where id = 20", "insert into items values (40, 'anew', 4, null, 4)"]);
			await world.project.succeed("run", "archive", "--full-refresh", "--table", `${world.schema}.items`);
			await world.work(["update items set name = 'later' where id = 40", "delete from items where id = 30"]);
			for (const name of ["archive", "state"]) await world.project.succeed("run", name);
			const [kept, wanted] = await world.states("state.duckdb", "items");
			expect(kept).toEqual(wanted);
		});
	});
});
