import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { App } from "../../src/app/api.ts";
import { openApp } from "../../src/app/app.ts";
import { Service } from "../../src/app/service/service.ts";
import { MemoryDatabase, memorySource } from "../../src/connectors/memory/index.ts";
import type { HeadraceError } from "../../src/core/index.ts";
import { Redactor } from "../../src/observe/index.ts";
import type { Clock } from "../../src/schedule/index.ts";
import { makeToken } from "../../src/server/identities.ts";
import { type RunningServer, type ServerOptions, startServer } from "../../src/server/server.ts";
import { openStateStore, type Role } from "../../src/state/index.ts";

export const SECRET = "s3cret-of-the-shop";

/** A source with two tables of a shop, one of them with a time. */
export function shopSource() {
	const database = new MemoryDatabase();
	const column = (name: string, kind: "int64" | "text") => ({ name, type: { kind }, nullable: name !== "id" });
	database.createTable({ schema: "shop", name: "orders" }, [column("id", "int64"), column("name", "text")], ["id"]);
	database.insert({ schema: "shop", name: "orders" }, { id: "1", name: "a" }, { id: "2", name: "b" });
	database.createTable(
		{ schema: "shop", name: "visits" },
		[column("id", "int64"), { name: "at", type: { kind: "timestamp" }, nullable: false }],
		["id"],
	);
	for (let day = 1; day <= 9; day++)
		database.insert({ schema: "shop", name: "visits" }, { id: String(day), at: `2026-01-0${day} 12:00:00` });
	database.createTable(
		{ schema: "shop", name: "people" },
		[column("id", "int64"), column("email", "text"), column("note", "text"), column("card", "text")],
		["id"],
	);
	database.insert({ schema: "shop", name: "people" }, { id: "1", email: "a@b.example", note: "x", card: "4111" });
	return { database, source: memorySource(database, { defaultSchema: "shop" }) };
}

export interface WorldOptions {
	/** Pipelines by name, as YAML. */
	readonly pipelines: Readonly<Record<string, string>>;
	readonly connections?: string;
	readonly clock?: Clock;
	/** In place of the real one. */
	readonly app?: Partial<App>;
	readonly jobsMax?: number;
	/** Reads what the pipelines say, in place of the shop. */
	readonly realSource?: boolean;
	/** A world of before, to go on with. */
	readonly directory?: string;
}

export interface World extends AsyncDisposable {
	readonly directory: string;
	readonly service: Service;
	readonly notices: string[];
	/** Told of every event of a run. */
	readonly sinks: RunningServer["onRunEvent"][];
	write(name: string, yaml: string): void;
	/** Whether the folder stays when the world ends. */
	readonly keep: { directory: boolean };
}

/** A project with its service, not started yet. */
export async function openWorld(options: WorldOptions): Promise<World> {
	const directory = options.directory ?? mkdtempSync(join(tmpdir(), "headrace-serve-"));
	mkdirSync(join(directory, "pipelines"), { recursive: true });
	mkdirSync(join(directory, "data"), { recursive: true });
	const write = (name: string, yaml: string) => writeFileSync(join(directory, "pipelines", `${name}.yaml`), yaml);
	for (const [name, yaml] of Object.entries(options.pipelines)) write(name, yaml);
	if (options.connections !== undefined) writeFileSync(join(directory, "connections.yaml"), options.connections);
	const redactor = new Redactor();
	const state = await openStateStore(join(directory, ".headrace", "state.db"), { redact: redactor.redact });
	const { clock } = options;
	const nowMs = clock === undefined ? Date.now : () => clock.nowMs();
	const source = options.realSource === true ? {} : { source: shopSource().source };
	const real = await openApp({ directory, state, nowMs, redact: redactor.redact, ...source });
	const notices: string[] = [];
	const sinks: World["sinks"] = [];
	const service = new Service(
		{
			directory,
			env: { SHOP_PASSWORD: SECRET },
			redactor,
			takeOverMs: 0,
			...(clock === undefined ? {} : { clock }),
			...(options.jobsMax === undefined ? {} : { jobsMax: options.jobsMax }),
			onNotice: (message) => notices.push(message),
			onRunEvent: (pipeline, event) => {
				for (const sink of sinks) sink(pipeline, event);
			},
		},
		state,
		{ ...bound(real), ...options.app },
	);
	const keep = { directory: options.directory !== undefined };
	return {
		directory,
		service,
		notices,
		sinks,
		write,
		keep,
		async [Symbol.asyncDispose]() {
			await service[Symbol.asyncDispose]();
			if (!keep.directory) rmSync(directory, { recursive: true, force: true });
		},
	};
}

/** The real app as a plain object, so that a test can put functions of its own in. */
function bound(app: App): App {
	const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(app)) as (keyof App)[];
	const functions = methods.flatMap((name) => {
		const method = app[name] as unknown;
		return typeof method === "function" ? [[name, method.bind(app)]] : [];
	});
	return {
		...(Object.fromEntries(functions) as App),
		directory: app.directory,
		[Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
	};
}

/** A token of that role. */
export async function tokenOf({ service }: World, role: Role, name = role as string): Promise<string> {
	const { token, hash, tokenId } = makeToken();
	const createdAt = new Date(service.clock.nowMs()).toISOString();
	const row = { tokenId, hash, name, role, createdAt, createdBy: "test", lastUsedAt: null, expiresAt: null };
	await service.state.access.addToken({ ...row, revokedAt: null });
	return token;
}

export async function listen(world: World, options: Partial<ServerOptions> = {}): Promise<Listener> {
	const errors: HeadraceError[] = [];
	const server = await startServer({
		service: world.service,
		host: "127.0.0.1",
		port: 0,
		publicUrl: null,
		allowedHosts: [],
		tls: null,
		version: "0.0.0-test",
		onError: (error) => errors.push(error),
		...options,
	});
	world.sinks.push(server.onRunEvent);
	return Object.assign(server, { errors, ask: askOf(server) });
}

export interface Listener extends RunningServer {
	/** Errors that nobody expected. */
	readonly errors: HeadraceError[];
	ask(path: string, request?: Asking): Promise<Answer>;
}

export interface Asking {
	readonly method?: string;
	readonly token?: string;
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: unknown;
}

export interface Answer {
	readonly status: number;
	readonly headers: Headers;
	readonly text: string;
	// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every route
	readonly json: any;
}

/** Asks as a program does; `fetch` sends neither Origin nor Sec-Fetch-Site by itself. */
function askOf({ address }: RunningServer) {
	return async (path: string, { method, token, headers, body }: Asking = {}): Promise<Answer> => {
		const answer = await fetch(new URL(path, address), {
			method: method ?? (body === undefined ? "GET" : "POST"),
			redirect: "manual",
			headers: {
				...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
				...(body === undefined ? {} : { "content-type": "application/json" }),
				...headers,
			},
			...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
		});
		const text = await answer.text();
		const isJson = (answer.headers.get("content-type") ?? "").startsWith("application/json");
		return { status: answer.status, headers: answer.headers, text, json: isJson ? JSON.parse(text) : null };
	};
}

/** Waits until it is so, at most half a minute. */
export async function until<Result>(look: () => Promise<Result | undefined> | Result | undefined): Promise<Result> {
	for (let turn = 0; turn < 1_200; turn++) {
		const found = await look();
		if (found !== undefined) return found;
		await new Promise((resolve) => setTimeout(resolve, 25));
	}
	throw new Error("it did not happen within half a minute");
}
