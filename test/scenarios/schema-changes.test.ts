import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunReceipt } from "../../src/core/index.ts";
import type { SchemaPolicy } from "../../src/flow/schema-rules.ts";
import { envelopeOf, Project } from "../faults/project.ts";
import { Shop } from "../faults/shop.ts";
import type { ServerName } from "../support/server.ts";
import { missing } from "../support/start.ts";
import { type Outcome, SCHEMA_CASES, type SchemaCase } from "./schema-cases.ts";
import { Target, type TargetName } from "./schema-target.ts";

const POLICIES: readonly SchemaPolicy[] = ["evolve", "freeze", "discard", "fail"];
const WAYS: readonly (readonly [ServerName, TargetName])[] = [
	["mariadb", "duckdb"],
	["postgres15", "duckdb"],
	["mariadb", "postgres15"],
	["postgres15", "postgres15"],
];

/** The cursor as text of the source's own. */
const AT = (day: number) => `'2026-01-0${day} 00:00:00'`;

describe.each(WAYS)("columns that change, %s to %s", (name, into) => {
	describe.skipIf(missing(name) || missing(into === "duckdb" ? name : into))("", () => {
		const policies = new Map<SchemaPolicy, Way>();
		afterAll(async () => {
			for (const way of policies.values()) await way[Symbol.asyncDispose]();
		});

		describe.each(POLICIES)("%s", (policy) => {
			let way: Way;
			beforeAll(async () => {
				way = await Way.open(name, into, policy);
				policies.set(policy, way);
				await way.run();
			}, 120_000);

			test("the run told what stopped, and exits with 1 when something did", () => {
				const { code, stdout } = way.last!;
				expect(code, stdout).toBe(policy === "evolve" ? 0 : 1);
				if (policy !== "fail") return;
				const { errors, data } = envelopeOf(way.last!);
				expect(data?.runs ?? []).toEqual([]);
				expect(new Set(errors.map((error) => error.code))).toEqual(new Set(["E_SCHEMA"]));
				const stopped = errors.map((error) => /^\S+\.(\w+) changed/.exec(error.message)?.[1]);
				expect(stopped.sort()).toEqual(
					way.cases
						.filter((each) => each.mayPass !== true)
						.map((each) => each.name)
						.sort(),
				);
			});

			for (const each of SCHEMA_CASES)
				test.skipIf(each.only !== undefined && each.only !== (name === "mariadb" ? "mysql" : "postgres"))(
					each.name,
					async () => {
						if (policy === "fail") {
							expect(await way.rows(each)).toEqual(way.before(each));
							return;
						}
						const outcome = each.outcome(way.shop.dialect)[policy];
						const receipt = way.receipt(each);
						expect(receipt.error?.code, receipt.error?.message).toBe(outcome.error);
						expect(await way.rows(each)).toEqual(outcome.rows);
						expectTold(receipt, outcome);
					},
				);
		});
	});
});

function expectTold(receipt: RunReceipt["tables"][number], outcome: Outcome): void {
	expect(receipt.values_changed).toEqual(outcome.changed ?? {});
	if (outcome.told === undefined) return;
	const told = (receipt.schema_changes ?? []).map(({ column, change, action }) => `${column} ${change}: ${action}`);
	expect(told).toHaveLength(outcome.told.length);
	for (const [index, text] of outcome.told.entries()) {
		const [change, action] = text.split(": ");
		expect(told[index]).toMatch(new RegExp(`^${change}.*: ${action}$`));
	}
}

/** All cases' tables of one source and one destination under one policy. */
class Way implements AsyncDisposable {
	readonly shop: Shop;
	readonly target: Target;
	readonly project = new Project();
	readonly policy: SchemaPolicy;
	readonly cases: readonly SchemaCase[];
	last: Awaited<ReturnType<Project["run"]>> | null = null;
	readonly #before = new Map<string, readonly string[]>();

	private constructor(shop: Shop, target: Target, policy: SchemaPolicy) {
		this.shop = shop;
		this.target = target;
		this.policy = policy;
		this.cases = SCHEMA_CASES.filter((each) => each.only === undefined || each.only === shop.dialect);
	}

	static async open(name: ServerName, into: TargetName, policy: SchemaPolicy): Promise<Way> {
		const shop = await Shop.bare(name);
		return new Way(shop, await Target.open(into), policy);
	}

	#write(changed: boolean): void {
		const tables = this.cases.map(({ name, options }) => {
			const more = changed && options !== undefined ? `, ${options}` : "";
			return `  ${this.shop.schema}.${name}: { mode: incremental, cursor: modified, into: raw.${name}${more} }`;
		});
		this.project.write(
			"pipelines/p.yaml",
			`from: ${this.shop.url}\nto: "${this.target.url(this.project)}"\nretries: 0\nschema_changes: ${this.policy}\ntables:\n${tables.join("\n")}\n`,
		);
	}

	/** Loads all tables, changes them, and runs again. */
	async run(): Promise<void> {
		const { shop, project } = this;
		// Without fractions, and of no zone: what the source prints is what the destination has.
		const at = shop.dialect === "mysql" ? "datetime" : "timestamp";
		for (const { name, columns, rows } of this.cases) {
			await shop.sql(`create table ${name} (id int primary key, ${columns}, modified ${at} not null)`);
			for (const [index, values] of rows.entries())
				await shop.sql(`insert into ${name} values (${index + 1}, ${values}, ${AT(index + 1)})`);
		}
		this.#write(false);
		await project.succeed("run", "p");
		for (const each of this.cases) this.#before.set(each.name, await this.rows(each));
		for (const { name, change, late } of this.cases) {
			for (const statement of change(shop.dialect)) await shop.sql(statement.replaceAll("$", name));
			await shop.sql(`insert into ${name} (id, ${late[0]}, modified) values (3, ${late[1]}, ${AT(3)})`);
		}
		this.#write(true);
		this.last = await project.run("run", "p");
	}

	before({ name }: SchemaCase): readonly string[] {
		return this.#before.get(name)!;
	}

	receipt({ name }: SchemaCase): RunReceipt["tables"][number] {
		const { data } = envelopeOf(this.last!);
		return data!.runs[0]!.tables.find((table) => table.into === `raw.${name}`)!;
	}

	rows({ name }: SchemaCase): Promise<string[]> {
		return this.target.lines(this.project, `raw.${name}`, ["modified"]);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.project[Symbol.dispose]();
		await this.shop[Symbol.asyncDispose]();
		await this.target[Symbol.asyncDispose]();
	}
}
