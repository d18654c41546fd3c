import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningServer } from "../support/server.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing, startServer } from "../support/start.ts";
import { type CliResult, envelopeOf, headrace } from "./cli.ts";
import { verb } from "./in-process.ts";

let directory: string;
beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), "headrace-changes-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const run = (...args: string[]) => verb(directory, args);

async function succeed(...args: string[]): Promise<CliResult> {
	const result = await run(...args);
	expect(result, `${args.join(" ")}\n${result.stderr}`).toMatchObject({ code: 0 });
	return result;
}

async function dataOf<Data>(...args: string[]): Promise<Data> {
	return envelopeOf(await succeed(...args, "--json")).data as Data;
}

interface Status {
	readonly pipelines: readonly {
		readonly changes: {
			readonly state: string;
			readonly position: string;
			readonly bytes_behind: number;
			readonly kept_bytes: number | null;
			readonly problem: { readonly code: string } | null;
			readonly tables: readonly { readonly table: string; readonly state: string }[];
		};
	}[];
}

const changesOf = async (pipeline: string) => (await dataOf<Status>("status", pipeline)).pipelines[0]!.changes;

function pipeline(name: string, lines: readonly string[]): void {
	writeFileSync(join(directory, `${name}.yaml`), `pipeline: ${name}\n${lines.join("\n")}\n`);
}

/** Lines of a table as it stands, by the verb, without its heading. */
async function historyAt(name: string, table: string, time: string): Promise<string[]> {
	const { stdout } = await succeed("history", name, table, "--as-of", time);
	return stdout.trim().split("\n").slice(1);
}

describe.skipIf(missing("postgres15"))("tables that follow PostgreSQL's log", () => {
	let source: TestDatabase;
	let target: TestDatabase;
	beforeAll(async () => {
		const server = await sharedServer("postgres15");
		source = await freshDatabase(server);
		target = await freshDatabase(server);
		await source.query(
			`create table accounts (id int primary key, name varchar(20) not null);
			 create table ledger (id int primary key, amount decimal(10,2));
			 create table notes (text text);
			 create view v as select 1 as one;
			 insert into accounts values (1, 'a'), (2, 'b');
			 insert into ledger values (1, 10), (2, 20)`,
		);
		const tables = [
			"flush: { seconds: 0.2 }",
			"tables:",
			"  public.accounts: { mode: cdc, deletes: soft, into: raw.accounts }",
			"  public.ledger: { mode: cdc, write: history, into: raw.ledger }",
		];
		pipeline("shop", [`from: "${source.url}"`, "to: duckdb:shop.duckdb", ...tables]);
		pipeline("mirror", [`from: "${source.url}"`, `to: "${target.url}"`, ...tables]);
	});
	afterAll(async () => {
		await source?.drop();
		await target?.drop();
	});

	const clock = async () => {
		const [row] = await source.query(
			"select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') as now",
		);
		return String(row!["now"]);
	};

	test("what can't follow is said by its place, before anything runs", async () => {
		pipeline("faults", [
			`from: "${source.url}"`,
			"to: ./out",
			"tables:",
			"  public.v: { mode: cdc }",
			"  public.notes: { mode: cdc, write: history }",
			"  public.accounts: { mode: cdc, write: merge, into: x.y }",
			"  public.ledger: { mode: cdc, into: x.y }",
		]);
		const { code, stderr } = await run("plan", "faults");
		expect(code).toBe(2);
		for (const text of [
			"faults.yaml:7:40  E_UNSUPPORTED  public.accounts: file can't merge changes",
			"It can append.",
			"faults.yaml:5:21  E_UNSUPPORTED  public.v is a view",
			"faults.yaml:6:37  E_KEY_REQUIRED  public.notes has no key to tell its rows apart by",
			"faults.yaml:8:3  E_NAME_COLLISION  public.accounts and public.ledger both go into x.y",
		])
			expect(stderr).toContain(text);
		writeFileSync(join(directory, "rows.csv"), "a\n1\n");
		pipeline("nolog", ["from: ./rows.csv", "to: duckdb:x.duckdb", "tables: { '*': { mode: cdc, key: a } }"]);
		expect((await run("plan", "nolog")).stderr).toMatch(/nolog\.yaml:4:24 {2}E_UNSUPPORTED .*file keeps no change log/);
	});

	test("plan, check and grants tell what following takes; status and state where it is", async () => {
		const { stdout: plan } = await succeed("plan", "shop");
		expect(plan).toMatch(
			/public\.accounts +cdc, merge .*new table, 3 columns.*all rows are read first.*adds _headrace_deleted_at/,
		);
		expect(plan).toMatch(/public\.ledger +cdc, history .*adds _headrace_valid_from, _headrace_valid_to/);
		expect((await succeed("check", "shop")).stdout).toMatch(/change log\n +✓ \S+ may read the change log/);
		expect((await succeed("grants", "shop")).stdout).toMatch(/ALTER ROLE \S+ REPLICATION;\n[\s\S]*CREATE PUBLICATION/);
		expect((await succeed("status", "shop")).stdout).toContain("change log: not begun");
		expect(await run("pause", "shop", "--table", "public.ledger")).toMatchObject({
			code: 2,
			stderr: expect.stringContaining("has not followed its change log yet"),
		});
		await succeed("run", "shop");
		expect((await succeed("plan", "shop")).stdout).toMatch(/public\.accounts .*changes after 0\/[\dA-F]+/);
		const changes = await changesOf("shop");
		expect(changes).toMatchObject({ state: "stopped", problem: null });
		expect(changes.tables.map(({ table, state }) => [table, state])).toEqual([
			["public.accounts", "following"],
			["public.ledger", "following"],
		]);
		expect((await succeed("state", "show", "shop")).stdout).toContain(`change log read to ${changes.position}`);
		const exported = JSON.parse((await succeed("state", "export", "shop")).stdout) as { streams: { stream: string }[] };
		expect(exported.streams.map(({ stream }) => stream)).toContain("changes");
	});

	test("a table that is paused gets its changes when it is resumed; the others do not get theirs twice", async () => {
		expect((await succeed("pause", "shop", "--table", "public.acc*")).stdout).toMatch(
			/^paused: public\.accounts {2}\(at /,
		);
		expect((await succeed("pause", "shop", "--table", "raw.accounts")).stdout).toMatch(
			/^nothing to change: public\.accounts/,
		);
		const before = await clock();
		await source.query(
			"insert into accounts values (3, 'c'); delete from accounts where id = 1; update ledger set amount = 11 where id = 1",
		);
		await succeed("run", "shop");
		expect((await changesOf("shop")).tables[0]).toMatchObject({ table: "public.accounts", state: "paused" });
		expect(await historyAt("shop", "public.ledger", before)).toEqual(["1,10.00", "2,20.00"]);
		expect(await historyAt("shop", "raw.ledger", await clock())).toEqual(["1,11.00", "2,20.00"]);
		expect((await succeed("resume", "shop", "--table", "public.accounts")).stdout).toMatch(
			/^resumed: public\.accounts/,
		);
		const { runs } = await dataOf<{ runs: { tables: { rows_loaded: number }[] }[] }>("run", "shop");
		expect(runs[0]!.tables.map((table) => table.rows_loaded)).toEqual([2, 0]);
	});

	test("whoever follows does what is asked and goes on; a paused pipeline does not run", async () => {
		let told = "";
		const follower = headrace(["run", "shop", "--follow"], {
			cwd: directory,
			onStderr: (text) => {
				told = text;
			},
		});
		await expect.poll(() => told, { timeout: 30_000 }).toContain("public.ledger  started");
		expect((await succeed("pause", "shop", "--table", "public.ledger")).stdout).toMatch(/^paused: public\.ledger/);
		expect((await succeed("resume", "shop", "--table", "public.ledger")).stdout).toMatch(/^resumed: public\.ledger/);
		expect(await changesOf("shop")).toMatchObject({ state: "following" });
		expect((await run("resync", "shop", "--table", "nothing")).stderr).toContain("E_UNKNOWN_TABLE");
		expect(await dataOf("pause", "shop")).toMatchObject({ ended: true, paused: { by: expect.any(String) } });
		expect(await follower).toMatchObject({
			code: 0,
			stderr: expect.stringMatching(
				/asked by hand: pause public\.ledger, reading goes on from 0\/[\s\S]*asked by hand: end/,
			),
		});
		expect(await run("run", "shop")).toMatchObject({ code: 75, stderr: expect.stringContaining("E_PAUSED") });
		expect(await changesOf("shop")).toMatchObject({ state: "paused" });
		expect((await succeed("status", "shop")).stdout).toMatch(/! paused since \S+ \S+ UTC by \S+/);
		await succeed("resume", "shop");
		await succeed("run", "shop");
	});

	test("a place is set by hand only with its price told; resync reads a table anew", async () => {
		const { position } = await changesOf("shop");
		await source.query("insert into accounts values (4, 'd')");
		const [row] = await source.query("select pg_current_wal_insert_lsn()::text as lsn");
		const refused = await run("state", "set", "shop", String(row!["lsn"]));
		expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/would never be read.*\n.*--yes/) });
		await succeed("state", "set", "shop", String(row!["lsn"]), "--yes");
		expect((await succeed("state", "set", "shop", position)).stderr).toContain("will be read again");
		const again = await dataOf<{ runs: { tables: { rows_inserted: number }[] }[] }>("run", "shop");
		expect(again.runs[0]!.tables.map((table) => table.rows_inserted)).toEqual([1, 0]);
		expect((await run("state", "set", "shop", "0/1")).stderr).toMatch(/E_HISTORY_GONE .*the log begins at/);
		await succeed("resync", "shop");
		const { runs } = await dataOf<{ runs: { tables: { rows_loaded: number }[] }[] }>("run", "shop");
		expect(runs[0]!.tables.map((table) => table.rows_loaded)).toEqual([3, 2]);
	});

	test("tables that were dropped in the destination are read anew, a history too: nothing of them is there to lose", async () => {
		await succeed("run", "mirror");
		await target.query("drop table raw.accounts; drop table raw.ledger");
		const { tables } = await dataOf<{ tables: { table: string; notes: string[] }[] }>("plan", "mirror");
		for (const { notes } of tables) expect(notes.join("\n")).toMatch(/raw\.\w+ is not in the destination.*read anew/);
		await succeed("run", "mirror");
		for (const table of ["accounts", "ledger"]) {
			const count = `select count(*)::text as rows from`;
			expect(await target.query(`${count} raw.${table}`), table).toEqual(await source.query(`${count} ${table}`));
		}
	});

	test("a follower of another project is fenced off by a change of the position, and says so", async () => {
		const elsewhere = mkdtempSync(join(tmpdir(), "headrace-elsewhere-"));
		writeFileSync(join(elsewhere, "mirror.yaml"), readFileSync(join(directory, "mirror.yaml")));
		await succeed("run", "mirror");
		let told = "";
		const follower = headrace(["run", "mirror", "--follow"], {
			cwd: elsewhere,
			onStderr: (text) => {
				told = text;
			},
		});
		await expect.poll(() => told, { timeout: 30_000 }).toContain("public.ledger  started");
		await succeed("pause", "mirror", "--table", "raw.accounts");
		await source.query("insert into accounts values (100, 'x'); delete from accounts where id = 100");
		expect(await follower).toMatchObject({ code: 75, stderr: expect.stringContaining("E_FENCED") });
		await succeed("resume", "mirror", "--table", "raw.accounts");
		rmSync(elsewhere, { recursive: true });
	});

	test("a slot that is gone is said by check and status, and resync is the cure; history is kept in PostgreSQL too", async () => {
		await succeed("run", "mirror");
		const before = await clock();
		await source.query(
			"update ledger set amount = amount + 1; delete from ledger where id = 2; insert into ledger values (7, null)",
		);
		await succeed("run", "mirror");
		expect(await historyAt("mirror", "raw.ledger", before)).toEqual(["1,11.00", "2,20.00"]);
		expect(await historyAt("mirror", "raw.ledger", await clock())).toEqual(["1,12.00", "7,"]);
		const json = await succeed("history", "mirror", "ledger", "--as-of", await clock(), "--format", "jsonl");
		expect(json.stdout).toBe('{"id":"1","amount":"12.00"}\n{"id":"7","amount":null}\n');
		const early = await run("history", "mirror", "raw.ledger", "--as-of", "2001-02-03T04:05:06Z");
		expect(early).toMatchObject({ code: 2, stderr: expect.stringMatching(/history of raw\.ledger begins at 20\d\d-/) });
		expect((await run("history", "mirror", "raw.ledger", "--as-of", "2026-02-30T00:00:00Z")).stderr).toContain(
			"no time with a zone",
		);
		expect((await run("history", "mirror", "raw.accounts", "--as-of", before)).stderr).toContain("keeps no history");
		// The slot of the other pipeline stays: it says nothing about this one.
		await source.query(
			"select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'headrace_mirror_%'",
		);
		expect((await changesOf("shop")).kept_bytes).toBeGreaterThan(0);
		expect((await run("check", "mirror")).stdout).toMatch(/✗ E_HISTORY_GONE[\s\S]*cure: headrace resync mirror/);
		expect(await changesOf("mirror")).toMatchObject({ problem: { code: "E_HISTORY_GONE" } });
		expect(await run("run", "mirror")).toMatchObject({ code: 1, stderr: expect.stringContaining("E_HISTORY_GONE") });
		expect((await succeed("resync", "mirror")).stderr).toContain("public.ledger: its history begins anew");
		await succeed("run", "mirror");
		await source.query("insert into accounts values (5, 'e')");
		await succeed("run", "mirror");
		expect(await target.query("select count(*) as n from raw.accounts")).toEqual([{ n: "4" }]);
	});
});

describe.skipIf(missing("mariadb"))("tables that follow MariaDB's log", () => {
	let server: RunningServer;
	const query = (sql: string) => server.query("shop", sql);
	beforeAll(async () => {
		server = await startServer("mariadb");
		await server.createDatabase("shop");
		await query(
			`create table accounts (id int primary key, name varchar(20) not null);
			 create table items (id int primary key, account int, foreign key (account) references accounts (id) on delete cascade);
			 create table notes (id int primary key, text varchar(20));
			 insert into accounts values (1, 'a'), (2, 'b'); insert into notes values (1, 'one')`,
		);
		const table = (name: string) => [
			`from: "${server.url("shop")}"`,
			"to: duckdb:maria.duckdb",
			"tables:",
			`  ${name}: { mode: cdc }`,
		];
		pipeline("maria", table("accounts"));
		pipeline("both", [...table("accounts"), "  notes: { mode: cdc }", "defaults: { into: 'both.{table}' }"]);
	});
	afterAll(async () => {
		await server?.stop();
	});

	test("what the log does not tell is found by plan and check; grants name the log's rights", async () => {
		expect((await succeed("grants", "maria")).stdout).toMatch(
			/^GRANT REPLICATION SLAVE, BINLOG MONITOR ON \*\.\* TO /m,
		);
		pipeline("cascades", [
			`from: "${server.url("shop")}"`,
			"to: duckdb:cascades.duckdb",
			"tables: { items: { mode: cdc }, accounts: { mode: cdc } }",
		]);
		const told = /shop\.items: the foreign key \S+ to accounts \(ON DELETE CASCADE.*without telling the log/;
		expect(await run("plan", "cascades")).toMatchObject({ code: 1, stdout: expect.stringMatching(told) });
		expect(await run("check", "cascades")).toMatchObject({ code: 1, stdout: expect.stringMatching(told) });
	});

	/** The log's files but the last one. A file that a reader has just left is kept for a moment. */
	const purge = async () => {
		const [status] = await server.admin("show master status");
		const purged = async () => {
			await server.admin(`purge binary logs to '${status!["File"]}'`);
			return server.admin("show binary logs");
		};
		await expect.poll(purged, { timeout: 30_000 }).toHaveLength(1);
	};

	test("a table that was paused until its place was purged can't be resumed; only it is read anew", async () => {
		const tables = async (...args: string[]) => {
			type Runs = { runs: { tables: { rows_loaded: number }[] }[] };
			return (await dataOf<Runs>(...args)).runs[0]!.tables.map((table) => table.rows_loaded);
		};
		expect(await tables("run", "both")).toEqual([2, 1]);
		await succeed("pause", "both", "--table", "shop.notes");
		await query("insert into notes values (2, 'two'); insert into accounts values (3, 'c')");
		expect(await tables("run", "both")).toEqual([1, 0]);
		expect((await changesOf("both")).problem).toBeNull();
		await query("flush binary logs");
		await succeed("run", "both");
		await purge();
		await query("insert into accounts values (4, 'd')");
		// The others go on, and it is said which can't.
		expect(await tables("run", "both")).toEqual([1, 0]);
		const cure = ["resync", "both", "--table", "shop.notes"];
		const problem = { code: "E_HISTORY_GONE", hint: expect.stringContaining(`headrace ${cure.join(" ")}`) };
		expect((await changesOf("both")).problem).toMatchObject(problem);
		expect((await run("check", "both")).stdout).toMatch(
			/E_HISTORY_GONE .*notes.*\n.*cure: headrace resync both --table/,
		);
		const refused = await run("resume", "both", "--table", "shop.notes");
		expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(`headrace ${cure.join(" ")}`) });
		await succeed(...cure);
		expect(await tables("run", "both")).toEqual([0, 2]);
		await query("update notes set text = 'dos' where id = 2; delete from accounts where id > 2");
		expect(await tables("run", "both")).toEqual([2, 1]);
	});

	test("a table that catches up from a place that is purged meanwhile is read anew without the others", async () => {
		await succeed("pause", "both", "--table", "shop.notes");
		await query("insert into accounts values (7, 'g')");
		await query("flush binary logs");
		await succeed("run", "both");
		await succeed("resume", "both", "--table", "shop.notes");
		await purge();
		expect(await run("run", "both")).toMatchObject({ code: 1, stderr: expect.stringContaining("E_HISTORY_GONE") });
		await succeed("resync", "both", "--table", "shop.notes");
		await query("delete from accounts where id = 7");
		const { runs } = await dataOf<{ runs: { tables: { rows_loaded: number }[] }[] }>("run", "both");
		expect(runs[0]!.tables.map((table) => table.rows_loaded)).toEqual([1, 2]);
	});

	test("a log that was purged, and one that was reset, are cured by resync", async () => {
		await succeed("run", "maria");
		await query("insert into accounts values (3, 'c')");
		await query("flush binary logs");
		await purge();
		expect(await changesOf("maria")).toMatchObject({ problem: { code: "E_HISTORY_GONE" } });
		expect((await run("check", "maria")).stdout).toMatch(/E_HISTORY_GONE .*\n.*cure: headrace resync maria/);
		for (const [code, harm] of [
			["E_HISTORY_GONE", ""],
			["E_HISTORY_MISMATCH", "reset master"],
		] as const) {
			if (harm !== "") {
				await server.admin(harm);
				await query("insert into accounts values (4, 'd')");
				expect(await changesOf("maria")).toMatchObject({ problem: { code } });
			}
			expect(await run("run", "maria")).toMatchObject({
				code: 1,
				stderr: expect.stringMatching(/E_HISTORY_(GONE|MISMATCH)/),
			});
			await succeed("resync", "maria");
			await succeed("run", "maria");
		}
		await query("insert into accounts values (5, 'e')");
		const { runs } = await dataOf<{ runs: { tables: { rows_inserted: number }[] }[] }>("run", "maria");
		expect(runs[0]!.tables.map((table) => table.rows_inserted)).toEqual([1]);
	});
});
