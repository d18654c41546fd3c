import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { serve } from "@hono/node-server";
import type { Service } from "../app/service/service.ts";
import { HeadraceError, type RunEvent } from "../core/index.ts";
import { addressOf, isLoopback, type Listening } from "./addresses.ts";
import { httpApp } from "./http.ts";
import { Identities } from "./identities.ts";
import { Metrics } from "./metrics.ts";
import { StaticFiles } from "./static-files.ts";

/** A client that sends its headers slower than this is none. */
const HEADERS_MS = 15_000;
const REQUEST_MS = 60_000;
const HEADERS_BYTES_MAX = 16_384;

export interface ServerOptions {
	readonly service: Service;
	readonly host: string;
	/** 0: any that is free. */
	readonly port: number;
	readonly publicUrl: URL | null;
	readonly allowedHosts: readonly string[];
	/** Files in PEM form; null: plain HTTP. */
	readonly tls: { readonly certificate: string; readonly key: string } | null;
	readonly version: string;
	/** Whether admins may see a few masked rows of a table; default not. */
	readonly sampleRows?: boolean;
	readonly onError: (error: HeadraceError) => void;
	/** The folder of the page; default: the package's. */
	readonly pageFolder?: string;
}

/** A server that listens. */
export interface RunningServer extends AsyncDisposable {
	readonly address: string;
	readonly port: number;
	/** A link that logs in once; null where the server is reached from elsewhere: tokens log in there. */
	readonly link: string | null;
	/** Every event of a run goes here, for `/metrics`. */
	readonly onRunEvent: (pipeline: string, event: RunEvent) => void;
}

/**
 * Listens. Elsewhere than on a loopback address only when somebody has a token: nobody else could get in, and a link
 * would travel over the network.
 * @throws E_USAGE without a token, E_CONNECT when the address is taken
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
	const { service, host, publicUrl, tls } = options;
	const identities = new Identities(service);
	const far = !isLoopback(host) || publicUrl !== null;
	if (far && !(await identities.hasTokens()))
		throw new HeadraceError(
			"E_USAGE",
			`${publicUrl?.origin ?? host} can be reached from elsewhere, and nobody has a token to log in with`,
			{ hint: "Make one first: `headrace serve token add <name> --role admin`." },
		);
	const metrics = new Metrics();
	const files = options.pageFolder === undefined ? new StaticFiles() : new StaticFiles(options.pageFolder);
	// The port is part of what is allowed, and known only now when any was asked for.
	const listening = { host, port: options.port, publicUrl, tls: tls !== null, allowedHosts: options.allowedHosts };
	const live: { app: ReturnType<typeof httpApp> | null } = { app: null };
	const limits = {
		headersTimeout: HEADERS_MS,
		requestTimeout: REQUEST_MS,
		maxHeaderSize: HEADERS_BYTES_MAX,
	};
	const { server, port } = await new Promise<{ server: ReturnType<typeof serve>; port: number }>((resolve, reject) => {
		const started = serve(
			{
				fetch: (request, env) => live.app?.fetch(request, env) ?? new Response("starting\n", { status: 503 }),
				hostname: host.replace(/^\[|\]$/g, ""),
				port: options.port,
				overrideGlobalObjects: false,
				...(tls === null
					? { createServer, serverOptions: limits }
					: { createServer: createSecureServer, serverOptions: { ...limits, ...certificateOf(tls) } }),
			},
			(info) => resolve({ server: started, port: info.port }),
		);
		started.on("error", (cause: NodeJS.ErrnoException) =>
			reject(
				new HeadraceError("E_CONNECT", `can't listen on ${host}:${options.port}: ${cause.code ?? cause.message}`, {
					cause,
					hint: cause.code === "EADDRINUSE" ? "Give another one by --port." : "Check --host and --port.",
				}),
			),
		);
	});
	const known: Listening = { ...listening, port };
	const { version, onError, sampleRows = false } = options;
	live.app = httpApp({ service, identities, metrics, files, listening: known, version, sampleRows, onError });
	const address = addressOf(known);
	return {
		address,
		port,
		link: !far ? `${address}/#token=${identities.newLink()}` : null,
		onRunEvent: (pipeline, event) => metrics.onRunEvent(pipeline, event),
		async [Symbol.asyncDispose]() {
			const closed = new Promise<void>((resolve) => server.close(() => resolve()));
			// Streams would keep it open for as long as somebody watches.
			if ("closeAllConnections" in server) server.closeAllConnections();
			await closed;
		},
	};
}

/** @throws E_FILE_NOT_FOUND */
function certificateOf({ certificate, key }: { readonly certificate: string; readonly key: string }) {
	const read = (path: string): Buffer => {
		try {
			return readFileSync(path);
		} catch (cause) {
			throw new HeadraceError("E_FILE_NOT_FOUND", `can't read ${path}`, { cause });
		}
	};
	return { cert: read(certificate), key: read(key), minVersion: "TLSv1.2" as const };
}
