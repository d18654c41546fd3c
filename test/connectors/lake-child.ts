import type { Write } from "../../src/core/index.ts";
import { requestOf } from "./file-loads.ts";
import { openLake } from "./lake-support.ts";

/** Loads, and compacts after each `every` loads, until it is killed or done: `node … <root> <write> <first> <last> <every>`. */
const [root, write, first, last, every] = process.argv.slice(2) as [string, Write, string, string, string];
await using destination = openLake(root, {
	retentionMs: 2000,
	...(write === "merge" ? { partitionBy: ["load"] } : {}),
});
let row = (await destination.takeOver("crash", ["t"])).get("t")!;
for (let number = Number(first); number <= Number(last); number++) {
	const request = requestOf(row, number, write);
	await destination.load(request);
	if (number === Number(first)) console.log("loading");
	row = { ...row, seq: row.seq + 1, position: request.toPosition, loadId: request.loadId };
	if (number % Number(every) === 0) await destination.compact!({ pipeline: "crash", targetBytes: 64 << 20 });
}
console.log("done");
