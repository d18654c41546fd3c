/** Large, rolled back and broken-off transactions; slow consumers, cut connections, killed readers. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { DEFAULT_TYPE_POLICY } from "../../src/core/index.ts";
import { heldBytes } from "../support/held-memory.ts";
import { startProxy } from "../support/proxy.ts";
import { missing } from "../support/start.ts";
import { follow } from "./log-support.ts";
import { type LoggedDatabase, liveStream, loggedDatabase, logOf, READER } from "./postgres-log-support.ts";
import { SERVERS, sourceOf } from "./postgres-support.ts";

/** The least that the server decodes before it sends a transaction in progress. */
const CHILD = join(import.meta.dirname, "postgres-log-child.ts");

/** What the server waits for a sign of life; a consumer sleeps longer. */
const TIMEOUT_MS = 3_000;

/** Watches for how long this process did not get to run; `end` gives the longest time in milliseconds. */
function heldUp(): { end(): number } {
	let [last, longestMs] = [performance.now(), 0];
	const look = () => {
		longestMs = Math.max(longestMs, performance.now() - last);
		last = performance.now();
	};
	const timer = setInterval(look, 20);
	return {
		end() {
			clearInterval(timer);
			look();
			return longestMs;
		},
	};
}

const streamsEarly = (at: LoggedDatabase) =>
	`ALTER DATABASE ${at.database.name} SET logical_decoding_work_mem = '64kB'`;

async function streamed(at: LoggedDatabase): Promise<boolean> {
	const [row] = await at.query("SELECT stream_txns > 0 AS yes FROM pg_stat_replication_slots WHERE slot_name = $1", [
		at.slot,
	]);
	return row?.["yes"] === "t";
}

describe.each(SERVERS)("%s", (server) => {
	const on = test.skipIf(missing(server));

	on(
		"of 5,000 savepoints, the rolled back ones leave nothing, also of a transaction sent in parts",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query(`${streamsEarly(at)}; CREATE TABLE t (id int PRIMARY KEY, v text)`);
			const { tables, from } = await at.begin(["t"]);
			await at.query(`DO $$ BEGIN
			FOR i IN 1..5000 LOOP
				BEGIN
					INSERT INTO t VALUES (i, repeat('x', 200));
					IF i % 3 = 0 THEN RAISE EXCEPTION 'back'; END IF;
				EXCEPTION WHEN raise_exception THEN NULL;
				END;
			END LOOP; END $$`);
			// Sent in parts and rolled back as a whole.
			await at.query(
				"BEGIN; INSERT INTO t SELECT i, repeat('y', 200) FROM generate_series(10001, 15000) AS i; ROLLBACK",
			);
			await at.query(`BEGIN; INSERT INTO t VALUES (20000, 'outer'); SAVEPOINT a; INSERT INTO t SELECT i, repeat('z', 200) FROM generate_series(20001, 25000) AS i;
			SAVEPOINT b; UPDATE t SET v = 'b' WHERE id > 24990; RELEASE b; ROLLBACK TO a; INSERT INTO t VALUES (30000, 'after'); COMMIT`);
			const { rows, events } = await follow(at.source, tables, { from });
			const ids = rows.map(({ values }) => Number(values["id"]));
			expect(ids).toEqual([
				...Array.from({ length: 5000 }, (_, i) => i + 1).filter((i) => i % 3 !== 0),
				20_000,
				30_000,
			]);
			const [boundary] = events;
			expect(boundary?.kind === "boundary" && boundary.transactions.length).toBe(2);
			expect(new Set(rows.map(({ transaction }) => transaction))).toEqual(new Set([0, 1]));
			await expect.poll(() => streamed(at)).toBe(true);
		},
		180_000,
	);

	on(
		"transactions that are sent in parts at once come whole, one after the other, with DDL between",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query(`${streamsEarly(at)}; CREATE TABLE t (id int PRIMARY KEY, who text, v text)`);
			const { tables, from } = await at.begin(["t"]);
			await using a = await at.database.connect();
			await using b = await at.database.connect();
			await a.query("BEGIN");
			await b.query("BEGIN");
			for (let part = 0; part < 4; part++) {
				await a.query(
					`INSERT INTO t SELECT i, 'a', repeat('a', 300) FROM generate_series(${part * 1000 + 1}, ${part * 1000 + 1000}) AS i`,
				);
				await b.query(
					`INSERT INTO t SELECT i, 'b', repeat('b', 300) FROM generate_series(${part * 1000 + 10_001}, ${part * 1000 + 11_000}) AS i`,
				);
			}
			await b.query("COMMIT");
			await at.query("INSERT INTO t VALUES (99999, 'c', 'c')");
			await a.query("COMMIT");
			await at.query("ALTER TABLE t ADD COLUMN extra int; INSERT INTO t VALUES (99998, 'd', 'd', 1)");
			const { rows, events } = await follow(at.source, tables, { from });
			expect(
				rows
					.map(({ values }) => values["who"])
					.join("")
					.replace(/b+/, "B")
					.replace(/a+/, "A"),
			).toBe("BcAd");
			expect(rows).toHaveLength(8002);
			expect(events.map(({ kind }) => kind)).toEqual(["schema", "boundary"]);
			await expect.poll(() => streamed(at)).toBe(true);
		},
		180_000,
	);

	on(
		"a large transaction takes bounded memory",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query("CREATE TABLE t (id int PRIMARY KEY, v text)");
			const { tables, from } = await at.begin(["t"]);
			await at.query("INSERT INTO t SELECT i, repeat(md5(i::text), 6) FROM generate_series(1, 500000) AS i");
			const stream = await at.log.open({
				reader: READER,
				from,
				until: await at.log.end(),
				tables,
				types: () => DEFAULT_TYPE_POLICY,
				before: "key-changes",
				flush: { seconds: 3600, rows: 1_000, bytes: 1 << 20 },
			});
			let rows = 0;
			let memoryMax = 0;
			let batches = 0;
			const before = heldBytes();
			for await (const event of stream) {
				if (event.kind !== "rows") continue;
				rows += event.batch.rowCount;
				event.batch.release();
				if (batches++ % 20 === 0) memoryMax = Math.max(memoryMax, heldBytes());
			}
			expect(rows).toBe(500_000);
			// The rows are 100 MB.
			expect((memoryMax - before) / 1e6).toBeLessThan(80);
		},
		120_000,
	);

	on(
		"a consumer that is slower than wal_sender_timeout keeps its connection",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query(
				`ALTER DATABASE ${at.database.name} SET wal_sender_timeout = '${TIMEOUT_MS}ms'; CREATE TABLE t (id int PRIMARY KEY, v text)`,
			);
			const { tables, from } = await at.begin(["t"]);
			await at.query("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 20000) AS i");
			// Where the machine itself held this process up for longer, the server was right to cut: once more.
			for (let attempt = 1; ; attempt++) {
				const held = heldUp();
				try {
					await using live = await liveStream(at, tables, from);
					await live.next("rows");
					await delay(1.25 * TIMEOUT_MS);
					const { transactions } = await live.next("boundary");
					expect(transactions).toHaveLength(1);
					break;
				} catch (error) {
					if (held.end() < TIMEOUT_MS / 3 || attempt === 10) throw error;
				} finally {
					held.end();
				}
			}
		},
		120_000,
	);

	on(
		"a connection that is cut ends with its name, and the next one goes on without loss or repetition",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query("CREATE TABLE t (id int PRIMARY KEY, v text)");
			const { tables, from } = await at.begin(["t"]);
			await using proxy = await startProxy(at.database.server);
			const through = await sourceOf({ ...at.database.server, host: proxy.host, port: proxy.port }, at.database.name);
			const log = logOf(through);
			for (let i = 0; i < 200; i++)
				await at.query(`INSERT INTO t SELECT ${i * 10} + g, repeat('v', 500) FROM generate_series(1, 10) AS g`);
			const until = await at.log.end();
			const got: string[] = [];
			let position = from;
			let cuts = 0;
			let pieces = 30_000;
			while (at.log.compare(position, until) < 0) {
				pieces += 40_000;
				proxy.set({ cutAfterBytes: pieces });
				const pending: string[] = [];
				try {
					await using stream = await log.open({
						reader: READER,
						from: position,
						until,
						tables,
						types: () => DEFAULT_TYPE_POLICY,
						before: "all",
						flush: { seconds: 1, rows: 50, bytes: 1e9 },
					});
					for await (const event of stream) {
						if (event.kind === "rows") {
							const column = event.batch.columns[0]!;
							for (let row = 0; row < event.batch.rowCount; row++) pending.push(String(column.i32[row]));
							event.batch.release();
						} else if (event.kind === "boundary") {
							// As a destination does: rows and position together, then the source is told.
							got.push(...pending.splice(0));
							position = event.position;
							await stream.acknowledge(position);
						}
					}
				} catch (error) {
					expect((error as { code?: string }).code).toMatch(/^E_(CONNECTION_LOST|CONNECT|BUSY)$/);
					cuts++;
					if (cuts > 50) throw error;
				}
			}
			expect(cuts).toBeGreaterThan(1);
			expect(got).toEqual(Array.from({ length: 2000 }, (_, i) => String(i + 1)));
			await through[Symbol.asyncDispose]();
		},
		120_000,
	);

	on("a stream that is stopped frees its slot, and aborts at once", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE t (id int PRIMARY KEY)");
		const { tables, from } = await at.begin(["t"]);
		const controller = new AbortController();
		await using live = await liveStream(at, tables, from, { signal: controller.signal });
		setTimeout(() => controller.abort(), 100);
		await expect(live.next("rows")).rejects.toMatchObject({ code: "E_STOPPED" });
		await expect
			.poll(() => at.query("SELECT active AS a FROM pg_replication_slots WHERE slot_name = $1", [at.slot]))
			.toEqual([{ a: "f" }]);
	});

	on(
		"a reader that is killed again and again loses nothing, and repeats nothing past what it had kept",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query("CREATE TABLE t (id int PRIMARY KEY, v text)");
			const { from } = await at.begin(["t"]);
			for (let i = 0; i < 400; i++)
				await at.query(`INSERT INTO t SELECT ${i * 10} + g, repeat('v', 100) FROM generate_series(1, 10) AS g`);
			const until = await at.log.end();
			const folder = mkdtempSync(join(tmpdir(), "headrace-log-"));
			const file = join(folder, "kept");
			writeFileSync(file, "");
			// A line without its end is not written yet, or never was: a write may be cut where a page ends.
			const whole = () => readFileSync(file, "utf8").replace(/[^\n]*$/, "");
			const kept = () =>
				whole()
					.split("\n")
					.filter((line) => line !== "")
					.map((line) => JSON.parse(line) as { ids: string[]; position: string });
			const { kind, name, version, host, port, user, password } = at.database.server;
			let kills = 0;
			for (let code: number | null = null; code !== 0; ) {
				truncateSync(file, Buffer.byteLength(whole()));
				const position = kept().at(-1)?.position ?? from;
				const request = {
					login: { kind, name, version, host, port, user, password },
					database: at.database.name,
					from: position,
					until,
					file,
				};
				const child = spawn(process.execPath, [CHILD, JSON.stringify(request)], {
					stdio: ["ignore", "ignore", "inherit"],
				});
				const lines = kept().length + 20 + 15 * kills;
				const timer = setInterval(() => {
					if (kills < 6 && kept().length >= lines) child.kill("SIGKILL");
				}, 5);
				code = await new Promise<number | null>((resolve) => child.on("close", resolve));
				clearInterval(timer);
				if (code === null) kills++;
				else expect(code).toBe(0);
			}
			expect(kept().flatMap(({ ids }) => ids)).toEqual(Array.from({ length: 4000 }, (_, i) => String(i + 1)));
			rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
			expect(kills).toBeGreaterThan(2);
		},
		120_000,
	);
});
