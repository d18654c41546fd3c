import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Project } from "../faults/project.ts";
import { Shop } from "../faults/shop.ts";
import type { ServerName } from "../support/server.ts";
import { missing } from "../support/start.ts";
import { Target, type TargetName } from "./schema-target.ts";

const WAYS: readonly (readonly [ServerName, TargetName, "append" | "merge"])[] = [
	["postgres15", "duckdb", "append"],
	["mariadb", "postgres15", "merge"],
];

describe.each(WAYS)("a table that goes from the destination, %s to %s", (name, into, how) => {
	describe.skipIf(missing(name) || missing(into === "duckdb" ? name : into))("", () => {
		let shop: Shop;
		let target: Target;
		let project: Project;
		let at: string;
		beforeAll(async () => {
			shop = await Shop.bare(name);
			at = shop.dialect === "mysql" ? "datetime" : "timestamp";
		});
		afterAll(() => shop?.[Symbol.asyncDispose]());
		beforeEach(async () => {
			target = await Target.open(into);
			project = new Project();
			await shop.sql(`drop table if exists t; create table t (id int primary key, at ${at} not null);
				insert into t values (1, '2026-01-01'), (2, '2026-01-02'), (3, '2026-01-03')`);
		});
		afterEach(async () => {
			project[Symbol.dispose]();
			await target[Symbol.asyncDispose]();
		});

		const write = (options: string, keys = "") =>
			project.write(
				"pipelines/p.yaml",
				`from: ${shop.url}\nto: "${target.url(project)}"\nretries: 0\n${keys}\ntables:\n  ${shop.schema}.t: ${options}\n`,
			);
		const ids = async (table: string) => (await target.lines(project, table, ["at"])).join();
		const drop = (table: string) => target.execute(project, `drop table ${table}`);
		const run = (...words: string[]) => project.succeed("run", "p", ...words);
		const told = async (...words: string[]) => {
			const result = await project.run("run", "p", ...words);
			expect(result.code, result.stdout + result.stderr).toBe(0);
			return result.stderr;
		};

		test(`by a cursor (${how}): all rows are read anew, under a new name too`, async () => {
			const options = (raw: string) => `{ mode: incremental, cursor: at, write: ${how}, into: raw.${raw} }`;
			write(options("t"));
			await run();
			await drop("raw.t");
			await shop.sql("insert into t values (4, '2026-01-04')");
			expect(await told()).toMatch(/raw\.t is not in the destination.*read anew/);
			expect(await ids("raw.t")).toBe("1,2,3,4");
			write(options("u"));
			expect(await told()).toMatch(/raw\.u is not in the destination/);
			expect(await told()).not.toMatch(/not in the destination/);
			expect(await ids("raw.u")).toBe("1,2,3,4");
		});

		test("of intervals: the run says that the others are not there, and a backfill brings them", async () => {
			write("{ mode: interval, cursor: at, into: raw.t }");
			const days = ["-s", "2026-01-01", "-e", "2026-01-04"];
			await project.succeed("backfill", "p", ...days);
			await drop("raw.t");
			expect(await told("--interval", "2026-01-02")).toMatch(/2 intervals between 2026-01-01.*2026-01-04.*backfill/);
			expect(await ids("raw.t")).toBe("2");
			await project.succeed("backfill", "p", ...days);
			expect(await ids("raw.t")).toBe("1,2,3");
		});

		// Nobody else can open a DuckDB file that a run holds.
		if (into !== "duckdb")
			test("while its log is followed: the run stops, and the next one reads all rows", async () => {
				write("{ mode: cdc, into: raw.t }", "flush: { seconds: 0.1 }");
				const following = project.start(["run", "p", "--follow"]);
				await expect.poll(() => ids("raw.t").catch(() => ""), { timeout: 30_000 }).toBe("1,2,3");
				await shop.sql("insert into t values (4, '2026-01-04')");
				await expect.poll(() => ids("raw.t"), { timeout: 30_000 }).toBe("1,2,3,4");
				await drop("raw.t");
				await shop.sql("insert into t values (5, '2026-01-05')");
				const ended = await following.ended;
				expect(ended.code, ended.stderr).toBe(1);
				expect(ended.stderr).toMatch(/E_BASE_MISSING/);
				await expect(ids("raw.t")).rejects.toThrow();
				expect(await told()).toMatch(/raw\.t is not in the destination.*read anew/);
				expect(await ids("raw.t")).toBe("1,2,3,4,5");
			});
	});
});
