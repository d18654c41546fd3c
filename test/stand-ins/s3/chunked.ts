import { createHash } from "node:crypto";
import { S3Error } from "./errors.ts";
import { equalHex, hmac, type Signed, sha256Hex } from "./signature.ts";

const CHUNK_BYTES_MIN = 8192;
const LINE_BYTES_MAX = 16_384;
const EMPTY_SHA256 = sha256Hex("");

/**
 * Decodes `aws-chunked` bodies: `<hex length>[;chunk-signature=<hex>]\r\n<bytes>\r\n … 0…\r\n<trailers>\r\n`.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html (signed chunks) and
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html (trailers, signed or not).
 */
export class ChunkedDecoder {
	readonly trailers = new Map<string, string>();
	readonly #signed: Signed | null;
	readonly #trailerNames: readonly string[];
	#state: "size" | "data" | "end of data" | "trailers" | "done" = "size";
	#line = "";
	#left = 0;
	#previous: string;
	#chunkSignature = "";
	#chunkHash = createHash("sha256");
	#small = false;

	/** `signed` when each chunk carries a signature. */
	constructor(signed: Signed | null, trailerNames: readonly string[]) {
		this.#signed = signed;
		this.#trailerNames = trailerNames;
		this.#previous = signed?.signature ?? "";
	}

	/** The decoded pieces of what came. */
	*feed(bytes: Buffer): Generator<Buffer, void, undefined> {
		let at = 0;
		while (at < bytes.length) {
			if (this.#state === "data") {
				const piece = bytes.subarray(at, at + this.#left);
				at += piece.length;
				this.#left -= piece.length;
				if (this.#signed !== null) this.#chunkHash.update(piece);
				yield piece;
				if (this.#left === 0) this.#state = "end of data";
				continue;
			}
			if (this.#state === "done") throw new S3Error("IncompleteBody", "Data follows the last chunk");
			const end = bytes.indexOf(10, at);
			const stop = end === -1 ? bytes.length : end + 1;
			this.#line += bytes.toString("latin1", at, stop);
			at = stop;
			if (this.#line.length > LINE_BYTES_MAX) throw new S3Error("IncompleteBody");
			if (end === -1) continue;
			const line = this.#line.replace(/\r?\n$/, "");
			this.#line = "";
			this.#takeLine(line);
		}
	}

	#takeLine(line: string): void {
		if (this.#state === "end of data") {
			if (line !== "") throw new S3Error("IncompleteBody");
			this.#checkChunk();
			this.#state = "size";
		} else if (this.#state === "size") this.#takeSize(line);
		else if (line === "") this.#finish();
		else {
			const colon = line.indexOf(":");
			if (colon <= 0) throw new S3Error("MalformedTrailerError");
			this.trailers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
		}
	}

	#takeSize(line: string): void {
		const match = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line);
		if (match === null || (this.#signed !== null) !== (match[2] !== undefined)) throw new S3Error("IncompleteBody");
		this.#left = Number.parseInt(match[1]!, 16);
		this.#chunkSignature = match[2] ?? "";
		this.#chunkHash = createHash("sha256");
		if (this.#left === 0) {
			this.#checkChunk();
			this.#state = "trailers";
			return;
		}
		if (this.#small) throw new S3Error("InvalidChunkSizeError");
		this.#small = this.#left < CHUNK_BYTES_MIN;
		this.#state = "data";
	}

	#checkChunk(): void {
		if (this.#signed === null) return;
		const { timestamp, scope, signingKey } = this.#signed;
		const hash = this.#chunkHash.digest("hex");
		const toSign = ["AWS4-HMAC-SHA256-PAYLOAD", timestamp, scope, this.#previous, EMPTY_SHA256, hash].join("\n");
		this.#checkSignature(toSign, this.#chunkSignature, signingKey);
	}

	#checkSignature(toSign: string, given: string, signingKey: Buffer): void {
		const expected = hmac(signingKey, toSign).toString("hex");
		if (!equalHex(expected, given)) throw new S3Error("SignatureDoesNotMatch", undefined, { StringToSign: toSign });
		this.#previous = expected;
	}

	#finish(): void {
		this.#state = "done";
		const signature = this.trailers.get("x-amz-trailer-signature");
		this.trailers.delete("x-amz-trailer-signature");
		const names = [...this.trailers.keys()];
		if (names.length !== this.#trailerNames.length || names.some((name) => !this.#trailerNames.includes(name)))
			throw new S3Error("MalformedTrailerError");
		if (this.#signed === null || names.length === 0) return;
		const { timestamp, scope, signingKey } = this.#signed;
		const text = Array.from(this.trailers, ([name, value]) => `${name}:${value}\n`).join("");
		const toSign = ["AWS4-HMAC-SHA256-TRAILER", timestamp, scope, this.#previous, sha256Hex(text)].join("\n");
		this.#checkSignature(toSign, signature ?? "", signingKey);
	}

	/** @throws when the last chunk or its trailers are missing */
	end(): void {
		if (this.#state !== "done") throw new S3Error("IncompleteBody");
	}
}
