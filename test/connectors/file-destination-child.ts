import { createFileDestination } from "../../src/connectors/file/index.ts";
import type { FormatName, Write } from "../../src/core/index.ts";
import { requestOf } from "./file-loads.ts";

/** Loads until it is killed or done: `node … <root> <format> <write> <first> <last>`. */
const [root, format, write, first, last] = process.argv.slice(2) as [string, FormatName, Write, string, string];
await using destination = await createFileDestination({ path: root, format });
let row = (await destination.takeOver("crash", ["t"])).get("t")!;
for (let number = Number(first); number <= Number(last); number++) {
	const request = requestOf(row, number, write);
	await destination.load(request);
	row = { ...row, seq: row.seq + 1, position: request.toPosition, loadId: request.loadId };
}
console.log("done");
