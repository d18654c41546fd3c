import { isIP, connect as netConnect, type Socket } from "node:net";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { type ConnectionOptions, connect as tlsConnect } from "node:tls";
import type { EmailChannel, MailServer } from "../../core/alert.ts";
import { type Address, addressesOf, fixedLookup, type Lookup } from "./address.ts";
import { DeliveryError } from "./delivery.ts";

/** On this port TLS is there from the start: https://www.rfc-editor.org/rfc/rfc8314#section-7.3 */
const TLS_PORT = 465;
const QUIT_MS = 500;
/** A mail server that says more at once is none. */
const REPLY_BYTES_MAX = 65_536;

export interface Mail {
	readonly channel: EmailChannel;
	/** Headers and body, CRLF at each line's end. */
	readonly text: string;
	readonly signal: AbortSignal;
	readonly lookup?: Lookup | undefined;
}

/**
 * Hands a message to a mail server (RFC 5321): TLS before the login, the login before the message. A receiver that
 * is refused fails the whole message, so that nobody believes to be told.
 * @throws DeliveryError
 */
export async function submit({ channel, text, signal, lookup }: Mail): Promise<void> {
	const { smtp } = channel;
	const addresses = await addressesOf(smtp.host, channel.allowPrivate, lookup);
	using session = new SmtpSession(smtp, addresses, signal);
	await session.open();
	await session.logIn();
	await session.command(`MAIL FROM:<${channel.from}>`, [250]);
	for (const address of channel.to) await session.command(`RCPT TO:<${address}>`, [250, 251]);
	await session.command("DATA", [354]);
	// A line that begins with a dot gets another one: section 4.5.2.
	await session.command(`${text.replace(/^\./gm, "..")}.`, [250], "the message");
	await session.quit();
}

interface Reply {
	readonly code: number;
	readonly lines: readonly string[];
}

class SmtpSession implements Disposable {
	readonly #server: MailServer;
	readonly #signal: AbortSignal;
	readonly #addresses: readonly Address[];
	#socket: Socket | null = null;
	#received = "";
	#wake: (() => void) | null = null;
	#broken: unknown = null;
	#secure = false;
	/** What the server says it can: `STARTTLS`, `AUTH PLAIN LOGIN`. */
	#can: readonly string[] = [];

	constructor(server: MailServer, addresses: readonly Address[], signal: AbortSignal) {
		this.#server = server;
		this.#addresses = addresses;
		this.#signal = signal;
		signal.addEventListener("abort", this.#onAbort, { once: true });
	}

	/** Connects, greets, and is encrypted afterwards unless `tls` is off. */
	async open(): Promise<void> {
		const { tls, host, port } = this.#server;
		const target = { host, port, lookup: fixedLookup(this.#addresses) };
		if (tls !== "off" && port === TLS_PORT) await this.#attachTls(target);
		else await this.#attach(netConnect(target), "connect");
		this.#expect(await this.#reply(), "the greeting", [220]);
		await this.#greet();
		if (tls === "off" || this.#secure) return;
		if (!this.#can.includes("STARTTLS"))
			throw this.#error("does not offer TLS", "Write tls: off if it is meant to be reached without.");
		await this.command("STARTTLS", [220]);
		const plain = this.#socket!;
		// What came with the answer was not encrypted: it would be taken for the server's, after TLS (CVE-2011-0411).
		if (this.#received !== "") throw this.#error("sent something between STARTTLS and TLS");
		plain.removeAllListeners();
		await this.#attachTls({ socket: plain });
		await this.#greet();
	}

	async logIn(): Promise<void> {
		const { user, password } = this.#server;
		if (user === undefined) return;
		const secret = password?.reveal() ?? "";
		const encoded = (value: string): string => Buffer.from(value).toString("base64");
		const methods = this.#can.find((line) => line.startsWith("AUTH "))?.split(" ") ?? [];
		if (methods.includes("PLAIN")) await this.command(`AUTH PLAIN ${encoded(`\0${user}\0${secret}`)}`, [235]);
		else if (methods.includes("LOGIN")) {
			await this.command("AUTH LOGIN", [334]);
			await this.command(encoded(user), [334], "the login");
			await this.command(encoded(secret), [235], "the login");
		} else throw this.#error("offers no login with a password");
	}

	/** Sends a line and waits for the answer, which has to have one of the codes. `what` is it for people. */
	async command(line: string, codes: readonly number[], what: string = line.split(/[ :]/)[0]!): Promise<Reply> {
		if (this.#broken !== null) throw this.#lost();
		this.#socket!.write(`${line}\r\n`);
		return this.#expect(await this.#reply(), what, codes);
	}

	/** Says goodbye. The message is taken already: whatever happens now must not have it sent again. */
	async quit(): Promise<void> {
		await Promise.race([this.command("QUIT", [221]).catch(() => {}), delay(QUIT_MS, undefined, { ref: false })]);
	}

	async #greet(): Promise<void> {
		const name = /^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*$/.test(hostname()) ? hostname() : "[127.0.0.1]";
		const { lines } = await this.command(`EHLO ${name}`, [250]);
		this.#can = lines.slice(1).map((line) => line.trim().toUpperCase());
	}

	async #attachTls(target: ConnectionOptions): Promise<void> {
		const { host, tls, ca } = this.#server;
		const socket = tlsConnect({
			...target,
			// The certificate is compared with the name, whatever address was looked up for it.
			host,
			...(isIP(host) === 0 ? { servername: host } : {}),
			rejectUnauthorized: tls !== "insecure",
			minVersion: "TLSv1.2",
			...(ca === undefined ? {} : { ca }),
		});
		await this.#attach(socket, "secureConnect");
		this.#secure = true;
	}

	#attach(socket: Socket, ready: "connect" | "secureConnect"): Promise<void> {
		this.#socket = socket;
		this.#received = "";
		const broke = (cause: unknown) => {
			this.#broken ??= cause ?? new Error("closed");
			this.#wake?.();
		};
		socket.setNoDelay(true);
		socket.on("data", (chunk: Buffer) => {
			this.#received += chunk.toString("latin1");
			if (this.#received.length > REPLY_BYTES_MAX) socket.destroy(new Error("an endless answer"));
			this.#wake?.();
		});
		socket.on("error", broke);
		socket.on("close", () => broke(null));
		return new Promise((resolve, reject) => {
			socket.once(ready, () => resolve());
			this.#wake = () => {
				if (this.#broken !== null) reject(this.#lost());
			};
			if (this.#signal.aborted) this.#onAbort();
		});
	}

	/** The next whole answer, of one line or several: section 4.2.1. */
	async #reply(): Promise<Reply> {
		for (;;) {
			const match = /^((?:\d{3}-[^\r\n]*\r?\n)*)(\d{3})(?: ([^\r\n]*))?\r?\n/.exec(this.#received);
			if (match !== null) {
				this.#received = this.#received.slice(match[0].length);
				const lines = match[0].split(/\r?\n/).slice(0, -1);
				return { code: Number(match[2]), lines: lines.map((line) => line.slice(4)) };
			}
			if (this.#broken !== null) throw this.#lost();
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}

	#expect(reply: Reply, what: string, codes: readonly number[]): Reply {
		if (codes.includes(reply.code)) return reply;
		const said = (reply.lines[0] ?? "").slice(0, 200);
		throw new DeliveryError(`mail server ${this.#where()} answered ${reply.code} to ${what}: ${said}`, {
			// 4yz may pass, 5yz does not: section 4.2.1.
			permanent: reply.code < 400 || reply.code >= 500,
		});
	}

	#error(what: string, hint?: string): DeliveryError {
		return new DeliveryError(`mail server ${this.#where()} ${what}`, {
			permanent: true,
			...(hint === undefined ? {} : { hint }),
		});
	}

	#lost(): DeliveryError {
		const cause = this.#broken as NodeJS.ErrnoException;
		if (this.#signal.aborted)
			return new DeliveryError(`mail server ${this.#where()} did not answer in time`, { cause });
		const isTls = /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(cause.code ?? "");
		return new DeliveryError(
			`${isTls ? "TLS with " : ""}mail server ${this.#where()} ${isTls ? "failed" : "can't be reached"} (${cause.code ?? cause.message})`,
			{ cause, permanent: isTls },
		);
	}

	#where(): string {
		return `${this.#server.host}:${this.#server.port}`;
	}

	readonly #onAbort = (): void => {
		this.#broken ??= new Error("aborted");
		this.#socket?.destroy();
		this.#wake?.();
	};

	[Symbol.dispose](): void {
		this.#signal.removeEventListener("abort", this.#onAbort);
		this.#socket?.destroy();
	}
}
