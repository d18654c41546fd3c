import { Hono } from "hono";
import { getCookie } from "hono/cookie";
import type { Service } from "../app/service/service.ts";
import { HeadraceError } from "../core/index.ts";
import { ACCESS_ROUTES } from "./access.ts";
import { hostAllowed, isSecure, type Listening, originAllowed } from "./addresses.ts";
import { Audit } from "./audit.ts";
import { CHANGE_ROUTES } from "./changes.ts";
import { CONNECTION_ROUTES } from "./connections.ts";
import { EVENT_ROUTES } from "./events.ts";
import { badRequest, failureOf, RequestFailure } from "./failure.ts";
import { HEALTH_ROUTES } from "./health.ts";
import { type Identities, type Identity, mayAct } from "./identities.ts";
import { JOB_ROUTES } from "./jobs.ts";
import { LINEAGE_ROUTES } from "./lineage.ts";
import type { Metrics } from "./metrics.ts";
import { openApiOf } from "./openapi.ts";
import { PIPELINE_ROUTES } from "./pipelines.ts";
import { REPORT_ROUTES } from "./reports.ts";
import type { Route, ServerContext } from "./route.ts";
import { RUN_ROUTES } from "./runs.ts";
import { SAMPLE_ROUTES, sampleLimit } from "./samples.ts";
import { lastEventId } from "./sse.ts";
import type { StaticFiles } from "./static-files.ts";
import { TABLE_ROUTES } from "./tables.ts";
import { redactTexts } from "./texts.ts";
import { WORK_ROUTES } from "./work.ts";

const BODY_BYTES_MAX = 1_000_000;
const PATH_CHARACTERS_MAX = 4_000;

export const ROUTES: readonly Route[] = [
	...ACCESS_ROUTES,
	...HEALTH_ROUTES,
	...PIPELINE_ROUTES,
	...WORK_ROUTES,
	...TABLE_ROUTES,
	...SAMPLE_ROUTES,
	...LINEAGE_ROUTES,
	...CHANGE_ROUTES,
	...RUN_ROUTES,
	...REPORT_ROUTES,
	...JOB_ROUTES,
	...CONNECTION_ROUTES,
	...EVENT_ROUTES,
];

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
	"Content-Security-Policy":
		"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
		"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options": "nosniff",
	"X-Frame-Options": "DENY",
	"Referrer-Policy": "no-referrer",
	"Cross-Origin-Opener-Policy": "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
};

export interface HttpOptions {
	readonly service: Service;
	readonly identities: Identities;
	readonly metrics: Metrics;
	readonly files: StaticFiles;
	readonly listening: Listening;
	readonly version: string;
	/** Whether admins may see masked rows of tables. */
	readonly sampleRows: boolean;
	/** Told of errors that nobody expected. */
	readonly onError: (error: HeadraceError) => void;
}

/** What `@hono/node-server` knows of the connection. */
interface Bindings {
	readonly incoming?: { readonly socket: { readonly remoteAddress?: string | undefined } };
}

/** The name of the session's cookie: servers of one host share its cookies, whatever their ports. */
export function cookieName(listening: Listening): string {
	const name = `headrace_session_${listening.port}`;
	return isSecure(listening) ? `__Host-${name}` : name;
}

/** Everything that the server answers, as a function from request to answer. */
export function httpApp(options: HttpOptions): Hono<{ Bindings: Bindings }> {
	const { service, identities, metrics, files, listening, version } = options;
	const redact = <Data>(data: Data): Data => redactTexts(data, service.redactor.redact);
	const samples = options.sampleRows ? sampleLimit(() => service.clock.nowMs()) : null;
	const context: ServerContext = { service, identities, version, samples, redact };
	const app = new Hono<{ Bindings: Bindings }>();
	const cookie = cookieName(listening);
	const secure = isSecure(listening);

	app.use(async (c, next) => {
		// First of all: a page of another site gets nothing, not even an error with a name in it.
		if (!hostAllowed(c.req.header("host"), listening)) c.res = c.text("Misdirected request\n", 421);
		else if (c.req.url.length > PATH_CHARACTERS_MAX) c.res = c.text("URI too long\n", 414);
		else if (crossSite(c.req.raw, listening)) c.res = c.json(failureOf(CROSS_SITE, service.directory).body, 403);
		else await next();
		for (const [name, value] of Object.entries(SECURITY_HEADERS)) c.res.headers.set(name, value);
		if (secure) c.res.headers.set("Strict-Transport-Security", "max-age=31536000");
		if (!c.res.headers.has("Cache-Control")) c.res.headers.set("Cache-Control", "no-store");
	});
	app.onError((thrown) => {
		const { status, body, headers } = failureOf(thrown, service.directory);
		if (status >= 500) options.onError(new HeadraceError("E_INTERNAL", thrown.message, { cause: thrown }));
		return Response.json(redact(body), { status, headers });
	});

	const whoOf = async (request: Request, cookieText: string | undefined, address: string): Promise<Identity | null> => {
		const authorization = request.headers.get("authorization");
		const bearer = authorization === null ? undefined : /^Bearer ([\w.~+/=-]{1,200})$/i.exec(authorization)?.[1];
		if (authorization !== null && bearer === undefined)
			throw new RequestFailure(401, new HeadraceError("E_ACCESS", "Authorization takes `Bearer <token>`"));
		return identities.of(cookieText, bearer, address);
	};

	for (const each of ROUTES)
		app.on(each.method, each.path, async (c) => {
			const address = c.env?.incoming?.socket.remoteAddress ?? "";
			const who = await whoOf(c.req.raw, getCookie(c, cookie), address);
			const params = Object.fromEntries(Object.entries(c.req.param() as Record<string, string>));
			// Its stream would begin, and nobody would read it.
			if (each.media !== undefined && c.req.raw.method === "HEAD") return new Response(null, { status: 405 });
			const audit = new Audit(service, each, { who, address, params });
			try {
				if (each.role !== null) demand(who, each.role);
				let reply: { value: string; seconds: number } | null | undefined;
				const answer = await each.handle({
					context,
					params,
					query: parse(each.query, c.req.query(), "query"),
					body: each.body === undefined ? undefined : parse(each.body, await jsonOf(c.req.raw), "body"),
					who,
					address,
					lastEventId: lastEventId(c.req.header("last-event-id")),
					signal: c.req.raw.signal,
					setCookie: (value) => {
						reply = value;
					},
					note: (note) => audit.note(note),
				});
				await audit.end("done");
				if (answer instanceof Response) return answer;
				const headers = new Headers();
				if (reply !== undefined) headers.set("Set-Cookie", cookieText(cookie, reply, secure));
				if (answer === undefined) return new Response(null, { status: 204, headers });
				return Response.json(redact(answer), { status: each.status ?? 200, headers });
			} catch (thrown) {
				await audit.failed(thrown);
				throw thrown;
			}
		});

	app.get("/api/openapi.json", (c) => c.json(openApiOf(ROUTES, version)));
	app.get("/metrics", async (c) => {
		const address = c.env?.incoming?.socket.remoteAddress ?? "";
		demand(await whoOf(c.req.raw, getCookie(c, cookie), address), "viewer");
		const text = await metrics.text(context);
		return c.text(text, 200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
	});
	app.get("/livez", (c) => c.text("ok\n"));
	app.get("/readyz", (c) =>
		service.ready ? c.text(standingOf(service)) : c.text(service.draining ? "draining\n" : "starting\n", 503),
	);
	app.all("/api/*", () => {
		throw new RequestFailure(
			404,
			new HeadraceError("E_NOT_FOUND", "there is no such route", { hint: "See /api/openapi.json." }),
		);
	});
	app.get("*", (c) => {
		const answer = files.answer(new URL(c.req.url).pathname, c.req.raw.headers);
		if (answer !== null) return answer;
		if (files.isEmpty) return c.text("The page is not built (npm run build); the API is under /api.\n", 404);
		return c.text("Not found\n", 404);
	});
	return app;
}

/** Whether a server that shares its project with others is the one that runs the pipelines, and else who is. */
function standingOf({ state, leads, leader }: Service): string {
	if (!state.isShared) return "ok\n";
	return leads ? "ok: leads\n" : `ok: stands by, ${leader ?? "nobody"} leads\n`;
}

const CROSS_SITE = new RequestFailure(
	403,
	new HeadraceError("E_ACCESS", "the request comes from a page of another site", {
		hint: "A program sends its token: `Authorization: Bearer …`.",
	}),
);
const TOO_LARGE = new RequestFailure(
	413,
	new HeadraceError("E_REQUEST", `the request is larger than ${BODY_BYTES_MAX / 1e6} MB`),
);

/**
 * Whether a page of another site may have sent this. A browser sends a cookie by itself, but never a bearer token; what
 * changes anything must show by Origin or Sec-Fetch-Site that it comes from the server's own page.
 * https://www.w3.org/TR/fetch-metadata/, https://fetch.spec.whatwg.org/#origin-header
 */
function crossSite(request: Request, listening: Listening): boolean {
	const { headers, method } = request;
	if (headers.has("authorization")) return false;
	const site = headers.get("sec-fetch-site");
	const origin = headers.get("origin");
	const isApi = new URL(request.url).pathname.startsWith("/api/");
	if (method === "GET" || method === "HEAD")
		// A link may lead to the page from anywhere; it has no business in the API.
		return isApi && site !== null && site !== "same-origin" && site !== "none";
	if (site !== null && site !== "same-origin") return true;
	if (origin !== null) return !originAllowed(origin, headers.get("host") ?? undefined, listening);
	// Neither: no browser of these years. Without a cookie there is nothing to steal.
	return site === null && headers.has("cookie");
}

/** @throws RequestFailure 401, 403 */
function demand(who: Identity | null, role: Route["role"]): void {
	if (who === null)
		throw new RequestFailure(401, new HeadraceError("E_ACCESS", "nobody is logged in"), {
			"WWW-Authenticate": "Bearer",
		});
	if (role !== null && !mayAct(who.role, role))
		throw new RequestFailure(
			403,
			new HeadraceError("E_ACCESS", `${who.name} is ${who.role}; this takes ${role}`, {
				hint: "Ask an admin for a token with that role.",
			}),
		);
}

function parse(schema: Route["query"], value: unknown, what: string): unknown {
	if (schema === undefined) return undefined;
	const parsed = schema.safeParse(value);
	if (parsed.success) return parsed.data;
	const [issue] = parsed.error.issues;
	const path = issue?.path.join(".") ?? "";
	throw badRequest(`${what}${path === "" ? "" : ` ${path}`}: ${issue?.message ?? "not of its form"}`);
}

async function jsonOf(request: Request): Promise<unknown> {
	const type = request.headers.get("content-type") ?? "";
	if (!/^application\/json\s*(?:;|$)/i.test(type))
		throw new RequestFailure(415, new HeadraceError("E_REQUEST", "the body must be application/json"));
	const text = await textOf(request);
	try {
		return JSON.parse(text);
	} catch {
		throw badRequest("the body is not JSON");
	}
}

/** The body, of which no more is read than is allowed, whatever its length is said to be. */
async function textOf(request: Request): Promise<string> {
	if (Number(request.headers.get("content-length") ?? 0) > BODY_BYTES_MAX) throw TOO_LARGE;
	const parts: Uint8Array[] = [];
	let bytes = 0;
	for await (const part of request.body ?? []) {
		bytes += part.length;
		if (bytes > BODY_BYTES_MAX) throw TOO_LARGE;
		parts.push(part);
	}
	return Buffer.concat(parts).toString("utf8");
}

function cookieText(name: string, cookie: { value: string; seconds: number } | null, secure: boolean): string {
	const value = cookie === null ? "" : cookie.value;
	const age = cookie === null ? 0 : cookie.seconds;
	return `${name}=${value}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Strict${secure ? "; Secure" : ""}`;
}
