import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openClient } from "./client.ts";
import { type FaultProxy, startProxy, throughProxy } from "./proxy.ts";
import { type RunningServer, SERVER_NAMES } from "./server.ts";
import { freshDatabase, sharedServer, withDatabase } from "./shared.ts";
import { missing, startServer } from "./start.ts";

const awkward = ["", "\\N", "NULL", "a'b\"c`d\\e", "tab\there", "cr\r\nlf", "é😀"];

describe.each(SERVER_NAMES)("%s", (name) => {
	describe.skipIf(missing(name))("shared", () => {
		test("hands every value back as the server's text", () =>
			withDatabase(name, async ({ server, query }) => {
				const bytes = server.kind === "postgres" ? "bytea" : "varbinary(10)";
				const utf8 = server.kind === "postgres" ? "" : "character set utf8mb4";
				await query(`create table t (n bigint, d decimal(20,2), s varchar(40) ${utf8}, b ${bytes}, at timestamp null)`);
				const mark = (index: number) => (server.kind === "postgres" ? `$${index}` : "?");
				const values = [1, 2, 3, 4, 5].map(mark).join(", ");
				for (const text of awkward) {
					const row = [
						"9223372036854775807",
						"123456789012345678.90",
						text,
						Buffer.from([0, 255]),
						"2026-01-02 03:04:05",
					];
					await query(`insert into t values (${values})`, row);
				}
				await query("insert into t (n) values (1)");
				const exact = { n: "9223372036854775807", d: "123456789012345678.90", b: "\\x00ff", at: "2026-01-02 03:04:05" };
				expect(await query("select n, d, s, b, at from t where d is not null")).toEqual(
					awkward.map((s) => ({ ...exact, s })),
				);
				expect(await query("select d, s, b, at from t where d is null")).toEqual([
					{ d: null, s: null, b: null, at: null },
				]);
			}));

		test("gives its reader account no more than SELECT", () =>
			withDatabase(name, async (database) => {
				await database.query("create table t (n int)");
				await using reader = await database.connect(database.server.reader);
				expect(await reader.query("select * from t")).toEqual([]);
				await expect(reader.query("insert into t values (1)")).rejects.toThrow(/denied/);
			}));

		test("refuses a wrong password", async () => {
			const server = await sharedServer(name);
			await expect(openClient(server, undefined, { password: "wrong" })).rejects.toThrow(/password/i);
		});

		test("drops a database that is in use, with its replication slots", async () => {
			const server = await sharedServer(name);
			const database = await freshDatabase(server);
			await using other = await database.connect();
			await other.query("select 1");
			if (server.kind === "postgres") {
				await database.query("select pg_create_logical_replication_slot('s_' || current_database(), 'pgoutput')");
			}
			await database.drop();
			const catalog =
				server.kind === "postgres" ? "pg_database where datname" : "information_schema.schemata where schema_name";
			expect(await server.admin(`select 1 from ${catalog} = '${database.name}'`)).toEqual([]);
		});
	});

	describe.skipIf(missing(name))("own", () => {
		let server: RunningServer;
		beforeAll(async () => {
			server = await startServer(name, { settings: { max_connections: 33 } });
		});
		afterAll(() => server?.stop());

		test("takes settings", async () => {
			const sql = name.startsWith("postgres") ? "show max_connections" : "select @@max_connections as max_connections";
			expect(await server.admin(sql)).toEqual([{ max_connections: "33" }]);
		});

		test("keeps committed rows through kill -9 and a restart, on the same port", async () => {
			await server.createDatabase("kept");
			const idle = await openClient(server, "kept");
			await idle.query("create table t (n int); insert into t values (1); select * from t");
			await server.kill9();
			await expect(server.admin("select 1")).rejects.toThrow();
			await expect(idle.query("select 1")).rejects.toThrow();
			await server.restart();
			expect(await server.query("kept", "select n from t")).toEqual([{ n: "1" }]);
			await server.restart();
			expect(await server.query("kept", "select n from t")).toEqual([{ n: "1" }]);
		});

		test("leaves no folder behind", async () => {
			expect(readdirSync(server.folder)).not.toEqual([]);
			await server.stop();
			expect(() => readdirSync(server.folder)).toThrow(/ENOENT/);
		});
	});
});

// MySQL 5.6 speaks TLS 1.0 only, which Node refuses.
describe.each(SERVER_NAMES.filter((name) => name !== "mysql56"))("TLS of %s", (name) => {
	describe.skipIf(missing(name))("shared and own", () => {
		test("speaks TLS that a client can verify", async () => {
			await using client = await openClient(await sharedServer(name), undefined, { tls: true });
			const sql = name.startsWith("postgres")
				? "select version from pg_stat_ssl where pid = pg_backend_pid()"
				: "select variable_value as version from information_schema.session_status where variable_name = 'Ssl_version'";
			expect(await client.query(sql)).toEqual([{ version: "TLSv1.3" }]);
		});

		test("a server that demands TLS takes no plain connection, and its certificate is good for its own name only", async () => {
			await using server = await startServer(name, { tlsRequired: true, tls: { names: ["db.example"] } });
			expect(await server.admin("select 1 as one")).toEqual([{ one: "1" }]);
			await expect(openClient(server, undefined, { tls: false })).rejects.toThrow(/insecure|no encryption|denied/i);
			await expect(openClient(server, undefined, { verifyName: true })).rejects.toThrow(/altnames/);
		});
	});
});

describe("proxy", () => {
	const name = "postgres18";
	const big = "select repeat('x', 100000) as x";

	async function through(proxy: FaultProxy) {
		return await openClient({ ...(await sharedServer(name)), port: proxy.port });
	}

	test.skipIf(missing(name))("passes everything on, whole and in crumbs", async () => {
		await using proxy = await startProxy(await sharedServer(name));
		for (const faults of [{}, { pieceBytes: 7 }, { latencyMs: 2 }]) {
			proxy.set(faults);
			await using client = await through(proxy);
			expect((await client.query(big))[0]!["x"]).toHaveLength(100_000);
		}
		expect(proxy.accepted).toBe(3);
		expect(proxy.bytesToClient).toBeGreaterThan(300_000);
		expect(throughProxy("postgres://u:p%40@db:5432/x?y=1", proxy)).toBe(
			`postgres://u:p%40@127.0.0.1:${proxy.port}/x?y=1`,
		);
	});

	test.skipIf(missing(name))("cuts, corrupts and refuses", async () => {
		await using proxy = await startProxy(await sharedServer(name));
		{
			await using client = await through(proxy);
			proxy.set({ cutAfterBytes: 50_000 });
			await expect(client.query(big)).rejects.toThrow(/terminated|reset/i);
		}
		proxy.set({});
		{
			await using client = await through(proxy);
			proxy.set({ corruptByteAt: 60_000 });
			expect((await client.query(big))[0]!["x"]).toMatch(/[^x]/);
		}
		proxy.set({ refuse: true });
		await expect(through(proxy)).rejects.toThrow(/reset|terminated/i);
	});

	test.skipIf(missing(name))("goes silent without closing", async () => {
		await using proxy = await startProxy(await sharedServer(name), { blackHole: true });
		const socket = connect(proxy.port, proxy.host);
		const events: string[] = [];
		for (const event of ["data", "end", "close", "error"]) socket.on(event, () => events.push(event));
		socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
		await new Promise((resolve) => setTimeout(resolve, 150));
		expect(events).toEqual([]);
		proxy.cut();
		await expect.poll(() => events).toContain("close");
	});
});
