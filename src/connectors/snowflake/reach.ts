import { connect } from "node:net";
import type { SnowflakeOptions } from "./options.ts";

const FIRST_LOOK_MS = 15_000;
const LOOK_EVERY_MS = 10_000;
const LOOK_TIMEOUT_MS = 5_000;
/** Looks in a row that found nobody: about two minutes. */
const MISSES_MAX = 8;

/** Servers that this process has reached by itself: behind a proxy there are none, and nothing can be told. */
const reached = new Set<string>();

/** Looks once, after a login, whether the server is reached without a proxy. */
export function noteReach(options: SnowflakeOptions): void {
	const { host, port } = addressOf(options);
	if (reached.has(`${host}:${port}`)) return;
	const socket = connect({ host, port, timeout: LOOK_TIMEOUT_MS });
	socket.unref();
	socket.once("connect", () => {
		reached.add(`${host}:${port}`);
		socket.destroy();
	});
	socket.once("timeout", () => socket.destroy());
	socket.on("error", () => {});
}

/**
 * The driver repeats a statement's request a thousand times, which is hours, when nobody answers. While a statement is
 * on its way this looks now and then whether the server can be reached at all, and reports when it can't.
 */
export function reachable(options: SnowflakeOptions, onLost: (error: Error) => void): { stop(): void } {
	const { host, port } = addressOf(options);
	let misses = 0;
	let timer = setTimeout(look, FIRST_LOOK_MS);
	timer.unref();
	let stopped = false;

	function look(): void {
		if (!reached.has(`${host}:${port}`)) return;
		const socket = connect({ host, port, timeout: LOOK_TIMEOUT_MS });
		const done = (found: boolean) => {
			socket.removeAllListeners();
			socket.on("error", () => {});
			socket.destroy();
			if (stopped) return;
			misses = found ? 0 : misses + 1;
			if (misses >= MISSES_MAX) {
				onLost(Object.assign(new Error(`${host}:${port} can't be reached any more`), { code: "ETIMEDOUT" }));
				return;
			}
			timer = setTimeout(look, LOOK_EVERY_MS);
			timer.unref();
		};
		socket.once("connect", () => done(true));
		socket.once("error", () => done(false));
		socket.once("timeout", () => done(false));
	}

	return {
		stop() {
			stopped = true;
			clearTimeout(timer);
		},
	};
}

function addressOf({ endpoint, account }: SnowflakeOptions): { host: string; port: number } {
	if (endpoint === undefined) return { host: `${account}.snowflakecomputing.com`, port: 443 };
	const url = new URL(endpoint);
	return { host: url.hostname, port: Number(url.port || (url.protocol === "http:" ? 80 : 443)) };
}
