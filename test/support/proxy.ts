/** A TCP proxy of 127.0.0.1 that makes the faults of a network: slowness, cuts, silence, crumbs, flipped bytes. */
import { connect, createServer, type Socket } from "node:net";
import { Transform } from "node:stream";
import { freePort } from "./processes.ts";

export interface Faults {
	/** Delays every piece of data by this long, each way, in order. */
	readonly latencyMs?: number;
	/** Ends the connection (reset) once this many bytes have gone to the client. */
	readonly cutAfterBytes?: number;
	/** Takes connections and data, and passes nothing on, either way: a peer that vanished without a word. */
	readonly blackHole?: boolean;
	/** Stops passing data to the client after this many bytes, and keeps the connection open. */
	readonly stallAfterBytes?: number;
	/** Passes data on in pieces of this many bytes, each in a packet of its own. */
	readonly pieceBytes?: number;
	/** Flips all bits of the byte at this offset of what goes to the client. */
	readonly corruptByteAt?: number;
	/** Resets new connections at once. */
	readonly refuse?: boolean;
}

export interface FaultProxy extends AsyncDisposable {
	readonly host: "127.0.0.1";
	readonly port: number;
	/** Connections accepted so far. */
	readonly accepted: number;
	/** Bytes that came from the server, passed on or not, over all connections. */
	readonly bytesToClient: number;
	/** Replaces the faults: for connections to come, and at once for those that are open (offsets count from their start). */
	set(faults: Faults): void;
	/** Resets all open connections. */
	cut(): void;
	close(): Promise<void>;
}

/** The address with the proxy in place of its host and port. */
export function throughProxy(url: string, proxy: Pick<FaultProxy, "host" | "port">): string {
	const address = new URL(url);
	address.host = `${proxy.host}:${proxy.port}`;
	return address.href;
}

/** Starts a proxy in front of `target`. Faults can be changed while it runs. */
export async function startProxy(target: { host: string; port: number }, initial: Faults = {}): Promise<FaultProxy> {
	let faults = initial;
	let accepted = 0;
	let bytesToClient = 0;
	const pairs = new Set<() => void>();

	const lane = (toClient: boolean, reset: () => void): Transform => {
		let seen = 0;
		return new Transform({
			async transform(received: Buffer, _encoding, done) {
				const from = seen;
				seen += received.length;
				if (toClient) bytesToClient += received.length;
				if (faults.latencyMs) await new Promise((resolve) => setTimeout(resolve, faults.latencyMs));
				if (faults.blackHole) return done();
				let bytes = received;
				if (toClient) {
					const { corruptByteAt: corrupt, cutAfterBytes: cut, stallAfterBytes: stall } = faults;
					if (corrupt !== undefined && corrupt >= from && corrupt < seen) {
						bytes = Buffer.from(bytes);
						bytes[corrupt - from] = bytes[corrupt - from]! ^ 0xff;
					}
					if (stall !== undefined && seen > stall) bytes = bytes.subarray(0, Math.max(0, stall - from));
					if (cut !== undefined && seen >= cut) {
						this.push(bytes.subarray(0, Math.max(0, cut - from)));
						// One turn of the event loop lets the last bytes out before the reset.
						setImmediate(reset);
						return;
					}
				}
				const piece = faults.pieceBytes ?? bytes.length;
				for (let start = 0; start < bytes.length; start += piece) {
					this.push(bytes.subarray(start, start + piece));
					// A packet of its own: written alone, and Nagle is off.
					if (faults.pieceBytes) await new Promise((resolve) => setImmediate(resolve));
				}
				done();
			},
		});
	};

	const server = createServer((client: Socket) => {
		accepted++;
		client.on("error", () => {});
		if (faults.refuse) {
			client.resetAndDestroy();
			return;
		}
		const upstream = connect(target.port, target.host);
		upstream.on("error", () => reset());
		const reset = () => {
			pairs.delete(reset);
			client.resetAndDestroy();
			upstream.destroy();
		};
		pairs.add(reset);
		client.setNoDelay(true);
		upstream.setNoDelay(true);
		client.pipe(lane(false, reset)).pipe(upstream);
		upstream.pipe(lane(true, reset)).pipe(client);
		// An orderly end travels with the pipes, after the bytes before it; a broken side breaks the other one.
		for (const socket of [client, upstream]) {
			socket.on("close", (broken) => {
				if (broken) reset();
				else if (client.destroyed && upstream.destroyed) pairs.delete(reset);
			});
		}
	});
	const port = await freePort();
	await new Promise<void>((resolve, reject) => {
		server.once("error", reject);
		server.listen(port, "127.0.0.1", resolve);
	});
	const close = async () => {
		for (const reset of [...pairs]) reset();
		await new Promise((resolve) => server.close(resolve));
	};
	return {
		host: "127.0.0.1",
		port,
		get accepted() {
			return accepted;
		},
		get bytesToClient() {
			return bytesToClient;
		},
		set(next) {
			faults = next;
		},
		cut() {
			for (const reset of [...pairs]) reset();
		},
		close,
		[Symbol.asyncDispose]: close,
	};
}
