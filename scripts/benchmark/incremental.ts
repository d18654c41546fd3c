/** A pipeline that follows the table by its cursor: a first run, runs with nothing to do, runs with 100,000 changed rows. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestServer } from "../../test/support/server.ts";
import { alternate, type Contestant, type Result } from "./measure.ts";
import { headraceCommand, rowsLoaded, sourceUrl } from "./routes.ts";
import { CHANGED_ROWS, change, compare, type Generated } from "./tables.ts";

function writeProject(folder: string, server: TestServer): void {
	rmSync(folder, { recursive: true, force: true });
	mkdirSync(join(folder, "pipelines"), { recursive: true });
	writeFileSync(
		join(folder, "connections.yaml"),
		`source: ${sourceUrl(server)}\nwarehouse: { type: duckdb, path: warehouse.duckdb }\n`,
	);
	writeFileSync(
		join(folder, "pipelines/bench.yaml"),
		[
			"pipeline: bench",
			"from: source",
			"to: warehouse",
			"defaults: { mode: incremental, cursor: l_modified }",
			"tables:",
			"  bench.lineitem: { key: l_id }",
			"",
		].join("\n"),
	);
}

/** Changes `generated` and the source: nothing that needs the first rows may come after it. */
export async function raceIncremental(
	server: TestServer,
	generated: Generated,
	folder: string,
	repeat: number,
	onRun: (line: string) => void,
): Promise<Result[]> {
	const project = join(folder, "project");
	writeProject(project, server);
	const command = headraceCommand(["run", "bench", "--json"], project);
	const expectRows = (least: number, most: number) => async (measurement: Parameters<typeof rowsLoaded>[0]) => {
		const rows = rowsLoaded(measurement);
		if (rows < least || rows > most) throw new Error(`it says it loaded ${rows} rows, not ${least} to ${most}`);
		return `${rows} rows`;
	};
	const first: Contestant = {
		name: "first run",
		command,
		examine: expectRows(generated.rows, generated.rows),
	};
	// Rows at the cursor's last value may be read again.
	const idle: Contestant = { name: "run with nothing to do", command, examine: expectRows(0, 1) };
	let round = 0;
	const merge: Contestant = {
		name: `merge of ${CHANGED_ROWS} changed and ${CHANGED_ROWS} new rows`,
		command,
		prepare: () => change(server, generated, round++, folder),
		examine: expectRows(1, 2 * CHANGED_ROWS + 1),
	};
	const results = [
		...(await alternate([first], 1, onRun)),
		...(await alternate([idle], Math.max(3, repeat), onRun)),
		...(await alternate([merge], repeat, onRun)),
	];
	if (results.some((result) => result.error !== undefined)) return results;
	const { missing, surplus, types } = await compare(generated.reference, {
		attach: join(project, "warehouse.duckdb"),
		relation: "copied.bench.lineitem",
	});
	const exact = missing + surplus + types.length === 0;
	const verdict = exact
		? { note: "exact after all rounds" }
		: {
				error: `the copy differs: ${missing} rows missing, ${surplus} surplus; other types: ${types.join(", ") || "none"}`,
			};
	return results.map((result, index) => (index === results.length - 1 ? { ...result, ...verdict } : result));
}
