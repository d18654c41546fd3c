/** Other tools on the same routes, where they are installed; `peers/requirements.txt` says how to install them. */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command, Contestant } from "./measure.ts";
import { clearTarget, targetUrl } from "./postgres-target.ts";
import { SCRIPT } from "./report.ts";
import { clear, examine, placeOf, type Route, repository, sourceUrl } from "./routes.ts";
import { DATABASE } from "./tables.ts";

const scripts = join(import.meta.dirname, "peers");

export interface Installation {
	/** Path of the venv's Python, if there is a venv. */
	readonly python?: string;
	readonly packages: ReadonlyMap<string, string>;
	/** `site-packages` of the venv. */
	readonly library?: string;
	readonly sling?: string;
	readonly ingestr?: string;
}

function onPath(name: string): string | undefined {
	return (process.env["PATH"] ?? "")
		.split(":")
		.map((folder) => join(folder, name))
		.find(existsSync);
}

/** Looks on PATH and in the Python venv that HEADRACE_BENCH_VENV names. Starts none of the tools. */
export function findPeers(venv = process.env["HEADRACE_BENCH_VENV"]): Installation {
	const python = venv === undefined ? undefined : join(venv, "bin/python");
	const packages = new Map<string, string>();
	if (python === undefined || !existsSync(python)) return { packages, ...programs(undefined, undefined) };
	const listed = spawnSync(python, ["-m", "pip", "list", "--format=json", "--disable-pip-version-check"], {
		encoding: "utf8",
	});
	for (const { name, version } of JSON.parse(listed.stdout || "[]") as { name: string; version: string }[]) {
		packages.set(name.toLowerCase().replaceAll("_", "-"), version);
	}
	const where = spawnSync(python, ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], {
		encoding: "utf8",
	});
	const library = where.stdout.trim();
	return { python, packages, library, ...programs(venv, library) };
}

function programs(venv: string | undefined, library: string | undefined): { sling?: string; ingestr?: string } {
	const inLibrary = library === undefined ? "" : join(library, "sling_linux_amd64/bin/sling-linux-amd64");
	const sling = existsSync(inLibrary) ? inLibrary : onPath("sling");
	if (sling === inLibrary && inLibrary !== "") chmodSync(sling, 0o755);
	const inVenv = venv === undefined ? "" : join(venv, "bin/ingestr");
	const ingestr = existsSync(inVenv) ? inVenv : onPath("ingestr");
	return { ...(sling === undefined ? {} : { sling }), ...(ingestr === undefined ? {} : { ingestr }) };
}

interface Peer {
	readonly name: string;
	/** What is missing, or undefined when it can run this route. */
	readonly missing: (found: Installation, route: Route) => string | undefined;
	/** The copied table's name in a DuckDB file. */
	readonly table: string;
	readonly command: (found: Installation, route: Route, path: string) => Command;
}

const needs = (found: Installation, ...names: string[]): string | undefined => {
	const absent = names.filter((name) => !found.packages.has(name));
	return absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`;
};

/**
 * A home folder with what the programs look for there and would download otherwise: DuckDB's extensions, from the PyPI
 * packages, and an ADBC manifest of DuckDB's driver, which is in the libduckdb.so of our own dependency.
 */
function homeWithDuckdb(found: Installation, folder: string): string {
	const home = join(folder, "home");
	const drivers = join(home, ".config/adbc/drivers");
	mkdirSync(drivers, { recursive: true });
	writeFileSync(
		join(drivers, "duckdb.toml"),
		`manifest_version = 1
name = "DuckDB"
version = "1.5.6"
[ADBC]
version = "1.1.0"
[Driver]
entrypoint = "duckdb_adbc_init"
[Driver.shared]
linux_amd64 = "${join(repository, "node_modules/@duckdb/node-bindings-linux-x64/libduckdb.so")}"
`,
	);
	if (found.library === undefined) return home;
	for (const name of ["httpfs", "icu", "json", "parquet"]) {
		const versions = join(found.library, `duckdb_extension_${name}/extensions`);
		if (!existsSync(versions)) continue;
		for (const version of readdirSync(versions)) {
			const to = join(home, ".duckdb/extensions", version, "linux_amd64");
			mkdirSync(to, { recursive: true });
			const file = `${name}.duckdb_extension`;
			copyFileSync(join(versions, version, file), join(to, file));
		}
	}
	return home;
}

const PEERS: readonly Peer[] = [
	{
		name: "sling",
		missing: (found) => (found.sling === undefined ? "not installed: sling" : undefined),
		table: "main.lineitem",
		command: (found, route, path) => ({
			command: found.sling!,
			args: [
				...["run", "--src-conn"],
				sourceUrl(route.server) + (route.server.kind === "postgres" ? "?sslmode=disable" : ""),
				...["--src-stream", `${route.schema}.lineitem`, "--mode", "full-refresh"],
				...(route.into !== undefined
					? ["--tgt-conn", `${targetUrl(route.into)}?sslmode=disable`, "--tgt-object", "bench.lineitem"]
					: route.target === "duckdb"
						? ["--tgt-conn", `duckdb://${path}`, "--tgt-object", "main.lineitem"]
						: // One file as the target keeps the last part only, of a table this long.
							["--tgt-object", `file://${path}`, "--tgt-options", "{format: parquet, file_max_rows: 500000}"]),
			],
			env: {
				HOME: homeWithDuckdb(found, route.folder),
				SLING_HOME_DIR: join(route.folder, "sling"),
				SLING_DISABLE_TELEMETRY: "TRUE",
				DUCKDB_PATH: found.python === undefined ? (onPath("duckdb") ?? "") : join(found.python, "../duckdb"),
			},
		}),
	},
	...(["connectorx", "pyarrow"] as const).map(
		(backend): Peer => ({
			name: `dlt (${backend})`,
			missing: (found) => needs(found, "dlt", backend, "pymysql", "psycopg2-binary", "sqlalchemy"),
			table: "bench.lineitem",
			command: (found, route, path) => ({
				command: found.python!,
				args: [
					...[join(scripts, "dlt_pipeline.py"), backend],
					sourceUrl(route.server, route.server.kind === "postgres" ? "postgresql+psycopg2" : "mysql+pymysql"),
					...[route.schema, "lineitem", route.into === undefined ? path : targetUrl(route.into, "postgresql")],
					join(path, "../pipelines"),
				],
				env: { RUNTIME__DLTHUB_TELEMETRY: "false" },
			}),
		}),
	),
	{
		name: "ingestr",
		missing: (found, route) => {
			if (found.ingestr === undefined) return "not installed: ingestr";
			return route.target === "parquet" ? "it writes no local Parquet" : undefined;
		},
		table: "bench.lineitem",
		command: (found, route, path) => ({
			command: found.ingestr!,
			args: [
				...["ingest", "--yes", "--progress", "log", "--source-uri"],
				route.server.kind === "postgres"
					? `${sourceUrl(route.server, "postgresql")}?sslmode=disable`
					: sourceUrl(route.server),
				...["--source-table", `${route.schema}.lineitem`, "--dest-uri"],
				route.into === undefined ? `duckdb:///${path}` : `${targetUrl(route.into, "postgresql")}?sslmode=disable`,
				...["--dest-table", "bench.lineitem"],
			],
			env: {
				HOME: homeWithDuckdb(found, route.folder),
				DISABLE_TELEMETRY: "true",
			},
		}),
	},
	{
		name: "DuckDB extension",
		missing: (found, route) => {
			const kinds = new Set([kindOf(route), ...(route.into === undefined ? [] : ["postgres"])]);
			return needs(found, "duckdb", ...[...kinds].map((kind) => `duckdb-extension-${kind}-scanner`));
		},
		table: "main.lineitem",
		command: (found, route, path) => ({
			command: found.python!,
			args: [
				...[join(scripts, "duckdb_extension.py"), kindOf(route), route.server.host, `${route.server.port}`],
				...[DATABASE, route.schema, "lineitem"],
				...(route.into !== undefined
					? [targetUrl(route.into, "postgresql")]
					: [route.target === "duckdb" ? path : `${path}/lineitem.parquet`]),
			],
		}),
	},
	{
		name: SCRIPT,
		missing: (found, route) =>
			route.into === undefined ? needs(found, "connectorx", "duckdb", "pyarrow") : "it writes into no server",
		table: "main.lineitem",
		command: (found, route, path) => ({
			command: found.python!,
			args: [
				...[join(scripts, "connectorx_duckdb.py"), sourceUrl(route.server), "lineitem"],
				route.target === "duckdb" ? path : `${path}/lineitem.parquet`,
			],
		}),
	},
];

const kindOf = (route: Route): "mysql" | "postgres" => (route.server.kind === "postgres" ? "postgres" : "mysql");

/** The peers that can run this route, and for the others why not. */
export function peersOn(
	route: Route,
	found: Installation,
	runsMax: number,
): { contestants: Contestant[]; absent: { name: string; reason: string }[] } {
	const contestants: Contestant[] = [];
	const absent: { name: string; reason: string }[] = [];
	for (const peer of PEERS) {
		const reason = peer.missing(found, route);
		if (reason !== undefined) {
			absent.push({ name: peer.name, reason });
			continue;
		}
		const { into } = route;
		const place = placeOf(route, peer.name, into === undefined ? peer.table : "bench.lineitem");
		contestants.push({
			name: peer.name,
			runsMax,
			command: peer.command(found, route, place.path),
			prepare: async () => {
				clear(place);
				if (into !== undefined) await clearTarget(into);
			},
			examine: () => examine(route, place, false),
		});
	}
	return { contestants, absent };
}
