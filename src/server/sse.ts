/** Proxies close a connection on which nothing comes; a comment keeps it. */
const HEARTBEAT_MS = 15_000;
/** Nobody needs more at once; each holds memory. */
const STREAMS_MAX = 200;
/** What a client that does not read may have waiting, in messages. */
const WAITING_MAX = 5_000;

let open = 0;

export interface ServerSentEvent {
	readonly id?: number;
	readonly event: string;
	readonly data: unknown;
}

/** How many streams are open in this process. */
export function openStreams(): number {
	return open;
}

export function mayOpenStream(): boolean {
	return open < STREAMS_MAX;
}

/**
 * An answer of server-sent events. `begin` gets what sends one and what ends the stream, and gives back what is to be
 * done when it has ended, on whichever side. https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function eventStream(
	begin: (send: (event: ServerSentEvent) => void, end: () => void) => () => void,
	signal: AbortSignal,
): Response {
	const encoder = new TextEncoder();
	let finish = (): void => {};
	const body = new ReadableStream<Uint8Array>(
		{
			start(controller) {
				let ended = false;
				const write = (text: string): void => {
					if (ended) return;
					// Negative by as many as wait.
					if ((controller.desiredSize ?? 0) < -WAITING_MAX) finish();
					else controller.enqueue(encoder.encode(text));
				};
				const heartbeat = setInterval(() => write(": still here\n\n"), HEARTBEAT_MS);
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
				write("retry: 2000\n\n");
				release = begin(
					({ id, event, data }) =>
						write(`${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
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
		{ highWaterMark: 16 },
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
