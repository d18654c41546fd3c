import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { AlertChannel, EmailChannel, HttpChannel } from "../../src/core/alert.ts";
import { HeadraceError, Secret } from "../../src/core/index.ts";
import type { AlertMessage } from "../../src/observe/alerts/index.ts";
import { sendAlert } from "../../src/observe/alerts/send.ts";
import { type Certificates, makeCertificates, tlsUnavailable } from "../support/certificates.ts";
import { isRoot, temporaryFolder } from "../support/processes.ts";
import { type SmtpOptions, startSmtpServer } from "../support/smtp-server.ts";
import { startWebhookServer, type WebhookServer } from "../support/webhook-server.ts";

const item: AlertMessage["items"][number] = {
	table: "prod.orders",
	code: "E_TIMEOUT",
	message: "the server <db> did not answer & `hung` *up* [click](http://evil.test) @channel",
	hint: "raise the limit",
	attempts: 3,
	times: 4,
	firstAt: "2026-11-20T00:00:00.000Z",
	lastAt: "2026-11-20T02:00:00.000Z",
	toldAt: "2026-11-20T01:00:00.000Z",
	over: false,
	lastSuccess: "2026-11-19T02:00:00.000Z",
};
const message: AlertMessage = {
	id: "0b0e1c1e-0000-4000-8000-000000000001",
	event: "failed",
	pipeline: "shop",
	at: "2026-11-20T02:00:01.000Z",
	host: "etl-1",
	runId: "20261120T020000-abcdef",
	items: [item],
	commands: {
		show: "headrace -C /srv/etl runs show 20261120T020000-abcdef",
		repeat: "headrace -C /srv/etl run shop --failed 20261120T020000-abcdef",
	},
};

const base = { name: "ops", on: ["failed"], coolDownMs: 0, allowPrivate: true } as const;
const http = (type: HttpChannel["type"], url: string, rest: Partial<HttpChannel> = {}): HttpChannel => ({
	...base,
	type,
	url: new Secret(url),
	...rest,
});

const NOW_MS = Date.parse("2026-11-20T02:00:02.000Z");

async function send(
	channel: AlertChannel,
	options: { attemptMs?: number; totalMs?: number; about?: AlertMessage } = {},
) {
	const { totalMs = 5_000, about = message, ...rest } = options;
	await sendAlert(channel, about, {
		signal: AbortSignal.timeout(totalMs),
		nowMs: () => NOW_MS,
		retryDelayMs: 10,
		...rest,
	});
}

async function failureOf(channel: AlertChannel, options: Parameters<typeof send>[1] = {}): Promise<HeadraceError> {
	try {
		await send(channel, options);
	} catch (error) {
		if (error instanceof HeadraceError) return error;
		throw error;
	}
	throw new Error("nothing was thrown");
}

describe("over HTTP", () => {
	let server: WebhookServer;
	beforeAll(async () => {
		server = await startWebhookServer();
	});
	afterAll(() => server[Symbol.asyncDispose]());
	const answering = (answer: WebhookServer["answer"]) => {
		server.deliveries.length = 0;
		server.answer = answer;
	};
	const ok: WebhookServer["answer"] = (_delivery, response) => response.end("ok");

	test("Slack gets Block Kit, in which an error's text is text", async () => {
		answering(ok);
		await send(http("slack", server.url));
		const [body] = server.take() as [{ text: string; blocks: { type: string; text?: { text: string } }[] }];
		expect(body.text).toBe("shop failed: prod.orders (E_TIMEOUT)");
		expect(body.blocks.map(({ type }) => type)).toEqual(["header", "section", "section", "section", "context"]);
		const text = body.blocks[1]!.text!;
		expect(text).toMatchObject({ type: "mrkdwn", verbatim: true });
		expect(text.text).toBe(
			"*prod.orders*  `E_TIMEOUT`\n" +
				"the server &lt;db&gt; did not answer &amp; 'hung' *up* [click](http://evil.test) @channel\n" +
				"cure: raise the limit\n" +
				"3 attempts · 3 more since 2026-11-20 01:00:00 UTC · last success 2026-11-19 02:00:00 UTC",
		);
		expect(body.blocks[3]!.text!.text).toBe("repeat: `headrace -C /srv/etl run shop --failed 20261120T020000-abcdef`");
	});

	test("Slack's bounds are kept, whatever the tables are", async () => {
		answering(ok);
		const long = "x".repeat(400);
		const items = Array.from({ length: 300 }, (_, i) => ({
			...item,
			table: `t${i}.${long}`,
			message: long,
			hint: long,
		}));
		await send(http("slack", server.url), { about: { ...message, pipeline: "p".repeat(100), items } });
		const [body] = server.take() as [{ blocks: { text?: { text: string } }[] }];
		expect(body.blocks.length).toBeLessThanOrEqual(50);
		for (const { text } of body.blocks) expect(text?.text.length ?? 0).toBeLessThanOrEqual(3000);
		expect(JSON.stringify(body)).toContain("and 290 more");
	});

	test("Teams gets an Adaptive Card without Markdown, and answers 202", async () => {
		answering((_delivery, response) => {
			response.statusCode = 202;
			response.end();
		});
		await send(http("teams", server.url));
		const [body] = server.take() as [{ type: string; attachments: { contentType: string; content: Card }[] }];
		interface Card {
			type: string;
			version: string;
			body: { type: string; inlines: { type: string; text: string }[] }[];
		}
		expect(body.type).toBe("message");
		const [card] = body.attachments;
		expect(card!.contentType).toBe("application/vnd.microsoft.card.adaptive");
		expect(card!.content).toMatchObject({ type: "AdaptiveCard", version: "1.4" });
		expect(new Set(card!.content.body.map(({ type }) => type))).toEqual(new Set(["RichTextBlock"]));
		const texts = card!.content.body.map(({ inlines }) => inlines.map(({ text }) => text).join(""));
		expect(texts).toContain(item.message);
		expect(texts).toContain("repeat: headrace -C /srv/etl run shop --failed 20261120T020000-abcdef");
		expect(JSON.stringify(body).length).toBeLessThan(28_000);
	});

	test("a webhook gets JSON, signed over time and body", async () => {
		answering(ok);
		await send(http("webhook", server.url, { secret: new Secret("key") }));
		const [delivery] = server.deliveries;
		const { "headrace-signature": signature, "headrace-delivery": id, "content-type": type } = delivery!.headers;
		expect(type).toBe("application/json");
		expect(id).toBe(message.id);
		const time = NOW_MS / 1000;
		const expected = createHmac("sha256", "key").update(`${time}.${delivery!.body}`).digest("hex");
		expect(signature).toBe(`t=${time},v1=${expected}`);
		expect(JSON.parse(delivery!.body)).toEqual({
			format_version: "1.0",
			id: message.id,
			event: "failed",
			pipeline: "shop",
			title: "shop failed: prod.orders (E_TIMEOUT)",
			at: message.at,
			host: "etl-1",
			run_id: message.runId,
			items: [
				{
					table: "prod.orders",
					code: "E_TIMEOUT",
					message: item.message,
					hint: "raise the limit",
					attempts: 3,
					times: 4,
					first_at: item.firstAt,
					last_at: item.lastAt,
					last_success: item.lastSuccess,
				},
			],
			commands: message.commands,
		});
		server.take();
		await send(http("webhook", server.url));
		expect(server.deliveries[0]!.headers["headrace-signature"]).toBeUndefined();
	});

	test("an answer that may pass is asked again, with the same id; at most three times", async () => {
		answering((_delivery, response) => {
			response.statusCode = server.deliveries.length < 3 ? 503 : 200;
			response.end();
		});
		await send(http("webhook", server.url));
		expect(new Set(server.take().map(({ id }) => id))).toEqual(new Set([message.id]));
		answering((_delivery, response) => {
			response.statusCode = 429;
			response.end();
		});
		expect((await failureOf(http("webhook", server.url))).message).toBe(
			`channel ops: 127.0.0.1:${server.port} answered 429`,
		);
		expect(server.deliveries).toHaveLength(3);
	});

	test("Retry-After is obeyed, and ends with the time that all attempts have", async () => {
		answering((_delivery, response) => {
			response.statusCode = 429;
			response.setHeader("retry-after", "60");
			response.end();
		});
		const started = performance.now();
		await failureOf(http("slack", server.url), { totalMs: 400 });
		expect(performance.now() - started).toBeLessThan(2_000);
		expect(server.deliveries).toHaveLength(1);
	});

	test("an answer that stays is not asked again; Slack's word for it is told", async () => {
		answering((_delivery, response) => {
			response.statusCode = 404;
			response.end("no_service");
		});
		const error = await failureOf(http("slack", `${server.url}/T000/B000/s3cr3tpath`));
		expect(error.code).toBe("E_ALERT");
		expect(error.message).toBe(`channel ops: 127.0.0.1:${server.port} answered 404: no_service`);
		expect(server.deliveries).toHaveLength(1);
	});

	test("a redirect is followed on the same host, as the same request, and nowhere else", async () => {
		const other = await startWebhookServer();
		onTestFinished(() => other[Symbol.asyncDispose]());
		const redirect = (status: number, to: string) =>
			answering(({ path }, response) => {
				if (path === "/there") response.end();
				else response.writeHead(status, { location: to }).end();
			});
		redirect(308, "/there");
		await send(http("webhook", server.url));
		expect(server.deliveries.map(({ path }) => path)).toEqual(["/hook", "/there"]);
		expect(server.deliveries[1]!.body).toBe(server.deliveries[0]!.body);
		redirect(307, `http://127.0.0.1:${other.port}/there`);
		expect((await failureOf(http("webhook", server.url))).message).toContain("redirect to another host");
		redirect(307, "http://169.254.169.254/latest/meta-data");
		await failureOf(http("webhook", server.url));
		redirect(302, "/there");
		expect((await failureOf(http("webhook", server.url))).message).toContain("a redirect that is not followed");
		redirect(308, "/hook");
		expect((await failureOf(http("webhook", server.url))).message).toContain("again and again");
		expect(other.deliveries).toEqual([]);
	});

	test("an address of this machine needs allow_private; the error says so and not the path", async () => {
		answering(ok);
		for (const url of [server.url, `http://localhost:${server.port}/s3cr3t`, `http://[::1]:${server.port}/s3cr3t`]) {
			const error = await failureOf(http("webhook", url, { allowPrivate: false }));
			expect(error.message).toMatch(/on this machine or in a private network/);
			expect(error.hint).toContain("allow_private");
			expect(error.message).not.toContain("s3cr3t");
		}
		expect(server.deliveries).toEqual([]);
	});

	test("the address that was checked is the one that is connected to", async () => {
		answering(ok);
		let asked = 0;
		const lookup = async () => {
			asked++;
			return [{ address: "127.0.0.1", family: 4 as const }];
		};
		await sendAlert(http("webhook", `http://hook.test:${server.port}/hook`), message, {
			signal: AbortSignal.timeout(5_000),
			nowMs: () => NOW_MS,
			lookup,
		});
		expect(asked).toBe(1);
		expect(server.deliveries[0]!.headers.host).toBe(`hook.test:${server.port}`);
	});

	test("a server that never answers, or answers without end, costs its time and no more", async () => {
		answering(() => {});
		const started = performance.now();
		const error = await failureOf(http("webhook", server.url), { attemptMs: 150, totalMs: 2_000 });
		expect(error.message).toContain("in time");
		expect(performance.now() - started).toBeLessThan(1_500);
		answering((_delivery, response) => {
			const more = setInterval(() => response.write("x".repeat(10_000)), 1);
			response.on("close", () => clearInterval(more));
		});
		await send(http("webhook", server.url));
	});

	test("a name server that never answers, either", async () => {
		const lookup = () => new Promise<never>(() => {});
		const sending = sendAlert(http("webhook", "http://hook.test/x"), message, {
			signal: AbortSignal.timeout(300),
			nowMs: () => NOW_MS,
			lookup,
		});
		await expect(sending).rejects.toMatchObject({ code: "E_ALERT" });
	});
});

describe.skipIf(tlsUnavailable() !== undefined)("by e-mail", () => {
	const folder = temporaryFolder("smtp");
	let certificates: Certificates;
	let ca: string;
	beforeAll(async () => {
		certificates = await makeCertificates(folder.path);
		ca = readFileSync(certificates.ca, "utf8");
	});
	afterAll(() => folder.remove());

	async function started(options: SmtpOptions = {}) {
		const server = await startSmtpServer(options);
		onTestFinished(() => server[Symbol.asyncDispose]());
		const channel = (smtp: Partial<EmailChannel["smtp"]> = {}): EmailChannel => ({
			...base,
			type: "email",
			to: ["ops@example.com", "data@example.com"],
			from: "headrace@example.com",
			smtp: { host: "127.0.0.1", port: server.port, tls: "on", ca, ...smtp },
		});
		return { server, channel };
	}

	/** Headers by name, and the decoded body. */
	function parsed(text: string) {
		const end = text.indexOf("\r\n\r\n");
		const lines = text.slice(0, end).replaceAll("\r\n ", "").split("\r\n");
		const headers = Object.fromEntries(
			lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
		);
		return { headers, body: Buffer.from(text.slice(end), "base64").toString("utf8") };
	}

	test("goes by STARTTLS with a login, to every receiver", async () => {
		const { server, channel } = await started({ certificates, logins: "PLAIN LOGIN" });
		await send(channel({ user: "u", password: new Secret("p@ss") }));
		expect(server.mails).toMatchObject([
			{
				from: "headrace@example.com",
				to: ["ops@example.com", "data@example.com"],
				secure: true,
				login: ["u", "p@ss"],
			},
		]);
		const { headers, body } = parsed(server.mails[0]!.text);
		expect(headers).toMatchObject({
			From: "Headrace <headrace@example.com>",
			To: "ops@example.com, data@example.com",
			Subject: "shop failed: prod.orders (E_TIMEOUT)",
			Date: "Fri, 20 Nov 2026 02:00:01 +0000",
			"Message-ID": `<${message.id}@etl-1>`,
			"Auto-Submitted": "auto-generated",
		});
		expect(body.replaceAll("\r\n", "\n")).toBe(`prod.orders  E_TIMEOUT
  ${item.message}
  cure: raise the limit
  3 attempts · 3 more since 2026-11-20 01:00:00 UTC · last success 2026-11-19 02:00:00 UTC

Rows and positions that were loaded before stay as they are; the next run goes on from there.
run 20261120T020000-abcdef on etl-1, 2026-11-20 02:00:01 UTC
more: ${message.commands.show}
repeat: ${message.commands.repeat}
`);
		expect(server.lines.at(-1)).toBe("QUIT");
		for (const line of server.mails[0]!.text.split("\r\n")) expect(line.length).toBeLessThanOrEqual(78);
	});

	// Only root may listen below 1024; the port decides how TLS begins.
	test.skipIf(!isRoot)("on port 465 TLS is there from the start", async () => {
		const { server, channel } = await started({ certificates, implicitTls: true, port: 465 });
		await send(channel());
		expect(server.mails).toMatchObject([{ secure: true }]);
		expect(server.lines).not.toContain("STARTTLS");
	});

	test("a login by LOGIN, and none at all", async () => {
		const { server, channel } = await started({ certificates, logins: "LOGIN" });
		await send(channel({ user: "u", password: new Secret("p") }));
		await send(channel());
		expect(server.mails.map(({ login }) => login)).toEqual([["u", "p"], null]);
	});

	test("without TLS only where it is written so", async () => {
		const { server, channel } = await started();
		await send(channel({ tls: "off" }));
		expect(server.mails).toMatchObject([{ secure: false }]);
		const error = await failureOf(channel());
		expect(error.message).toMatch(/TLS with mail server .* failed \(what\?\)/);
		expect(server.mails).toHaveLength(1);
	});

	test("a certificate that can't be verified ends it before the login, once", async () => {
		const { server, channel } = await started({ certificates, logins: "PLAIN" });
		const login = { user: "u", password: new Secret("p") };
		const { ca: _ca, ...unknown } = channel(login).smtp;
		const error = await failureOf({ ...channel(), smtp: unknown });
		expect(error.message).toMatch(/TLS with mail server 127\.0\.0\.1:\d+ failed \(unable to verify/);
		expect(server.lines.some((line) => line.startsWith("AUTH"))).toBe(false);
		expect(server.lines.filter((line) => line === "STARTTLS")).toHaveLength(1);
		await send({ ...channel(), smtp: { ...unknown, tls: "insecure" } });
		expect(server.mails).toMatchObject([{ secure: true }]);
	});

	test("what is injected between STARTTLS and TLS is not taken for the server's", async () => {
		// Were it taken as the answer to EHLO, each later answer would be one too early, and the message never sent.
		const { server, channel } = await started({ certificates, afterStartTls: "250 AUTH LOGIN", logins: "PLAIN" });
		await send(channel({ user: "u", password: new Secret("p") }));
		expect(server.mails).toMatchObject([{ secure: true, login: ["u", "p"] }]);
		expect(server.lines).not.toContain("AUTH LOGIN");
	});

	test("a password that is refused is not tried again and not told", async () => {
		const { server, channel } = await started({ certificates, logins: "PLAIN" });
		const error = await failureOf(channel({ user: "u", password: new Secret("wrong") }));
		expect(error.message).toMatch(/answered 535 to AUTH: 5\.7\.8 no$/);
		expect(server.lines.filter((line) => line.startsWith("AUTH"))).toHaveLength(1);
	});

	test.each<[string, Record<string, string>, RegExp, number]>([
		["a receiver that is refused", { RCPT: "550 5.1.1 unknown" }, /answered 550 to RCPT: 5\.1\.1 unknown/, 1],
		["a busy server, three times", { MAIL: "451 4.3.0 later" }, /answered 451 to MAIL: 4\.3\.0 later/, 3],
		["a message that is refused", { "DATA.": "554 5.7.1 spam" }, /answered 554 to the message: 5\.7\.1 spam/, 1],
		["a greeting that is none", { greeting: "554 go away" }, /answered 554 to the greeting: go away/, 0],
	])("%s", async (_name, answers, expected, mails) => {
		const { server, channel } = await started({ certificates, answers });
		expect((await failureOf(channel())).message).toMatch(expected);
		expect(server.lines.filter((line) => line.startsWith("MAIL"))).toHaveLength(mails);
	});

	test("a title in other letters arrives as it is, in lines of a header's length", async () => {
		const { server, channel } = await started({ certificates });
		const pipeline = "Läden-Ω-倉庫-📦-".repeat(8);
		await send(channel(), { about: { ...message, pipeline, items: [] } });
		const [, subject] = /^Subject: (.*(?:\r\n .*)*)\r$/m.exec(server.mails[0]!.text)!;
		const words = subject!.split("\r\n ");
		for (const word of words) expect(word.length).toBeLessThanOrEqual(75);
		const decoded = words.map((word) => Buffer.from(/^=\?utf-8\?B\?(.*)\?=$/i.exec(word)![1]!, "base64").toString());
		expect(decoded.join("")).toBe(`${pipeline} failed`);
	});

	test("a server that says nothing, or without end, costs its time and no more", async () => {
		for (const speak of [false, true]) {
			const silent = createServer((socket) => {
				socket.on("error", () => {});
				if (!speak) return;
				const more = setInterval(() => socket.write("220-x\r\n".repeat(1000)), 1);
				socket.on("close", () => clearInterval(more));
			});
			await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
			const { channel } = await started();
			const { port } = silent.address() as { port: number };
			const began = performance.now();
			await failureOf(channel({ port }), { attemptMs: 200, totalMs: 600 });
			expect(performance.now() - began).toBeLessThan(2_000);
			silent.close();
		}
	});

	test("a message that was taken is not sent again when the goodbye hangs", async () => {
		const { server, channel } = await started({ certificates, answers: { QUIT: "" } });
		await send(channel());
		await delay(50);
		expect(server.mails).toHaveLength(1);
	});
});
