import { createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { PacketSocket } from "./packet-socket.ts";

let server: Server | undefined;

afterEach(() => server?.close());

/** Connects a socket to a server that sends these pieces, one a write. */
async function received(pieces: readonly Buffer[], reuse: boolean): Promise<{ socket: PacketSocket; told: Buffer[] }> {
	const sender = Promise.withResolvers<Socket>();
	server = createServer((peer) => sender.resolve(peer));
	await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
	const socket = new PacketSocket();
	socket.reuse = reuse;
	const told: Buffer[] = [];
	socket.on("data", (packets: Buffer) => told.push(reuse ? Buffer.from(packets) : packets));
	const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()));
	socket.connect((server.address() as { port: number }).port, "127.0.0.1");
	const peer = await sender.promise;
	peer.setNoDelay(true);
	for (const piece of pieces) {
		await new Promise<void>((resolve) => peer.write(piece, () => resolve()));
		await new Promise((resolve) => setTimeout(resolve, 2));
	}
	peer.end();
	await ended;
	return { socket, told };
}

function packet(length: number, fill: number): Buffer {
	const bytes = Buffer.alloc(4 + length, fill);
	bytes.writeUIntLE(length, 0, 3);
	return bytes;
}

/** Whether a buffer is packets from its start to its end. */
function isWhole(buffer: Buffer): boolean {
	let at = 0;
	while (at + 4 <= buffer.length) at += 4 + buffer.readUIntLE(at, 3);
	return at === buffer.length;
}

const packets = [packet(0, 1), packet(3, 2), packet(300, 3), packet(200_000, 4), packet(7, 5)];
const stream = Buffer.concat(packets);

test.each([
	["all at once", [stream]],
	["cut in a header", [stream.subarray(0, 6), stream.subarray(6)]],
	["byte by byte", [...stream.subarray(0, 320)].map((byte) => Buffer.from([byte])).concat([stream.subarray(320)])],
	["cut in a body", [stream.subarray(0, 50), stream.subarray(50, 90_000), stream.subarray(90_000)]],
])("whole packets, %s", async (_name, pieces) => {
	for (const reuse of [false, true]) {
		const { told } = await received(pieces, reuse);
		expect(told.every(isWhole)).toBe(true);
		expect(Buffer.concat(told).equals(stream)).toBe(true);
		server?.close();
	}
});

test("what was told stays as it was unless reuse is allowed", async () => {
	const { told } = await received(
		packets.flatMap((each) => [each.subarray(0, 2), each.subarray(2)]),
		false,
	);
	expect(Buffer.concat(told).equals(stream)).toBe(true);
});

test("a part of a row above 16 MiB is told in a buffer of its own", async () => {
	const part = packet(0xffffff, 6);
	const rest = packet(100_000, 7);
	const kept: Buffer[] = [];
	const sender = Promise.withResolvers<Socket>();
	server = createServer((peer) => sender.resolve(peer));
	await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
	const socket = new PacketSocket();
	socket.reuse = true;
	socket.on("data", (bytes: Buffer) => kept.push(bytes));
	const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()));
	socket.connect((server.address() as { port: number }).port, "127.0.0.1");
	const peer = await sender.promise;
	peer.end(Buffer.concat([part, rest]));
	await ended;
	expect(kept[0]!.equals(part)).toBe(true);
});
