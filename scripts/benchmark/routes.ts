/** The routes that are raced, and Headrace's own contestant on each. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { TestServer } from "../../test/support/server.ts";
import type { Command, Contestant, Measurement } from "./measure.ts";
import { clearTarget, copyRelation, targetUrl } from "./postgres-target.ts";
import { compare, DATABASE, type Generated } from "./tables.ts";

export interface Route {
	readonly name: string;
	readonly server: TestServer;
	/** Schema of the table at the source: MySQL's database, Postgres's schema. */
	readonly schema: string;
	readonly target: "duckdb" | "parquet" | "postgres";
	/** The server of a copy into PostgreSQL. */
	readonly into?: TestServer;
	/** A Parquet file that is copied in place of the server's table. */
	readonly file?: string;
	readonly generated: Generated;
	/** A folder of the route's own. */
	readonly folder: string;
}

export const repository = join(import.meta.dirname, "../..");

/** The address of the source as the reading account `bench`, loopback and without TLS like the C clients. */
export function sourceUrl(
	server: TestServer,
	scheme: string = server.kind === "postgres" ? "postgres" : "mysql",
): string {
	return `${scheme}://bench:bench@${server.host}:${server.port}/${DATABASE}`;
}

export function headraceCommand(args: readonly string[], cwd: string): Command {
	return {
		command: process.execPath,
		args: [join(repository, "bin/headrace.js"), ...args],
		cwd,
		env: { NO_COLOR: "1" },
	};
}

/** Where a contestant puts its copy, and what DuckDB selects from to read it. */
export interface Place {
	/** A file or folder; for PostgreSQL a folder of the contestant's own. */
	readonly path: string;
	readonly copy: { readonly attach?: string; readonly relation: string };
}

export function placeOf(route: Route, contestant: string, table: string): Place {
	const folder = join(route.folder, contestant.replaceAll(/[^a-z0-9]+/gi, "-"));
	if (route.target === "duckdb") {
		const path = join(folder, "copy.duckdb");
		return { path, copy: { attach: path, relation: `copied.${table}` } };
	}
	const path = join(folder, "copy");
	if (route.target === "postgres") return { path, copy: { relation: table } };
	return { path, copy: { relation: `read_parquet('${path}/**/*.parquet')` } };
}

/** Empties the folder that a place is in; a place for Parquet files is an empty folder itself. */
export function clear(place: Place): void {
	const folder = join(place.path, "..");
	rmSync(folder, { recursive: true, force: true });
	mkdirSync(place.copy.attach === undefined ? place.path : folder, { recursive: true });
}

/** Compares what a contestant made with the truth. Headrace must be exact; for the others it is a note. */
export async function examine(route: Route, place: Place, mustBeExact: boolean): Promise<string> {
	const copy =
		route.into === undefined
			? place.copy
			: { relation: await copyRelation(route.into, place.copy.relation, place.path) };
	const { missing, surplus, types } = await compare(route.generated.reference, copy);
	const rows = missing + surplus === 0 ? "" : `${missing} rows missing, ${surplus} surplus`;
	const columns = types.length === 0 ? "" : `other types: ${types.join(", ")}`;
	const differences = [rows, columns].filter(Boolean).join("; ");
	if (differences !== "" && mustBeExact) throw new Error(`the copy differs: ${differences}`);
	return differences === "" ? "exact" : differences;
}

/** The rows that `--json` says were loaded. */
export function rowsLoaded(measurement: Measurement): number {
	const document = JSON.parse(measurement.stdout) as {
		data: { runs: { tables: { rows_loaded: number }[] }[] };
	};
	return document.data.runs.flatMap((run) => run.tables).reduce((sum, table) => sum + table.rows_loaded, 0);
}

export function headrace(route: Route, options: readonly string[] = []): Contestant {
	const name = ["headrace", ...options].join(" ");
	const { into, file } = route;
	const place = placeOf(route, name, file === undefined ? `${route.schema}.lineitem` : "bench.lineitem");
	const target = into !== undefined ? targetUrl(into) : route.target === "duckdb" ? `duckdb:${place.path}` : place.path;
	const from =
		file === undefined
			? [sourceUrl(route.server), target, "--tables", `${route.schema}.lineitem`]
			: [file, target, "--into", "bench.{table}"];
	return {
		name,
		command: headraceCommand(["copy", ...from, "--json", ...options], join(place.path, "..")),
		prepare: async () => {
			clear(place);
			if (into !== undefined) await clearTarget(into);
		},
		examine: async (measurement) => {
			const rows = rowsLoaded(measurement);
			if (rows !== route.generated.rows) throw new Error(`it says it loaded ${rows} of ${route.generated.rows} rows`);
			return await examine(route, place, true);
		},
	};
}
