import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import type { Transform } from "node:stream";
import { constants, createGzip, createZstdCompress } from "node:zlib";
import { HeadraceError } from "../core/index.ts";

export type Compression = "none" | "gzip" | "zstd";

/** The ending of a compressed file's name, with its dot. */
export function compressionEnding(compression: Compression): "" | ".gz" | ".zst" {
	return compression === "gzip" ? ".gz" : compression === "zstd" ? ".zst" : "";
}

/** Level 1 of both: several times the speed of the usual levels for about a tenth more bytes. */
function compressor(compression: Compression): Transform | null {
	if (compression === "gzip") return createGzip({ level: 1, chunkSize: 1 << 16 });
	if (compression === "zstd")
		return createZstdCompress({
			chunkSize: 1 << 17,
			params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
		});
	return null;
}

/**
 * A file that is written piece by piece, compressed on the way. `write` waits while the disk or the compressor is
 * behind, so that memory stays bounded.
 */
export class CompressedFile {
	readonly path: string;
	readonly #file: WriteStream;
	readonly #first: Transform | WriteStream;
	#failed: unknown = null;
	readonly #closed: Promise<void>;

	/** Creates the file, readable by its owner alone, over one that is there. */
	constructor(path: string, compression: Compression) {
		this.path = path;
		this.#file = createWriteStream(path, { mode: 0o600, highWaterMark: 1 << 20 });
		const transform = compressor(compression);
		this.#first = transform ?? this.#file;
		this.#closed = new Promise((resolve) => {
			const fail = (error: unknown) => {
				this.#failed ??= error;
				transform?.destroy();
				this.#file.destroy();
				resolve();
			};
			transform?.on("error", fail);
			this.#file.on("error", fail).on("close", resolve);
			transform?.pipe(this.#file);
		});
	}

	/** Bytes in the file so far, as compressed; what the compressor still holds is not counted. */
	get bytesWritten(): number {
		return this.#file.bytesWritten + this.#file.writableLength;
	}

	/** @throws E_NO_SPACE when the disk is full, E_DESTINATION for other faults of the disk */
	async write(piece: Uint8Array): Promise<void> {
		this.#check();
		if (!this.#first.write(piece)) await Promise.race([once(this.#first, "drain").catch(() => {}), this.#closed]);
		this.#check();
	}

	/** Finishes the file; it is whole, but not yet made durable, when this returns. */
	async close(): Promise<void> {
		this.#check();
		this.#first.end();
		await this.#closed;
		this.#check();
	}

	/** Gives up; the file stays as it is. */
	async abandon(): Promise<void> {
		this.#failed ??= new HeadraceError("E_STOPPED", "the write was given up");
		if (this.#first !== this.#file) this.#first.destroy();
		this.#file.destroy();
		await this.#closed;
	}

	#check(): void {
		if (this.#failed !== null) throw diskError(this.#failed, this.path);
	}
}

const NO_SPACE = new Set(["ENOSPC", "EFBIG", "EDQUOT"]);

/** A fault of the file system as a Headrace error: E_NO_SPACE, E_RIGHTS, or E_DESTINATION; anything else as it is. */
export function diskError(error: unknown, path: string): unknown {
	const { code, syscall, message } = error as NodeJS.ErrnoException;
	if (error instanceof HeadraceError || code === undefined || syscall === undefined) return error;
	if (NO_SPACE.has(code)) return new HeadraceError("E_NO_SPACE", `no space left to write ${path}`, { cause: error });
	if (code === "EACCES" || code === "EPERM" || code === "EROFS")
		return new HeadraceError("E_RIGHTS", `${path} may not be written`, {
			hint: `Give this user the right to write it: chmod u+rwx '${path}'`,
			cause: error,
		});
	return new HeadraceError("E_DESTINATION", `cannot write ${path}: ${message}`, { cause: error });
}
