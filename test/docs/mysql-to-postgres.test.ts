import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Project } from "../faults/project.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";

const PAGE = readFileSync(join(import.meta.dirname, "../../docs/mysql-to-postgres.md"), "utf8");
const examples = (language: string) =>
	[...PAGE.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map(([, text]) => text!);

const ENV = { SHOP_PASSWORD: "read it", ANALYTICS_PASSWORD: "load it", SLACK_URL: "https://hooks.example.com/never" };

describe.skipIf(missing("mariadb") ?? missing("postgres18"))("the page on MySQL to Postgres", () => {
	let shop: TestDatabase;
	let analytics: TestDatabase;
	let project: Project;
	/** Users belong to a server, which others share. */
	const names = { headrace_loader: "", analysts: "", headrace: "" };

	/** A text of the page about the databases of this test. */
	const here = (text: string) =>
		text
			.replaceAll(/\bheadrace_loader\b|\banalysts\b/g, (name) => names[name as "analysts"])
			.replaceAll(/\bheadrace(?=[@:])/g, names.headrace)
			.replaceAll("db.internal/shop", `${shop.server.host}:${shop.server.port}/${shop.name}`)
			.replaceAll("pg.internal/analytics", `${analytics.server.host}:${analytics.server.port}/${analytics.name}`)
			.replaceAll("DATABASE analytics", `DATABASE ${analytics.name}`)
			.replaceAll(/\bshop\./g, `${shop.name}.`)
			.replaceAll("SCHEMA shop", `SCHEMA ${shop.name}`);

	beforeAll(async () => {
		[shop, analytics] = [
			await freshDatabase(await sharedServer("mariadb"), "shop"),
			await freshDatabase(await sharedServer("postgres18"), "analytics"),
		];
		for (const name of Object.keys(names) as (keyof typeof names)[]) names[name] = `${name}_${shop.name}`.slice(0, 60);
		await shop.query(`
			create table customers (id bigint unsigned primary key, name varchar(60), born date);
			create table orders (id bigint primary key, amount decimal(10,2), note json, modified timestamp(6) not null);
			create table order_lines (order_id bigint, line int, modified datetime not null, primary key (order_id, line));
			create table sessions (id bigint primary key);
			insert into customers values (18446744073709551615, 'Ann', null), (2, 'Бob', '1990-01-01');
			insert into orders values (1, 10.50, '{"a": 1}', '2026-01-01 10:00:00'), (2, -3, null, '2026-01-02 10:00:00');
			insert into order_lines values (1, 1, '2026-01-01 10:00:00'), (1, 2, '2026-01-01 10:00:00')`);
		const [onMysql, onPostgres] = examples("sql").map(here);
		await shop.query(onMysql!.replace("'…'", `'${ENV.SHOP_PASSWORD}'`));
		await analytics.query(onPostgres!.replace("'…'", `'${ENV.ANALYTICS_PASSWORD}'`));
		await analytics.query(`create role ${names.analysts} login password 'analyst'`);
		const [connections, pipeline] = examples("yaml").map(here);
		project = new Project({ "connections.yaml": connections!, "pipelines/shop.yaml": pipeline! });
	});
	afterAll(async () => {
		project?.[Symbol.dispose]();
		await shop?.query(`drop user if exists ${names.headrace}@'%'`);
		const { server } = analytics;
		await analytics?.drop();
		await server.admin(`drop role if exists ${names.headrace_loader}; drop role if exists ${names.analysts}`);
		await shop?.drop();
	});

	const headrace = async (...words: string[]) => {
		const result = await project.start(words, { env: ENV }).ended;
		expect([result.code, result.stdout, result.stderr]).toEqual([0, expect.anything(), expect.anything()]);
		return JSON.parse(result.stdout) as { data: { runs: { tables: Record<string, unknown>[] }[] } };
	};
	const rows = async (sql: string) => (await analytics.query(here(sql))).map((row) => Object.values(row).join("|"));

	test("its users have the rights that it takes, by check and by run", async () => {
		const { data } = (await headrace("check", "shop")) as unknown as { data: { findings: { severity: string }[] } };
		expect(JSON.stringify(data)).not.toContain('"error"');
		await headrace("plan", "shop");
		const { data: first } = await headrace("run", "shop");
		expect(first.runs[0]!.tables.map(({ table, mode, write }) => [table, mode, write]).sort()).toEqual([
			[`${shop.name}.customers`, "full", "replace"],
			[`${shop.name}.order_lines`, "incremental", "merge"],
			[`${shop.name}.orders`, "incremental", "merge"],
		]);
		expect(await rows("select * from shop.customers order by id")).toEqual([
			"2|Бob|1990-01-01",
			"18446744073709551615|Ann|",
		]);
	});

	test("its readers are let in, and stay so when a table is put in the place of another", async () => {
		const grants = examples("sql").map(here)[2]!;
		await analytics.query(`set role ${names.headrace_loader}; ${grants}; reset role`);
		await shop.query(`insert into customers values (3, 'Eve', '2000-02-29');
			update orders set amount = 99, modified = utc_timestamp(6) where id = 1;
			insert into orders values (3, 0, null, utc_timestamp(6))`);
		const { data } = await headrace("run", "shop");
		const orders = data.runs[0]!.tables.find(({ table }) => table === `${shop.name}.orders`);
		expect(orders).toMatchObject({ rows_inserted: 1, rows_updated: 1 });
		await analytics.query(`set role ${names.analysts}`);
		expect(await rows("select count(*) from shop.customers")).toEqual(["3"]);
		expect(await rows("select id, amount from shop.orders order by id")).toEqual(["1|99.00", "2|-3.00", "3|0.00"]);
		await analytics.query("reset role");
		expect(await rows("select count(*) from _headrace.positions where position is not null")).toEqual(["3"]);
	});

	test("a table can be begun anew", async () => {
		const command = /run shop --full-refresh --table [\w.]+/.exec(PAGE)!;
		await headrace(...here(command[0]).split(" "));
		expect(await rows("select count(*) from shop.orders")).toEqual(["3"]);
	});
});
