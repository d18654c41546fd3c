import { describe, expect, test } from "vitest";
import { BACKEND, openWarehouse, redshiftConnection, s3Connection } from "../connectors/redshift-support.ts";
import { Project } from "../faults/project.ts";
import { withDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";

/** The pipeline of the course: a table of net promoter scores, whole and then day by day, into Redshift by way of S3. */
const PIPELINE = (database: string) => `
from: prod
to: warehouse
staging: lake
timezone: UTC
retries: 0
start: 2018-07-01
tables:
  ${database}.nps: { mode: full, into: raw.nps }
  nps_daily:
    query: select id, created_at, score from ${database}.nps where date(created_at) = date('{{ execution_date }}')
    mode: interval
    write: merge
    key: id
    cursor: created_at
    into: raw.nps_daily
  nps_upsert:
    query: select id, created_at, score, comment from ${database}.nps
    mode: incremental
    cursor: created_at
    key: id
    into: raw.nps_upsert
checks:
  - { table: raw.nps, rows: "> 0", not_null: [score], unique: [id] }
`;

describe.skipIf(missing("mariadb") ?? missing(BACKEND))("the course's pipeline, MariaDB to Redshift (stand-in)", () => {
	test("full, by day with a backfill of 31 days, and upserts: twice, with equal tables", {
		timeout: 240_000,
	}, async () => {
		await withDatabase("mariadb", async (source) => {
			await using warehouse = await openWarehouse();
			await source.query(
				"create table nps (id int primary key, created_at datetime(6) not null, score tinyint not null, comment varchar(200))",
			);
			// 31 days of July, 100 answers a day, and some before and after.
			await source.query(
				`insert into nps select seq, timestamp('2018-06-30') + interval (seq * 1209) second, seq % 11,
					if(seq % 7 = 0, null, concat('naïve, "', seq, '" \\\\ 🙂')) from seq_1_to_2400`,
			);
			using project = new Project({
				"connections.yaml": `prod: ${source.url}\nwarehouse: ${redshiftConnection(warehouse)}\nlake: ${s3Connection(warehouse)}\n`,
				"pipelines/nps.yaml": PIPELINE(source.name),
			});
			const { client } = warehouse;
			const backfill = [
				"backfill",
				"nps",
				"-s",
				"2018-07-01",
				"-e",
				"2018-08-01",
				"--table",
				"nps_daily",
				"--max-active-runs",
				"2",
			];
			const full = ["run", "nps", "--table", `${source.name}.nps`];
			const upsert = ["run", "nps", "--table", "nps_upsert"];
			const july = "created_at >= '2018-07-01' and created_at < '2018-08-01'";
			const equal = async () => {
				const columns = "id, cast(created_at as char), score";
				const all = await source.query(`select ${columns}, comment from nps order by id`);
				const days = await source.query(`select ${columns} from nps where ${july} order by id`);
				const wanted = (rows: readonly Record<string, string | null>[]) =>
					rows.map((row) => Object.values(row).map((value) => value?.replace(/\.000000$/, "") ?? null));
				expect(await client.arrays("select id, created_at, score, comment from raw.nps order by id")).toEqual(
					wanted(all),
				);
				expect(await client.arrays("select id, created_at, score, comment from raw.nps_upsert order by id")).toEqual(
					wanted(all),
				);
				expect(await client.arrays("select id, created_at, score from raw.nps_daily order by id")).toEqual(
					wanted(days),
				);
			};
			for (let pass = 0; pass < 2; pass++) {
				await project.succeed(...full);
				const runs = await project.succeed(...backfill);
				expect(runs).toHaveLength(31);
				await project.succeed(...upsert);
				await equal();
			}
			// The same from one command, after changes at the source: a new answer, and one that was corrected.
			await source.query(
				"update nps set score = 10, created_at = '2018-08-20 10:00:00' where id = 5; insert into nps values (9001, '2018-08-20 11:00:00', 3, '')",
			);
			await project.succeed(...full);
			await project.succeed(...upsert);
			await project.succeed(...backfill);
			await equal();
			expect(warehouse.s3.keys("lake", "staging/")).toEqual([]);
		});
	});

	test("a folder goes there without a pipeline file, by way of the staging that is named", async () => {
		await using warehouse = await openWarehouse();
		using project = new Project({
			"connections.yaml": `warehouse: ${redshiftConnection(warehouse)}\nlake: ${s3Connection(warehouse)}\n`,
			"scores/nps.csv": "id,score\n1,10\n2,7\n",
		});
		const copy = ["copy", "./scores", "warehouse", "--into", "raw.{table}"];
		for (const words of [[], ["--staging", "./staged"]])
			expect(await project.run(...copy, ...words)).toMatchObject({
				code: 2,
				stdout: expect.stringContaining("--staging s3://bucket/prefix"),
			});
		await project.succeed(...copy, "--staging", "lake", "--save", "pipelines/scores.yaml");
		expect(await warehouse.client.arrays("select * from raw.nps order by id")).toEqual([
			["1", "10"],
			["2", "7"],
		]);
		expect(warehouse.s3.keys("lake", "staging/")).toEqual([]);
		expect(project.read("pipelines/scores.yaml")).toContain("staging: lake\n");
	});
});
