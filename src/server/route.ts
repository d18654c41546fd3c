import type { z } from "zod";
import type { Service } from "../app/service/service.ts";
import type { Role } from "./api.ts";
import type { Identities, Identity } from "./identities.ts";
import type { RateLimit } from "./rate-limit.ts";

/** What routes work on. */
export interface ServerContext {
	readonly service: Service;
	readonly identities: Identities;
	readonly version: string;
	/** Limits how often somebody is shown masked rows; null: nobody is. */
	readonly samples: RateLimit | null;
	/** Masks secrets in an answer's texts. */
	readonly redact: <Data>(data: Data) => Data;
}

/** Who a request is from: nobody only where a route asks for no role. */
export interface RouteRequest<Query, Body> {
	readonly context: ServerContext;
	/** Of the path, decoded. */
	readonly params: Readonly<Record<string, string>>;
	readonly query: Query;
	readonly body: Body;
	readonly who: Identity | null;
	/** Of the client. */
	readonly address: string;
	/** Its Last-Event-ID. */
	readonly lastEventId: number | null;
	/** Aborted when the client goes away. */
	readonly signal: AbortSignal;
	/** Sets or, with null, takes away the session's cookie. */
	readonly setCookie: (cookie: { readonly value: string; readonly seconds: number } | null) => void;
	/** For the audit, where the path does not say it. */
	readonly note: (note: { readonly subject?: string; readonly detail?: string; readonly who?: Identity }) => void;
}

export interface RouteSpec<Query extends z.ZodType, Body extends z.ZodType, Answer extends z.ZodType> {
	readonly method: "GET" | "POST" | "DELETE";
	/** `/api/runs/:run` */
	readonly path: string;
	readonly summary: string;
	/** The least role; null: anybody. */
	readonly role: Role | null;
	readonly query?: Query;
	readonly body?: Body;
	/** Absent: 204. */
	readonly answer?: Answer;
	/** Default 200. */
	readonly status?: 200 | 201 | 202;
	/** What it sends when it is not JSON. */
	readonly media?: string;
	/** Its name in the audit; every route that does something has one. */
	readonly action?: string;
	readonly handle: (
		request: RouteRequest<z.output<Query>, z.output<Body>>,
	) => Promise<z.output<Answer> | Response> | z.output<Answer> | Response;
}

/** A route whose types were checked where it was made. */
export interface Route {
	readonly method: "GET" | "POST" | "DELETE";
	readonly path: string;
	readonly summary: string;
	readonly role: Role | null;
	readonly query?: z.ZodType;
	readonly body?: z.ZodType;
	readonly answer?: z.ZodType;
	readonly status?: number;
	readonly action?: string;
	readonly handle: (request: RouteRequest<unknown, unknown>) => unknown;
	/** What it sends when it is not JSON. */
	readonly media?: string;
}

/** One route of the API, its handler typed by its schemas. */
export function route<
	Query extends z.ZodType = z.ZodUndefined,
	Body extends z.ZodType = z.ZodUndefined,
	Answer extends z.ZodType = z.ZodVoid,
>(spec: RouteSpec<Query, Body, Answer>): Route {
	const { handle, ...rest } = spec;
	// The schemas have parsed query and body by then.
	return { ...rest, handle: (request) => handle(request as RouteRequest<z.output<Query>, z.output<Body>>) };
}

/** The pipeline, run or other thing that a path names. */
export function param(request: RouteRequest<unknown, unknown>, name: string): string {
	return request.params[name] ?? "";
}
