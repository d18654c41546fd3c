/**
 * Zstandard files may have several frames: `cat a.zst b.zst` and parallel compressors make such. Node's decompressor
 * drops what follows a frame's end in the same write, without a word, so input is cut where frames end.
 */

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;

const RLE = 1;
const RESERVED = 3;

/** Pieces of a file, cut so that none goes on past the end of a frame. */
export async function* cutAtFrames(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
	const walker = new FrameWalker();
	for await (const piece of pieces) {
		let from = 0;
		for (const end of walker.frameEnds(piece)) {
			yield piece.subarray(from, end);
			from = end;
		}
		if (from < piece.length) yield piece.subarray(from);
	}
}

/**
 * Walks over frames by the lengths in their headers: RFC 8878 sections 3.1.1 and 3.1.2. Where something is no frame it
 * walks no further; the decompressor then says what is wrong.
 */
class FrameWalker {
	/** Bytes of the header that is being read. */
	#head: number[] = [];
	/** What the header is of; `lost` after bytes that begin no frame. */
	#stage: "magic" | "skippable" | "frame" | "block" | "lost" = "magic";
	/** Bytes to pass over before the next header. */
	#skip = 0;
	#hasChecksum = false;
	/** The bytes that are passed over are the frame's last. */
	#isLast = false;

	/** Offsets in this piece, the next of the file, at which frames end. */
	frameEnds(piece: Buffer): number[] {
		const ends: number[] = [];
		let at = 0;
		while (at < piece.length && this.#stage !== "lost") {
			if (this.#skip > 0) {
				const step = Math.min(this.#skip, piece.length - at);
				at += step;
				this.#skip -= step;
			} else {
				this.#head.push(piece[at]!);
				at++;
				this.#readHead();
			}
			if (this.#skip === 0 && this.#isLast) {
				this.#isLast = false;
				this.#stage = "magic";
				ends.push(at);
			}
		}
		return ends;
	}

	/** Takes the header in when it is whole. */
	#readHead(): void {
		const head = this.#head;
		switch (this.#stage) {
			case "magic": {
				if (head.length < 4) return;
				const magic = littleEndian(head);
				if (magic === MAGIC) this.#next("frame");
				else this.#next(magic - (magic % 16) === SKIPPABLE_MAGIC ? "skippable" : "lost");
				return;
			}
			case "skippable":
				if (head.length < 4) return;
				this.#skip = littleEndian(head);
				this.#isLast = true;
				this.#next("magic");
				return;
			case "frame": {
				const descriptor = head[0]!;
				if (head.length < frameHeaderLength(descriptor)) return;
				this.#hasChecksum = (descriptor & 4) !== 0;
				this.#next("block");
				return;
			}
			case "block": {
				if (head.length < 3) return;
				const header = littleEndian(head);
				const type = (header >> 1) & 3;
				const size = header >> 3;
				this.#isLast = (header & 1) === 1;
				this.#skip = (type === RLE ? 1 : size) + (this.#isLast && this.#hasChecksum ? 4 : 0);
				this.#next(type === RESERVED ? "lost" : "block");
			}
		}
	}

	#next(stage: "magic" | "skippable" | "frame" | "block" | "lost"): void {
		this.#head = [];
		this.#stage = stage;
	}
}

function littleEndian(bytes: readonly number[]): number {
	return bytes.reduce((value, byte, index) => value + byte * 256 ** index, 0);
}

/** RFC 8878 section 3.1.1.1: the descriptor, window, dictionary id and content size. */
function frameHeaderLength(descriptor: number): number {
	const isSingleSegment = (descriptor & 0x20) !== 0;
	const sizeFlag = descriptor >> 6;
	const sizeLength = sizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 2 ** sizeFlag;
	return 1 + (isSingleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + sizeLength;
}
