const BYTES = 64 << 10;
const BYTES_KEPT_MAX = 4 << 20;

/** Memory for values of a column that are made before it is known where they go; it grows, and is used again. */
export class Scratch {
	bytes: Buffer = Buffer.allocUnsafeSlow(BYTES);
	view: DataView = viewOf(this.bytes);
	/** How much of it is used. */
	length = 0;

	/** Begins anew; what one huge batch took is given back. */
	reset(): void {
		this.length = 0;
		if (this.bytes.length <= BYTES_KEPT_MAX) return;
		this.bytes = Buffer.allocUnsafeSlow(BYTES);
		this.view = viewOf(this.bytes);
	}

	/** Takes the next bytes; gives where they begin. */
	take(count: number): number {
		const at = this.length;
		const needed = at + count;
		if (needed > this.bytes.length) {
			const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, needed));
			this.bytes.copy(grown, 0, 0, at);
			this.bytes = grown;
			this.view = viewOf(grown);
		}
		this.length = needed;
		return at;
	}
}

function viewOf(buffer: Buffer): DataView {
	return new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
}
