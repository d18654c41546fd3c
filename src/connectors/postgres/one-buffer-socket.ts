import { Socket } from "node:net";

const READ_BYTES = 128 << 10;

/**
 * A socket that reads into one buffer again and again. Node allocates 64 KiB for each read otherwise, which for a big
 * table costs a tenth of all CPU in garbage collection. TLS does not read by it.
 */
export class OneBufferSocket extends Socket {
	/** Whether listeners are done with a chunk when they return; until then each gets a copy of its own. */
	reuse = false;

	constructor() {
		const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
		let take = (_bytes: number): void => {};
		super({
			onread: {
				buffer,
				callback: (bytes) => {
					take(bytes);
					return true;
				},
			},
		});
		take = (bytes) => {
			const chunk = buffer.subarray(0, bytes);
			this.emit("data", this.reuse ? chunk : Buffer.from(chunk));
		};
	}
}
