import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Project, until } from "../faults/project.ts";
import { Random } from "../faults/random.ts";
import { Shop } from "../faults/shop.ts";
import { readWarehouse } from "../faults/warehouse.ts";
import type { TextClient } from "../support/client.ts";
import type { ServerName } from "../support/server.ts";
import { ownServers } from "../support/shared.ts";
import { missing } from "../support/start.ts";

// What is proved here depends on the open transactions of the whole server.
ownServers();

type Sight = "sees all transactions" | "sees its own only";

/** A user with or without the right to see other people's transactions; gives the shop's address as that user. */
async function loginWith(shop: Shop, sight: Sight): Promise<{ url: string; drop: () => Promise<void> }> {
	const { server, name } = shop.database;
	const user = `u_${name.slice(-12)}_${sight.length}`;
	const url = server.url(name).replace(/\/\/[^@]*@/, `//${user}:pw@`);
	if (shop.dialect === "mysql") {
		const process = sight === "sees all transactions" ? `grant process on *.* to ${user}@'127.0.0.1';` : "";
		await server.admin(
			`create user ${user}@'127.0.0.1' identified by 'pw'; ${process} grant select on ${name}.* to ${user}@'127.0.0.1'`,
		);
		return { url, drop: async () => void (await server.admin(`drop user ${user}@'127.0.0.1'`)) };
	}
	const stats = sight === "sees all transactions" ? `grant pg_read_all_stats to ${user};` : "";
	await shop.sql(`create role ${user} login password 'pw'; ${stats}
		grant usage on schema public to ${user}; grant select on all tables in schema public to ${user}`);
	return { url, drop: async () => void (await shop.sql(`drop owned by ${user}; drop role ${user}`)) };
}

describe.each<[ServerName]>([["mariadb"], ["postgres15"]])("rows that are committed late, %s", (name) => {
	describe.skipIf(missing(name)).each<[Sight]>([["sees all transactions"], ["sees its own only"]])(
		"by a user who %s",
		(sight) => {
			let shop: Shop;
			let project: Project;
			let login: Awaited<ReturnType<typeof loginWith>>;
			let tables: readonly ("orders" | "journal")[] = [];
			const open: TextClient[] = [];

			beforeAll(async () => {
				shop = await Shop.open(name);
				login = await loginWith(shop, sight);
			});
			afterAll(async () => {
				await login?.drop();
				await shop?.[Symbol.asyncDispose]();
			});
			beforeEach(async () => {
				await shop.sql("delete from orders; delete from journal");
				// MariaDB shows nobody's transactions without PROCESS: a time cursor then needs `late`, a number has no remedy.
				const blind = shop.dialect === "mysql" && sight === "sees its own only";
				tables = blind ? ["orders"] : ["orders", "journal"];
				project = new Project({
					"pipelines/p.yaml": `from: ${login.url}\nto: duckdb:w.duckdb\ntables:
  ${shop.schema}.orders: { mode: incremental, cursor: modified${blind ? ", late: 5m" : ""} }
  ${blind ? "" : `${shop.schema}.journal: { mode: incremental, cursor: seq }`}\n`,
				});
			});
			afterEach(async () => {
				for (const client of open.splice(0)) await client.close();
				project[Symbol.dispose]();
			});

			async function begin(): Promise<TextClient> {
				const client = await shop.database.connect();
				open.push(client);
				await client.query("start transaction");
				return client;
			}
			const insert = (client: { query(sql: string): Promise<unknown> }, id: number) =>
				client.query(
					`insert into orders values (${id}, 'n', 1, ${shop.now}, 0); insert into journal (note) values ('n${id}'), ('same')`,
				);
			async function expectEqual(when: string): Promise<void> {
				await project.succeed("run", "p");
				const found = (await readWarehouse(project.path("w.duckdb"))).tables;
				for (const table of tables)
					expect(found.get(`${shop.schema}.${table}`), `${table} ${when}`).toEqual(await shop.lines(table));
			}

			test("a transaction that stays open over two runs loses nothing and doubles nothing", async () => {
				await insert(shop.database, 1);
				await expectEqual("at first");
				const late = await begin();
				await insert(late, 2);
				await insert(shop.database, 3);
				await expectEqual("while one is open");
				await insert(shop.database, 4);
				await expectEqual("while it is still open");
				await late.query("commit");
				await expectEqual("after its commit");
				await insert(shop.database, 5);
				await expectEqual("later");
			});

			test("a transaction that was open before the first run and one that is rolled back", async () => {
				const first = await begin();
				await insert(first, 1);
				await insert(shop.database, 2);
				await expectEqual("at first");
				const second = await begin();
				await insert(second, 3);
				await insert(shop.database, 4);
				await expectEqual("with two open");
				await first.query("commit");
				await second.query("rollback");
				await expectEqual("after both");
			});

			test("any sequence of transactions that overlap runs", async () => {
				const random = new Random(name.length * 100 + sight.length);
				let id = 0;
				const running: TextClient[] = [];
				for (let step = 0; step < 12; step++) {
					for (let change = random.integer(4); change > 0; change--) {
						id++;
						if (random.chance(0.5)) {
							const client = await begin();
							await insert(client, id);
							running.push(client);
						} else await insert(shop.database, id);
						if (running.length > 0 && random.chance(0.4))
							await running
								.splice(random.integer(running.length), 1)[0]!
								.query(random.chance(0.8) ? "commit" : "rollback");
					}
					if (random.chance(0.6)) await expectEqual(`in step ${step}`);
				}
				for (const client of running) await client.query("commit");
				await expectEqual("at the end");
			});
		},
	);
});

describe.skipIf(missing("mariadb"))("without the right to see open transactions", () => {
	test("a run says what may be missed, where no `late` covers it", async () => {
		await using shop = await Shop.open("mariadb");
		const login = await loginWith(shop, "sees its own only");
		using project = new Project({
			"pipelines/p.yaml": `from: ${login.url}\nto: duckdb:w.duckdb\ntables:
  ${shop.schema}.orders: { mode: incremental, cursor: modified, late: 5m }
  ${shop.schema}.journal: { mode: incremental, cursor: seq }\n`,
		});
		const result = await project.start(["run", "p"], { plain: true }).ended;
		expect(result.code).toBe(0);
		const warnings = result.stderr.split("\n").filter((line) => line.includes("PROCESS"));
		expect(warnings).toHaveLength(1);
		expect(warnings[0]).toMatch(/journal/);
		await login.drop();
	});
});

describe.skipIf(missing("postgres15"))("late: for clocks that are not the database's", () => {
	test("a row whose application stamped it in the past arrives while `late` covers it", async () => {
		await using shop = await Shop.open("postgres15");
		using project = new Project({
			"pipelines/p.yaml": `from: ${shop.url}\nto: duckdb:w.duckdb\ntables:
  ${shop.schema}.orders: { mode: incremental, cursor: modified, late: 10m }\n`,
		});
		await shop.sql("insert into orders values (1, 'a', 1, clock_timestamp(), 0)");
		await project.succeed("run", "p");
		await shop.sql("insert into orders values (2, 'late', 1, clock_timestamp() - interval '9 minutes', 0)");
		await project.succeed("run", "p");
		await until(async () => {
			const { tables } = await readWarehouse(project.path("w.duckdb"));
			return tables.get("public.orders")?.length === 2;
		}, "both rows are there");
		const { tables } = await readWarehouse(project.path("w.duckdb"));
		expect(tables.get("public.orders")).toEqual(await shop.lines("orders"));
	});
});
