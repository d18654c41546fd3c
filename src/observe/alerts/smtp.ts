import { once } from "node:events";
import { isIP, connect as netConnect, type Socket } from "node:net";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import SMTPConnection, { type SMTPConnectionSendInfo } from "nodemailer/lib/smtp-connection";
import type { EmailChannel } from "../../core/alert.ts";
import { addressesOf, fixedLookup, type Lookup } from "./address.ts";
import { DeliveryError } from "./delivery.ts";

/** On this port TLS is there from the start: https://www.rfc-editor.org/rfc/rfc8314#section-7.3 */
const TLS_PORT = 465;
const QUIT_MS = 500;
/** A mail server that says more at once is none. */
const REPLY_BYTES_MAX = 65_536;

export interface Mail {
	readonly channel: EmailChannel;
	readonly text: Buffer;
	readonly signal: AbortSignal;
	readonly lookup?: Lookup | undefined;
}

/**
 * Hands a message to a mail server by nodemailer: TLS before the login, the login before the message. The address is
 * looked up and judged here, and connected to as it was judged.
 * @throws DeliveryError, also when only some of the receivers were taken
 */
export async function submit({ channel, text, signal, lookup }: Mail): Promise<void> {
	const { smtp, from, to } = channel;
	const addresses = await addressesOf(smtp.host, channel.allowPrivate, lookup);
	signal.throwIfAborted();
	const socket = netConnect({ host: smtp.host, port: smtp.port, lookup: fixedLookup(addresses) });
	const onAbort = () => socket.destroy(new Error("aborted"));
	signal.addEventListener("abort", onAbort, { once: true });
	try {
		await once(socket, "connect");
		socket.setNoDelay(true);
		const { refused } = await conversation(channel, socket, { from, to: [...to] }, text);
		if (refused !== null) throw refused;
	} catch (error) {
		throw deliveryError(error, channel, signal.aborted);
	} finally {
		signal.removeEventListener("abort", onAbort);
		socket.destroy();
	}
}

/** Everything that is said to the server. What it refused of a message that it took is no reason to send that again. */
async function conversation(
	{ smtp }: EmailChannel,
	socket: Socket,
	envelope: { readonly from: string; readonly to: string[] },
	text: Buffer,
): Promise<{ readonly refused: Error | null }> {
	const { host, port, tls, ca, user, password } = smtp;
	const connection = new SMTPConnection({
		connection: socket,
		host,
		port,
		// The name in the greeting is an address literal when the machine has no proper one: RFC 5321 section 4.1.3.
		name: /^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*$/.test(hostname()) ? hostname() : "[127.0.0.1]",
		secure: tls !== "off" && port === TLS_PORT,
		...(tls === "off" ? { ignoreTLS: true } : { requireTLS: true }),
		maxResponseSize: REPLY_BYTES_MAX,
		// The certificate is compared with the name, whatever address was looked up for it.
		tls: {
			host,
			...(isIP(host) === 0 ? { servername: host } : {}),
			rejectUnauthorized: tls !== "insecure",
			minVersion: "TLSv1.2",
			...(ca === undefined ? {} : { ca }),
		},
	});
	const broken = new Promise<never>((_resolve, reject) => {
		connection.once("error", (error: MailError) => {
			// A certificate that is refused is told as a broken socket.
			if (connection.upgrading && error.code === "ESOCKET") error.code = "ETLS";
			reject(error);
		});
		connection.once("end", () => reject(new Error("closed")));
	});
	broken.catch(() => {});
	const step = <T>(begin: (done: (error?: Error | null, value?: T) => void) => void): Promise<T> =>
		Promise.race([
			broken,
			new Promise<T>((resolve, reject) => {
				begin((error, value) => (error ? reject(error) : resolve(value as T)));
			}),
		]);
	try {
		await step<void>((done) => connection.connect(done));
		if (user !== undefined) await step((done) => connection.login({ user, pass: password?.reveal() ?? "" }, done));
		const sent = await step<SMTPConnectionSendInfo>((done) => connection.send(envelope, text, done));
		// The message is taken: whatever happens at the goodbye must not have it sent again.
		connection.quit();
		await Promise.race([once(socket, "close").catch(() => {}), delay(QUIT_MS, undefined, { ref: false })]);
		return { refused: sent.rejectedErrors?.[0] ?? null };
	} finally {
		connection.on("error", () => {});
		connection.close();
	}
}

/** What nodemailer tells of a failure; see its `errors` module for the codes. */
interface MailError extends NodeJS.ErrnoException {
	readonly responseCode?: number;
	readonly response?: string;
	readonly command?: string;
}

const STEPS: Readonly<Record<string, string>> = {
	CONN: "the greeting",
	DATA: "the message",
	"RCPT TO": "RCPT",
	"MAIL FROM": "MAIL",
};

function deliveryError(thrown: unknown, { smtp }: EmailChannel, isAborted: boolean): DeliveryError {
	if (thrown instanceof DeliveryError) return thrown;
	const cause = thrown as MailError;
	const server = `mail server ${smtp.host}:${smtp.port}`;
	if (isAborted) return new DeliveryError(`${server} did not answer in time`, { cause });
	const { responseCode, response = "", command = "", message } = cause;
	const said = response.replace(/^\d{3}[ -]?/, "").slice(0, 200);
	if (cause.code === "ETLS")
		return new DeliveryError(`TLS with ${server} failed (${said === "" ? message : said})`, {
			permanent: true,
			hint: "Write `ca:` if its certificate is from an authority of your own, `tls: off` if it is meant to be reached without TLS.",
			cause,
		});
	if (responseCode === undefined) return new DeliveryError(`${server} can't be reached (${message})`, { cause });
	const step = STEPS[command] ?? command.split(" ")[0];
	// 4yz may pass, 5yz does not: RFC 5321 section 4.2.1.
	const permanent = responseCode < 400 || responseCode >= 500;
	return new DeliveryError(`${server} answered ${responseCode} to ${step}: ${said}`, { permanent, cause });
}
