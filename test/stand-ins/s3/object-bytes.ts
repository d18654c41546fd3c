import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";

const MEMORY_BYTES_MAX = 64 << 10;
const READ_BYTES = 256 << 10;

type Segment = { readonly bytes: number; readonly memory: Buffer } | { readonly bytes: number; readonly path: string };

/** Content of an object or a part: small ones in memory, large ones in files, so that memory stays low. */
export class ObjectBytes {
	readonly #segments: readonly Segment[];
	readonly bytes: number;

	constructor(segments: readonly Segment[]) {
		this.#segments = segments;
		this.bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
	}

	static of(content: Uint8Array): ObjectBytes {
		return new ObjectBytes([{ bytes: content.length, memory: Buffer.from(content) }]);
	}

	static concat(parts: readonly ObjectBytes[]): ObjectBytes {
		return new ObjectBytes(parts.flatMap((part) => part.#segments));
	}

	/** Bytes from `from` to `end` (excluded). Files are opened before the first byte: a replaced object reads on. */
	async *read(from = 0, end = this.bytes): AsyncGenerator<Buffer, void, undefined> {
		const handles = new Map<string, FileHandle>();
		try {
			for (const segment of this.#segments) if ("path" in segment) handles.set(segment.path, await open(segment.path));
			let start = 0;
			for (const segment of this.#segments) {
				const first = Math.max(from - start, 0);
				const last = Math.min(end - start, segment.bytes);
				start += segment.bytes;
				if ("memory" in segment) {
					if (first < last) yield segment.memory.subarray(first, last);
					continue;
				}
				for (let at = first; at < last; ) {
					const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, last - at));
					const { bytesRead } = await handles.get(segment.path)!.read(buffer, 0, buffer.length, at);
					if (bytesRead === 0) throw new Error(`a file of the stand-in is short: ${segment.path}`);
					yield buffer.subarray(0, bytesRead);
					at += bytesRead;
				}
			}
		} finally {
			for (const handle of handles.values()) await handle.close();
		}
	}

	async all(): Promise<Buffer> {
		const pieces: Buffer[] = [];
		for await (const piece of this.read()) pieces.push(piece);
		return Buffer.concat(pieces);
	}

	async release(): Promise<void> {
		for (const segment of this.#segments) if ("path" in segment) await unlink(segment.path).catch(() => {});
	}
}

let count = 0;

/** Takes content piece by piece. */
export class ObjectWriter {
	readonly #folder: string;
	#pieces: Buffer[] = [];
	#path = "";
	#handle: FileHandle | null = null;
	bytes = 0;

	constructor(folder: string) {
		this.#folder = folder;
	}

	async write(piece: Buffer): Promise<void> {
		this.#pieces.push(piece);
		this.bytes += piece.length;
		if (this.bytes > MEMORY_BYTES_MAX) await this.#spill();
	}

	async #spill(): Promise<void> {
		if (this.#handle === null) {
			this.#path = join(this.#folder, String(count++));
			this.#handle = await open(this.#path, "wx");
		}
		const pieces = this.#pieces;
		this.#pieces = [];
		await this.#handle.writev(pieces);
	}

	async finish(): Promise<ObjectBytes> {
		if (this.#handle === null) return ObjectBytes.of(Buffer.concat(this.#pieces));
		await this.#spill();
		await this.#handle.close();
		return new ObjectBytes([{ bytes: this.bytes, path: this.#path }]);
	}

	async discard(): Promise<void> {
		this.#pieces = [];
		await this.#handle?.close();
		if (this.#path !== "") await unlink(this.#path).catch(() => {});
	}
}
