/** The life of slots and publications, and what becomes of a reader when others tamper with them. */
import { describe, expect, test } from "vitest";
import { missing, startServer } from "../support/start.ts";
import { follow } from "./log-support.ts";
import { liveStream, loggedDatabase, logOf, READER } from "./postgres-log-support.ts";
import { codeOf, describeTable, readAll, SERVERS, sourceOf } from "./postgres-support.ts";

describe.each(SERVERS)("%s", (server) => {
	const on = test.skipIf(missing(server));

	on("a snapshot of the cut and the stream from it are the whole", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
		const tables = [await describeTable(at.source, "t")];
		await using cut = await at.log.begin({ reader: READER, tables });
		await at.query("INSERT INTO t VALUES (2); DELETE FROM t WHERE id = 1");
		await using snapshot = await at.source.snapshot({ readers: 2, cut });
		expect((await readAll(snapshot, tables[0]!)).rows).toEqual([["1"]]);
		const { rows } = await follow(at.source, tables, { from: cut.position });
		expect(rows.map(({ operation, values }) => `${operation} ${values["id"]}`)).toEqual(["insert 2", "delete 1"]);
		if (server === "postgres18") {
			const [slot] = await at.query("SELECT failover::text FROM pg_replication_slots WHERE slot_name = $1", [at.slot]);
			expect(slot).toEqual({ failover: "true" });
		}
	});

	on(
		"the slot moves by what was acknowledged, never by what was read",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query("CREATE TABLE t (id int PRIMARY KEY)");
			const { tables, from } = await at.begin(["t"]);
			const confirmed = async () =>
				(
					await at.query("SELECT confirmed_flush_lsn AS lsn FROM pg_replication_slots WHERE slot_name = $1", [at.slot])
				)[0]!["lsn"]!;
			await at.query("INSERT INTO t VALUES (1)");
			const before = await confirmed();
			const first = await follow(at.source, tables, { from });
			expect(first.rows).toHaveLength(1);
			expect(await confirmed()).toBe(before);
			await using live = await liveStream(at, tables, from);
			const { position } = await live.next("boundary");
			await live.stream.acknowledge(position);
			await expect.poll(confirmed).toBe(at.log.format(position));
			// An idle database must not hold the log up: boundaries without rows move the position.
			await at.query("CREATE TABLE other (id int); INSERT INTO other SELECT generate_series(1, 1000)");
			const idle = await live.next("boundary");
			expect(at.log.compare(idle.position, position)).toBeGreaterThan(0);
			expect(idle.transactions).toEqual([]);
		},
		30_000,
	);

	on("dropped, made anew, or advanced by hand: each is found before anything is read", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE t (id int PRIMARY KEY)");
		const { tables, from } = await at.begin(["t"]);
		await at.query("INSERT INTO t VALUES (1)");
		await at.query(`SELECT pg_replication_slot_advance('${at.slot}', pg_current_wal_lsn())`);
		expect(await codeOf(follow(at.source, tables, { from }))).toBe("E_SLOT_AHEAD");
		await at.query(`SELECT pg_drop_replication_slot('${at.slot}')`);
		expect(await codeOf(follow(at.source, tables, { from }))).toBe("E_HISTORY_GONE");
		await at.query(`SELECT pg_create_logical_replication_slot('${at.slot}', 'pgoutput')`);
		expect(await codeOf(follow(at.source, tables, { from }))).toBe("E_SLOT_AHEAD");
		await at.query(
			`SELECT pg_drop_replication_slot('${at.slot}'); SELECT pg_create_logical_replication_slot('${at.slot}', 'test_decoding')`,
		);
		expect(await codeOf(follow(at.source, tables, { from }))).toBe("E_HISTORY_MISMATCH");
	});

	on("a position of another cluster, database or timeline is refused", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE t (id int PRIMARY KEY)");
		const { tables, from } = await at.begin(["t"]);
		for (const [old, other] of [
			[/system=\d+/, "system=1"],
			[/database=\S+/, "database=other"],
			[/timeline=\d+/, "timeline=9"],
		] as const)
			expect(await codeOf(follow(at.source, tables, { from: from.replace(old, other) }))).toBe("E_HISTORY_MISMATCH");
	});

	on(
		"a slot that is in use says who uses it",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query("CREATE TABLE t (id int PRIMARY KEY)");
			const { tables, from } = await at.begin(["t"]);
			await using _live = await liveStream(at, tables, from);
			expect(await codeOf(follow(at.source, tables, { from }))).toBe("E_BUSY");
		},
		20_000,
	);

	on("a publication that lost a table stops the stream", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)");
		const { tables, from } = await at.begin(["t", "u"]);
		await at.query(`ALTER PUBLICATION ${at.slot} DROP TABLE u`);
		const error = await follow(at.source, tables, { from }).catch((thrown: unknown) => thrown);
		expect(error).toMatchObject({
			code: "E_LOG_SETTINGS",
			hint: expect.stringContaining(`ALTER PUBLICATION "${at.slot}" ADD TABLE "public"."u"`),
		});
	});

	on(
		"a table without a replica identity is never published by itself; its inserts are when they are asked for",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query(`CREATE TABLE keyless (v int); CREATE TABLE none (id int PRIMARY KEY); ALTER TABLE none REPLICA IDENTITY NOTHING;
			CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY)`);
			for (const name of ["keyless", "none", "fleeting"])
				expect(await codeOf(at.begin([name])), name).toBe("E_LOG_SETTINGS");
			expect(await at.query("SELECT pubname FROM pg_publication")).toEqual([]);
			const { tables, from } = await at.begin(["keyless"], ["keyless"]);
			await at.query("INSERT INTO keyless VALUES (1); UPDATE keyless SET v = 2; DELETE FROM keyless");
			const { rows } = await follow(at.source, tables, { from });
			expect(rows.map(({ operation, values }) => [operation, values])).toEqual([["insert", { v: "1" }]]);
			await at.log.forget(READER);
			await at.log.forget(READER);
			expect(await at.query("SELECT pubname FROM pg_publication")).toEqual([]);
			expect(await at.query("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")).toEqual(
				[],
			);
		},
	);

	on(
		"a look reads a slot without using it up, or from now on without leaving one",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query("CREATE TABLE t (id int PRIMARY KEY, v text)");
			const { tables } = await at.begin(["t"]);
			await at.query("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i");
			const from = await at.log.beginning();
			expect(from).toContain(`slot=${at.slot}`);
			for (let times = 0; times < 2; times++) {
				const { rows } = await follow(at.source, tables, { from, looks: true });
				expect(rows).toHaveLength(20_000);
			}
			const now = await at.log.end();
			const stream = await at.log.open({
				reader: "look",
				from: now,
				looks: true,
				tables,
				types: () => ({
					mode: "exact",
					zeroDate: "null",
					nan: "fail",
					infinity: "fail",
					outOfRange: "fail",
					invalidText: "fail",
				}),
				before: "all",
				flush: { seconds: 0.05, rows: 1, bytes: 1 },
			});
			await at.query("DELETE FROM t WHERE id = 1");
			for await (const event of stream) {
				if (event.kind !== "rows") continue;
				expect(event.batch.rowCount).toBe(1);
				event.batch.release();
				break;
			}
			await expect
				.poll(() => at.query("SELECT slot_name AS s FROM pg_replication_slots WHERE database = current_database()"))
				.toEqual([{ s: at.slot }]);
		},
		30_000,
	);

	on("check names what is wrong with its statement", async () => {
		await using at = await loggedDatabase(server);
		await at.query(`CREATE TABLE good (id int PRIMARY KEY); CREATE TABLE keyless (v int); CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
			CREATE TABLE full_identity (v int); ALTER TABLE full_identity REPLICA IDENTITY FULL;
			CREATE TABLE secured (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED); ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
			CREATE PUBLICATION part FOR TABLE good WITH (publish = 'insert')`);
		await at.begin(["secured"]);
		const names = ["good", "keyless", "fleeting", "full_identity", "secured"];
		const found = await at.log.check(await Promise.all(names.map((name) => describeTable(at.source, name))));
		const bad = found
			.filter(({ severity }) => severity !== "ok")
			.map(({ severity, message }) => `${severity}: ${message}`);
		for (const expected of [
			/^error: public.keyless has no replica identity/,
			/^error: public.fleeting is unlogged/,
			/^warning: public.full_identity has no primary key/,
			/^warning: public.secured has row security/,
			/^warning: public.secured: the generated column twice/,
			/^warning: public.good: updates, deletes, truncates are not published by part/,
			new RegExp(`^warning: nobody reads the slot ${at.slot}`),
			/^warning: max_slot_wal_keep_size is not set/,
		])
			expect(
				bad.some((line) => expected.test(line)),
				`${expected} in ${bad.join("\n")}`,
			).toBe(true);
		for (const { severity, remedy } of found) if (severity !== "ok") expect(remedy).toBeTruthy();
	});

	on(
		"without wal_level, room or right nothing begins",
		async () => {
			await using own = await startServer(server, {
				settings: { wal_level: "replica", max_replication_slots: "0", max_wal_senders: "0" },
			});
			const source = await sourceOf(own, "postgres");
			const [finding] = await logOf(source).check([]);
			expect(finding).toMatchObject({ severity: "error", message: expect.stringContaining("wal_level is replica") });
			await source[Symbol.asyncDispose]();
			await using at = await loggedDatabase(server);
			const reader = await sourceOf(at.database.server, at.database.name, at.database.server.reader);
			const findings = await logOf(reader).check([]);
			expect(findings.find(({ severity }) => severity === "error")?.remedy).toContain("REPLICATION");
			await reader[Symbol.asyncDispose]();
		},
		30_000,
	);

	on(
		"a slot that the server gave up is gone by name, with what to do",
		async () => {
			await using own = await startServer(server, {
				settings: { max_slot_wal_keep_size: "1MB", max_wal_size: "32MB", checkpoint_timeout: "30s" },
			});
			const source = await sourceOf(own, "postgres");
			await own.query("postgres", "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE filler (v text)");
			const tables = [await describeTable(source, "t")];
			const cut = await logOf(source).begin({ reader: READER, tables });
			await cut[Symbol.asyncDispose]();
			for (let i = 0; i < 4; i++) {
				await own.query("postgres", "INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 20000)");
				await own.query("postgres", "SELECT pg_switch_wal()");
				await own.query("postgres", "CHECKPOINT");
			}
			const error = await follow(source, tables, { from: cut.position }).catch((thrown: unknown) => thrown);
			expect(error).toMatchObject({
				code: "E_HISTORY_GONE",
				hint: expect.stringContaining("headrace resync"),
			});
			const findings = await logOf(source).check(tables);
			expect(findings.some(({ message }) => message.includes("has given up the slot"))).toBe(true);
			await source[Symbol.asyncDispose]();
		},
		180_000,
	);

	on(
		"the grants, taken as they are printed, let a reader do all of it",
		async () => {
			await using at = await loggedDatabase(server);
			const role = `follower_${process.pid}`;
			await at.query(
				`CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE ${role} LOGIN PASSWORD 'follower'; GRANT SELECT ON t TO ${role}`,
			);
			await using source = await sourceOf(at.database.server, at.database.name, { user: role, password: "follower" });
			const log = logOf(source);
			const tables = [await describeTable(source, "t")];
			// Without them each step says what it lacks.
			const refused = await log.begin({ reader: READER, tables }).catch((thrown: unknown) => thrown);
			expect(refused).toMatchObject({ code: "E_RIGHTS", hint: expect.stringContaining("CREATE PUBLICATION") });
			for (const { text } of await log.grants!(tables.map(({ name }) => name))) await at.query(text);
			const cut = await log.begin({ reader: READER, tables });
			await cut[Symbol.asyncDispose]();
			await at.query("INSERT INTO t VALUES (1)");
			expect((await follow(source, tables, { from: cut.position })).rows).toHaveLength(1);
			expect((await log.check(tables)).filter(({ severity }) => severity === "error")).toEqual([]);
			expect((await log.headroom(cut.position)).bytesBehind).toBeGreaterThan(0);
			await log.forget(READER);
			await source[Symbol.asyncDispose]();
			await at.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
		},
		30_000,
	);

	on("without the right to replicate, the statement that gives it is named", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION all_of_it FOR TABLE t");
		await using reader = await sourceOf(at.database.server, at.database.name, at.database.server.reader);
		const tables = [await describeTable(reader, "t")];
		const error = await logOf(reader)
			.begin({ reader: READER, tables })
			.catch((thrown: unknown) => thrown);
		expect(error).toMatchObject({ code: "E_RIGHTS", hint: expect.stringContaining("REPLICATION") });
	});
});
