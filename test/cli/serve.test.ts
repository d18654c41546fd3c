import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { headrace } from "./cli.ts";

const BIN = join(import.meta.dirname, "../../bin/headrace.js");
const STAND_INS = join(import.meta.dirname, "stand-ins.ts");

let directory: string;
const children: ChildProcess[] = [];

beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), "headrace-serve-cli-"));
	// Read in 200 batches, with a delay for each: long enough to be cut off.
	writeFileSync(join(directory, "shop.yaml"), 'from: ./data\nto: duckdb:x.duckdb\ntables: { "shop.*": {} }\n');
});
afterAll(() => {
	for (const child of children) child.kill("SIGKILL");
	rmSync(directory, { recursive: true, force: true });
});

/** Starts a server as a person does, and reads its first words. */
async function serve(delayMs: number, ...args: string[]) {
	const child = spawn(
		process.execPath,
		["--import", STAND_INS, BIN, "serve", directory, "--port", "0", "--json", ...args],
		{
			env: { ...process.env, HEADRACE_SOURCES: "1", STAND_IN_DELAY_MS: String(delayMs), NO_COLOR: "1" },
			stdio: ["ignore", "pipe", "pipe"],
		},
	);
	children.push(child);
	const out = { stdout: "", stderr: "" };
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		out.stderr += text;
	});
	const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
	const first = new Promise<string>((resolve) => {
		child.stdout.setEncoding("utf8").on("data", (text: string) => {
			out.stdout += text;
			if (out.stdout.includes("\n")) resolve(out.stdout.split("\n")[0]!);
		});
	});
	const told = await Promise.race([first, ended.then((code) => `ended with ${code}: ${out.stderr}`)]);
	const { address, link } = JSON.parse(told) as { address: string; link: string };
	let cookie = "";
	const ask = async (path: string, body?: object) => {
		const answer = await fetch(new URL(path, address), {
			method: body === undefined ? "GET" : "POST",
			headers: { origin: address, cookie, ...(body === undefined ? {} : { "content-type": "application/json" }) },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? cookie;
		// biome-ignore lint/suspicious/noExplicitAny: of every route
		return { status: answer.status, json: (await answer.json()) as any };
	};
	expect((await ask("/api/login", { token: new URL(link).hash.slice("#token=".length) })).status).toBe(200);
	const jobWhen = async (state: string) => {
		for (;;) {
			const { jobs } = (await ask("/api/jobs")).json;
			const found = jobs.find(
				(job: { state: string; run_ids: string[] }) => job.state === state && job.run_ids.length > 0,
			);
			if (found !== undefined) return found;
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
	};
	return { child, out, ended, ask, jobWhen };
}

test("a server that is killed in a run goes on with it when it is started again", async () => {
	const first = await serve(20);
	expect((await first.ask("/api/pipelines/shop/run", {})).status).toBe(202);
	const cut = await first.jobWhen("running");
	first.child.kill("SIGKILL");
	await first.ended;
	const second = await serve(0);
	const done = await second.jobWhen("succeeded");
	expect(done.job_id).toBe(cut.job_id);
	expect(done.run_ids).toEqual([cut.run_ids[0], expect.any(String)]);
	const states = (await second.ask("/api/runs")).json.runs.map(({ state }: { state: string }) => state);
	expect(states).toEqual(["succeeded", "stopped"]);
	second.child.kill("SIGTERM");
	expect(await second.ended).toBe(143);
	expect(second.out.stderr).toContain("shop  run succeeded");
}, 180_000);

test("SIGTERM stops what is at work cleanly, after a while, and the command line sees what the server did", async () => {
	const server = await serve(20, "--drain", "0s", "--log-format", "json");
	await server.ask("/api/pipelines/shop/run", {});
	const { run_ids } = await server.jobWhen("running");
	server.child.kill("SIGTERM");
	expect(await server.ended).toBe(143);
	for (const line of server.out.stderr.trim().split("\n")) expect(JSON.parse(line)).toHaveProperty("message");
	const { stdout } = await headrace(["-C", directory, "runs", "show", run_ids[0], "--json"]);
	const [run] = (JSON.parse(stdout) as { data: { runs: { state: string; origin: object }[] } }).data.runs;
	expect(run).toMatchObject({ state: "stopped", origin: { trigger: "manual", by: "link" } });
}, 180_000);

test("tokens are made, listed and taken back by the command line; the token itself is shown once", async () => {
	const run = (...args: string[]) => headrace(["-C", directory, "serve", "token", ...args]);
	const made = await run("add", "grafana", "--role", "viewer", "--days", "30");
	expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^hdr_[\w-]{43}\n$/) });
	const listed = await run("list");
	expect(listed.stdout).toMatch(/grafana\s+viewer/);
	expect(listed.stdout).not.toContain(made.stdout.trim());
	expect((await run("revoke", "grafana")).code).toBe(0);
	expect((await run("revoke", "grafana")).stderr).toContain("there is no token");
	expect((await run("add", "x", "--role", "owner")).code).toBe(2);
}, 180_000);
