/** One transaction of the source that is larger than what a run may hold. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Engine } from "../../src/engine/index.ts";
import { BACKEND, openWarehouse, redshiftConnection, s3Connection } from "../connectors/redshift-support.ts";
import { Project, until } from "../faults/project.ts";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { missing } from "../support/start.ts";

/** `ROWS=2000000` is a size that memory would be missed at. */
const rows = Number(process.env["ROWS"] ?? 5_000);

test.skipIf(missing("mariadb") || missing(BACKEND))(
	"goes as several staged files and is committed as one",
	async () => {
		await using database = await freshDatabase(await sharedServer("mariadb"), "large");
		await using warehouse = await openWarehouse();
		await database.query("create table items (id bigint primary key, note mediumtext)");
		await database.query("insert into items values (0, 'before')");
		using project = new Project({
			"connections.yaml": `source: "${database.url}"\nwarehouse: ${redshiftConnection(warehouse)}\nlake: ${s3Connection(warehouse)}\n`,
			"pipelines/large.yaml": `from: source\nto: warehouse\nstaging: lake\nretries: 0\nmemory: 96MB\ntables:\n  ${database.name}.items: { mode: cdc, into: raw.items }\n`,
		});
		await project.succeed("run", "large");
		await database.query(
			`start transaction;
			insert into items select seq, repeat(md5(seq), 100) from seq_1_to_${rows};
			update items set note = concat('changed ', id) where id % 2 = 0;
			delete from items where id % 3 = 0;
			update items set id = -id where id % 5 = 0;
			commit`,
		);
		const { log } = warehouse.redshift;
		log.length = 0;
		await project.succeed("run", "large");
		const commits = log.filter((sql) => sql.startsWith("INSERT INTO _headrace.loads"));
		expect(commits).toHaveLength(1);
		expect(log.filter((sql) => sql.startsWith("COPY")).length).toBeGreaterThan(2);
		const count = "select count(*) as n, sum(id) as ids, sum(length(note)) as bytes from";
		const [there] = await database.query(`${count} items`);
		const [here] = await warehouse.client.query(`${count} raw.items`);
		expect(here).toEqual(there);
		expect(warehouse.s3.keys("lake", "staging/")).toEqual([]);
	},
	120_000 + rows / 10,
);

test.skipIf(missing("mariadb"))(
	"goes into a DuckDB file in parts, and the run holds 300 MB at most",
	async () => {
		const count = Math.max(rows, 100_000);
		await using database = await freshDatabase(await sharedServer("mariadb"), "large");
		await database.query("create table items (id bigint primary key, note varchar(200))");
		using project = new Project({
			"connections.yaml": `source: "${database.url}"\ncopy: "duckdb:copy.duckdb"\n`,
			"pipelines/large.yaml": `from: source\nto: copy\nretries: 0\ntables:\n  ${database.name}.items: { mode: cdc, into: raw.items }\n`,
		});
		await project.succeed("run", "large");
		await database.query(
			`start transaction;
			insert into items select seq, repeat(md5(seq), 4) from seq_1_to_${count};
			update items set note = concat('changed ', id) where id % 2 = 0;
			delete from items where id % 3 = 0;
			commit`,
		);
		const running = project.start(["run", "large"]);
		let heldMegabytes = 0;
		let isOver = false;
		const ended = running.ended.finally(() => {
			isOver = true;
		});
		await until(
			() => {
				try {
					// It only grows.
					const status = readFileSync(`/proc/${running.pid}/status`, "utf8");
					heldMegabytes = (Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024) / 1e6 || heldMegabytes;
				} catch {
					// It has ended, or this is no Linux.
				}
				return isOver;
			},
			"the run ends",
			120_000 + count / 10,
		);
		expect((await ended).code).toBe(0);
		expect(heldMegabytes).toBeLessThan(300);
		const sums = "select count(*) as n, cast(sum(id) as char) as ids, cast(sum(length(note)) as char) as bytes from";
		const [there] = await database.query(`${sums} items`);
		await using engine = await Engine.open({ path: project.path("copy.duckdb"), readOnly: true });
		await using reader = await engine.connect();
		const [here] = await reader.query(`${sums.replaceAll("char)", "varchar)")} raw.items`);
		expect(Object.values(here!).map(String)).toEqual(Object.values(there!).map(String));
	},
	120_000 + rows / 10,
);
