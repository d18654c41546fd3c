import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Source } from "../../src/core/index.ts";
import type { RunningServer } from "../support/server.ts";
import { freshDatabase, type TestDatabase } from "../support/shared.ts";
import { missing, startServer } from "../support/start.ts";
import { brief, follow, logOf } from "./log-support.ts";
import { codeOf, describeOne, openSource, readAll } from "./mysql-support.ts";

const WRITERS = 4;
const KEYS = 40;
const SNAPSHOTS = 6;

/**
 * A server of its own, whose log is written through at each commit: that makes the moment between log and commit long. Its
 * clients are free from `read_only`, by which the marks of open transactions are not asked: they would hide a race.
 */
const CASES = [
	["mariadb", "mariadb", {}],
	["mysql56", "mysql56", {}],
	["mysql56 without GTIDs", "mysql56", { gtid_mode: "OFF", enforce_gtid_consistency: "OFF" }],
] as const;

describe.each(CASES)("the place of a snapshot in the log of %s", (_title, name, settings) => {
	describe.skipIf(missing(name))("while others write", () => {
		let server: RunningServer;
		let database: TestDatabase;
		let source: Source;
		beforeAll(async () => {
			server = await startServer(name, { settings: { sync_binlog: 1, read_only: 1, ...settings } });
			database = await freshDatabase(server);
			source = await openSource(server, { database: database.name });
		}, 180_000);
		afterAll(async () => {
			await source?.[Symbol.asyncDispose]();
			await database?.drop();
			await server?.stop();
		});

		/** Transactions of several rows, keys that change among them, until it is told to stop; each leaves a row behind for good. */
		async function write(seed: number, stops: { now: boolean }): Promise<void> {
			await using client = await database.connect();
			let state = seed;
			const next = (below: number) => {
				state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
				return Math.floor((state / 2 ** 32) * below);
			};
			while (!stops.now) {
				const [a, b] = [next(KEYS), next(KEYS)];
				const change = [
					`replace into t values (${a}, ${next(1000)})`,
					`update t set v = v + 1 where id in (${a}, ${b})`,
					`delete from t where id = ${a}`,
					`update ignore t set id = ${a} where id = ${b}`,
				][next(4)]!;
				// A deadlock rolls one of two back.
				await client
					.query(`start transaction; insert into kept (v) values (${seed}); ${change}; commit`)
					.catch(() => client.query("rollback"));
			}
		}

		/** As monitoring does, but all the time: MariaDB's answers of several sessions overwrite each other. */
		async function monitor(stops: { now: boolean }): Promise<void> {
			await using client = await database.connect();
			while (!stops.now) await client.query("show global status like 'binlog%'");
		}

		const tables = async () => Promise.all(["t", "kept"].map((table) => describeOne(source, database.name, table)));
		const sorted = (rows: Iterable<readonly (string | null)[]>) =>
			[...rows].map((row) => row.join()).sort((x, y) => (x < y ? -1 : 1));

		test("law: a snapshot and the log from its place on are the table, whatever is written meanwhile", async () => {
			await database.query(
				"create table t (id int primary key, v int) engine=innodb; create table kept (id int auto_increment primary key, v int) engine=innodb",
			);
			const described = await tables();
			const stops = { now: false };
			const writing = Array.from({ length: WRITERS }, (_, index) => write(index + 1, stops));
			const monitoring = [monitor(stops), monitor(stops)];
			const read: { position: string; exact: boolean; cut: string; rows: Map<string, Map<string, string | null>> }[] =
				[];
			try {
				// Idle in a transaction, and one that waits for its lock: neither is on its way into the log.
				await using idle = await database.connect();
				await idle.query("start transaction; insert into t values (1000, 1)");
				await using blocked = await database.connect();
				await blocked.query("start transaction; insert into kept (v) values (0)");
				const waiting = blocked.query("delete from t where id = 1000; commit");
				for (let count = 0; count < SNAPSHOTS; count++) {
					await using snapshot = await source.snapshot({ readers: 2, forLog: true });
					const place = await snapshot.logPlace!();
					const rows = new Map<string, Map<string, string | null>>();
					for (const table of described)
						rows.set(
							table.name.name,
							new Map((await readAll(snapshot, table)).map(([id, v]) => [id!, v ?? null] as const)),
						);
					read.push({ ...place, cut: place.until ?? place.position, rows });
				}
				await idle.query("rollback");
				await waiting;
			} finally {
				stops.now = true;
				await Promise.all([...writing, ...monitoring]);
			}
			const until = await logOf(source).end();
			expect(read.map(({ exact }) => exact)).toEqual(read.map(() => name === "mariadb"));
			const stored = new Map<string, string[]>();
			for (const { name: table } of described)
				stored.set(
					table.name,
					sorted(
						await database
							.query(`select id, v from ${table.name}`)
							.then((rows) => rows.map((row) => [row["id"]!, row["v"]!])),
					),
				);
			expect(stored.get("kept")!.length).toBeGreaterThan(100);
			for (const { position, cut, rows } of read) {
				const replay = async (from: string, to: string, finds: boolean) => {
					for (const { table, operation, values } of (await follow(source, described, { from, until: to })).rows) {
						const kept = rows.get(table)!;
						const [id, v] = [values["id"]!, values["v"]!];
						if (finds) expect(kept.get(id)).toBe(operation === "insert" || operation === "update" ? undefined : v);
						if (operation === "before" || operation === "delete") kept.delete(id);
						else kept.set(id, v);
					}
				};
				await replay(position, cut, false);
				// What was committed later finds each row as it was, and none that is new.
				await replay(cut, until, true);
				for (const [table, kept] of rows) expect(sorted(kept)).toEqual(stored.get(table));
			}
		}, 180_000);

		test("law: the place that is wanted exact is found between commits, and what follows is new to the snapshot", async () => {
			await database.query("create table rest (id int auto_increment primary key, v int)");
			const table = await describeOne(source, database.name, "rest");
			const stops = { now: false };
			const writing = Array.from({ length: 3 }, async (_, index) => {
				await using client = await database.connect();
				while (!stops.now) {
					await client.query(`start transaction; insert into rest (v) values (${index}); commit`);
					await delay(800 * Math.random());
				}
			});
			const cuts: { readonly position: string; readonly keys: ReadonlySet<string> }[] = [];
			try {
				for (let count = 0; count < 4; count++) {
					await using snapshot = await source.snapshot({ readers: 2, forLog: "exact" });
					const { position, exact } = await snapshot.logPlace!();
					expect(exact).toBe(true);
					cuts.push({ position, keys: new Set((await readAll(snapshot, table)).map(([id]) => id!)) });
				}
			} finally {
				stops.now = true;
				await Promise.all(writing);
			}
			const stored = (await database.query("select id from rest order by id")).map(({ id }) => id!);
			for (const { position, keys } of cuts) {
				const { rows } = await follow(source, [table], { from: position });
				expect([...keys, ...rows.map(({ values }) => values["id"]!)].sort((a, b) => Number(a) - Number(b))).toEqual(
					stored,
				);
			}
		}, 120_000);

		test("a transaction that was prepared before the snapshot comes from the log once it is committed", async () => {
			await database.query("create table x (id int primary key) engine=innodb");
			const table = await describeOne(source, database.name, "x");
			await using other = await database.connect();
			await other.query("xa start 'a'; insert into x values (1); xa end 'a'; xa prepare 'a'");
			await using snapshot = await source.snapshot({ readers: 1, forLog: true });
			const { position } = await snapshot.logPlace!();
			expect(await readAll(snapshot, table)).toEqual([]);
			await other.query("xa commit 'a'; insert into x values (2)");
			expect(brief((await follow(source, [table], { from: position })).rows)).toEqual(["insert 1", "insert 2"]);
		});

		test("an account that may not see what is about to commit is told which right it lacks", async () => {
			await database.query(
				"grant select, replication slave, replication client on *.* to follower@'127.0.0.1' identified by 'f'",
			);
			await using follower = await openSource(server, { user: "follower", password: "f" });
			const cure = "GRANT PROCESS ON *.* TO 'follower'@'127.0.0.1'";
			const place = async () => {
				await using snapshot = await follower.snapshot({ readers: 1, forLog: true });
				return await snapshot.logPlace!();
			};
			if (name === "mariadb") expect((await place()).exact).toBe(true);
			else expect(await codeOf(place())).toMatchObject({ code: "E_RIGHTS", hint: expect.stringContaining(cure) });
			const findings = (await logOf(follower).check([])).filter(({ remedy }) => remedy?.includes(cure));
			expect(findings).toHaveLength(name === "mariadb" ? 0 : 1);
			const [granted] = await logOf(follower).grants!([]);
			expect(granted?.text.includes("PROCESS")).toBe(name !== "mariadb");
		});

		test("who waits for a table that somebody else wants to alter is not waited for", async () => {
			await database.query(
				"create table wanted (id int primary key) engine=innodb; create table written (id int primary key) engine=innodb",
			);
			await using reading = await database.connect();
			await reading.query("start transaction; select * from wanted");
			await using altering = await database.connect();
			const altered = altering.query("alter table wanted add column v int");
			await using writing = await database.connect();
			await writing.query("start transaction; insert into written values (1)");
			const waiting = async () =>
				(
					await database.query(
						"select count(*) as n from information_schema.processlist where db = database() and state = 'Waiting for table metadata lock'",
					)
				)[0]!["n"];
			await expect.poll(waiting).toBe("1");
			const written = writing.query("insert into wanted (id) values (1); commit");
			await expect.poll(waiting).toBe("2");
			try {
				await using snapshot = await source.snapshot({ readers: 1, forLog: true });
				const { position } = await snapshot.logPlace!();
				await reading.query("commit");
				await Promise.all([altered, written]);
				const table = await describeOne(source, database.name, "written");
				expect(await readAll(snapshot, table)).toEqual([]);
				expect(brief((await follow(source, [table], { from: position })).rows)).toEqual(["insert 1"]);
			} finally {
				await reading.query("commit");
			}
		});

		test.skipIf(name === "mariadb")(
			"a statement that goes on is waited for, until the snapshot is given up",
			async () => {
				await database.query("create table slow (id int primary key) engine=innodb");
				await using other = await database.connect();
				await other.query("start transaction; insert into slow values (1)");
				const running = other.query("select sleep(1.5); commit");
				const abort = new AbortController();
				setTimeout(() => abort.abort(), 400);
				const opening = source.snapshot({ readers: 1, forLog: true, signal: abort.signal });
				expect((await codeOf(opening)).code).toBe("E_STOPPED");
				await running;
			},
		);
	});
});
