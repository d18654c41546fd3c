import { PassThrough } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HeadraceError } from "../../core/index.ts";
import { type CopySink, WireTap } from "./wire-tap.ts";

const message = (code: string, body: Uint8Array | string): Buffer => {
	const bytes = Buffer.from(body as string);
	const header = Buffer.alloc(5);
	header.write(code, "latin1");
	header.writeUInt32BE(bytes.length + 4, 1);
	return Buffer.concat([header, bytes]);
};

/** A tap on a stream in memory: what pg was given, and what the sink was. */
function tapped() {
	const stream = new PassThrough();
	const forwarded: Buffer[] = [];
	stream.on("data", (bytes: Buffer) => forwarded.push(Buffer.from(bytes)));
	const tap = new WireTap(stream);
	const rows: string[] = [];
	const failures: unknown[] = [];
	const open: { buffer: Buffer; start: number; end: number }[] = [];
	const sink: CopySink = {
		message: (buffer, start, end) => open.push({ buffer, start, end }),
		// Read only now: bytes must stay valid until the flush.
		flush: () => {
			for (const { buffer, start, end } of open.splice(0)) rows.push(buffer.toString("latin1", start, end));
		},
		failed: (error) => failures.push(error),
	};
	return { stream, tap, sink, rows, failures, forwarded: () => Buffer.concat(forwarded) };
}

async function send(stream: PassThrough, pieces: readonly Buffer[]): Promise<void> {
	for (const piece of pieces) {
		stream.write(piece);
		await new Promise((resolve) => setImmediate(resolve));
	}
}

describe("wire tap", () => {
	test("rows go to the sink and all else to pg, however the bytes are cut", async () => {
		const part = fc.record({ code: fc.constantFrom("d", "d", "d", "N", "S"), size: fc.integer({ min: 0, max: 300 }) });
		await fc.assert(
			fc.asyncProperty(
				fc.array(part, { maxLength: 12 }),
				fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }),
				async (parts, sizes) => {
					const { stream, tap, sink, rows, forwarded } = tapped();
					tap.sink = sink;
					const messages = parts.map(({ code, size }, i) => ({ code, bytes: message(code, String(i).repeat(size)) }));
					const all = Buffer.concat([...messages.map((m) => m.bytes), message("Z", "I")]);
					const pieces: Buffer[] = [];
					for (let at = 0, i = 0; at < all.length; i++) {
						const size = sizes[i % sizes.length]!;
						pieces.push(all.subarray(at, at + size));
						at += size;
					}
					await send(stream, pieces);
					expect(rows).toEqual(messages.filter((m) => m.code === "d").map((m) => m.bytes.toString("latin1", 5)));
					expect(forwarded()).toEqual(
						Buffer.concat([...messages.filter((m) => m.code !== "d").map((m) => m.bytes), message("Z", "I")]),
					);
				},
			),
			{ numRuns: 60 },
		);
	});

	test("a row of many reads is put together; rows that nobody wants are dropped", async () => {
		const { stream, tap, sink, rows } = tapped();
		tap.sink = sink;
		const big = message("d", "0123456789".repeat(1_000_000));
		await send(
			stream,
			Array.from({ length: 160 }, (_, i) => big.subarray(i * 65536, (i + 1) * 65536)),
		);
		expect(rows.map((row) => row.length)).toEqual([10_000_000]);
		tap.sink = null;
		await send(stream, [message("d", "dropped")]);
		expect(rows).toHaveLength(1);
	});

	test("a sink that throws gets nothing more", async () => {
		const { stream, tap, sink, failures } = tapped();
		let calls = 0;
		tap.sink = {
			...sink,
			message: () => {
				calls++;
				throw new Error("no");
			},
		};
		await send(stream, [Buffer.concat([message("d", "a"), message("d", "b")])]);
		expect([calls, failures.length, tap.sink]).toEqual([1, 1, null]);
	});

	test.each([
		["d", 0xffffffff],
		["d", 0x7fffffff],
		["D", 0x20000000],
		["d", 3],
		["Z", 0],
	])("%s that claims %i bytes ends the connection, whole or in pieces", async (code, length) => {
		for (const cut of [5, 2]) {
			const { stream, tap, sink } = tapped();
			tap.sink = sink;
			const broken = new Promise<unknown>((resolve) => stream.once("error", resolve));
			const header = Buffer.alloc(5);
			header.write(code, "latin1");
			header.writeUInt32BE(length, 1);
			await send(
				stream,
				[header.subarray(0, cut), header.subarray(cut)].filter((piece) => piece.length > 0),
			);
			const error = await broken;
			expect(error).toBeInstanceOf(HeadraceError);
			expect((error as HeadraceError).code).toBe("E_SOURCE");
		}
	});

	test("another version of pg that reads differently is refused", () => {
		expect(() => new WireTap(new PassThrough())).toThrow(/unknown way/);
	});
});
