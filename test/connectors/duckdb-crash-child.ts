/**
 * A run that dies: loads a table, then loads it again and is killed at the crash point of its last argument. With
 * `none` it lives, but its second load is of 30 MB.
 * Arguments: database file, write (`changes` for those of a log into two tables), crash point.
 */
import { createDuckdbDestination } from "../../src/connectors/duckdb/index.ts";
import type { HeadraceError, Write } from "../../src/core/index.ts";
import { changesOf, INCOMPRESSIBLE_ROWS, NEW_ROWS, OLD_ROWS, requestOf } from "./duckdb-loads.ts";

const [path, write, crashPoint] = process.argv.slice(2) as [string, Write | "changes", string];
const destination = await createDuckdbDestination({ path });
const row = (await destination.takeOver("crash", ["t"])).get("t")!;
if (row.position === null) await destination.load(requestOf(row, OLD_ROWS, "replace"));
const after = (await destination.positions("crash"))[0]!;
process.env["HEADRACE_CRASH"] = crashPoint;
const rows = crashPoint === "none" ? INCOMPRESSIBLE_ROWS : NEW_ROWS;
try {
	if (write === "changes") await destination.changes!.apply(changesOf(after, NEW_ROWS));
	else await destination.load(requestOf(after, rows, write));
	console.log("not killed");
} catch (error) {
	console.log((error as HeadraceError).code);
}
await destination[Symbol.asyncDispose]();
