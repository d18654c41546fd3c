import { createDuckdbDestination } from "../connectors/duckdb/index.ts";
import { createFileDestination } from "../connectors/file/index.ts";
import { createLakeDestination } from "../connectors/lake/index.ts";
import { MemoryFolder, memoryStaging } from "../connectors/memory/index.ts";
import { createPostgresDestination } from "../connectors/postgres/index.ts";
import { createRedshiftDestination } from "../connectors/redshift/index.ts";
import { createSnowflakeDestination } from "../connectors/snowflake/index.ts";
import { type Destination, readsOf } from "../core/index.ts";

const SERVER = { host: "localhost", port: 1, database: "page" };

/** None of them is connected to: they say what they can do as they are made. */
const DESTINATIONS: readonly (readonly [
	type: string,
	title: string,
	open: () => Destination | Promise<Destination>,
])[] = [
	["duckdb", "DuckDB file", () => createDuckdbDestination({ path: ":memory:" })],
	["postgres", "PostgreSQL", () => createPostgresDestination(SERVER)],
	["redshift", "Redshift", () => createRedshiftDestination(SERVER)],
	["snowflake", "Snowflake", () => createSnowflakeDestination({ account: "page", database: "page" })],
	["lake", "lake", () => createLakeDestination({ store: memoryStaging(new MemoryFolder()), localDirectories: [] })],
	["file", "folder of files", () => createFileDestination({ path: "page" })],
];

/** The page of what each destination can do, by its own word. */
export async function destinationsPage(): Promise<string> {
	const rows: string[] = [];
	for (const [type, title, open] of DESTINATIONS) {
		await using destination = await open();
		const { accepts, writes, changes, compact, compactsAlone } = destination;
		const cells = [
			`${title} (\`${type}\`)`,
			accepts.batches ? "rows, or staged files" : "staged files",
			words(writes),
			words(changes?.writes ?? []),
			readsOf(destination)?.select === undefined ? "" : "yes",
			compact === undefined ? "" : compactsAlone === true ? "between runs, an archive of changes" : "while loads go on",
		];
		rows.push(`| ${cells.join(" | ")} |`);
	}
	return [
		"# What each destination takes",
		"",
		"Generated from the connectors. `replace` is also how a table is read for the first time before its changes are followed.",
		"What is not in a cell is an error of `plan`, with the line of the pipeline file. `before_images` goes with `append` of",
		"changes, so into every one of them.",
		"",
		"| destination | is brought | loads: `write` | changes of a log (`mode: cdc`): `write` | `headrace history` | `headrace compact` |",
		"|---|---|---|---|---|---|",
		...rows,
		"",
		"A folder keeps no merged changes and no history: each flush would write its tables again. Follow into a DuckDB file or a lake,",
		"or keep the [archive of changes](../change-archive.md) there and make the state, or the history, of it.",
		"",
	].join("\n");
}

function words(names: readonly string[]): string {
	return names.map((name) => `\`${name}\``).join(", ");
}
