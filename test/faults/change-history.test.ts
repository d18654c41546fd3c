/** Tables whose columns change while they are followed. */
import { describe, expect, test } from "vitest";
import { missing } from "../support/start.ts";
import { Followed, ownServer } from "./followed.ts";
import { queryWarehouse } from "./warehouse.ts";

describe.skipIf(missing("mysql56"))(
	"a history from MySQL, which does not tell where a snapshot lies in its log",
	() => {
		const server = ownServer("mysql56");

		test("begins between two commits and has every change after it", async () => {
			await using followed = await Followed.open(server(), "{ mode: cdc, write: history }");
			await followed.database.query(
				"update items set name = 'zwei' where id = 2; delete from items where id = 1; insert into items values (3, 'three')",
			);
			await followed.project.succeed("run", "shop");
			const versions = await queryWarehouse(
				followed.project.path("copy.duckdb"),
				`select id, name, _headrace_operation as operation, _headrace_valid_to is null as stands
			 from "${followed.schema}".items order by id, _headrace_valid_from, stands`,
			);
			expect(versions.map((row) => Object.values(row).map(String).join("|"))).toEqual([
				"1|one|snapshot|false",
				"2|two|snapshot|false",
				"2|zwei|update|true",
				"3|three|insert|true",
			]);
		});
	},
);

describe.each(["mariadb", "postgres18"] as const)("tables that change while they are followed, %s", (name) => {
	describe.skipIf(missing(name))("on a real server", () => {
		const server = ownServer(name);
		const change = async (statements: string) => {
			const followed = await Followed.open(server());
			await followed.database.query(statements);
			await followed.project.succeed("run", "shop");
			return followed;
		};

		test("a column more, with rows before and after it", async () => {
			await using followed = await change(
				"insert into items values (3, 'three'); alter table items add column price integer; insert into items values (4, 'four', 40); update items set price = 10 where id = 1",
			);
			expect(await followed.rows()).toEqual(["1|one|10", "2|two|∅", "3|three|∅", "4|four|40"]);
		});

		test("a column more with a default: rows that the log does not show have it too", async () => {
			await using followed = await change(
				"insert into items values (3, 'three'); alter table items add column price integer not null default 7; insert into items values (4, 'four', 40)",
			);
			expect(await followed.rows()).toEqual(["1|one|7", "2|two|7", "3|three|7", "4|four|40"]);
		});

		test("a column less: what it had stays", async () => {
			await using followed = await change(
				"insert into items values (3, 'three'); alter table items drop column name; insert into items values (4)",
			);
			expect((await followed.rows()).map((row) => row.split("|")[0])).toEqual(["1", "2", "3", "4"]);
			expect((await followed.rows())[0]).toBe("1|one");
		});

		test("another type", async () => {
			await using followed = await change(
				"alter table items modify_ name varchar(80); insert into items values (3, 'three')".replace(
					"modify_ name varchar(80)",
					name === "mariadb" ? "modify name varchar(80)" : "alter column name type varchar(80)",
				),
			);
			expect(await followed.rows()).toEqual(["1|one", "2|two", "3|three"]);
		});

		test("another name, of which the log tells nothing more: rows from before it have their value", async () => {
			await using followed = await change(
				`insert into items values (3, 'three'); update items set name = 'uno' where id = 1; alter table items ${name === "mariadb" ? "change name title varchar(40)" : "rename column name to title"}`,
			);
			const rows = await queryWarehouse(
				followed.project.path("copy.duckdb"),
				`select id, title from "${followed.schema}".items order by id`,
			);
			expect(rows.map((row) => Object.values(row).join("|"))).toEqual(["1|uno", "2|two", "3|three"]);
		});

		test("emptied, and filled again", async () => {
			await using followed = await change(
				"insert into items values (3, 'three'); truncate table items; insert into items values (1, 'again')",
			);
			expect(await followed.rows()).toEqual(["1|again"]);
		});

		test("a history is not thrown away by a change that the log does not tell", async () => {
			await using followed = await Followed.open(server(), "{ mode: cdc, write: history }");
			await followed.database.query("update items set name = 'uno' where id = 1");
			await followed.project.succeed("run", "shop");
			const before = await followed.rows();
			expect(before).toHaveLength(3);
			await followed.database.query(
				"alter table items add column price integer not null default 7; update items set price = 8 where id = 2",
			);
			await followed.project.succeed("run", "shop");
			const versions = await queryWarehouse(
				followed.project.path("copy.duckdb"),
				`select id, name, price, _headrace_operation as operation from "${followed.schema}".items order by id, _headrace_valid_from, price`,
			);
			expect(versions.map((row) => Object.values(row).join("|"))).toEqual([
				"1|one|7|snapshot",
				"1|uno|7|update",
				"2|two|7|snapshot",
				"2|two|8|update",
			]);
		});

		test("a history goes on under another name that is proved, and stops where it is not", async () => {
			await using followed = await Followed.open(server(), "{ mode: cdc, write: history }");
			await followed.database.query(
				name === "mariadb"
					? "alter table items change name title varchar(40) not null default 'none'"
					: "alter table items rename column name to title",
			);
			await followed.database.query("insert into items values (3, 'three')");
			if (name === "mariadb")
				return void expect((await followed.project.fail(1, "run", "shop"))[0]!.code).toBe("E_SCHEMA");
			await followed.project.succeed("run", "shop");
			expect((await followed.rows()).map((row) => row.split("|", 2).join("|"))).toEqual(["1|one", "2|two", "3|three"]);
		});

		test("versions of before a column came have its default, and those of before it went have what they held", async () => {
			await using followed = await Followed.open(server(), "{ mode: cdc, write: history }");
			await followed.database.query(
				"insert into items values (3, 'three'); alter table items add column price integer not null default 7; insert into items values (4, 'four', 40)",
			);
			await followed.project.succeed("run", "shop");
			await followed.database.query(
				"insert into items values (5, 'five', 50); alter table items drop column name; insert into items values (6, 60)",
			);
			await followed.project.succeed("run", "shop");
			const versions = await queryWarehouse(
				followed.project.path("copy.duckdb"),
				`select id, name, price from "${followed.schema}".items order by id`,
			);
			expect(versions.map((row) => Object.values(row).join("|"))).toEqual([
				"1|one|7",
				"2|two|7",
				"3|three|7",
				"4|four|40",
				"5|five|50",
				"6||60",
			]);
		});

		test("of several tables only the one that changes is read again", async () => {
			await using followed = await change(
				"insert into others values (2); alter table items add column price integer; insert into others values (3); insert into items values (5, 'five', 50); insert into others values (4)",
			);
			expect(await followed.rows("others")).toEqual(["1", "2", "3", "4"]);
			expect(await followed.rows()).toEqual(["1|one|∅", "2|two|∅", "5|five|50"]);
		});
	});
});
