/** Proxies close a connection on which nothing comes; a comment keeps it. */
const HEARTBEAT_MS = 15_000;
/** Nobody needs more at once; each holds memory. */
const STREAMS_MAX = 200;
/** What a client that does not read may have waiting. */
const WAITING_BYTES_MAX = 4_000_000;

const encoder = new TextEncoder();
const STILL_HERE = encoder.encode(": still here\n\n");

let open = 0;

export interface ServerSentEvent {
	readonly id?: number;
	readonly event: string;
	readonly data: unknown;
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */
export function eventText({ id, event, data }: ServerSentEvent): string {
	return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** How many streams are open in this process. */
export function openStreams(): number {
	return open;
}

export function mayOpenStream(): boolean {
	return open < STREAMS_MAX;
}

/**
 * An answer of server-sent events. `begin` gets what sends one, or several as they are sent, and what ends the stream;
 * it gives back what is to be done when it has ended, on whichever side.
 */
export function eventStream(
	begin: (send: (event: ServerSentEvent | Uint8Array) => void, end: () => void) => () => void,
	signal: AbortSignal,
): Response {
	let finish = (): void => {};
	const body = new ReadableStream<Uint8Array>(
		{
			start(controller) {
				let ended = false;
				const write = (bytes: Uint8Array): void => {
					if (ended) return;
					// Negative by as many as wait.
					if ((controller.desiredSize ?? 0) < -WAITING_BYTES_MAX) finish();
					else controller.enqueue(bytes);
				};
				const heartbeat = setInterval(() => write(STILL_HERE), HEARTBEAT_MS);
				open++;
				let release = (): void => {};
				finish = () => {
					if (ended) return;
					ended = true;
					open--;
					clearInterval(heartbeat);
					signal.removeEventListener("abort", finish);
					release();
					try {
						controller.close();
					} catch {
						// The client has gone first.
					}
				};
				signal.addEventListener("abort", finish, { once: true });
				write(encoder.encode("retry: 2000\n\n"));
				release = begin(
					(event) => write(event instanceof Uint8Array ? event : encoder.encode(eventText(event))),
					() => finish(),
				);
				// What ended it while it began could not release it yet.
				if (ended) release();
				else if (signal.aborted) finish();
			},
			cancel() {
				finish();
			},
		},
		{ highWaterMark: 16_384, size: (bytes) => bytes?.byteLength ?? 0 },
	);
	return new Response(body, {
		headers: {
			"Content-Type": "text/event-stream; charset=utf-8",
			"Cache-Control": "no-store",
			// nginx holds answers back otherwise.
			"X-Accel-Buffering": "no",
		},
	});
}

/** What `Last-Event-ID`, or the page that begins anew, says it has. */
export function lastEventId(header: string | undefined): number | null {
	return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : null;
}
