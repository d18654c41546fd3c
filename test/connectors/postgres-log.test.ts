import { describe, expect, test } from "vitest";
import { createPostgresSource } from "../../src/connectors/postgres/index.ts";
import { startProxy } from "../support/proxy.ts";
import { missing } from "../support/start.ts";
import { follow } from "./log-support.ts";
import { liveStream, loggedDatabase } from "./postgres-log-support.ts";
import { optionsOf, SERVERS, sourceOf } from "./postgres-support.ts";

describe.each(SERVERS)("%s", (server) => {
	const on = test.skipIf(missing(server));

	on("inserts, updates and deletes come in the order of their commits, with what they are of", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE t (id int PRIMARY KEY, name text, amount numeric(10,2))");
		const { tables, from } = await at.begin(["t"]);
		await at.query("INSERT INTO t VALUES (1, 'one', 1.50), (2, NULL, -20.25)");
		await at.query("UPDATE t SET name = 'two' WHERE id = 2");
		await at.query("DELETE FROM t WHERE id = 1");
		const { rows, events } = await follow(at.source, tables, { from });
		expect(rows).toEqual([
			{ table: "t", operation: "insert", transaction: 0, values: { id: "1", name: "one", amount: "1.50" } },
			{ table: "t", operation: "insert", transaction: 0, values: { id: "2", name: null, amount: "-20.25" } },
			{ table: "t", operation: "update", transaction: 1, values: { id: "2", name: "two", amount: "-20.25" } },
			{ table: "t", operation: "delete", transaction: 2, values: { id: "1" } },
		]);
		expect(events.map(({ kind }) => kind)).toEqual(["boundary"]);
	});

	describe("TOAST", () => {
		/** Compressible text stays inline: these digits do not compress. */
		const big = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) AS i)";

		on("an unchanged value is not told under the default identity, and is never NULL", async () => {
			await using at = await loggedDatabase(server);
			await at.query(
				`CREATE TABLE t (id int PRIMARY KEY, big text, n int); ALTER TABLE t ALTER big SET STORAGE EXTERNAL`,
			);
			await at.query(`INSERT INTO t VALUES (1, ${big}, 1)`);
			const { tables, from } = await at.begin(["t"]);
			await at.query("UPDATE t SET n = 2; UPDATE t SET id = 7; UPDATE t SET big = NULL; DELETE FROM t");
			const { rows } = await follow(at.source, tables, { from });
			expect(rows.map(({ operation, values }) => [operation, values])).toEqual([
				["update", { id: "1", n: "2" }],
				["before", { id: "1" }],
				["update", { id: "7", n: "2" }],
				["update", { id: "7", big: null, n: "2" }],
				["delete", { id: "7" }],
			]);
		});

		on("under FULL the old row tells what the new one leaves out", async () => {
			await using at = await loggedDatabase(server);
			await at.query(`CREATE TABLE t (id int PRIMARY KEY, big text, n int); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
				ALTER TABLE t REPLICA IDENTITY FULL`);
			await at.query(`INSERT INTO t VALUES (1, ${big}, 1)`);
			const { tables, from } = await at.begin(["t"]);
			await at.query("UPDATE t SET n = 2; UPDATE t SET id = 7; DELETE FROM t");
			const all = await follow(at.source, tables, { from });
			const bytes = 400 * 32;
			expect(
				all.rows.map(({ operation, values }) => [operation, values["id"], values["n"], values["big"]?.length]),
			).toEqual([
				["before", "1", "1", bytes],
				["update", "1", "2", bytes],
				["before", "1", "2", bytes],
				["update", "7", "2", bytes],
				["delete", "7", "2", bytes],
			]);
			const keys = await follow(at.source, tables, { from, before: "key-changes" });
			expect(keys.rows.map(({ operation, values }) => [operation, values["id"], values["big"]?.length])).toEqual([
				["update", "1", bytes],
				["before", "1", bytes],
				["update", "7", bytes],
				["delete", "7", bytes],
			]);
		});

		on("under an index as identity the old key is the index's", async () => {
			await using at = await loggedDatabase(server);
			await at.query(`CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL UNIQUE, big text);
				ALTER TABLE t ALTER big SET STORAGE EXTERNAL; ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_key`);
			await at.query(`INSERT INTO t VALUES (1, 'a', ${big})`);
			const { tables, from } = await at.begin(["t"]);
			await at.query("UPDATE t SET id = 2; UPDATE t SET code = 'b'; DELETE FROM t");
			const { rows } = await follow(at.source, tables, { from });
			expect(rows.map(({ operation, values }) => [operation, values])).toEqual([
				["update", { id: "2", code: "a" }],
				["before", { code: "a" }],
				["update", { id: "2", code: "b" }],
				["delete", { code: "b" }],
			]);
		});
	});

	on("keys that are swapped in one transaction come in its order", async () => {
		await using at = await loggedDatabase(server);
		await at.query(
			"CREATE TABLE t (a int, b text, v text, PRIMARY KEY (a, b)); INSERT INTO t VALUES (1, 'x', 'one'), (2, 'y', 'two')",
		);
		const { tables, from } = await at.begin(["t"]);
		await at.query(
			`BEGIN; UPDATE t SET a = 9 WHERE a = 1; UPDATE t SET a = 1 WHERE a = 2; UPDATE t SET a = 2 WHERE a = 9; COMMIT`,
		);
		const { rows } = await follow(at.source, tables, { from, before: "key-changes" });
		expect(
			rows.map(({ operation, values }) => `${operation} ${values["a"]} ${values["b"]} ${values["v"] ?? ""}`.trim()),
		).toEqual(["before 1 x", "update 9 x one", "before 2 y", "update 1 y two", "before 9 x", "update 2 x one"]);
		expect(new Set(rows.map(({ transaction }) => transaction)).size).toBe(1);
	});

	on("TRUNCATE … CASCADE comes for each table that it reached, at its place", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a)");
		const { tables, from } = await at.begin(["a", "b"]);
		await at.query(
			"INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1); TRUNCATE a CASCADE; INSERT INTO a VALUES (2)",
		);
		const { all } = await follow(at.source, tables, { from });
		expect(
			all.map((item) =>
				"kind" in item
					? `${item.kind} ${item.kind === "truncate" ? item.table.name.name : ""}`.trim()
					: `${item.operation} ${item.table} ${item.values["id"]}`,
			),
		).toEqual(["insert a 1", "insert b 1", "truncate a", "truncate b", "insert a 2", "boundary"]);
	});

	on("partitions come as their root, generated columns do not come", async () => {
		await using at = await loggedDatabase(server);
		await at.query(`CREATE TABLE p (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED) PARTITION BY RANGE (id);
			CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)`);
		const { tables, from } = await at.begin(["p"]);
		await at.query("INSERT INTO p (id) VALUES (1), (11); UPDATE p SET id = 12 WHERE id = 1");
		const { rows } = await follow(at.source, tables, { from });
		expect(rows.map(({ table, operation, values }) => [table, operation, values])).toEqual([
			["p", "insert", { id: "1" }],
			["p", "insert", { id: "11" }],
			// From one partition to another an update is a delete and an insert.
			["p", "delete", { id: "1" }],
			["p", "insert", { id: "12" }],
		]);
	});

	on("a column added, renamed, retyped and dropped comes as a change of the table, before its first row", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE t (id int PRIMARY KEY, a text)");
		const { tables, from } = await at.begin(["t"]);
		const changes = [
			"ALTER TABLE t ADD COLUMN b int",
			"ALTER TABLE t RENAME COLUMN a TO c",
			"ALTER TABLE t ADD COLUMN d int DEFAULT 5",
			"ALTER TABLE t ALTER COLUMN b TYPE bigint USING b * 10",
			"ALTER TABLE t DROP COLUMN c",
		];
		await at.query("INSERT INTO t VALUES (0, 'x')");
		const seen: string[] = [];
		let position = from;
		let id = 1;
		for (const change of changes) {
			await at.query(`${change}; INSERT INTO t (id) VALUES (${id}); UPDATE t SET id = id`);
			// Read at once: a renamed column is known as long as the table has it under that name.
			if (id === 1) ({ position } = await follow(at.source, tables, { from: position }));
			const { events } = await follow(at.source, tables, { from });
			const event = events.filter(({ kind }) => kind === "schema").at(-1);
			if (event?.kind !== "schema") throw new Error(`no change for ${change}`);
			seen.push(
				`${event.after!.columns.map(({ name, nativeType }) => `${name} ${nativeType}`).join(", ")}${event.rereads ? ", read anew" : ""}`,
			);
			id++;
		}
		expect(seen).toEqual([
			"id integer, a text, b integer",
			"id integer, c text, b integer",
			"id integer, c text, b integer, d integer, read anew",
			"id integer, c text, b bigint, d integer, read anew",
			"id integer, b bigint, d integer",
		]);
	});

	on("a rename is proved by the column's number; a table under another name is followed no more", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE t (id int PRIMARY KEY, a text)");
		const { tables, from } = await at.begin(["t"]);
		await using live = await liveStream(at, tables, from);
		await at.query("INSERT INTO t VALUES (1, 'x')");
		await live.next("rows");
		await at.query("ALTER TABLE t RENAME a TO b; INSERT INTO t VALUES (2, 'y')");
		const event = await live.next("schema");
		expect(event.rereads).toBe(false);
		expect(event.after!.columns[1]!.name).toBe("b");
		expect(event.after!.columns[1]!.identity).toBe(event.before.columns[1]!.identity);
		expect(event.after!.columns[1]!.identity).toBeDefined();
		await at.query("ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (3, 'z')");
		expect(await live.next("schema")).toMatchObject({ after: null, statement: "rename" });
	});

	on("a table that takes the place of another is another table, to be read anew", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE t_new (id int PRIMARY KEY, extra text)");
		const { tables, from } = await at.begin(["t", "t_new"]);
		await using live = await liveStream(at, tables.slice(0, 1), from);
		await at.query("INSERT INTO t VALUES (1)");
		await live.next("rows");
		await at.query(`BEGIN; ALTER TABLE t RENAME TO t_old; ALTER TABLE t_new RENAME TO t; INSERT INTO t_old VALUES (2);
			INSERT INTO t VALUES (3, 'x'); COMMIT`);
		expect(await live.next("schema")).toMatchObject({ after: null, statement: "rename" });
		const event = await live.next("schema");
		expect(event).toMatchObject({ rereads: true, statement: "create" });
		expect(event.after!.columns.map(({ name }) => name)).toEqual(["id", "extra"]);
		const rows = await live.next("rows");
		expect(rows.batch.rowCount).toBe(1);
	});

	on(
		"a commit that did not wait for its log is before the log's end",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query("CREATE TABLE t (id int PRIMARY KEY)");
			const { tables, from } = await at.begin(["t"]);
			await using client = await at.database.connect();
			await client.query("SET synchronous_commit = off");
			for (let id = 1; id <= 5; id++) {
				await client.query(`INSERT INTO t VALUES (${id})`);
				const { rows } = await follow(at.source, tables, { from });
				expect(rows).toHaveLength(id);
			}
		},
		30_000,
	);

	on(
		"over TLS, and by pieces of a few bytes, the same rows come",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query("CREATE TABLE t (id int PRIMARY KEY, v text)");
			const { tables, from } = await at.begin(["t"]);
			await at.query("INSERT INTO t SELECT i, repeat('x', i * 7) FROM generate_series(1, 50) AS i");
			const { rows } = await follow(at.source, tables, { from });
			await using encrypted = await createPostgresSource({
				...optionsOf(at.database.server, at.database.name),
				tls: "insecure",
			});
			expect((await follow(encrypted, tables, { from })).rows).toEqual(rows);
			await using proxy = await startProxy(at.database.server, { pieceBytes: 3 });
			const through = { ...at.database.server, host: proxy.host, port: proxy.port };
			await using crumbs = await sourceOf(through, at.database.name);
			expect((await follow(crumbs, tables, { from })).rows).toEqual(rows);
		},
		180_000,
	);

	on("each row's transaction has the time and the place of its commit", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE t (id int PRIMARY KEY)");
		const { tables, from } = await at.begin(["t"]);
		const before = BigInt(Date.now() - 1000) * 1000n;
		await at.query("INSERT INTO t VALUES (1)");
		await at.query("INSERT INTO t VALUES (2)");
		const { events, position } = await follow(at.source, tables, { from });
		const [boundary] = events;
		if (boundary?.kind !== "boundary") throw new Error();
		expect(
			boundary.transactions.map(({ committedAt }) => committedAt > before && committedAt < before + 60_000_000n),
		).toEqual([true, true]);
		const [first, second] = boundary.transactions.map((transaction) => transaction.position);
		expect(at.log.compare(first!, second!)).toBeLessThan(0);
		expect(at.log.compare(second!, position)).toBeLessThanOrEqual(0);
		// After a transaction begins the next one.
		const rest = await follow(at.source, tables, { from: first! });
		expect(rest.rows.map(({ values }) => values["id"])).toEqual(["2"]);
	});
});
