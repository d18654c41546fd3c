/** A mail server of 127.0.0.1, as strict as RFC 5321 asks, that keeps what it is given. */
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket } from "node:tls";
import type { Certificates } from "./certificates.ts";

export interface ReceivedMail {
	readonly from: string;
	readonly to: readonly string[];
	/** As it was sent, dots unstuffed. */
	readonly text: string;
	readonly secure: boolean;
	/** User and password of the login. */
	readonly login: readonly [string, string] | null;
}

export interface SmtpOptions {
	readonly certificates?: Certificates;
	/** TLS from the start, as on port 465; without it STARTTLS is offered when there are certificates. */
	readonly implicitTls?: boolean;
	/** Default: any that is free. */
	readonly port?: number;
	/** Login methods that are offered after TLS; default none. */
	readonly logins?: string;
	/** Answers to a command instead of the server's own, by its first word; `DATA.` is the end of the message. */
	readonly answers?: Readonly<Record<string, string>>;
	/** Sent in the same packet as the answer to STARTTLS. */
	readonly afterStartTls?: string;
}

export interface SmtpServer extends AsyncDisposable {
	readonly port: number;
	readonly mails: ReceivedMail[];
	/** Every line that came, those of messages aside. */
	readonly lines: string[];
}

export async function startSmtpServer(options: SmtpOptions = {}): Promise<SmtpServer> {
	const mails: ReceivedMail[] = [];
	const lines: string[] = [];
	const sockets = new Set<Socket>();
	const { certificates } = options;
	const tls = certificates && { cert: readFileSync(certificates.certificate), key: readFileSync(certificates.key) };
	const accept = (socket: Socket): void => {
		sockets.add(socket);
		socket.on("error", () => {});
		new Conversation(socket, options, tls, { mails, lines }).begin();
	};
	const server: Server = options.implicitTls === true ? createTlsServer({ ...tls }, accept) : createServer(accept);
	await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
	return {
		port: (server.address() as AddressInfo).port,
		mails,
		lines,
		[Symbol.asyncDispose]: async () => {
			for (const socket of sockets) socket.destroy();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

class Conversation {
	#socket: Socket;
	readonly #options: SmtpOptions;
	readonly #tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
	readonly #kept: { readonly mails: ReceivedMail[]; readonly lines: string[] };
	#buffer = "";
	#from = "";
	#to: string[] = [];
	#inData = false;
	#login: [string, string] | null = null;
	#asked: string[] | null = null;

	constructor(
		socket: Socket,
		options: SmtpOptions,
		tls: { readonly cert: Buffer; readonly key: Buffer } | undefined,
		kept: { readonly mails: ReceivedMail[]; readonly lines: string[] },
	) {
		this.#socket = socket;
		this.#options = options;
		this.#tls = tls;
		this.#kept = kept;
	}

	begin(): void {
		this.#listen();
		this.#say(this.#options.answers?.["greeting"] ?? "220 mail.test ready");
	}

	#listen(): void {
		this.#socket.on("data", (chunk: Buffer) => {
			this.#buffer += chunk.toString("latin1");
			this.#read();
		});
	}

	#read(): void {
		for (;;) {
			const end = this.#buffer.indexOf(this.#inData ? "\r\n.\r\n" : "\r\n");
			if (end < 0) return;
			const text = this.#buffer.slice(0, end);
			this.#buffer = this.#buffer.slice(end + (this.#inData ? 5 : 2));
			if (this.#inData) this.#message(text);
			else this.#command(text);
		}
	}

	#message(text: string): void {
		this.#inData = false;
		const secure = this.#socket instanceof TLSSocket;
		const unstuffed = text.replace(/^\.\./gm, ".");
		this.#kept.mails.push({ from: this.#from, to: this.#to, text: unstuffed, secure, login: this.#login });
		this.#say(this.#options.answers?.["DATA."] ?? "250 taken");
	}

	#command(line: string): void {
		this.#kept.lines.push(line);
		const word = line.split(/[ :]/)[0]!.toUpperCase();
		const own = this.#options.answers?.[word];
		if (this.#asked !== null) this.#loginLine(line);
		else if (own !== undefined) this.#say(own);
		else if (word === "STARTTLS" && this.#tls !== undefined) this.#startTls();
		else {
			this.#say(this.#answerTo(word, line));
			if (word === "QUIT") this.#socket.end();
		}
	}

	#answerTo(word: string, line: string): string {
		switch (word) {
			case "EHLO":
				return ["250-mail.test", ...this.#extensions(), "250 SIZE 1000000"].join("\r\n");
			case "AUTH": {
				if (!line.startsWith("AUTH PLAIN ")) {
					this.#asked = [];
					return "334 VXNlcm5hbWU6";
				}
				const [, user = "", password = ""] = Buffer.from(line.slice(11), "base64").toString().split("\0");
				this.#login = [user, password];
				return password === "wrong" ? "535 5.7.8 no" : "235 ok";
			}
			case "MAIL":
				this.#from = /<(.*)>/.exec(line)?.[1] ?? "";
				return "250 ok";
			case "RCPT":
				this.#to = [...this.#to, /<(.*)>/.exec(line)?.[1] ?? ""];
				return "250 ok";
			case "DATA":
				this.#inData = true;
				return "354 go on";
			case "QUIT":
				return "221 bye";
			default:
				return "500 what?";
		}
	}

	#extensions(): string[] {
		const secure = this.#socket instanceof TLSSocket;
		const startTls = this.#tls !== undefined && !secure ? ["250-STARTTLS"] : [];
		const logins = this.#options.logins === undefined ? [] : [`250-AUTH ${this.#options.logins}`];
		return [...startTls, ...logins];
	}

	#startTls(): void {
		this.#say(`220 go on${this.#options.afterStartTls === undefined ? "" : `\r\n${this.#options.afterStartTls}`}`);
		this.#socket.removeAllListeners("data");
		this.#buffer = "";
		this.#socket = new TLSSocket(this.#socket, { isServer: true, ...this.#tls });
		this.#socket.on("error", () => {});
		this.#listen();
	}

	#loginLine(line: string): void {
		this.#asked!.push(Buffer.from(line, "base64").toString());
		if (this.#asked!.length === 2) {
			this.#login = this.#asked as [string, string];
			this.#asked = null;
		}
		this.#say(this.#asked === null ? "235 ok" : "334 UGFzc3dvcmQ6");
	}

	#say(text: string): void {
		this.#socket.write(`${text}\r\n`);
	}
}
