import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startProxy } from "../support/proxy.ts";
import type { RunningServer } from "../support/server.ts";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { missing, startServer } from "../support/start.ts";
import { bigTable, codeOf, describeOne, openSource, readAll } from "./mysql-support.ts";

test("a peer that takes the connection and never says hello is given up", { timeout: 30_000 }, async () => {
	const silent = createServer((socket) => socket.on("error", () => {}));
	await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
	const { port } = silent.address() as { port: number };
	const login = { kind: "mysql", host: "127.0.0.1", port, user: "u", password: "p" } as const;
	expect(await codeOf(openSource(login))).toMatchObject({ code: "E_CONNECT", reaction: "retry" });
	await new Promise((resolve) => silent.close(resolve));
});

/** A server that greets, lets anyone in, and answers every statement with these packets. */
async function hostileServer(answer: readonly Buffer[]) {
	const received: Buffer[] = [];
	const packet = (sequence: number, payload: Buffer) =>
		Buffer.concat([Buffer.from([payload.length & 255, payload.length >> 8, 0, sequence]), payload]);
	const greeting = Buffer.concat([
		Buffer.from("\x0a5.6.24\0\x01\0\0\x0012345678\0", "latin1"),
		// Protocol 41, secure connection, plugin auth; utf8; autocommit.
		Buffer.from([0xff, 0xf7, 33, 2, 0, 0x0f, 0x80, 21, ...Array<number>(10).fill(0)]),
		Buffer.from("123456789012\0mysql_native_password\0", "latin1"),
	]);
	const server = createServer((socket) => {
		let count = 0;
		socket.on("error", () => {});
		socket.write(packet(0, greeting));
		socket.on("data", (data: Buffer) => {
			count++;
			if (count === 1) socket.write(packet(2, Buffer.from([0, 0, 0, 2, 0, 0, 0])));
			else if (count === 2) for (const [i, payload] of answer.entries()) socket.write(packet(i + 1, payload));
			else {
				received.push(data);
				socket.write(packet(data[3]! + 1, Buffer.from([0, 0, 0, 2, 0, 0, 0])));
			}
		});
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as { port: number };
	return {
		login: { kind: "mysql", host: "127.0.0.1", port, user: "u", password: "p" } as const,
		received,
		[Symbol.asyncDispose]: async () => {
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

describe("a hostile server", () => {
	test("that sends nonsense is refused", async () => {
		const nonsense = createServer((socket) => {
			socket.on("error", () => {});
			socket.end(Buffer.from("4a00000affffff this is no server greeting", "latin1"));
		});
		await new Promise<void>((resolve) => nonsense.listen(0, "127.0.0.1", resolve));
		const { port } = nonsense.address() as { port: number };
		const login = { kind: "mysql", host: "127.0.0.1", port, user: "u", password: "p" } as const;
		expect(["E_CONNECT", "E_CONNECTION_LOST"]).toContain((await codeOf(openSource(login))).code);
		await new Promise((resolve) => nonsense.close(resolve));
	});

	const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
	const definition = Buffer.concat([
		...["def", "", "", "", "v", ""].map(text),
		Buffer.from([12, 33, 0, 255, 0, 0, 0, 253, 0, 0, 0, 0, 0]),
	]);
	const endOfFields = Buffer.from([0xfe, 0, 0, 2, 0]);

	test("that asks for a local file gets none", async () => {
		await using hostile = await hostileServer([Buffer.concat([Buffer.from([0xfb]), Buffer.from("/etc/passwd")])]);
		const error = await codeOf(openSource(hostile.login));
		expect(["E_CONNECT", "E_CONNECTION_LOST", "E_SOURCE"]).toContain(error.code);
		expect(Buffer.concat(hostile.received).toString()).not.toContain("root");
		expect(Buffer.concat(hostile.received).length).toBeLessThan(16);
	});

	test.each([
		["a field of 4 GiB", Buffer.from([254, 0, 0, 0, 0, 1, 0, 0, 0, 65])],
		["a field longer than its packet", Buffer.from([200, 65])],
	])("that claims %s is refused", async (_name, row) => {
		await using hostile = await hostileServer([Buffer.from([1]), definition, endOfFields, row, endOfFields]);
		const error = await codeOf(openSource(hostile.login));
		expect(["E_CONNECT", "E_CONNECTION_LOST"]).toContain(error.code);
	});
});

describe.skipIf(missing("mariadb"))("TLS", () => {
	let own: RunningServer;
	beforeAll(async () => {
		own = await startServer("mariadb", { tls: { names: ["127.0.0.1"] }, tlsRequired: true });
	});
	afterAll(() => own?.stop());

	test("is verified against the CA and the address", async () => {
		await using source = await openSource(own, { tls: "verify", ca: own.ca! });
		expect(await source.listTables()).toEqual([]);
		expect((await source.check()).map(({ message }) => message)).toContainEqual(
			expect.stringMatching(/^TLSv1\.[23], verified$/),
		);
		await using implied = await openSource(own, { ca: own.ca! });
		expect(await implied.listTables()).toEqual([]);
	});

	test("an unknown authority and another name are E_TLS, and never a retry without", async () => {
		expect(await codeOf(openSource(own, { tls: "verify" }))).toMatchObject({ code: "E_TLS", reaction: "stop" });
		expect(await codeOf(openSource(own, { host: "localhost", tls: "verify", ca: own.ca! }))).toMatchObject({
			code: "E_TLS",
		});
		expect(await codeOf(openSource(own, { tls: "verify", ca: "/no/such/ca.pem" }))).toMatchObject({
			code: "E_FILE_NOT_FOUND",
		});
	});

	test("insecure connects to anyone and says so; off is refused by a server that demands TLS", async () => {
		await using source = await openSource(own, { tls: "insecure" });
		expect(await source.check()).toContainEqual(
			expect.objectContaining({ severity: "warning", message: expect.stringContaining("not verified") }),
		);
		const refused = await codeOf(openSource(own, { tls: "off" }));
		expect(["E_TLS", "E_LOGIN"]).toContain(refused.code);
	});

	test("a server without TLS is refused when TLS is asked for", async () => {
		if (missing("mysql56")) return;
		const plain = await sharedServer("mysql56");
		expect(await codeOf(openSource(plain, { tls: "verify" }))).toMatchObject({ code: "E_TLS" });
	});

	test("rows arrive the same over TLS, in pieces of every size", async () => {
		await using database = await freshDatabase(own);
		await bigTable(database, "big", 300, 10_007);
		await using proxy = await startProxy(own, { pieceBytes: 1009 });
		await using source = await openSource(own, { port: proxy.port, ca: own.ca! });
		const table = await describeOne(source, database.name, "big");
		await using snapshot = await source.snapshot({ readers: 1 });
		const rows = await readAll(snapshot, table);
		expect(new Set(rows.map(([, v]) => v))).toEqual(new Set(["78".repeat(10_007)]));
		expect(rows).toHaveLength(300);
	});
});
