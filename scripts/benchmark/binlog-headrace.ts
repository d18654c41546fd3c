/** Reads the rows of a table from a change log into batches and drops them: one contestant of `binlog.ts`. */
import { createMysqlSource } from "../../src/connectors/mysql/index.ts";
import { DEFAULT_TYPE_POLICY, Secret } from "../../src/core/index.ts";

const { host, port, user, password, database, table, rows, file, offset } = JSON.parse(process.argv[2]!) as {
	host: string;
	port: number;
	user: string;
	password: string;
	database: string;
	table: string;
	rows: number;
	file: string;
	offset: number;
};
await using source = await createMysqlSource({ host, port, user, password: new Secret(password) });
const begun = performance.now();
const tables = await source.describe([{ table: { schema: database, name: table }, types: DEFAULT_TYPE_POLICY }]);
const log = source.changeLog!;
await using stream = await log.open({
	reader: "benchmark",
	from: `${file}:${offset}`,
	until: await log.end(),
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
