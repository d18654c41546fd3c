import { z } from "zod";
import { HeadraceError } from "../core/index.ts";
import type { Session } from "./api.ts";
import { notFound, RequestFailure } from "./failure.ts";
import { type Identity, makeToken, tokenItem } from "./identities.ts";
import { param, type Route, route, type ServerContext } from "./route.ts";
import {
	auditList,
	loginRequest,
	session,
	tokenList,
	tokenMade,
	tokenRequest,
	tokenItem as tokenSchema,
} from "./schemas/access.ts";

const DAY_MS = 86_400_000;

function sessionOf(context: ServerContext, { name, role, via, expiresAt }: Identity): Session {
	const { service, version, samples } = context;
	return { name, role, via, expires_at: expiresAt, project: service.project, version, sample_rows: samples !== null };
}

export const ACCESS_ROUTES: readonly Route[] = [
	route({
		method: "GET",
		path: "/api/session",
		summary: "Who is logged in",
		role: "viewer",
		answer: session,
		handle({ context, who }) {
			if (who === null) throw new RequestFailure(401, new HeadraceError("E_ACCESS", "nobody is logged in"));
			return sessionOf(context, who);
		},
	}),
	route({
		method: "POST",
		path: "/api/login",
		summary: "Logs in with the token of the link, which is used up by it, or with an API token; sets a cookie",
		role: null,
		body: loginRequest,
		answer: session,
		action: "login",
		async handle({ context, body, address, setCookie, note }) {
			const { cookie, seconds, identity } = await context.identities.logIn(body.token, address);
			note({ who: identity, subject: identity.name });
			setCookie({ value: cookie, seconds });
			return sessionOf(context, identity);
		},
	}),
	route({
		method: "POST",
		path: "/api/logout",
		summary: "Ends the session",
		role: "viewer",
		action: "logout",
		async handle({ context, who, setCookie }) {
			if (who !== null) await context.identities.logOut(who);
			setCookie(null);
		},
	}),
	route({
		method: "GET",
		path: "/api/tokens",
		summary: "API tokens, without the tokens themselves",
		role: "admin",
		answer: tokenList,
		handle: async ({ context }) => ({ tokens: (await context.service.state.access.tokens()).map(tokenItem) }),
	}),
	route({
		method: "POST",
		path: "/api/tokens",
		summary: "Makes an API token, which is shown once",
		role: "admin",
		body: tokenRequest,
		answer: tokenMade,
		status: 201,
		action: "token add",
		async handle({ context, body, who, note }) {
			const nowMs = context.service.clock.nowMs();
			const { token, hash, tokenId } = makeToken();
			const row = {
				tokenId,
				hash,
				name: body.name,
				role: body.role,
				createdAt: new Date(nowMs).toISOString(),
				createdBy: who?.name ?? "",
				lastUsedAt: null,
				expiresAt: body.expires_days === undefined ? null : new Date(nowMs + body.expires_days * DAY_MS).toISOString(),
				revokedAt: null,
			};
			await context.service.state.access.addToken(row);
			note({ subject: `${body.name} (${tokenId})`, detail: `role ${body.role}` });
			return { token, item: tokenItem(row) };
		},
	}),
	route({
		method: "DELETE",
		path: "/api/tokens/:token",
		summary: "Takes an API token back, with the sessions that it opened",
		role: "admin",
		answer: tokenSchema,
		action: "token revoke",
		async handle(request) {
			const { service } = request.context;
			const now = new Date(service.clock.nowMs()).toISOString();
			const row = await service.state.access.revokeToken(param(request, "token"), now);
			if (row === null) throw notFound("such token");
			request.note({ subject: `${row.name} (${row.tokenId})` });
			return tokenItem(row);
		},
	}),
	route({
		method: "GET",
		path: "/api/audit",
		summary: "Who did what, newest first",
		role: "operator",
		query: z.strictObject({
			limit: z.coerce.number().int().min(1).max(500).default(100),
			before: z.coerce.number().int().min(1).optional(),
		}),
		answer: auditList,
		async handle({ context, query: { limit, before } }) {
			const found = await context.service.state.server.audit(limit + 1, before);
			const page = found.slice(0, limit);
			return {
				entries: page.map(({ auditId, ...entry }) => ({ audit_id: auditId, ...entry })),
				before: found.length > limit ? (page.at(-1)?.auditId ?? null) : null,
			};
		},
	}),
];
