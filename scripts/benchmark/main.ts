/**
 * `npm run bench`: Headrace against the databases' own C clients and against other tools, on databases started for it.
 * Every copy of Headrace's is compared with the generated rows, EXCEPT ALL both ways.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../../test/support/processes.ts";
import type { RunningServer } from "../../test/support/server.ts";
import { available, startServer } from "../../test/support/start.ts";
import { raceBig } from "./big.ts";
import { raceBinlog } from "./binlog.ts";
import { cClient } from "./clients.ts";
import { raceCompact } from "./compact.ts";
import { raceFollow } from "./follow.ts";
import { raceIncremental } from "./incremental.ts";
import { raceLatency } from "./latency.ts";
import { alternate } from "./measure.ts";
import { findPeers, peersOn } from "./peers.ts";
import { makeTarget, psqlContestants } from "./postgres-target.ts";
import { raceRedshift } from "./redshift.ts";
import { machine, markdown, type Section, targetsOf } from "./report.ts";
import { raceResume } from "./resume.ts";
import { headrace, headraceCommand, type Route, repository } from "./routes.ts";
import { raceS3 } from "./s3.ts";
import { SERVE_PARTS } from "./serve.ts";
import { DATABASE, type Generated, generate, load, warm, writeParquet } from "./tables.ts";
import { raceWal } from "./wal.ts";

const SECTIONS = [
	"mysql-duckdb",
	"mysql-parquet",
	"mysql-s3",
	"postgres-duckdb",
	"postgres-parquet",
	"mysql-postgres",
	"mysql-redshift",
	"postgres-postgres",
	"file-postgres",
	"mysql-resume",
	"postgres-resume",
	"incremental",
	"incremental-postgres",
	"binlog",
	"wal",
	"follow-mysql",
	"follow-postgres",
	"follow-mysql-postgres",
	"follow-postgres-postgres",
	"latency",
	"startup",
	"compact",
	"serve-spread",
	"serve-watched",
	"serve-minute",
	"serve-idle",
	"serve-history",
	"big",
];

const USAGE = `npm run bench -- [options]
  --rows N           rows of the table (2000000)
  --repeat N         runs of each contestant, in turn; the median counts (3)
  --peer-repeat N    runs of each other tool (1); tools: peers/requirements.txt and HEADRACE_BENCH_VENV
  --only A,B         some of ${SECTIONS.join(", ")}
  --postgres 15|18   version of the PostgreSQL server (18)
  --peer A,B         some of the other tools
  --no-peers         leave the other tools out
  --no-headrace      the C clients and the other tools only
  --big              20 million rows and rows of 1 MB too
  --big-rows N       rows of the big table (20000000)
  --no-build         measure dist/ as it is
  --json FILE        write the figures there`;

const { values } = parseArgs({
	allowNegative: true,
	options: {
		rows: { type: "string", default: "2000000" },
		repeat: { type: "string", default: "3" },
		"peer-repeat": { type: "string", default: "1" },
		only: { type: "string" },
		postgres: { type: "string", default: "18" },
		peer: { type: "string" },
		peers: { type: "boolean", default: true },
		headrace: { type: "boolean", default: true },
		big: { type: "boolean", default: false },
		"big-rows": { type: "string", default: "20000000" },
		build: { type: "boolean", default: true },
		json: { type: "string" },
		help: { type: "boolean", short: "h", default: false },
	},
});

function count(name: "rows" | "repeat" | "peer-repeat" | "big-rows"): number {
	const value = Number(values[name]);
	if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} takes a whole number from 1`);
	return value;
}

const say = (line: string): void => {
	process.stderr.write(`${line}\n`);
};

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
	const started = performance.now();
	const result = await work();
	say(`${what}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
	return result;
}

/** A big buffer pool, as a production server has: the benchmark measures the way out of it, not the disk. */
const startMariadb = () =>
	startServer("mariadb", {
		settings: { innodb_buffer_pool_size: "1G", innodb_log_file_size: "512M", net_write_timeout: 600 },
	});

const isWanted = ({ name }: { readonly name: string }): boolean =>
	values.peer === undefined || values.peer.split(",").includes(name);

async function raceRoutes(routes: readonly Route[], repeat: number, peerRepeat: number): Promise<Section[]> {
	const found = values.peers ? findPeers() : undefined;
	const sections: Section[] = [];
	for (const route of routes) {
		say(`\n${route.name}`);
		const clients =
			route.into === undefined ? [cClient(route.server)] : psqlContestants(route.into, route.generated, route.folder);
		const peers = found === undefined || route.file !== undefined ? undefined : peersOn(route, found, peerRepeat);
		const ours = values.headrace ? [headrace(route), headrace(route, ["--memory", "256MB"])] : [];
		const contestants = [...clients, ...ours, ...(peers?.contestants ?? []).filter(isWanted)];
		const results = await alternate(contestants, Math.max(repeat, peerRepeat), say);
		const { name, generated } = route;
		sections.push({
			name,
			rows: generated.rows,
			results,
			base: clients[0]!.name,
			absent: (peers?.absent ?? []).filter(isWanted),
		});
	}
	return sections;
}

async function main(): Promise<void> {
	if (values.help) {
		process.stdout.write(`${USAGE}\n`);
		return;
	}
	const wanted = values.only?.split(",") ?? SECTIONS.filter((section) => section !== "big" || values.big);
	const unknown = wanted.filter((section) => !SECTIONS.includes(section));
	if (unknown.length > 0) throw new Error(`--only knows no ${unknown.join(", ")}\n${USAGE}`);
	const [rows, repeat, peerRepeat] = [count("rows"), count("repeat"), count("peer-repeat")];
	const postgresName = values.postgres === "15" ? "postgres15" : "postgres18";
	const wants = (...sections: string[]) => sections.some((section) => wanted.includes(section));
	if (values.headrace && values.build) {
		const build = join(repository, "scripts/build.ts");
		const built = spawnSync(process.execPath, [build], { cwd: repository, encoding: "utf8" });
		if (built.status !== 0) throw new Error(`the build failed:\n${built.stdout}${built.stderr}`);
	}

	const folder = temporaryFolder("bench");
	const servers: RunningServer[] = [];
	const sections: Section[] = [];
	const about = [
		`Headrace benchmark, ${new Date().toISOString().slice(0, 16)}Z`,
		`${machine()}; servers on the same machine`,
	];
	try {
		const start = async (name: "mariadb" | "postgres15" | "postgres18"): Promise<RunningServer | undefined> => {
			const reason = available(name);
			if (reason !== undefined) {
				say(`${name} is left out: ${reason}`);
				return undefined;
			}
			const server =
				name === "mariadb" ? await startMariadb() : await startServer(name, { settings: { shared_buffers: "1GB" } });
			servers.push(server);
			about.push(`${server.name} ${server.version}`);
			return server;
		};
		if (wanted.includes("compact")) {
			const ofSection = join(folder.path, "compact");
			mkdirSync(ofSection);
			const generated = await timed(`${rows} rows made`, () => generate(ofSection, rows));
			const raced = await raceCompact(generated, ofSection, repeat, say);
			sections.push({ name: "Compaction of 1,000 files", ...raced });
		}
		const stop = async (server: RunningServer | undefined) => server?.stop();
		const mariadb = wants(
			...["mysql-duckdb", "mysql-parquet", "mysql-s3", "mysql-postgres", "mysql-redshift", "mysql-resume"],
			...["incremental", "incremental-postgres", "binlog", "follow-mysql", "follow-mysql-postgres", "latency"],
		)
			? await start("mariadb")
			: undefined;
		const intoPostgres = wants(
			...["mysql-postgres", "mysql-redshift", "postgres-postgres", "file-postgres", "incremental-postgres", "latency"],
			...["follow-mysql-postgres", "follow-postgres-postgres"],
		);
		const postgres =
			intoPostgres || wants("postgres-duckdb", "postgres-parquet", "postgres-resume", "wal", "follow-postgres")
				? await start(postgresName)
				: undefined;
		if (intoPostgres && postgres !== undefined) await makeTarget(postgres);
		if (mariadb !== undefined || postgres !== undefined) {
			const generated: Generated = await timed(`${rows} rows made`, () => generate(folder.path, rows));
			for (const server of [mariadb, postgres].filter((each) => each !== undefined)) {
				await timed(`${server.name} loaded`, () => load(server, generated));
				await warm(server);
			}
			const route = (
				name: string,
				server: RunningServer | undefined,
				target: Route["target"],
				key: string,
			): Route[] => {
				if (server === undefined || !wanted.includes(key)) return [];
				if (target === "postgres" && postgres === undefined) return [];
				const ofRoute = join(folder.path, key);
				mkdirSync(ofRoute);
				const schema = server.kind === "postgres" ? "public" : DATABASE;
				const into = target === "postgres" ? { into: postgres! } : {};
				const file = key.startsWith("file-") ? { file: join(ofRoute, "lineitem.parquet") } : {};
				return [{ name, server, schema, target, generated, folder: ofRoute, ...into, ...file }];
			};
			const routes = [
				...route("MySQL → DuckDB", mariadb, "duckdb", "mysql-duckdb"),
				...route("MySQL → Parquet", mariadb, "parquet", "mysql-parquet"),
				...route("PostgreSQL → DuckDB", postgres, "duckdb", "postgres-duckdb"),
				...route("PostgreSQL → Parquet", postgres, "parquet", "postgres-parquet"),
				...route("MySQL → PostgreSQL", mariadb, "postgres", "mysql-postgres"),
				...route("PostgreSQL → PostgreSQL", postgres, "postgres", "postgres-postgres"),
				...route("Parquet → PostgreSQL", postgres, "postgres", "file-postgres"),
			];
			for (const { file } of routes) if (file !== undefined) await writeParquet(generated, file);
			sections.push(...(await raceRoutes(routes, repeat, peerRepeat)));
			const resumes = [
				...route("Resume, MySQL → DuckDB", mariadb, "duckdb", "mysql-resume"),
				...route("Resume, PostgreSQL → DuckDB", postgres, "duckdb", "postgres-resume"),
			];
			for (const resume of values.headrace ? resumes : []) {
				for (const [how, staging] of [
					["", ""],
					[" by staged files", "staging: ./staged\n"],
				] as const) {
					const name = `${resume.name}${how}`;
					say(`\n${name}`);
					sections.push({ name, rows, results: await raceResume(resume, staging, repeat, say) });
				}
			}
			if (mariadb !== undefined && values.headrace && wanted.includes("mysql-s3")) {
				say("\nMySQL → S3 stand-in");
				const ofRoute = join(folder.path, "mysql-s3");
				mkdirSync(ofRoute);
				const raced = await raceS3(mariadb, generated, ofRoute, repeat, say);
				sections.push({ name: "MySQL → S3 stand-in", rows: generated.rows, ...raced });
			}
			for (const into of route("MySQL → Redshift stand-in", mariadb, "postgres", "mysql-redshift")) {
				if (!values.headrace) continue;
				say(`\n${into.name}`);
				const raced = await raceRedshift({ ...into, into: postgres! }, repeat, say);
				sections.push({ name: into.name, rows: generated.rows, ...raced });
			}
			const followed = [
				...(wanted.includes("incremental") ? [{ name: "Incremental" }] : []),
				...(wanted.includes("incremental-postgres") && postgres !== undefined
					? [{ name: "Incremental into PostgreSQL", into: postgres }]
					: []),
			];
			if (mariadb !== undefined && values.headrace && followed.length > 0) {
				say("\nIncremental");
				const results = await raceIncremental(mariadb, followed, generated, folder.path, repeat, say);
				for (const [index, { name }] of followed.entries()) sections.push({ name, results: results[index]! });
			}
			if (mariadb !== undefined && values.headrace && wanted.includes("binlog")) {
				say("\nChange log");
				sections.push(...(await raceBinlog(mariadb, Math.min(rows, 1_000_000), repeat, say)));
			}
			if (postgres !== undefined && values.headrace && wanted.includes("wal")) {
				say("\nChange log of PostgreSQL");
				sections.push(...(await raceWal(postgres, Math.min(rows, 1_000_000), repeat, say)));
			}
			for (const [section, server, into] of [
				["follow-mysql", mariadb, null],
				["follow-postgres", postgres, null],
				["follow-mysql-postgres", mariadb, postgres],
				["follow-postgres-postgres", postgres, postgres],
			] as const)
				if (server !== undefined && into !== undefined && values.headrace && wanted.includes(section)) {
					say(`\nFollowing, ${section}`);
					sections.push(await raceFollow(server, into, { rows, folder: folder.path, onRun: say }));
				}
			if (mariadb !== undefined && postgres !== undefined && values.headrace && wanted.includes("latency")) {
				say("\nLatency");
				const name = "MariaDB followed into PostgreSQL, flush 1s";
				sections.push({ name, results: await raceLatency(mariadb, postgres, folder.path) });
			}
			await stop(postgres);
			await stop(mariadb);
		}
		if (values.headrace && wanted.includes("startup")) {
			say("\nStart-up");
			const contestant = { name: "headrace --version", command: headraceCommand(["--version"], folder.path) };
			await alternate([contestant], 1);
			sections.push({ name: "Start-up", results: await alternate([contestant], Math.max(7, repeat)) });
		}
		for (const [section, part] of Object.entries(SERVE_PARTS)) {
			if (!values.headrace || !wanted.includes(section)) continue;
			say(`\n${section}`);
			sections.push({ name: part.name, results: await part.race(folder.path, say) });
		}
		if (values.headrace && wanted.includes("big")) {
			say("\nBig");
			const server = await start("mariadb");
			const big = join(folder.path, "big");
			mkdirSync(big);
			if (server !== undefined)
				sections.push({ name: "Big", results: await raceBig(server, count("big-rows"), big, say) });
		}
	} finally {
		for (const server of servers) await server.stop();
		folder.remove();
	}
	const targets = targetsOf(sections);
	process.stdout.write(`${markdown(sections, targets, about)}\n`);
	if (values.json !== undefined) {
		writeFileSync(values.json, `${JSON.stringify({ about, rows, repeat, sections, targets }, null, "\t")}\n`);
	}
	const failed = sections.flatMap(({ name, results }) =>
		results
			.filter(
				(result) =>
					result.error !== undefined && (/^(?:Incremental|Resume)/.test(name) || /^headrace|→/.test(result.name)),
			)
			.map((result) => `${name}, ${result.name}: ${result.error}`),
	);
	for (const line of failed) say(`failed: ${line}`);
	// A missed target is a figure; a copy that failed or differs is a failure.
	if (failed.length > 0) process.exitCode = 1;
}

await main();
