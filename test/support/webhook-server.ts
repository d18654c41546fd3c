/** An HTTP server of 127.0.0.1 that keeps what is posted to it. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Delivery {
	readonly path: string;
	readonly headers: IncomingHttpHeaders;
	readonly body: string;
}

export type Answer = (delivery: Delivery, response: ServerResponse) => void;

export interface WebhookServer extends AsyncDisposable {
	readonly url: string;
	readonly port: number;
	readonly deliveries: Delivery[];
	/** How it answers from now on; default 200 and nothing. */
	answer: Answer;
	/** The bodies so far, parsed; and forgets them. */
	take(): Record<string, unknown>[];
}

export async function startWebhookServer(): Promise<WebhookServer> {
	const server = createServer((request, response) => {
		const chunks: Buffer[] = [];
		request.on("data", (chunk: Buffer) => chunks.push(chunk));
		request.on("end", () => {
			const body = Buffer.concat(chunks).toString("utf8");
			const delivery = { path: request.url ?? "", headers: request.headers, body };
			webhook.deliveries.push(delivery);
			webhook.answer(delivery, response);
		});
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	const webhook: WebhookServer = {
		url: `http://127.0.0.1:${port}/hook`,
		port,
		deliveries: [],
		answer: (_delivery, response) => response.end(),
		take: () => webhook.deliveries.splice(0).map(({ body }) => JSON.parse(body) as Record<string, unknown>),
		[Symbol.asyncDispose]: async () => {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
	return webhook;
}
