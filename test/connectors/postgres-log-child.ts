/** Follows a table and appends its rows with their position to a file, each boundary as one write, until it is killed. */
import { appendFileSync } from "node:fs";
import { DEFAULT_TYPE_POLICY } from "../../src/core/index.ts";
import { rowsOfEvent } from "./log-support.ts";
import { logOf, READER } from "./postgres-log-support.ts";
import { describeTable, sourceOf } from "./postgres-support.ts";

const { login, database, from, until, file } = JSON.parse(process.argv[2]!) as {
	login: Parameters<typeof sourceOf>[0];
	database: string;
	from: string;
	until: string;
	file: string;
};
const source = await sourceOf(login, database);
const tables = [await describeTable(source, "t")];
await using stream = await logOf(source).open({
	reader: READER,
	from,
	until,
	tables,
	types: () => DEFAULT_TYPE_POLICY,
	before: "all",
	flush: { seconds: 1, rows: 20, bytes: 1e9 },
});
const ids: string[] = [];
for await (const event of stream) {
	if (event.kind === "rows") ids.push(...rowsOfEvent(event).map(({ values }) => values["id"]!));
	if (event.kind !== "boundary") continue;
	// A line is whole or not there: what a destination's transaction is.
	appendFileSync(file, `${JSON.stringify({ ids: ids.splice(0), position: event.position })}\n`);
	await new Promise((resolve) => setTimeout(resolve, 5));
	await stream.acknowledge(event.position);
}
await source[Symbol.asyncDispose]();
