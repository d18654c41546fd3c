import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { gunzipSync } from "node:zlib";
import { Refused } from "./errors.ts";
import { executeStatement, type Outcome } from "./execute.ts";
import { type LoginRequest, login, token } from "./login.ts";
import type { SessionState } from "./session.ts";
import type { Bind } from "./translate.ts";
import type { World } from "./world.ts";

/** A statement that takes longer is answered with "in progress" and asked for again. Snowflake's is 45 s. */
const PATIENCE_MS = 1_000;
/** Rows of an answer; others lie in chunks that the client fetches. */
const INLINE_ROWS_MAX = 5_000;

interface QueryRequest {
	readonly sqlText: string;
	readonly bindings?: Readonly<Record<string, { readonly type: string; readonly value: string | null }>>;
	readonly parameters?: Readonly<Record<string, unknown>>;
	readonly asyncExec?: boolean;
}

/** A statement on its way or done, by its request and by its query. */
interface Running {
	readonly queryId: string;
	readonly sql: string;
	readonly session: SessionState;
	readonly answer: Promise<object>;
	cutAfter: boolean;
	readonly gone: boolean;
	cancelled: boolean;
}

/** What the SDK asks over HTTP: https://github.com/snowflakedb/snowflake-connector-nodejs (lib/services/sf.js). */
export class SnowflakeServer {
	readonly #world: World;
	readonly #server: Server;
	readonly #byRequest = new Map<string, Running>();
	readonly #byQuery = new Map<string, Running>();
	readonly #chunks = new Map<string, string>();

	constructor(world: World) {
		this.#world = world;
		this.#server = createServer((request, response) => {
			this.#answer(request, response).catch((error: unknown) => {
				if (!response.headersSent) response.writeHead(500);
				response.end(String(error));
			});
		});
	}

	async listen(port = 0): Promise<number> {
		await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
		return (this.#server.address() as { port: number }).port;
	}

	async close(): Promise<void> {
		this.#server.closeAllConnections();
		await new Promise((resolve) => this.#server.close(resolve));
	}

	async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
		const url = new URL(request.url ?? "/", "http://stand-in");
		const body = await bodyOf(request);
		const send = (value: object) => {
			response.writeHead(200, { "content-type": "application/json" });
			response.end(JSON.stringify(value));
		};
		if (url.pathname.startsWith("/chunks/")) {
			const chunk = this.#chunks.get(url.pathname.slice(8));
			response.writeHead(chunk === undefined ? 404 : 200, { "content-type": "application/octet-stream" });
			response.end(chunk);
			return;
		}
		try {
			switch (url.pathname) {
				case "/session/v1/login-request":
					return send(loginAnswer(await login(this.#world, (body as { data: LoginRequest }).data, url.searchParams)));
				case "/session/token-request":
					return send(this.#renew(request));
				case "/telemetry/send":
					return send({ success: true, data: null });
			}
			const session = this.#sessionOf(request);
			if (url.pathname === "/session") {
				await session.end();
				return send({ success: true, data: null });
			}
			if (url.pathname === "/session/heartbeat") return send({ success: true, data: null });
			if (url.pathname === "/queries/v1/abort-request") return send(this.#abort(body as { requestId: string }));
			const query = /^\/queries\/([^/]+)\/(result|abort-request)$/.exec(url.pathname);
			if (query !== null) {
				const running = this.#byQuery.get(query[1]!);
				if (running === undefined) throw new Refused("000709", "02000", "Statement not found");
				if (query[2] === "abort-request") {
					cancel(running);
					return send({ success: true, data: null });
				}
				return await this.#wait(running, request, send);
			}
			if (url.pathname !== "/queries/v1/query-request") {
				response.writeHead(404);
				response.end();
				return;
			}
			await this.#query(session, url.searchParams.get("requestId") ?? randomUUID(), body as QueryRequest, {
				request,
				response,
				send,
			});
		} catch (error) {
			if (error instanceof Refused) return send(refusal(error));
			throw error;
		}
	}

	#sessionOf(request: IncomingMessage): SessionState {
		const given = /Token="([^"]+)"/.exec(request.headers.authorization ?? "")?.[1] ?? "";
		const session = this.#world.sessions.get(given);
		if (session !== undefined) return session;
		for (const other of this.#world.sessions.values())
			if (other.token.endsWith(`#${given}`))
				throw new Refused("390112", "08001", "Session token has expired. The token must be renewed.");
		throw new Refused("390111", "08001", "Session no longer exists.  New login required to access the service.");
	}

	/** The token that the client has is no longer the session's. */
	#expire(session: SessionState): void {
		this.#world.sessions.delete(session.token);
		session.token = `expired#${session.token}`;
		this.#world.sessions.set(session.token, session);
	}

	#renew(request: IncomingMessage): object {
		const given = /Token="([^"]+)"/.exec(request.headers.authorization ?? "")?.[1] ?? "";
		const session = [...this.#world.sessions.values()].find(({ masterToken }) => masterToken === given);
		if (session === undefined)
			throw new Refused("390114", "08001", "Authentication token has expired.  The user must authenticate again.");
		this.#world.sessions.delete(session.token);
		session.token = token();
		this.#world.sessions.set(session.token, session);
		return {
			success: true,
			code: null,
			message: null,
			data: {
				sessionToken: session.token,
				validityInSecondsST: 3600,
				masterToken: session.masterToken,
				validityInSecondsMT: 14_400,
				sessionId: Number(session.id),
			},
		};
	}

	#abort({ requestId }: { requestId: string }): object {
		const running = this.#byRequest.get(requestId);
		if (running !== undefined) cancel(running);
		return { success: true, data: null };
	}

	async #query(
		session: SessionState,
		requestId: string,
		body: QueryRequest,
		{ request, response, send }: { request: IncomingMessage; response: ServerResponse; send: (value: object) => void },
	): Promise<void> {
		// A request that is sent again has the same id: it is not done twice.
		let running = this.#byRequest.get(requestId);
		if (running === undefined) {
			const fault = this.#world.faults.take(body.sqlText);
			if (fault?.kind === "unavailable") {
				response.writeHead(503);
				response.end();
				return;
			}
			if (fault?.kind === "expired-session") {
				this.#expire(session);
				throw new Refused("390112", "08001", "Session token has expired. The token must be renewed.");
			}
			if (fault?.kind === "cut" && fault.when === "before") {
				if (fault.gone === true) await session.end();
				request.socket.destroy();
				return;
			}
			this.#world.log.push({ sql: body.sqlText, session: session.id, tag: session.parameters.get("QUERY_TAG") ?? "" });
			const queryId = randomUUID();
			const failure = fault?.kind === "error" ? new Refused(fault.code, "XX000", fault.message) : null;
			const work = session.tail
				.catch(() => {})
				.then(async () => {
					if (running?.cancelled === true) throw new Refused("000604", "57014", "SQL execution canceled");
					if (failure !== null) throw failure;
					return executeStatement(session, body.sqlText, bindsOf(body), fault);
				});
			session.tail = work;
			const answer = work.then(
				(outcome) => this.#outcome(session, queryId, outcome),
				(error: unknown) => {
					if (error instanceof Refused) return refusal(error, queryId);
					return refusal(new Refused("000603", "XX000", `Internal error of the stand-in: ${String(error)}`), queryId);
				},
			);
			running = {
				queryId,
				sql: body.sqlText,
				session,
				answer,
				cutAfter: fault?.kind === "cut",
				gone: fault?.kind === "cut" && fault.gone === true,
				cancelled: false,
			};
			this.#byRequest.set(requestId, running);
			this.#byQuery.set(queryId, running);
		}
		await this.#wait(running, request, send);
	}

	async #wait(running: Running, request: IncomingMessage, send: (value: object) => void): Promise<void> {
		let timer: NodeJS.Timeout | undefined;
		const late = new Promise<null>((resolve) => {
			timer = setTimeout(() => resolve(null), PATIENCE_MS);
		});
		const answer = await Promise.race([running.answer, late]);
		clearTimeout(timer);
		if (running.cutAfter && answer !== null) {
			running.cutAfter = false;
			if (running.gone) await running.session.end();
			request.socket.destroy();
			return;
		}
		if (answer !== null) return send(answer);
		const { queryId } = running;
		send({
			success: true,
			code: "333333",
			message: null,
			data: { queryId, getResultUrl: `/queries/${queryId}/result` },
		});
	}

	#outcome(session: SessionState, queryId: string, outcome: Outcome): object {
		const parameters = [...session.parameters].map(([name, value]) => ({ name, value: parameterValue(value) }));
		const common = {
			queryId,
			parameters,
			finalDatabaseName: session.database,
			finalSchemaName: session.schema,
			finalWarehouseName: session.warehouse,
			finalRoleName: session.role,
		};
		if (outcome.kind === "put")
			return { success: true, code: null, message: null, data: { ...common, ...outcome.data } };
		const { rowtype, rowset } = outcome.result;
		const inline = rowset.slice(0, INLINE_ROWS_MAX);
		const chunks = [];
		for (let from = INLINE_ROWS_MAX; from < rowset.length; from += INLINE_ROWS_MAX) {
			const rows = rowset.slice(from, from + INLINE_ROWS_MAX);
			const id = randomUUID();
			// A chunk is rows without the brackets around them.
			const text = JSON.stringify(rows).slice(1, -1);
			this.#chunks.set(id, text);
			const { port } = this.#server.address() as { port: number };
			chunks.push({
				url: `http://127.0.0.1:${port}/chunks/${id}`,
				rowCount: rows.length,
				uncompressedSize: text.length,
				compressedSize: text.length,
			});
		}
		return {
			success: true,
			code: null,
			message: null,
			data: {
				...common,
				rowtype,
				rowset: inline,
				...(chunks.length === 0 ? {} : { chunks, chunkHeaders: {} }),
				total: rowset.length,
				returned: rowset.length,
				statementTypeId: 4096,
				version: 1,
				queryResultFormat: "json",
			},
		};
	}
}

function cancel(running: Running): void {
	running.cancelled = true;
	running.session.world.lock.cancel(running.session);
}

function bindsOf({ bindings }: QueryRequest): Bind[] {
	if (bindings === undefined) return [];
	return Object.entries(bindings)
		.sort(([a], [b]) => Number(a) - Number(b))
		.map(([, { value }]) => value);
}

function parameterValue(text: string): string | number | boolean {
	if (text === "TRUE" || text === "FALSE") return text === "TRUE";
	return /^\d+$/.test(text) ? Number(text) : text;
}

function refusal(error: Refused, queryId?: string): object {
	return {
		success: false,
		code: error.code,
		message: error.message,
		data: { sqlState: error.sqlState, errorCode: error.code, ...(queryId === undefined ? {} : { queryId }) },
	};
}

function loginAnswer(session: SessionState): object {
	return {
		success: true,
		code: null,
		message: null,
		data: {
			token: session.token,
			masterToken: session.masterToken,
			validityInSeconds: 3600,
			masterValidityInSeconds: 14_400,
			displayUserName: session.user,
			serverVersion: "9.0.0",
			sessionId: Number(session.id),
			parameters: [],
			sessionInfo: {
				databaseName: session.database,
				schemaName: session.schema,
				warehouseName: session.warehouse,
				roleName: session.role,
			},
		},
	};
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
	const parts: Buffer[] = [];
	for await (const part of request) parts.push(part as Buffer);
	const bytes = Buffer.concat(parts);
	if (bytes.length === 0) return {};
	const text = request.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes;
	try {
		return JSON.parse(text.toString());
	} catch {
		return {};
	}
}
