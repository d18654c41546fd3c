/** Reads the rows of a table from a slot into batches and drops them: one contestant of `wal.ts`. */
import { createPostgresSource } from "../../src/connectors/postgres/index.ts";
import { DEFAULT_TYPE_POLICY, Secret } from "../../src/core/index.ts";

const { host, port, user, password, database, table, rows, reader, from, until } = JSON.parse(process.argv[2]!) as {
	host: string;
	port: number;
	user: string;
	password: string;
	database: string;
	table: string;
	rows: number;
	reader: string;
	from: string;
	until: string;
};
await using source = await createPostgresSource({ host, port, user, password: new Secret(password), database });
const tables = await source.describe([{ table: { schema: "public", name: table }, types: DEFAULT_TYPE_POLICY }]);
const begun = performance.now();
await using stream = await source.changeLog!.open({
	reader,
	from,
	until,
	tables,
	types: () => DEFAULT_TYPE_POLICY,
	before: "key-changes",
	flush: { seconds: 10, rows: 100_000, bytes: 64_000_000 },
});
let read = 0;
for await (const event of stream) {
	if (event.kind !== "rows") continue;
	read += event.batch.rowCount;
	event.batch.release();
}
if (read !== rows) throw new Error(`${read} of ${rows} rows`);
process.stdout.write(JSON.stringify({ seconds: (performance.now() - begun) / 1000 }));
