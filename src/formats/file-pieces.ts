import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { pipeline, Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { HeadraceError } from "../core/index.ts";
import type { Compression } from "./compressed.ts";
import { readBytes } from "./durable.ts";
import { cutAtFrames } from "./zstd-frames.ts";

export interface PieceLimits {
	/** Most bytes that a compressed file may grow to; default 1 TiB. */
	readonly bytesMax?: number;
	/** Most bytes out for a byte in, looked at once a file has grown past 1 GiB; default 1000. */
	readonly ratioMax?: number;
}

const BYTES_MAX = 1024 ** 4;
/** Text of one repeated line reaches 1000 with gzip; the worst a gzip bomb can do is 1032, zstd's are far beyond. */
const RATIO_MAX = 1000;
const RATIO_FREE_BYTES = 1 << 30;

/**
 * Compression of a file by the ending of its name; without one by its first bytes, which no text begins with
 * (RFC 1952 section 2.3.1, RFC 8878 section 3.1.1).
 */
export async function compressionOf(path: string): Promise<Compression> {
	if (path.endsWith(".gz")) return "gzip";
	if (path.endsWith(".zst")) return "zstd";
	const magic = Buffer.alloc(4);
	try {
		const handle = await open(path, "r");
		try {
			await handle.read(magic, 0, 4, 0);
		} finally {
			await handle.close();
		}
	} catch (error) {
		throw readError(error, path);
	}
	if (magic.readUInt16BE(0) === 0x1f8b) return "gzip";
	return magic.readUInt32BE(0) === 0x28b52ffd ? "zstd" : "none";
}

/**
 * A file's content piece by piece, decompressed on the way.
 * @throws E_FILE_NOT_FOUND, E_RIGHTS, E_CORRUPT_FILE when compressed data is damaged or ends too early, E_BOMB when it
 * grows beyond the limits
 */
export async function* filePieces(
	path: string,
	compression: Compression,
	limits: PieceLimits = {},
	signal?: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
	const fileBytes = await stat(path).then(
		({ size }) => size,
		(error: unknown) => {
			throw readError(error, path);
		},
	);
	const highWaterMark = Math.min(readBytes(fileBytes), compression === "none" ? 1 << 20 : 1 << 17);
	const file = createReadStream(path, { highWaterMark });
	let output: Readable = file;
	if (compression !== "none") {
		const decompress =
			compression === "gzip" ? createGunzip({ chunkSize: 1 << 18 }) : createZstdDecompress({ chunkSize: 1 << 18 });
		pipeline(compression === "zstd" ? Readable.from(cutAtFrames(file)) : file, decompress, () => {});
		output = decompress;
	}
	let bytes = 0;
	try {
		for await (const piece of output as AsyncIterable<Buffer>) {
			if (signal?.aborted === true) throw new HeadraceError("E_STOPPED", `stopped while ${path} was being read`);
			bytes += piece.length;
			if (compression !== "none") checkGrowth(path, bytes, file.bytesRead, limits);
			yield piece;
		}
	} catch (error) {
		throw readError(error, path);
	} finally {
		file.destroy();
	}
	// An empty file is no gzip member at all: the stream ends without a word.
	if (compression !== "none" && file.bytesRead === 0)
		throw new HeadraceError("E_CORRUPT_FILE", `${path} is empty, not ${compression}`, { file: path });
}

function checkGrowth(path: string, bytes: number, compressedBytes: number, limits: PieceLimits): void {
	const tooMany = bytes > (limits.bytesMax ?? BYTES_MAX);
	const tooDense = bytes > RATIO_FREE_BYTES && bytes > compressedBytes * (limits.ratioMax ?? RATIO_MAX);
	if (tooMany || tooDense)
		throw new HeadraceError(
			"E_BOMB",
			`${path} grows from ${compressedBytes} bytes to more than ${bytes}: it is not read on`,
			{ file: path },
		);
}

/** A fault of reading a file as a Headrace error. */
export function readError(error: unknown, path: string): HeadraceError {
	if (error instanceof HeadraceError) return error;
	const { code = "", message } = error as NodeJS.ErrnoException;
	if (code.startsWith("Z_") || code.startsWith("ZSTD_"))
		return new HeadraceError("E_CORRUPT_FILE", `${path} is damaged or cut short: ${message}`, {
			file: path,
			cause: error,
		});
	if (code === "ENOENT") return new HeadraceError("E_FILE_NOT_FOUND", `there is no file ${path}`, { cause: error });
	if (code === "EACCES" || code === "EPERM")
		return new HeadraceError("E_RIGHTS", `${path} may not be read`, {
			hint: `Give this user the right to read it: chmod u+r '${path}'`,
			cause: error,
		});
	return new HeadraceError("E_SOURCE", `cannot read ${path}: ${message}`, { file: path, cause: error });
}
