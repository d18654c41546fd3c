/**
 * Logs that no longer hold what a pipeline has not read, or are no longer those that it read: it stops by name, touches
 * nothing, and the command that it prints is the cure, as it is printed.
 */
import { describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/index.ts";
import type { RunningServer } from "../support/server.ts";
import type { TestDatabase } from "../support/shared.ts";
import { missing, startServer } from "../support/start.ts";
import { Followed, ownServer } from "./followed.ts";

describe.skipIf(missing("mariadb"))("a log of MariaDB that is not what it was", () => {
	const server = ownServer("mariadb");

	test("was purged", async () => {
		await using followed = await Followed.open(server());
		await followed.database.query("insert into items values (3, 'three')");
		await server().admin("flush binary logs");
		const [status] = await server().admin("show master status");
		// A file that InnoDB may still need after a crash stays for a moment.
		await expect
			.poll(async () => {
				await server().admin(`purge binary logs to '${status!["File"]}'`);
				return (await server().admin("show binary logs"))[0]?.["Log_name"];
			})
			.toBe(status!["File"]);
		await followed.expectRepair("E_HISTORY_GONE");
	});

	test("was reset, and is in another file", async () => {
		await server().admin("flush binary logs");
		await using followed = await Followed.open(server());
		await server().admin("reset master");
		await followed.database.query("insert into items values (3, 'three')");
		await followed.expectRepair("E_HISTORY_GONE");
	});

	test("was reset, and has a file of the same name that is as long", async () => {
		await server().admin("reset master");
		await using followed = await Followed.open(server());
		await followed.database.query("update items set name = 'uno' where id = 1");
		await followed.project.succeed("run", "shop");
		const offset = async () => Number((await server().admin("show master status"))[0]!["Position"]);
		const before = await offset();
		await server().admin("reset master");
		while ((await offset()) < before) await followed.database.query("update items set name = concat(name, '+')");
		await followed.expectRepair("E_HISTORY_MISMATCH");
	});

	test("rests: a table that is to be read anew is read, though a run was killed before it and its place is as before", async () => {
		await using followed = await Followed.open(server());
		const { project } = followed;
		{
			await using engine = await Engine.open({ path: project.path("copy.duckdb") });
			await using connection = await engine.connect();
			await connection.execute(`delete from "${followed.schema}".items where id = 1`);
		}
		await project.succeed("resync", "shop", "--table", `${followed.schema}.items`);
		const killed = await project.start(["run", "shop"], { env: { HEADRACE_CRASH: "cdc-reading" } }).ended;
		expect(killed.signal).toBe("SIGKILL");
		await project.succeed("run", "shop");
		expect(await followed.rows()).toEqual(["1|one", "2|two"]);
		await followed.expectEqual();
	});

	test("a failover to a replica that lacks transactions waits for them, or begins anew", async () => {
		await using replica = await startServer("mariadb", { settings: { server_id: 2, log_slave_updates: 1 } });
		await replicate(server(), replica);
		await using followed = await Followed.open(server());
		const copy = () => copyOn(replica, followed.database.name);
		await caughtUp(server(), replica);
		await replica.admin("stop slave");
		await followed.database.query("insert into items values (3, 'three'); delete from items where id = 1");
		await followed.project.succeed("run", "shop");
		followed.moveTo(copy());
		const command = await followed.expectStop("E_ERRANT");
		expect(await followed.rows()).toEqual(["2|two", "3|three"]);

		// The one way: the replica gets what it lacks, and the pipeline goes on there without reading anything anew.
		await replica.admin("start slave");
		await caughtUp(server(), replica);
		await replica.admin("stop slave");
		const [idle] = await followed.project.succeed("run", "shop");
		expect(idle!.tables.map(({ rows_read }) => rows_read)).toEqual([0, 0]);
		await copy().query("update items set name = 'dos' where id = 2");
		const [next] = await followed.project.succeed("run", "shop");
		expect(next!.tables.map(({ rows_read }) => rows_read)).toEqual([1, 0]);
		expect(await followed.rows()).toEqual(["2|dos", "3|three"]);

		// The other: back to a server that never has them.
		followed.moveTo(followed.database);
		expect(await followed.expectStop("E_ERRANT")).toEqual(command);
		await followed.project.succeed(...command);
		await followed.expectEqual();
	});
});

/** From now on; what is there already is the same on every server of the tests. */
async function replicate(primary: RunningServer, replica: RunningServer): Promise<void> {
	const [place] = await primary.admin("select @@global.gtid_binlog_pos as gtid");
	await replica.admin(`reset master; set global gtid_slave_pos = '${place!["gtid"]}';
		change master to master_host = '${primary.host}', master_port = ${primary.port}, master_user = '${primary.user}',
			master_password = '${primary.password}', master_use_gtid = slave_pos;
		start slave`);
}

async function caughtUp(primary: RunningServer, replica: RunningServer): Promise<void> {
	const [place] = await primary.admin("select @@global.gtid_binlog_pos as gtid");
	const [row] = await replica.admin(`select master_gtid_wait('${place!["gtid"]}', 60) as waited`);
	expect(row!["waited"]).toBe("0");
}

/** The same database on another server. */
function copyOn(server: RunningServer, name: string): TestDatabase {
	const never = () => Promise.reject(new Error("it belongs to its primary"));
	return {
		server,
		name,
		url: server.url(name),
		readerUrl: server.readerUrl(name),
		query: (sql) => server.query(name, sql),
		connect: never,
		drop: never,
		[Symbol.asyncDispose]: never,
	};
}

describe.skipIf(missing("mysql56"))("GTIDs of MySQL that are gone", () => {
	const server = ownServer("mysql56");

	test("were reset before anything came after the first reading", async () => {
		await using followed = await Followed.open(server());
		await server().admin("reset master");
		await followed.database.query("insert into items values (3, 'three')");
		await followed.expectRepair("E_ERRANT");
	});

	test("were purged before they were read", async () => {
		await using followed = await Followed.open(server());
		await followed.database.query("insert into items values (3, 'three')");
		await server().admin("flush binary logs");
		const [status] = await server().admin("show master status");
		await server().admin(`purge binary logs to '${status!["File"]}'`);
		await followed.expectRepair("E_HISTORY_GONE");
	});
});

describe.skipIf(missing("postgres15"))("a slot of PostgreSQL that is not what it was", () => {
	const server = ownServer("postgres15", {
		max_slot_wal_keep_size: "16MB",
		min_wal_size: "32MB",
		max_wal_size: "32MB",
	});
	/** Once the server has seen that its reader is gone. */
	const slotOf = async (followed: Followed): Promise<string> => {
		const ask = () =>
			followed.database.query("select slot_name, active from pg_replication_slots where database = current_database()");
		await expect.poll(async () => (await ask()).map(({ active }) => active)).toEqual(["f"]);
		return (await ask())[0]!["slot_name"]!;
	};

	test("was dropped", async () => {
		await using followed = await Followed.open(server());
		await followed.database.query(`select pg_drop_replication_slot('${await slotOf(followed)}')`);
		await followed.database.query("insert into items values (3, 'three')");
		await followed.expectRepair("E_HISTORY_GONE");
	});

	test("was made anew", async () => {
		await using followed = await Followed.open(server());
		const slot = await slotOf(followed);
		await followed.database.query(`select pg_drop_replication_slot('${slot}')`);
		await followed.database.query("insert into items values (3, 'three')");
		await followed.database.query(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
		await followed.expectRepair("E_SLOT_AHEAD");
	});

	test("was moved on by hand", async () => {
		await using followed = await Followed.open(server());
		await followed.database.query("insert into items values (3, 'three')");
		await followed.database.query(
			`select pg_replication_slot_advance('${await slotOf(followed)}', pg_current_wal_lsn())`,
		);
		await followed.expectRepair("E_SLOT_AHEAD");
	});

	test("kept more than the server lets a slot keep", async () => {
		await using followed = await Followed.open(server());
		await followed.database.query("insert into items values (3, 'three'); create table filler (id integer)");
		for (let count = 0; count < 4; count++)
			await followed.database.query("insert into filler values (1); select pg_switch_wal()");
		await followed.database.query("checkpoint");
		await followed.expectRepair("E_HISTORY_GONE");
	});

	test("is another server's, which has tables of the same names", async () => {
		await using other = await startServer("postgres15");
		await using followed = await Followed.open(server());
		await using elsewhere = await Followed.open(other);
		await elsewhere.database.query("update items set name = 'elsewhere'");
		followed.moveTo(elsewhere.database);
		const command = await followed.expectStop("E_HISTORY_MISMATCH");
		await followed.project.succeed(...command);
		await followed.expectEqual(elsewhere.database);
	});
});
