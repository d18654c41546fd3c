import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Project } from "../faults/project.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";

/** The YAML examples of a page, in their order. */
function examplesOf(page: string): string[] {
	const text = readFileSync(join(import.meta.dirname, "../../docs", page), "utf8");
	return [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml]) => yaml!);
}

describe.skipIf(missing("mariadb"))("examples of the pages about checks, summaries, hooks and columns run", () => {
	let prod: TestDatabase;
	beforeAll(async () => {
		prod = await freshDatabase(await sharedServer("mariadb"), "prod");
		await prod.query(`create table orders (id bigint primary key, customer_id bigint, state varchar(20), amount decimal(10,2),
				currency char(3), created_at datetime not null, modified datetime not null);
			insert into orders values (1, 5, 'paid', 10, 'EUR', '2026-01-01', utc_timestamp()), (2, 5, 'new', 2.5, 'USD', '2026-01-02', utc_timestamp());
			create table people (id bigint primary key, password_hash text, email text, card text, birth_date date, name text, score int);
			insert into people values (1, 'x', 'ann@example.com', '4111111111111111', '1990-01-01', 'Ann', 7);
			create procedure refresh_report_tables() update orders set amount = amount`);
	});
	afterAll(() => prod?.drop());

	test.each([
		["checks.md", 0],
		["summaries.md", 0],
		["summaries.md", 1],
		["columns.md", 0],
	])("%s, example %d", async (page, index) => {
		const example = examplesOf(page)
			[index]!.replaceAll("prod.", `${prod.name}.`)
			.replace("call refresh", `call ${prod.name}.refresh`);
		using project = new Project({
			"connections.yaml": `shop_prod: ${prod.url}\nwarehouse: duckdb:dw.duckdb\n`,
			"pipelines/shop.yaml": example.includes("from:") ? example : `from: shop_prod\nto: warehouse\n${example}`,
			"pipelines/prepare.yaml": `from: shop_prod\nto: warehouse\ntables: { ${prod.name}.people: {} }\nhooks: { before: [{ on: destination, sql: ["create schema if not exists audit", "create schema if not exists mart", "create table audit.runs (run text)"] }] }`,
		});
		await project.succeed("run", "prepare");
		const result = await project.start(["run", "shop"], { env: { PII_KEY: "a key of tests" } }).ended;
		expect([result.code, result.stderr, result.stdout]).toEqual([0, expect.anything(), expect.anything()]);
		expect(project.output.join("\n")).not.toContain("ann@example.com");
	});
});
