import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPostgresSource, type PostgresOptions } from "../../src/connectors/postgres/index.ts";
import { Secret } from "../../src/core/index.ts";
import { makeCertificates, tlsUnavailable } from "../support/certificates.ts";
import { freePort, temporaryFolder } from "../support/processes.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningServer } from "../support/server.ts";
import { sharedServer } from "../support/shared.ts";
import { missing, startServer } from "../support/start.ts";
import { codeOf, describeQuery, optionsOf, policy, readAll, SERVERS, sourceOf } from "./postgres-support.ts";

async function tlsFinding(options: PostgresOptions) {
	await using source = await createPostgresSource(options);
	return (await source.check()).find((finding) => finding.message.includes("TLS"));
}

async function fault(options: PostgresOptions): Promise<Error & { code: string; hint: string; reaction: string }> {
	await using source = await createPostgresSource(options);
	return (await source.check().catch((error: unknown) => error)) as Error & {
		code: string;
		hint: string;
		reaction: string;
	};
}

describe.each(SERVERS)("%s", (name) => {
	describe.skipIf(missing(name))("login", () => {
		test("a wrong password is tried once, is final, and shows only where it comes from", async () => {
			const server = await sharedServer(name);
			await using proxy = await startProxy(server);
			const options = { ...optionsOf(server, "postgres"), port: proxy.port, password: new Secret("wr0ng-s3cret") };
			const error = await fault(options);
			expect(error).toMatchObject({ code: "E_LOGIN", reaction: "stop" });
			expect(error.hint).toContain("${env:PG_PASSWORD}");
			expect(proxy.accepted).toBe(1);
			expect(`${inspect(error, { depth: 9 })}${JSON.stringify(error)}${error.stack}`).not.toContain("wr0ng-s3cret");
		});

		test("no password where one is asked for, no such user, no such database", async () => {
			const server = await sharedServer(name);
			const { password: _password, ...open } = optionsOf(server, "postgres");
			expect(await fault(open)).toMatchObject({ code: "E_LOGIN", message: expect.stringContaining("none is given") });
			expect((await fault({ ...optionsOf(server, "postgres"), user: "nobody_here" })).code).toBe("E_LOGIN");
			expect(await fault(optionsOf(server, "nosuch"))).toMatchObject({
				code: "E_LOGIN",
				message: expect.stringContaining("nosuch"),
			});
		});

		test("the environment gives no password", async () => {
			const server = await sharedServer(name);
			const { password: _password, ...open } = optionsOf(server, "postgres");
			process.env["PGPASSWORD"] = server.password;
			try {
				expect((await fault(open)).code).toBe("E_LOGIN");
			} finally {
				delete process.env["PGPASSWORD"];
			}
		});

		test.skipIf(tlsUnavailable() !== undefined)(
			"TLS: verified with the authority, refused without, insecure when asked",
			async () => {
				const server = await sharedServer(name);
				const options = optionsOf(server, "postgres");
				expect(await tlsFinding({ ...options, ca: server.ca! })).toMatchObject({
					severity: "ok",
					message: expect.stringContaining("TLS is verified"),
				});
				expect(await tlsFinding({ ...options, ca: readFileSync(server.ca!, "utf8") })).toMatchObject({
					severity: "ok",
				});
				expect(await tlsFinding({ ...options, tls: "insecure" })).toMatchObject({
					severity: "warning",
					message: expect.stringContaining("not verified"),
				});
				expect(await tlsFinding(options)).toMatchObject({
					severity: "ok",
					message: "no TLS: the server is on this machine",
				});
				expect((await fault({ ...options, tls: "verify" })).code).toBe("E_TLS");
				const folder = temporaryFolder("other-ca");
				const other = await makeCertificates(folder.path);
				expect((await fault({ ...options, ca: other.ca })).code).toBe("E_TLS");
				folder.remove();
				expect((await fault({ ...options, ca: "/no/such/ca.pem" })).code).toBe("E_FILE_NOT_FOUND");
			},
		);

		test.skipIf(tlsUnavailable() !== undefined)("rows, cancels and snapshots over TLS", async () => {
			const server = await sharedServer(name);
			await using source = await createPostgresSource({ ...optionsOf(server, "postgres"), ca: server.ca! });
			const table = await describeQuery(source, "select i, repeat('x', 300) as v from generate_series(1, 100000) i");
			await using snapshot = await source.snapshot({ readers: 2 });
			expect(snapshot.readers).toBe(2);
			for await (const batch of snapshot.read({ table, columns: table.columns, types: policy() })) {
				batch.release();
				break;
			}
			expect((await readAll(snapshot, table)).rows).toHaveLength(100_000);
		});
	});
});

describe.skipIf(missing("postgres18") || tlsUnavailable() !== undefined)("a server with TLS for another name", () => {
	let server: RunningServer;
	beforeAll(async () => {
		server = await startServer("postgres18", { tls: { names: ["db.example"] }, tlsRequired: true });
	});
	afterAll(async () => {
		await server?.stop();
	});

	test("is refused although its authority is trusted", async () => {
		expect(await fault({ ...optionsOf(server, "postgres"), ca: server.ca! })).toMatchObject({
			code: "E_TLS",
			message: expect.stringMatching(/altname|IP/i),
		});
	});

	test("that takes no plain connection says so", async () => {
		expect(await fault(optionsOf(server, "postgres"))).toMatchObject({
			code: "E_TLS",
			hint: expect.stringContaining("tls: on"),
		});
	});
});

describe.skipIf(missing("postgres18"))("servers that can't be had", () => {
	test("without TLS support, where TLS is wanted", async () => {
		await using server = await startServer("postgres18");
		expect((await fault({ ...optionsOf(server, "postgres"), tls: "verify" })).code).toBe("E_TLS");
		// A downgrade is no way out.
		expect((await fault({ ...optionsOf(server, "postgres"), tls: "insecure" })).code).toBe("E_TLS");
	});

	test("nobody listens, no such host", async () => {
		const options = { host: "127.0.0.1", port: await freePort(), user: "u", password: new Secret("p"), database: "d" };
		expect(await fault(options)).toMatchObject({ code: "E_CONNECT", reaction: "retry" });
		expect((await fault({ ...options, host: "no-such-host.invalid", tls: "off" })).code).toBe("E_CONNECT");
	});

	test("too many connections", async () => {
		await using server = await startServer("postgres18", {
			settings: { max_connections: 4, superuser_reserved_connections: 3, max_wal_senders: 0, wal_level: "replica" },
		});
		await server.query("postgres", "create role plain login password 'x'");
		const account = { user: "plain", password: "x" };
		await using first = await sourceOf(server, "postgres", account);
		await first.check();
		const error = await fault(optionsOf(server, "postgres", account));
		expect(error).toMatchObject({ code: "E_CONNECT", reaction: "retry" });
	});

	test("accepts and is silent: the login ends in time", async () => {
		const sockets: Socket[] = [];
		const silent = createServer((socket) => sockets.push(socket.on("error", () => {})));
		const port = await freePort();
		await new Promise<void>((resolve) => silent.listen(port, "127.0.0.1", resolve));
		const started = Date.now();
		expect(await fault({ host: "127.0.0.1", port, user: "u", password: new Secret("p"), database: "d" })).toMatchObject(
			{
				code: "E_CONNECT",
				message: expect.stringContaining("no answer in time"),
			},
		);
		expect(Date.now() - started).toBeLessThan(15_000);
		for (const socket of sockets) socket.destroy();
		silent.close();
	});

	test.each([
		["speaks something else", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
		["claims four gigabytes", Buffer.from([0x52, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])],
	])("%s: refused, and no memory is taken", async (_what, answer) => {
		const odd = createServer((socket) => {
			socket.on("error", () => {});
			socket.once("data", () => socket.end(answer));
		});
		const port = await freePort();
		await new Promise<void>((resolve) => odd.listen(port, "127.0.0.1", resolve));
		expect(
			await codeOf(
				fault({ host: "127.0.0.1", port, user: "u", password: new Secret("p"), database: "d" }).then((error) =>
					Promise.reject(error),
				),
			),
		).toMatch(/^E_(?:CONNECT|SOURCE)$/);
		odd.close();
	});
});
