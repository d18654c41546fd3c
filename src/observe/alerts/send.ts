import { setTimeout as delay } from "node:timers/promises";
import type { AlertChannel } from "../../core/alert.ts";
import { HeadraceError } from "../../core/errors.ts";
import type { Lookup } from "./address.ts";
import { DeliveryError } from "./delivery.ts";
import { emailText } from "./email.ts";
import { post } from "./http.ts";
import type { AlertMessage } from "./message.ts";
import { jsonPayload, signatureOf, slackPayload, teamsPayload } from "./payloads.ts";
import { submit } from "./smtp.ts";

export interface SendOptions {
	/** Ends all attempts. */
	readonly signal: AbortSignal;
	/** Milliseconds since 1970, for the signature. */
	readonly nowMs: () => number;
	/** Default: the system's. */
	readonly lookup?: Lookup;
	/** Milliseconds; default 5 seconds an attempt, half a second before the second one. */
	readonly attemptMs?: number;
	readonly retryDelayMs?: number;
}

const ATTEMPTS_MAX = 3;
const ATTEMPT_MS = 5_000;
const RETRY_DELAY_MS = 500;

/**
 * Sends a message to one channel, in up to three attempts.
 * @throws E_ALERT, without the channel's address but for its host
 */
export async function sendAlert(channel: AlertChannel, message: AlertMessage, options: SendOptions): Promise<void> {
	const { signal } = options;
	for (let attempt = 1; ; attempt++) {
		try {
			return await attemptOnce(channel, message, options);
		} catch (thrown) {
			const error = thrown instanceof DeliveryError ? thrown : new DeliveryError(String(thrown), { cause: thrown });
			const first = options.retryDelayMs ?? RETRY_DELAY_MS;
			const delayMs = error.retryAfterMs ?? first * 2 ** (attempt - 1) * (0.75 + Math.random() / 2);
			if (!error.permanent && attempt < ATTEMPTS_MAX && !signal.aborted) {
				await delay(delayMs, undefined, { signal }).catch(() => {});
				if (!signal.aborted) continue;
			}
			throw new HeadraceError("E_ALERT", `channel ${channel.name}: ${error.message}`, {
				pipeline: message.pipeline,
				cause: error,
				...(error.hint === undefined ? {} : { hint: error.hint }),
			});
		}
	}
}

async function attemptOnce(channel: AlertChannel, message: AlertMessage, options: SendOptions): Promise<void> {
	const { lookup } = options;
	const attempt = new AbortController();
	const end = () => attempt.abort();
	const timer = setTimeout(end, options.attemptMs ?? ATTEMPT_MS);
	options.signal.addEventListener("abort", end, { once: true });
	if (options.signal.aborted) end();
	const { signal } = attempt;
	// A name server that does not answer can't be asked to stop; nobody waits for it.
	const timedOut = new Promise<never>((_resolve, reject) => {
		const fail = () => reject(new DeliveryError("no answer in time"));
		if (signal.aborted) fail();
		signal.addEventListener("abort", () => setImmediate(fail), { once: true });
	});
	try {
		const work =
			channel.type === "email"
				? submit({ channel, text: await emailText(channel, message), signal, lookup })
				: post({
						...httpMessage(channel, message, options.nowMs()),
						allowPrivate: channel.allowPrivate,
						signal,
						lookup,
					});
		await Promise.race([work, timedOut]);
	} finally {
		clearTimeout(timer);
		options.signal.removeEventListener("abort", end);
	}
}

function httpMessage(channel: Exclude<AlertChannel, { type: "email" }>, message: AlertMessage, nowMs: number) {
	const payload = { slack: slackPayload, teams: teamsPayload, webhook: jsonPayload }[channel.type](message);
	const body = JSON.stringify(payload);
	const timestamp = Math.floor(nowMs / 1000);
	const headers: Record<string, string> = { "user-agent": "headrace" };
	if (channel.type === "webhook") {
		headers["headrace-delivery"] = message.id;
		if (channel.secret !== undefined) headers["headrace-signature"] = signatureOf(channel.secret, timestamp, body);
	}
	return { url: channel.url.reveal(), body, headers };
}
