import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { addressesOf, fixedLookup, type Lookup } from "./address.ts";
import { DeliveryError } from "./delivery.ts";

export interface Post {
	readonly url: string;
	readonly body: string;
	readonly headers: Readonly<Record<string, string>>;
	readonly allowPrivate: boolean;
	readonly signal: AbortSignal;
	readonly lookup?: Lookup | undefined;
}

const REDIRECTS_MAX = 3;
const ANSWER_BYTES_MAX = 16_384;
/** Answers that may be another one later: https://www.rfc-editor.org/rfc/rfc9110#name-status-codes */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504, 507, 509]);

/**
 * Posts JSON. A redirect is followed to the same scheme, host and port only, and only as the same request.
 * @throws DeliveryError, never with more of the address than its host
 */
export async function post(message: Post): Promise<void> {
	let url = new URL(message.url);
	for (let redirects = 0; ; redirects++) {
		const answer = await once(url, message);
		if (answer.status >= 200 && answer.status < 300) return;
		if (answer.status < 300 || answer.status >= 400) throw refusal(url, answer);
		url = redirectOf(url, answer, redirects);
	}
}

interface Answer {
	readonly status: number;
	readonly location: string | undefined;
	readonly retryAfter: string | undefined;
	readonly text: string;
}

async function once(url: URL, { body, headers, allowPrivate, signal, lookup }: Post): Promise<Answer> {
	const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
	const addresses = await addressesOf(host, allowPrivate, lookup);
	const send = url.protocol === "https:" ? requestHttps : requestHttp;
	return new Promise((resolve, reject) => {
		const request = send(url, {
			method: "POST",
			agent: false,
			lookup: fixedLookup(addresses),
			signal,
			headers: { ...headers, "content-type": "application/json", "content-length": Buffer.byteLength(body) },
		});
		request.once("error", (cause: NodeJS.ErrnoException) => {
			if (signal.aborted) return reject(new DeliveryError(`${url.host} did not answer in time`, { cause }));
			reject(new DeliveryError(`${url.host} can't be reached (${cause.code ?? cause.message})`, { cause }));
		});
		request.once("response", (response) => readAnswer(response).then(resolve, reject));
		request.end(body);
	});
}

/** The beginning of the answer is enough; an endless one is cut off. */
function readAnswer(response: IncomingMessage): Promise<Answer> {
	const chunks: Buffer[] = [];
	let bytes = 0;
	return new Promise((resolve) => {
		const finish = () => {
			response.destroy();
			resolve({
				status: response.statusCode ?? 0,
				location: response.headers.location,
				retryAfter: response.headers["retry-after"],
				text: Buffer.concat(chunks).toString("utf8"),
			});
		};
		response.on("data", (chunk: Buffer) => {
			chunks.push(chunk);
			bytes += chunk.length;
			if (bytes >= ANSWER_BYTES_MAX) finish();
		});
		// The status is known, whatever happens to the rest.
		response.on("error", finish);
		response.on("end", finish);
		response.on("close", finish);
	});
}

function refusal(url: URL, { status, text, retryAfter }: Answer): DeliveryError {
	// Slack says why in one word: `invalid_payload`, `channel_is_archived`.
	const word = /^[a-z][a-z_]{2,60}$/.exec(text.trim())?.[0];
	const why = word === undefined ? "" : `: ${word}`;
	const seconds = retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined;
	return new DeliveryError(`${url.host} answered ${status}${why}`, {
		permanent: !PASSING.has(status),
		retryAfterMs: seconds === undefined ? undefined : seconds * 1000,
	});
}

function redirectOf(from: URL, { status, location }: Answer, redirects: number): URL {
	const fail = (why: string): never => {
		throw new DeliveryError(`${from.host} answered ${status}${why}`, { permanent: true });
	};
	if (redirects >= REDIRECTS_MAX) return fail(", and redirects again and again");
	if ((status !== 307 && status !== 308) || location === undefined || !URL.canParse(location, from.href))
		return fail(", a redirect that is not followed");
	const to = new URL(location, from);
	if (to.origin !== from.origin) return fail(`, a redirect to another host (${to.host}), which is not followed`);
	return to;
}
