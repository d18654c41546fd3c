/** One transaction of the source that is larger than what a run may hold, into a destination of staged files. */
import { expect, test } from "vitest";
import { BACKEND, openWarehouse, redshiftConnection, s3Connection } from "../connectors/redshift-support.ts";
import { Project } from "../faults/project.ts";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { missing } from "../support/start.ts";

/** `ROWS=2000000` is a size that memory would be missed at. */
const rows = Number(process.env["ROWS"] ?? 5_000);

test.skipIf(missing("mariadb") || missing(BACKEND))(
	"goes as several files and is committed as one",
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
