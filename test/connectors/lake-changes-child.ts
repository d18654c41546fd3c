import { follow } from "./lake-changes-loads.ts";
import { openLake } from "./lake-support.ts";

/** Applies transactions, compacting after each `every`, until it is killed or done: `node … <root> <last> <every>`. */
const [root, last, every] = process.argv.slice(2) as [string, string, string];
await using destination = openLake(root, { retentionMs: 2000 });
await follow(destination, Number(last), async (step) => {
	console.log(step);
	if (step % Number(every) === 0) await destination.compact!({ pipeline: "shop", targetBytes: 64 << 20 });
});
