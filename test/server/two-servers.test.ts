import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { headrace } from "../cli/cli.ts";
import type { TextClient } from "../support/client.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";

const BIN = join(import.meta.dirname, "../../bin/headrace.js");
const DAY_MS = 86_400_000;
const DAYS = 4;
const LEASE = "3s";
const GATE = 7;

/** A server of the project, as one of several machines runs it. */
interface Server {
	readonly child: ChildProcess;
	readonly ended: Promise<number | null>;
	stderr(): string;
	// biome-ignore lint/suspicious/noExplicitAny: of every route
	ask(path: string, body?: object): Promise<{ readonly status: number; readonly json: any }>;
	/** What `/readyz` says. */
	ready(): Promise<string>;
}

describe.skipIf(missing("postgres15"))("two servers, one state", () => {
	let database: TestDatabase;
	let locker: TextClient;
	let env: Record<string, string>;
	let token: string;
	const folders: string[] = [];
	const servers: Server[] = [];

	beforeAll(async () => {
		database = await freshDatabase(await sharedServer("postgres15"), "pair");
		const { host, port, user, password } = database.server;
		env = {
			HEADRACE_STATE: `postgres://${user}:\${env:STATE_PASSWORD}@${host}:${port}/${database.name}?schema=shared`,
			STATE_PASSWORD: password,
			SHOP: database.url,
		};
		// Reading the visits waits at a gate that the test shuts; planning does not.
		await database.query(
			`CREATE TABLE kept (id bigint, at timestamp); CREATE TABLE orders (id bigint PRIMARY KEY);
			CREATE FUNCTION gate() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN
				PERFORM pg_advisory_lock_shared(${GATE}); PERFORM pg_advisory_unlock_shared(${GATE}); RETURN true; END $$;
			CREATE VIEW visits AS SELECT id, at FROM kept WHERE public.gate()`,
		);
		await database.query(
			`INSERT INTO kept SELECT n, date_trunc('day', now() AT TIME ZONE 'UTC') - n % ${DAYS} * interval '1 day' - interval '1 hour'
			FROM generate_series(1, 40) n; INSERT INTO orders SELECT generate_series(1, 5)`,
		);
		locker = await database.connect();
		const added = await headrace(["-C", folder(), "serve", "token", "add", "anna", "--role", "admin"], { env });
		token = added.stdout.trim();
	}, 60_000);
	afterAll(async () => {
		for (const { child } of servers) child.kill("SIGKILL");
		await Promise.all(servers.map(({ ended }) => ended));
		await locker?.close();
		await database?.drop();
		for (const each of folders) rmSync(each, { recursive: true, force: true });
	});

	/** The project's files, as they are on each machine. */
	function folder(): string {
		const directory = mkdtempSync(join(tmpdir(), "headrace-pair-"));
		folders.push(directory);
		mkdirSync(join(directory, "pipelines"));
		// With staged files, who reads holds no lock in the destination: a session that stands still would keep it.
		const start = new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS - DAYS * DAY_MS).toISOString().slice(0, 10);
		const ends = "from: ${env:SHOP}\nto: ${env:SHOP}\n";
		writeFileSync(
			join(directory, "pipelines/visits.yaml"),
			`${ends}staging: ./staged\nschedule: "0 0 * * *"\nstart: ${start}\ncatchup: true\ntables: { public.visits: { mode: interval, cursor: at, write: append, into: raw.visits } }\n`,
		);
		writeFileSync(
			join(directory, "pipelines/orders.yaml"),
			`${ends}tables: { public.orders: { mode: full, into: raw.orders } }\n`,
		);
		return directory;
	}

	async function serve(): Promise<Server> {
		const child = spawn(process.execPath, [BIN, "serve", folder(), "--port", "0", "--json", "--lease", LEASE], {
			env: { ...process.env, ...env, NO_COLOR: "1" },
			stdio: ["ignore", "pipe", "pipe"],
		});
		let stderr = "";
		child.stderr.setEncoding("utf8").on("data", (text: string) => {
			stderr += text;
		});
		const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
		let stdout = "";
		const first = new Promise<string>((resolve) => {
			child.stdout.setEncoding("utf8").on("data", (text: string) => {
				stdout += text;
				if (stdout.includes("\n")) resolve(stdout.split("\n")[0]!);
			});
		});
		const told = await Promise.race([first, ended.then((code) => `ended with ${code}: ${stderr}`)]);
		const { address } = JSON.parse(told) as { address: string };
		const server: Server = {
			child,
			ended,
			stderr: () => stderr,
			async ask(path, body) {
				const answer = await fetch(new URL(path, address), {
					method: body === undefined ? "GET" : "POST",
					headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
					...(body === undefined ? {} : { body: JSON.stringify(body) }),
				});
				return { status: answer.status, json: await answer.json() };
			},
			ready: async () => (await fetch(new URL("/readyz", address))).text(),
		};
		servers.push(server);
		return server;
	}

	async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
		for (let turn = 0; turn < 600; turn++) {
			const found = await look();
			if (found !== undefined && found !== false) return found;
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
		throw new Error(`${what} did not come: ${servers.map((each) => each.stderr()).join("\n---\n")}`);
	}

	const runsOf = async (server: Server, pipeline: string) =>
		(await server.ask(`/api/runs?pipeline=${pipeline}`)).json.runs as { run_id: string; state: string }[];
	const isRunning = (server: Server) => async () =>
		(await runsOf(server, "visits")).some((run) => run.state === "running");
	const leads = (server: Server) => async () => (await server.ready()).includes("ok: leads");
	const wait = (server: Server, jobId: string, state: string) =>
		until(`job ${jobId} ${state}`, async () => {
			const { job } = (await server.ask(`/api/jobs/${jobId}`)).json;
			return job.state === state && job;
		});
	const copied = async () => {
		const [there] = await database.query("SELECT to_regclass('raw.visits') IS NOT NULL AS there");
		if (there?.["there"] !== "t") return [];
		return (await database.query("SELECT id FROM raw.visits ORDER BY id")).map((row) => Number(row["id"]));
	};
	const ALL = Array.from({ length: 40 }, (_, n) => n + 1);
	const shut = () => locker.query(`SELECT pg_advisory_lock(${GATE})`);
	const open = () => locker.query(`SELECT pg_advisory_unlock(${GATE})`);

	test("one leads, the other stands by and passes on what it is asked for; killed, the other goes on", async () => {
		await shut();
		const first = await serve();
		expect(await first.ready()).toBe("ok: leads\n");
		const second = await serve();
		expect(await second.ready()).toMatch(new RegExp(`^ok: stands by, .* pid ${first.child.pid} .* leads\n$`));
		expect((await second.ask("/api/health")).json).toMatchObject({ leads: false, history: { sound: true } });
		await until("a run, seen by the other", isRunning(second));

		const asked = await second.ask("/api/pipelines/orders/run", {});
		expect(asked.status).toBe(202);
		await wait(second, asked.json.job.job_id, "succeeded");
		expect(await database.query("SELECT count(*) AS n FROM raw.orders")).toEqual([{ n: "5" }]);
		const waiting = (await second.ask("/api/pipelines/visits/run", {})).json.job;
		expect((await second.ask(`/api/jobs/${waiting.job_id}/cancel`, {})).status).toBe(200);
		await wait(second, waiting.job_id, "stopped");
		expect((await second.ask("/api/pipelines/orders/pause", { reason: "a test" })).status).toBe(200);
		await until("the leader knows of the pause", async () => {
			const { pipelines } = (await first.ask("/api/pipelines")).json;
			return pipelines.some((each: { paused: { by: string } | null }) => each.paused?.by === "anna");
		});

		first.child.kill("SIGKILL");
		await first.ended;
		await until("the other leads", leads(second));
		await open();
		await until("the missed intervals", async () => (await copied()).length >= ALL.length);
		await until("the end of the catch-up", async () => !(await isRunning(second)()));
		expect(await copied()).toEqual(ALL);
		const runs = await runsOf(second, "visits");
		expect(runs.filter(({ state }) => state === "succeeded")).toHaveLength(DAYS);
		expect(runs.filter(({ state }) => state === "stopped").length).toBeGreaterThan(0);
		const { stdout } = await headrace(["-C", folder(), "runs", "visits", "--json"], { env });
		const listed = (JSON.parse(stdout) as { data: { runs: { run_id: string }[] } }).data.runs;
		expect(listed.map(({ run_id }) => run_id)).toEqual(runs.map(({ run_id }) => run_id));
	}, 180_000);

	test("one that stood still for longer than its lease is fenced off, stands by, and leads again in its turn", async () => {
		const [, second] = servers as [Server, Server];
		const third = await serve();
		await shut();
		const { job } = (await third.ask("/api/pipelines/visits/run", {})).json;
		await until("a run, that the job tells of", async () => {
			const { run_ids } = (await third.ask(`/api/jobs/${job.job_id}`)).json.job;
			return run_ids.length === 1 && (await isRunning(third)());
		});
		second.child.kill("SIGSTOP");
		await until("the other leads", leads(third));
		await open();
		const done = await wait(third, job.job_id, "succeeded");
		expect(done.run_ids).toHaveLength(2);
		expect(await copied()).toEqual(ALL);
		second.child.kill("SIGCONT");
		await until("it stands by", async () => (await second.ready()).includes(`pid ${third.child.pid}`));
		expect(second.stderr()).toMatch(/E_FENCED/);
		expect(await copied()).toEqual(ALL);
		const runs = await runsOf(second, "visits");
		expect(runs.slice(0, 2).map(({ state }) => state)).toEqual(["succeeded", "stopped"]);

		third.child.kill("SIGTERM");
		expect(await third.ended).toBe(143);
		await until("it leads again", leads(second));
		const again = (await second.ask("/api/pipelines/visits/run", {})).json.job;
		await wait(second, again.job_id, "succeeded");
		expect(await copied()).toEqual(ALL);
		second.child.kill("SIGTERM");
		expect(await second.ended).toBe(143);
	}, 180_000);
});
