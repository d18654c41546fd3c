/**
 * vitest's globalSetup: keeps the shared servers, each started when the first test asks for it, so that a run of unit
 * tests starts none. Workers ask over a Unix socket: one line with a name in, one JSON document with its address out.
 */
import { createServer } from "node:net";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { useMemoryFolder } from "./memory-folder.ts";
import { temporaryFolder } from "./processes.ts";
import { type RunningServer, SERVER_NAMES, type ServerAddress, type ServerName } from "./server.ts";
import { startShared } from "./start.ts";

/** The plain data of a server, without its methods. */
function addressOf(server: RunningServer): ServerAddress {
	const { kind, name, version, host, port, user, password, reader, ca } = server;
	return { kind, name, version, host, port, user, password, reader, ...(ca === undefined ? {} : { ca }) };
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
	useMemoryFolder();
	const folder = temporaryFolder("servers");
	process.env["HEADRACE_TESTS_CACHE"] = join(folder.path, "compiled");
	const started = new Map<ServerName, Promise<RunningServer>>();
	const start = (name: ServerName): Promise<RunningServer> => {
		let server = started.get(name);
		if (server === undefined) {
			server = startShared(name);
			started.set(name, server);
		}
		return server;
	};
	const broker = createServer({ allowHalfOpen: true }, (socket) => {
		let request = "";
		socket.setEncoding("utf8");
		socket.on("error", () => {});
		socket.on("data", (text) => {
			request += text;
		});
		socket.on("end", async () => {
			try {
				const name = SERVER_NAMES.find((known) => known === request.trim());
				if (name === undefined) throw new Error(`no test server has the name ${JSON.stringify(request.trim())}`);
				socket.end(JSON.stringify({ address: addressOf(await start(name)) }));
			} catch (error) {
				socket.end(JSON.stringify({ error: String(error) }));
			}
		});
	});
	const socketPath = join(folder.path, "broker");
	await new Promise<void>((resolve, reject) => {
		broker.once("error", reject);
		broker.listen(socketPath, resolve);
	});
	project.provide("headraceServers", socketPath);
	return async () => {
		await new Promise((resolve) => broker.close(resolve));
		for (const result of await Promise.allSettled(started.values())) {
			if (result.status === "fulfilled") await result.value.stop();
		}
		folder.remove();
	};
}
