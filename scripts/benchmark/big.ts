/** Memory must not grow with the data: 20 million rows, and rows of 1 MB each. */
import { rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import type { TestServer } from "../../test/support/server.ts";
import { alternate, type Contestant, type Result } from "./measure.ts";
import { clear, headrace, headraceCommand, placeOf, type Route, rowsLoaded, sourceUrl } from "./routes.ts";
import { DATABASE, generate, load, loadWide, WIDE_ROWS } from "./tables.ts";

/** `server` is a MariaDB of its own, without tables. */
export async function raceBig(
	server: TestServer,
	rows: number,
	folder: string,
	onRun: (line: string) => void,
): Promise<Result[]> {
	const { bavail, bsize } = statfsSync(folder);
	if (bavail * bsize < rows * 1200)
		throw new Error(`--big needs ${Math.ceil(rows / 833_333)} GB in the temporary folder`);
	const generated = await generate(folder, rows);
	await load(server, generated);
	await loadWide(server);
	rmSync(generated.tsv);
	const route = (target: Route["target"]): Route => {
		return { name: `big to ${target}`, server, schema: DATABASE, target, generated, folder };
	};
	// The rows were compared at 2 million; here the count is enough, and EXCEPT ALL of 20 million would need the memory.
	const counted = (contestant: Contestant, name: string, expected: number): Contestant => ({
		...contestant,
		name,
		examine: async (measurement) => {
			const loaded = rowsLoaded(measurement);
			if (loaded !== expected) throw new Error(`it says it loaded ${loaded} of ${expected} rows`);
			return `${expected} rows`;
		},
	});
	const contestants: Contestant[] = [];
	for (const target of ["duckdb", "parquet"] as const) {
		for (const options of [[], ["--memory", "256MB"]]) {
			const name = `${rows / 1e6}M rows → ${target} ${options.join(" ")}`.trim();
			contestants.push(counted(headrace(route(target), options), name, rows));
			const wide = `1 MB rows → ${target} ${options.join(" ")}`.trim();
			const place = placeOf(route(target), wide, "wide");
			const address = target === "duckdb" ? `duckdb:${place.path}` : place.path;
			const command = headraceCommand(
				["copy", sourceUrl(server), address, "--tables", `${DATABASE}.wide`, "--json", ...options],
				join(place.path, ".."),
			);
			contestants.push(counted({ name: wide, command, prepare: () => clear(place) }, wide, WIDE_ROWS));
		}
	}
	return await alternate(contestants, 1, onRun);
}
