import { randomBytes } from "node:crypto";
import {
	createServer,
	type IncomingHttpHeaders,
	type IncomingMessage,
	type Server,
	type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import { S3Error } from "./errors.ts";
import { type Answer, Cut, type Exchange } from "./exchange.ts";
import type { FaultEffect, FaultPlan } from "./faults.ts";
import { OPERATIONS, operationName } from "./route.ts";
import { type Signed, verifySignature } from "./signature.ts";
import { assumeRole } from "./sts.ts";
import type { World } from "./world.ts";
import { document, element } from "./xml.ts";

const FORM_BYTES_MAX = 64 << 10;

export interface LoggedRequest {
	/** Empty when the request names none. */
	readonly operation: string;
	readonly method: string;
	readonly bucket: string;
	readonly key: string;
	readonly query: Readonly<Record<string, string>>;
	readonly headers: IncomingHttpHeaders;
	readonly virtualHost: boolean;
	/** 0 when the connection was cut. */
	status: number;
	/** S3's error code; empty for a success. */
	code: string;
}

interface Target {
	readonly bucket: string;
	readonly key: string;
	readonly path: string;
	readonly query: readonly (readonly [string, string])[];
	readonly virtualHost: boolean;
}

/** Answers requests of one world. */
export class S3Server {
	readonly server: Server;
	readonly log: LoggedRequest[] = [];
	readonly #world: World;
	readonly #faults: FaultPlan;
	/** Answers that are never given wait for this. */
	readonly #closed = Promise.withResolvers<void>();

	constructor(world: World, faults: FaultPlan, tls: { readonly key: string; readonly cert: string } | undefined) {
		this.#world = world;
		this.#faults = faults;
		const answer = (message: IncomingMessage, response: ServerResponse) => {
			const { socket } = message;
			message.on("error", () => {});
			response.on("error", () => {});
			this.#serve(message, response).catch((error) => {
				if (!(error instanceof Cut)) process.emitWarning(`S3 stand-in: ${(error as Error).stack}`);
				socket.destroy();
			});
		};
		const options = { keepAliveTimeout: 60_000, requestTimeout: 0 };
		this.server = tls === undefined ? createServer(options, answer) : createTlsServer({ ...options, ...tls }, answer);
	}

	async close(): Promise<void> {
		this.#closed.resolve();
		this.server.closeAllConnections();
		await new Promise((resolve) => this.server.close(resolve));
	}

	async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
		const { socket } = message;
		const requestId = randomBytes(8).toString("hex").toUpperCase();
		response.setHeader("x-amz-request-id", requestId);
		response.setHeader("x-amz-id-2", randomBytes(56).toString("base64"));
		response.setHeader("Server", "AmazonS3");
		response.setHeader("Date", new Date(this.#world.nowMs()).toUTCString());
		const logged: LoggedRequest = {
			operation: "",
			method: message.method ?? "",
			bucket: "",
			key: "",
			query: {},
			headers: message.headers,
			virtualHost: false,
			status: 0,
			code: "",
		};
		this.log.push(logged);
		let effect: FaultEffect | null = null;
		try {
			const target = readTarget(message);
			Object.assign(logged, { ...target, query: Object.fromEntries(target.query) });
			const operation = operationName({
				method: logged.method,
				bucket: target.bucket,
				key: target.key,
				query: target.query,
				copies: message.headers["x-amz-copy-source"] !== undefined,
			});
			Object.assign(logged, { operation });
			effect = this.#faults.take(operation, target.key);
			const answer = await this.#answer(message, target, operation, effect);
			if (effect?.kind === "lost-answer") throw new Cut();
			logged.status = answer.status;
			await send(message, response, answer, effect, this.#closed.promise);
		} catch (error) {
			if (socket.destroyed) throw new Cut();
			if (!(error instanceof S3Error)) throw error;
			logged.status = error.status;
			logged.code = error.code;
			const body = errorDocument(error, requestId, logged);
			await send(
				message,
				response,
				{ status: error.status, headers: { "Content-Type": "application/xml" }, body },
				null,
				this.#closed.promise,
			);
		}
	}

	async #answer(
		message: IncomingMessage,
		target: Target,
		operation: string,
		effect: FaultEffect | null,
	): Promise<Answer> {
		switch (effect?.kind) {
			case "stall":
				await this.#closed.promise;
				throw new Cut();
			case "delay":
				await new Promise((resolve) => setTimeout(resolve, effect.milliseconds));
				break;
			case "error":
				throw new S3Error(effect.code, effect.message);
			case "before":
				await effect.run();
				break;
		}
		const isSts = operation === "AssumeRole";
		const body = isSts ? await readForm(message) : undefined;
		const signed = this.#verify(message, target, body);
		if (isSts !== (signed.service === "sts")) throw new S3Error("AuthorizationHeaderMalformed");
		if (body !== undefined) return { status: 200, body: assumeRole(this.#world, signed, body) };
		if (effect?.kind === "error-in-success") {
			const { code, message: text } = new S3Error(effect.code);
			return { status: 200, body: document("Error", [element("Code", code), element("Message", text)]) };
		}
		const exchange: Exchange = {
			world: this.#world,
			message,
			operation,
			bucketName: target.bucket,
			key: target.key,
			query: target.query,
			signed,
			cutAfterBytes: effect?.kind === "cut" ? effect.afterBytes : null,
		};
		return OPERATIONS[operation]!(exchange);
	}

	#verify(message: IncomingMessage, { path, query }: Target, body: Buffer | undefined): Signed {
		const { region, credentials, nowMs } = this.#world;
		const signed = verifySignature({
			message,
			path,
			query,
			region,
			nowMs: nowMs(),
			credentials,
			...(body === undefined ? {} : { body }),
		});
		// Nothing in this world is public.
		if (signed === null) throw new S3Error("AccessDenied");
		return signed;
	}
}

/**
 * Bucket and key by virtual host or by path: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
 * The path is taken as it came: S3 does not resolve `.` and `..`.
 */
function readTarget(message: IncomingMessage): Target {
	const [rawPath = "/", rawQuery = ""] = splitOnce(message.url ?? "/", "?");
	const decode = (text: string): string => {
		try {
			return decodeURIComponent(text);
		} catch {
			throw new S3Error("InvalidURI");
		}
	};
	const query = rawQuery
		.split("&")
		.filter((part) => part !== "")
		.map((part): readonly [string, string] => {
			const [name = "", value = ""] = splitOnce(part.replaceAll("+", " "), "=");
			return [decode(name), decode(value)];
		});
	const path = decode(rawPath);
	const host = /^(.+)\.(?:localhost|s3(?:\.[a-z0-9-]+)?\.amazonaws\.com)(?::\d+)?$/.exec(message.headers.host ?? "");
	if (host !== null) return { bucket: host[1]!, key: path.slice(1), path, query, virtualHost: true };
	const [bucket = "", key = ""] = splitOnce(path.slice(1), "/");
	return { bucket, key, path, query, virtualHost: false };
}

function splitOnce(text: string, separator: string): [string, string?] {
	const at = text.indexOf(separator);
	return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

async function readForm(message: IncomingMessage): Promise<Buffer> {
	const pieces: Buffer[] = [];
	let bytes = 0;
	for await (const piece of message as AsyncIterable<Buffer>) {
		bytes += piece.length;
		if (bytes > FORM_BYTES_MAX) throw new S3Error("ValidationError");
		pieces.push(piece);
	}
	return Buffer.concat(pieces);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#RESTErrorResponses; STS wraps it. */
function errorDocument(error: S3Error, requestId: string, { operation, bucket, key }: LoggedRequest): string {
	const elements = [element("Code", error.code), element("Message", error.message)];
	if (operation === "AssumeRole")
		return `<ErrorResponse>${element("Error", [element("Type", "Sender"), ...elements])}${element("RequestId", requestId)}</ErrorResponse>`;
	for (const [name, value] of Object.entries(error.elements)) elements.push(element(name, value));
	elements.push(element("Resource", `/${bucket}/${key}`), element("RequestId", requestId));
	return `<?xml version="1.0" encoding="UTF-8"?>\n${element("Error", elements)}`;
}

async function send(
	message: IncomingMessage,
	response: ServerResponse,
	answer: Answer,
	effect: FaultEffect | null,
	closed: Promise<void>,
): Promise<void> {
	message.resume();
	const body = answer.body ?? "";
	const bytes = typeof body === "string" ? Buffer.byteLength(body) : body.bytes;
	const type = typeof body === "string" && body !== "" ? { "Content-Type": "application/xml" } : {};
	const bodyless = answer.status === 204 || answer.status === 304;
	response.writeHead(answer.status, { ...type, ...(bodyless ? {} : { "Content-Length": bytes }), ...answer.headers });
	if (bodyless || message.method === "HEAD") {
		response.end();
		return;
	}
	const limit =
		effect?.kind === "short-body" || effect?.kind === "stall-body" ? effect.afterBytes : Number.POSITIVE_INFINITY;
	let sent = 0;
	for await (const piece of typeof body === "string" ? [Buffer.from(body)] : body.content) {
		const part = piece.subarray(0, Math.max(limit - sent, 0));
		const given = effect?.kind === "corrupt-body" ? corrupted(part, effect.atByte - sent) : part;
		sent += part.length;
		if (!response.write(given) && !(await drained(response))) return;
		if (part.length < piece.length) {
			if (effect?.kind === "stall-body") await closed;
			// What is written first must be on its way before the cut.
			else await new Promise((resolve) => setTimeout(resolve, 20));
			throw new Cut();
		}
	}
	response.end();
}

function corrupted(piece: Buffer, at: number): Buffer {
	if (at < 0 || at >= piece.length) return piece;
	const copy = Buffer.from(piece);
	copy[at] = copy[at]! ^ 1;
	return copy;
}

/** False when the client went away. */
function drained(response: ServerResponse): Promise<boolean> {
	return new Promise((resolve) => {
		const settle = () => {
			response.off("drain", settle);
			response.off("close", settle);
			resolve(!response.destroyed);
		};
		response.on("drain", settle);
		response.on("close", settle);
	});
}
