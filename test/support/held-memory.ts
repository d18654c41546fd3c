import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes that this process holds, buffers included: what is garbage does not count, however lazy its collector is. */
export function heldBytes(): number {
	collect();
	const { heapUsed, external } = process.memoryUsage();
	return heapUsed + external;
}

/** The same once nothing more becomes free: buffers count until another collection has seen that they are. */
export async function settledBytes(): Promise<number> {
	let held = heldBytes();
	for (let last = Number.POSITIVE_INFINITY; held < last; ) {
		last = held;
		for (let turn = 0; turn < 4; turn++) {
			await nextTurn();
			held = Math.min(held, heldBytes());
		}
	}
	return held;
}
