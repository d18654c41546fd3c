import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missing } from "../support/start.ts";
import { envelopeOf, Project } from "./project.ts";
import { Shop } from "./shop.ts";
import { assertConsistent, leftovers, readWarehouse } from "./warehouse.ts";

const ROWS = 120_000;
const prlimit = spawnSync("prlimit", ["--version"]).status === 0;
if (!prlimit) console.error("skipped: a full disk: prlimit is not installed (apt-get install util-linux)");

/** No file may grow past this: the write fails with EFBIG, which is what a full disk looks like to the program. */
const limited = (bytes: number) => ["prlimit", `--fsize=${bytes}:${bytes}`];

describe.skipIf(missing("mariadb") || !prlimit)("a full disk", () => {
	let shop: Shop;
	beforeAll(async () => {
		shop = await Shop.bare("mariadb");
		await shop.sql(`create table big (id bigint primary key, note varchar(200) not null, modified datetime not null);
			insert into big select seq, concat(md5(seq), md5(seq + 1), md5(seq + 2)), timestampadd(second, seq, '2026-01-01') from seq_1_to_1000`);
	});
	afterAll(() => shop?.[Symbol.asyncDispose]());

	test.each([
		["the DuckDB file", "", "full", 4 << 20],
		["the DuckDB file, in a merge", "", "incremental", 4 << 20],
		// A table goes to several files at once here, each a part of its rows.
		["the staging folder", "staging: ./staged\n", "full", 1 << 20],
		["the folder of Parquet files", "", "folder", 1 << 20],
	])(
		"under %s: E_NO_SPACE, the old rows stay, and with space again the next run is whole",
		async (_where, staging, how, limit) => {
			await shop.sql("delete from big where id > 1000");
			const mode = how === "incremental" ? "{ mode: incremental, cursor: modified }" : "{}";
			using project = new Project({
				"pipelines/p.yaml": `from: ${shop.url}\nto: ${how === "folder" ? "./out" : "duckdb:w.duckdb"}\nretries: 0\n${staging}tables: { ${shop.schema}.big: ${mode} }\n`,
			});
			await project.succeed("run", "p");
			const path = project.path("w.duckdb");
			const before = await readWarehouse(path);
			const outBefore = project.files("out").filter((file) => file.endsWith(".parquet"));
			await shop.sql(
				`insert into big select seq, concat(md5(seq), md5(seq + 1), md5(seq + 2)), timestampadd(second, seq, '2026-01-01') from seq_1001_to_${ROWS}`,
			);
			const result = await project.start(["run", "p"], { wrapper: limited(limit) }).ended;
			expect(result.code, result.stdout + result.stderr).toBe(1);
			expect(envelopeOf(result).errors).toMatchObject([{ code: "E_NO_SPACE" }]);
			const after = await readWarehouse(path);
			assertConsistent(after);
			if (how === "folder") expect(project.files("out").filter((file) => file.endsWith(".parquet"))).toEqual(outBefore);
			else expect(after.tables.get(`${shop.schema}.big`)).toEqual(before.tables.get(`${shop.schema}.big`));
			expect(project.files("staged").filter((file) => file.endsWith(".json"))).toEqual([]);

			await project.succeed("run", "p");
			const healed = await readWarehouse(path);
			if (how !== "folder")
				expect(healed.tables.get(`${shop.schema}.big`)).toEqual(await shop.linesOf("big", ["id", "note", "modified"]));
			expect(leftovers(healed)).toEqual([]);
			expect(project.files("staged")).toEqual([]);
		},
	);
});
