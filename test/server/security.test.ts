import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { request as secureRequest } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openProjectState } from "../../src/app/project-state.ts";
import { openService } from "../../src/app/service/service.ts";
import { stateOptions } from "../../src/cli/project.ts";
import { Redactor } from "../../src/observe/index.ts";
import { ROUTES } from "../../src/server/http.ts";
import { makeCertificates, tlsUnavailable } from "../support/certificates.ts";
import { type Listener, listen, openWorld, SECRET, tokenOf, type World } from "./world.ts";

let world: World;
let server: Listener;
let folder: string;
const token = { viewer: "", operator: "", admin: "" };

beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), "headrace-page-"));
	mkdirSync(join(folder, "page/assets"), { recursive: true });
	writeFileSync(join(folder, "page/index.html"), "<!doctype html><title>Headrace</title>");
	writeFileSync(join(folder, "page/assets/index-BxY3_k2Q.js"), "export const page = 1;\n".repeat(100));
	writeFileSync(join(folder, "page/assets/index-BxY3_k2Q.js.map"), "{}");
	writeFileSync(join(folder, "outside.txt"), "not yours");
	world = await openWorld({
		pipelines: { shop: 'from: shop_prod\nto: duckdb:out.duckdb\ntables: { "shop.orders": {} }\n' },
		connections: "shop_prod: mysql://reader:${env:SHOP_PASSWORD}@127.0.0.1:9/prod\n",
	});
	await world.service.start();
	for (const role of ["viewer", "operator", "admin"] as const) token[role] = await tokenOf(world, role);
	server = await listen(world, { pageFolder: join(folder, "page") });
});
afterAll(async () => {
	await server[Symbol.asyncDispose]();
	await world[Symbol.asyncDispose]();
	rmSync(folder, { recursive: true, force: true });
});

/** A request with a Host of its own, which fetch does not allow. */
function withHost(host: string, path = "/livez"): Promise<number> {
	return new Promise((resolve, reject) => {
		request({ host: "127.0.0.1", port: server.port, path, headers: { host } }, (answer) => {
			answer.resume();
			resolve(answer.statusCode ?? 0);
		})
			.on("error", reject)
			.end();
	});
}

/** Logs in by the link, as the page does. */
async function logIn(link = server.link!): Promise<string> {
	const body = { token: new URL(link).hash.replace("#token=", "") };
	const answer = await server.ask("/api/login", { body, headers: { origin: server.address } });
	expect(answer.status).toBe(200);
	return answer.headers.get("set-cookie")!.split(";")[0]!;
}

describe("a page of another site", () => {
	test("whose name leads to this machine gets nothing (DNS rebinding)", async () => {
		const { port } = server;
		for (const host of [
			"attacker.example",
			`attacker.example:${port}`,
			`127.0.0.1.attacker.example:${port}`,
			`localhost:${port + 1}`,
		])
			expect(await withHost(host), host).toBe(421);
		for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`])
			expect(await withHost(host), host).toBe(200);
		expect(await withHost("attacker.example", "/api/pipelines")).toBe(421);
	});

	test("cannot act with somebody's cookie: neither by form nor by JSON, nor without saying where it is from", async () => {
		const cookie = await logIn();
		const pause = (headers: Record<string, string>) =>
			server.ask("/api/pipelines/shop/pause", { body: {}, headers: { cookie, ...headers } });
		expect((await pause({ origin: "https://attacker.example" })).status).toBe(403);
		expect((await pause({ origin: "null" })).status).toBe(403);
		expect((await pause({ origin: server.address, "sec-fetch-site": "cross-site" })).status).toBe(403);
		expect((await pause({ origin: server.address, "sec-fetch-site": "same-site" })).status).toBe(403);
		expect((await pause({ origin: `http://127.0.0.1:${server.port + 1}` })).status).toBe(403);
		expect((await pause({})).status).toBe(403);
		const form = { cookie, origin: server.address, "content-type": "text/plain" };
		expect((await server.ask("/api/pipelines/shop/pause", { body: "{}", headers: form })).status).toBe(415);
		expect(world.service.paused("shop")).toBeNull();
		expect((await server.ask("/api/pipelines", { headers: { cookie, "sec-fetch-site": "cross-site" } })).status).toBe(
			403,
		);
		expect((await pause({ origin: server.address, "sec-fetch-site": "same-origin" })).status).toBe(200);
		expect(world.service.paused("shop")?.by).toBe("link");
		expect(
			(await server.ask("/api/pipelines", { headers: { cookie } })).headers.get("access-control-allow-origin"),
		).toBeNull();
	});

	test("cannot frame the page, and the page runs no script of others", async () => {
		for (const path of ["/", "/api/pipelines", "/no/such.file", "/livez"]) {
			const { headers } = await server.ask(path);
			const policy = headers.get("content-security-policy") ?? "";
			expect(policy).toContain("default-src 'none'");
			expect(policy).toContain("script-src 'self'");
			expect(policy).toContain("frame-ancestors 'none'");
			expect(policy).not.toContain("unsafe");
			expect(headers.get("x-content-type-options")).toBe("nosniff");
			expect(headers.get("referrer-policy")).toBe("no-referrer");
		}
	});
});

describe("who may do what", () => {
	test("nobody gets anything but whether it lives, what the API is, and the page", async () => {
		const open = new Set(["POST /api/login"]);
		for (const { method, path } of ROUTES) {
			const answer = await server.ask(path.replaceAll(/:\w+/g, "x"), { method, headers: { origin: server.address } });
			const expected = open.has(`${method} ${path}`) ? [400, 415] : [401];
			expect(expected, `${method} ${path}`).toContain(answer.status);
		}
		expect((await server.ask("/metrics")).status).toBe(401);
		for (const path of ["/livez", "/readyz", "/api/openapi.json", "/"])
			expect((await server.ask(path)).status).toBe(200);
		expect((await server.ask("/livez")).text).toBe("ok\n");
	});

	test("a role does what it may and nothing above: each route by each lower role", async () => {
		const ranks = ["viewer", "operator", "admin"] as const;
		for (const { method, path, role } of ROUTES)
			for (const lower of ranks.slice(0, role === null ? 0 : ranks.indexOf(role))) {
				const answer = await server.ask(path.replaceAll(/:\w+/g, "x"), { method, token: token[lower] });
				expect(answer.status, `${lower} ${method} ${path}`).toBe(403);
			}
		expect((await server.ask("/api/pipelines", { token: token.viewer })).status).toBe(200);
		expect((await server.ask("/metrics", { token: token.viewer })).status).toBe(200);
		expect((await server.ask("/api/tokens", { token: token.admin })).status).toBe(200);
	});

	test("a token that is revoked, unknown or of another form is none", async () => {
		const made = await server.ask("/api/tokens", {
			token: token.admin,
			body: { name: "ci", role: "operator", expires_days: 1 },
		});
		expect(made.status).toBe(201);
		const { token: text, item } = made.json;
		expect((await server.ask("/api/session", { token: text })).json).toMatchObject({
			name: "ci",
			role: "operator",
			via: "token",
		});
		const login = await server.ask("/api/login", { body: { token: text }, headers: { origin: server.address } });
		const cookie = login.headers.get("set-cookie")!.split(";")[0]!;
		expect((await server.ask("/api/session", { headers: { cookie } })).status).toBe(200);
		expect(
			(await server.ask(`/api/tokens/${item.token_id}`, { method: "DELETE", token: token.admin })).json.revoked_at,
		).not.toBeNull();
		expect((await server.ask("/api/session", { token: text })).status).toBe(401);
		expect((await server.ask("/api/session", { headers: { cookie } })).status).toBe(401);
		expect((await server.ask("/api/session", { headers: { authorization: "Basic eDp5" } })).status).toBe(401);
		expect((await server.ask("/api/tokens", { token: token.admin })).text).not.toContain(text);
	});

	test("the link logs in once; its cookie is kept from scripts and other sites, and ends", async () => {
		const fresh = await listen(world);
		const body = { token: new URL(fresh.link!).hash.slice("#token=".length) };
		const headers = { origin: fresh.address };
		const first = await fresh.ask("/api/login", { body, headers });
		expect(first.json).toMatchObject({ role: "admin", via: "cookie" });
		const cookie = first.headers.get("set-cookie")!;
		expect(cookie).toMatch(/^headrace_session_\d+=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/);
		expect((await fresh.ask("/api/login", { body, headers })).status).toBe(401);
		const own = { cookie: cookie.split(";")[0]!, ...headers };
		expect((await fresh.ask("/api/logout", { method: "POST", headers: own })).status).toBe(204);
		expect((await fresh.ask("/api/session", { headers: own })).status).toBe(401);
		await fresh[Symbol.asyncDispose]();
	});

	test("refused logins of one address are limited", async () => {
		const fresh = await listen(world);
		const wrong = () => fresh.ask("/api/login", { body: { token: "wrong" }, headers: { origin: fresh.address } });
		const statuses = [];
		for (let attempt = 0; attempt < 12; attempt++) statuses.push((await wrong()).status);
		expect(statuses).toEqual([...Array(10).fill(401), 429, 429]);
		expect(Number((await wrong()).headers.get("retry-after"))).toBeGreaterThan(0);
		expect((await fresh.ask("/api/session", { token: "hdr_wrong" })).status).toBe(429);
		expect((await fresh.ask("/api/session", { token: token.viewer })).status, "who has a token is not shut out").toBe(
			200,
		);
		await fresh[Symbol.asyncDispose]();
	});

	test("what was done and what was refused is written down, with its author", async () => {
		await server.ask("/api/pipelines/shop/unpause", { method: "POST", token: token.operator, body: {} });
		await server.ask("/api/pipelines/shop/pause", { token: token.viewer, body: {} });
		const { entries } = (await server.ask("/api/audit?limit=2", { token: token.operator })).json;
		expect(entries[0]).toMatchObject({
			who: "viewer",
			action: "pause",
			subject: "shop",
			outcome: "refused",
			via: "token",
		});
		expect(entries[1]).toMatchObject({ who: "operator", action: "unpause", outcome: "done", address: "127.0.0.1" });
		expect((await server.ask("/api/audit", { token: token.viewer })).status).toBe(403);
	});
});

test("no secret is in any answer: not of a connection, nor of its errors", async () => {
	const get = (path: string) => server.ask(path, { token: token.admin });
	const answers = [
		await get("/api/connections"),
		await get("/api/pipelines"),
		await get("/api/pipelines/shop"),
		await server.ask("/api/connections/shop_prod/test", { method: "POST", token: token.admin }),
		await server.ask("/api/pipelines/shop/pause", { token: token.admin, body: { reason: `leaked ${SECRET}` } }),
		await get("/api/audit"),
		await get("/metrics"),
	];
	for (const { status, text } of answers) {
		expect(status).toBe(200);
		expect(text).not.toContain(SECRET);
	}
	expect(answers[0]!.json.connections[0]).toMatchObject({
		name: "shop_prod",
		host: "127.0.0.1:9",
		secrets: [{ key: "password", reference: "${env:SHOP_PASSWORD}" }],
		used_by: [{ pipeline: "shop", role: "source" }],
	});
	expect(answers[3]!.json).toMatchObject({ ok: false, findings: [{ severity: "error", message: /E_CONNECT/ }] });
	expect(answers[4]!.text).toContain("leaked ***");
	await server.ask("/api/pipelines/shop/unpause", { method: "POST", token: token.admin });
});

test("the password of a state in PostgreSQL is masked from before it is used", async () => {
	const redactor = new Redactor();
	const env = {
		HEADRACE_STATE: "postgres://headrace:${env:STATE_PASSWORD}@127.0.0.1:9/x",
		STATE_PASSWORD: "pw-of-the-state",
	};
	const directory = mkdtempSync(join(folder, "state-"));
	await expect(openService({ directory, env, redactor, onNotice: () => {} })).rejects.toMatchObject({
		code: "E_CONNECT",
	});
	expect(redactor.redact("told: pw-of-the-state")).toBe("told: ***");
	const noted = stateOptions(
		{ directory, env, output: { redactor: new Redactor(), note: () => {} } } as never,
		directory,
	);
	await expect(openProjectState(noted)).rejects.toMatchObject({ code: "E_CONNECT" });
	expect(noted.redact("told: pw-of-the-state")).toBe("told: ***");
});

/** Sends bytes as they are. */
function raw(text: string): Promise<string> {
	return new Promise((resolve, reject) => {
		const socket = connect(server.port, "127.0.0.1", () => socket.end(text));
		let answer = "";
		socket.setEncoding("utf8").on("data", (part) => {
			answer += part;
		});
		socket.on("end", () => resolve(answer)).on("error", reject);
	});
}

describe("requests that mean harm", () => {
	test("no path leads out of the page's folder", async () => {
		for (const path of [
			"/../outside.txt",
			"/assets/../../outside.txt",
			"/%2e%2e/outside.txt",
			"/..%2foutside.txt",
			"/assets/..%5c..%5coutside.txt",
			"//etc/passwd",
			"/assets/index-BxY3_k2Q.js.map",
			"/outside.txt%00.js",
		]) {
			const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: close\r\n\r\n`);
			expect(answer.split("\r\n")[0], path).toMatch(/ 40[04] /);
			expect(answer).not.toContain("not yours");
		}
	});

	test("bodies, paths and logs have limits; what is no JSON or has other keys is refused", async () => {
		const post = (body: unknown) => server.ask("/api/pipelines/shop/run", { token: token.operator, body });
		const long = `POST /api/pipelines/shop/run HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: Bearer ${token.operator}\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n`;
		expect(await raw(long)).toMatch(/^HTTP\/1\.1 413 /);
		expect((await post("{ not json")).status).toBe(400);
		expect((await post({ tabels: ["x"] })).json.errors[0]).toMatchObject({ code: "E_REQUEST", message: /tabels/ });
		expect((await post({ tables: [""] })).status).toBe(400);
		expect((await post({ interval: "yesterday" })).json.errors[0].code).toBe("E_INVALID_VALUE");
		expect((await server.ask(`/api/${"x".repeat(5_000)}`, { token: token.viewer })).status).toBe(414);
		expect((await server.ask("/api/runs?limit=100000", { token: token.viewer })).status).toBe(400);
		expect((await server.ask("/api/runs?limit=1&x=1", { token: token.viewer })).status).toBe(400);
		expect((await server.ask("/api/pipelines/no%2Fsuch", { token: token.viewer })).status).toBe(404);
		expect((await server.ask("/api/runs/%27%20OR%201=1", { token: token.viewer })).status).toBe(404);
		expect((await server.ask("/api/nothing", { token: token.viewer })).status).toBe(404);
		expect(server.errors).toEqual([]);
	});

	test("a name that is a script comes as JSON, which no browser runs", async () => {
		const answer = await server.ask(`/api/pipelines/${encodeURIComponent("<script>alert(1)</script>")}`, {
			token: token.viewer,
		});
		expect(answer.headers.get("content-type")).toBe("application/json");
		expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
	});
});

test("files of the page have their types; those with a hash are kept, the page itself is asked for", async () => {
	const script = await server.ask("/assets/index-BxY3_k2Q.js", { headers: { "accept-encoding": "gzip" } });
	expect(script.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
	expect(script.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
	expect(script.headers.get("content-encoding")).toBe("gzip");
	expect(script.text).toContain("export const page = 1;");
	const page = await server.ask("/pipelines/shop", { headers: { accept: "text/html" } });
	expect(page.text).toContain("<title>Headrace</title>");
	expect(page.headers.get("cache-control")).toBe("no-cache");
	const again = await server.ask("/", { headers: { "if-none-match": page.headers.get("etag")! } });
	expect(again.status).toBe(304);
	expect((await server.ask("/assets/gone.js", { headers: { accept: "text/html" } })).status).toBe(404);
});

test("elsewhere than on this machine it listens only when somebody has a token, and prints no link", async () => {
	await using other = await openWorld({ pipelines: {} });
	await expect(listen(other, { host: "0.0.0.0" })).rejects.toMatchObject({
		code: "E_USAGE",
		message: /nobody has a token/,
	});
	await tokenOf(other, "viewer");
	const open = await listen(other, {
		host: "0.0.0.0",
		publicUrl: new URL("https://headrace.example.com"),
		allowedHosts: ["inside.example"],
	});
	try {
		expect(open.link).toBeNull();
		const status = (host: string) =>
			new Promise<number>((resolve, reject) => {
				request({ host: "127.0.0.1", port: open.port, path: "/livez", headers: { host } }, (answer) => {
					answer.resume();
					expect(answer.headers["strict-transport-security"]).toBeDefined();
					resolve(answer.statusCode ?? 0);
				})
					.on("error", reject)
					.end();
			});
		for (const host of [
			"headrace.example.com",
			"headrace.example.com:443",
			"inside.example",
			`127.0.0.1:${open.port}`,
			`10.1.2.3:${open.port}`,
		])
			expect(await status(host), host).toBe(200);
		for (const host of ["headrace.example.com:8443", "attacker.example", `attacker.example:${open.port}`])
			expect(await status(host), host).toBe(421);
	} finally {
		await open[Symbol.asyncDispose]();
	}
});

test.skipIf(tlsUnavailable() !== undefined)("by HTTPS its cookie is Secure and bound to the host", async () => {
	const { ca, certificate, key } = await makeCertificates(join(folder, "tls"));
	const secure = await listen(world, { tls: { certificate, key } });
	const ask = (path: string, body: string, headers: Record<string, string>) =>
		new Promise<{ status: number; headers: IncomingHttpHeaders }>((resolve, reject) => {
			const options = { host: "127.0.0.1", port: secure.port, path, method: "POST", ca: readFileSync(ca), headers };
			const sent = secureRequest(options, (answer) => {
				answer.resume();
				resolve({ status: answer.statusCode ?? 0, headers: answer.headers });
			});
			sent.on("error", reject).end(body);
		});
	try {
		expect(secure.link).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/#token=/);
		const body = JSON.stringify({ token: new URL(secure.link!).hash.slice("#token=".length) });
		const answer = await ask("/api/login", body, { "content-type": "application/json", origin: secure.address });
		expect(answer.status).toBe(200);
		expect(answer.headers["set-cookie"]![0]).toMatch(/^__Host-headrace_session_\d+=.*; Path=\/; .*; Secure$/);
		expect(answer.headers["strict-transport-security"]).toBe("max-age=31536000");
	} finally {
		await secure[Symbol.asyncDispose]();
	}
	await expect(listen(world, { tls: { certificate: "none.pem", key } })).rejects.toMatchObject({
		code: "E_FILE_NOT_FOUND",
	});
	await expect(listen(world, { port: server.port })).rejects.toMatchObject({
		code: "E_CONNECT",
		message: /EADDRINUSE/,
	});
});
