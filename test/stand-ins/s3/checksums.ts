import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html */
export const CHECKSUM_ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

export interface RunningChecksum {
	update(bytes: Uint8Array): void;
	/** Big-endian bytes in base64, as in the `x-amz-checksum-…` headers. */
	digest(): string;
}

export function startChecksum(algorithm: ChecksumAlgorithm): RunningChecksum {
	switch (algorithm) {
		case "CRC32": {
			let value = 0;
			return {
				update: (bytes) => {
					value = crc32(bytes, value);
				},
				digest: () => base64Of32(value),
			};
		}
		case "CRC32C": {
			let value = 0xffffffff;
			return {
				update: (bytes) => {
					value = crc32c(value, bytes);
				},
				digest: () => base64Of32(~value >>> 0),
			};
		}
		case "CRC64NVME":
			return new Crc64Nvme();
		default: {
			const hash = createHash(algorithm.toLowerCase());
			return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("base64") };
		}
	}
}

/** Bytes of the raw checksum. */
export function checksumWidth(algorithm: ChecksumAlgorithm): number {
	return { CRC32: 4, CRC32C: 4, CRC64NVME: 8, SHA1: 20, SHA256: 32 }[algorithm];
}

function base64Of32(value: number): string {
	const bytes = Buffer.alloc(4);
	bytes.writeUInt32BE(value);
	return bytes.toString("base64");
}

/** Castagnoli's polynomial, reflected: RFC 3720 appendix B.4. */
const CRC32C_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
	let value = index;
	for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
	return value >>> 0;
});

function crc32c(start: number, bytes: Uint8Array): number {
	let value = start;
	for (const byte of bytes) value = (value >>> 8) ^ CRC32C_TABLE[(value ^ byte) & 0xff]!;
	return value >>> 0;
}

/** The NVM Express polynomial, reflected: NVMe Base Specification 2.0, 64-bit CRC of the NVM command set. */
const [CRC64_HIGH, CRC64_LOW] = (() => {
	const high = new Uint32Array(256);
	const low = new Uint32Array(256);
	for (let index = 0; index < 256; index++) {
		let value = BigInt(index);
		for (let bit = 0; bit < 8; bit++) value = (value & 1n) === 1n ? (value >> 1n) ^ 0x9a6c9329ac4bc9b5n : value >> 1n;
		high[index] = Number(value >> 32n);
		low[index] = Number(value & 0xffffffffn);
	}
	return [high, low];
})();

class Crc64Nvme implements RunningChecksum {
	#high = 0xffffffff;
	#low = 0xffffffff;

	update(bytes: Uint8Array): void {
		let high = this.#high;
		let low = this.#low;
		for (const byte of bytes) {
			const index = (low ^ byte) & 0xff;
			low = ((low >>> 8) | (high << 24)) ^ CRC64_LOW[index]!;
			high = (high >>> 8) ^ CRC64_HIGH[index]!;
		}
		this.#high = high;
		this.#low = low;
	}

	digest(): string {
		const bytes = Buffer.alloc(8);
		bytes.writeUInt32BE(~this.#high >>> 0, 0);
		bytes.writeUInt32BE(~this.#low >>> 0, 4);
		return bytes.toString("base64");
	}
}
