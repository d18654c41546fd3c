import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { filePieces } from "./file-pieces.ts";
import { cutAtFrames } from "./zstd-frames.ts";

const folder = mkdtempSync(join(tmpdir(), "headrace-zstd-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const frame = (content: Uint8Array, checksum: boolean, level = 3): Buffer =>
	zstdCompressSync(content, {
		params: { [constants.ZSTD_c_checksumFlag]: checksum ? 1 : 0, [constants.ZSTD_c_compressionLevel]: level },
	});

function skippable(content: Uint8Array): Buffer {
	const head = Buffer.alloc(8);
	head.writeUInt32LE(0x184d2a53, 0);
	head.writeUInt32LE(content.length, 4);
	return Buffer.concat([head, content]);
}

async function decompressed(file: Buffer): Promise<Buffer> {
	const path = join(folder, "a.zst");
	writeFileSync(path, file);
	const pieces: Buffer[] = [];
	for await (const piece of filePieces(path, "zstd")) pieces.push(piece);
	return Buffer.concat(pieces);
}

describe("a Zstandard file of several frames", () => {
	test("is read to its end", async () => {
		const parts = ["id,note\n", "1,a\n".repeat(100_000), "", "2,b\n"].map((text) => Buffer.from(text));
		const file = Buffer.concat(parts.map((part, index) => frame(part, index % 2 === 0)));
		expect((await decompressed(file)).equals(Buffer.concat(parts))).toBe(true);
	});

	test("any frames, with checksums or without, and skippable ones between", async () => {
		const content = fc.oneof(
			fc.uint8Array({ maxLength: 300 }),
			// Blocks of 128 kB, of one byte repeated and of noise.
			fc.integer({ min: 0, max: 400_000 }).map((length) => new Uint8Array(length).fill(7)),
			fc.integer({ min: 0, max: 300_000 }).map((length) => Uint8Array.from({ length }, (_, i) => (i * i * 31) >> 3)),
		);
		const parts = fc.array(fc.record({ content, checksum: fc.boolean(), skip: fc.boolean() }), {
			minLength: 1,
			maxLength: 6,
		});
		await fc.assert(
			fc.asyncProperty(parts, async (frames) => {
				const file = frames.map(({ content, checksum, skip }) =>
					skip ? Buffer.concat([skippable(content), frame(content, checksum)]) : frame(content, checksum),
				);
				const read = await decompressed(Buffer.concat(file));
				expect(read.equals(Buffer.concat(frames.map((each) => each.content)))).toBe(true);
			}),
			{ numRuns: 40 },
		);
	});

	test("pieces of any size are cut at the same places, and lose nothing", async () => {
		const file = Buffer.concat([
			frame(Buffer.from("one"), true),
			skippable(Buffer.from("x")),
			frame(Buffer.from("two"), false),
		]);
		for (let size = 1; size <= file.length; size++) {
			async function* pieces() {
				for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size);
			}
			const cut: Buffer[] = [];
			for await (const piece of cutAtFrames(pieces())) cut.push(piece);
			expect(Buffer.concat(cut).equals(file)).toBe(true);
			if (size === file.length) expect(cut).toHaveLength(3);
		}
	});

	test("a last frame that is cut off, or bytes that are none, are E_CORRUPT_FILE", async () => {
		const whole = frame(Buffer.from("first"), true);
		const second = frame(Buffer.from("second second second"), true);
		for (const rest of [second.subarray(0, second.length - 3), second.subarray(0, 5), Buffer.from("no frame at all")])
			await expect(decompressed(Buffer.concat([whole, rest]))).rejects.toMatchObject({ code: "E_CORRUPT_FILE" });
	});
});
