/**
 * A run that dies: loads a table, then loads it again and is killed at the crash point of its last argument. With
 * `none` it lives, but its second load is of 30 MB.
 * Arguments: database file, write, crash point.
 */
import { createDuckdbDestination } from "../../src/connectors/duckdb/index.ts";
import type { HeadraceError, Write } from "../../src/core/index.ts";
import { INCOMPRESSIBLE_ROWS, NEW_ROWS, OLD_ROWS, requestOf } from "./duckdb-loads.ts";

const [path, write, crashPoint] = process.argv.slice(2) as [string, Write, string];
const destination = await createDuckdbDestination({ path });
const row = (await destination.takeOver("crash", ["t"])).get("t")!;
if (row.position === null) await destination.load(requestOf(row, OLD_ROWS, "replace"));
const after = (await destination.positions("crash"))[0]!;
process.env["HEADRACE_CRASH"] = crashPoint;
const rows = crashPoint === "none" ? INCOMPRESSIBLE_ROWS : NEW_ROWS;
try {
	await destination.load(requestOf(after, rows, write));
	console.log("not killed");
} catch (error) {
	console.log((error as HeadraceError).code);
}
await destination[Symbol.asyncDispose]();
