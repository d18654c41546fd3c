import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { RunReceipt } from "../../src/core/state-store.ts";
import { startWebhookServer, type WebhookServer } from "../support/webhook-server.ts";
import { type CliOptions, type CliResult, envelopeOf, headrace } from "./cli.ts";

const SECRET = "s3cr3t-path";

let directory: string;
let server: WebhookServer;
const outputs: string[] = [];

beforeEach(async () => {
	const made = mkdtempSync(join(tmpdir(), "headrace-alerts-"));
	const started = await startWebhookServer();
	directory = made;
	server = started;
	outputs.length = 0;
	onTestFinished(async () => {
		await started[Symbol.asyncDispose]();
		rmSync(made, { recursive: true, force: true });
		// The address of a channel is a secret: no command tells it.
		for (const text of outputs) expect(text).not.toContain(SECRET);
	});
	pipeline('alerts: [{ type: webhook, name: ops, url: "${env:HOOK}", allow_private: true }]');
});

function pipeline(keys: string): void {
	writeFileSync(
		join(directory, "shop.yaml"),
		`from: ./data\nto: duckdb:x.duckdb\nretries: 0\n${keys}\ntables: { "shop.*": {} }\n`,
	);
}

async function run(line: string, options: CliOptions = {}): Promise<CliResult> {
	const env = { HOOK: `${server.url}/${SECRET}`, ...options.env };
	const result = await headrace(line.split(" "), { cwd: directory, standIns: true, ...options, env });
	outputs.push(result.stdout, result.stderr);
	return result;
}

const refuse: WebhookServer["answer"] = (_delivery, response) => {
	response.statusCode = 404;
	response.end();
};

test("alert test goes through each channel and says which one failed", async () => {
	const well = await run("alert test shop");
	expect(well).toMatchObject({ code: 0, stdout: "✓ ops  webhook  on failed, recovered, late\n" });
	expect(server.take()).toMatchObject([{ event: "test", pipeline: "shop" }]);
	server.answer = refuse;
	const failed = await run("alert test shop");
	expect(failed.code).toBe(1);
	expect(failed.stdout).toMatch(
		/✗ ops {2}webhook .*\n {4}E_ALERT {2}channel ops: 127\.0\.0\.1:\d+ answered 404\n {4}cure: /,
	);
	const json = await run("alert test shop --json");
	expect(json.code).toBe(1);
	expect(envelopeOf(json)).toMatchObject({
		command: "alert test",
		ok: false,
		data: { channels: [{ channel: "ops", type: "webhook", ok: false, error: /answered 404/ }] },
		errors: [{ code: "E_ALERT" }],
	});
});

test("a pipeline without alerts says how to get some", async () => {
	pipeline("");
	const result = await run("alert test shop");
	expect(result.code).toBe(2);
	expect(result.stderr).toMatch(/E_USAGE {2}shop has no alerts[\s\S]*alerts\.yaml/);
});

test("a failed run ends as it would without alarms; what could not be sent is in its history, and sent by the next", async () => {
	server.answer = refuse;
	const failed = await run("run shop --json", { env: { STAND_IN_FAILURE: "E_VALUE" } });
	expect(failed.code).toBe(1);
	expect(failed.stderr).toMatch(/Z {2}! alarm not sent, the next run tries again: channel ops: 127/);
	const [{ run_id }] = (envelopeOf(failed).data as { runs: [RunReceipt] }).runs;
	expect((await run(`runs show ${run_id}`)).stdout).toMatch(
		/! alarm not sent to ops yet \(failed shop\.orders, .* UTC\): channel ops: .* answered 404; the next run tries again/,
	);
	expect(envelopeOf(await run(`runs show ${run_id} --json`)).data).toMatchObject({
		alerts_waiting: [{ channel: "ops", event: "failed", table: "shop.orders", run_id, failure: /404/ }],
	});
	expect((await run(`logs ${run_id}`)).stdout).toContain("alarm not sent");
	server.take();
	server.answer = (_delivery, response) => response.end();
	expect((await run("run shop")).code).toBe(0);
	expect(server.take()).toMatchObject([
		{ event: "failed", run_id, items: [{ table: "shop.orders", code: "E_VALUE" }] },
		{ event: "recovered", items: [{ table: "shop.orders" }] },
	]);
});

test("status tells what is late; with --alert it tells the channels and ends with 1", async () => {
	pipeline('late_after: 1ms\nalerts: [{ type: webhook, name: ops, url: "${env:HOOK}", allow_private: true }]');
	expect((await run("run shop")).code).toBe(0);
	server.take();
	const status = await run("status shop");
	expect(status.code).toBe(0);
	expect(status.stdout).toMatch(/! late {2}shop\.orders {2}last success .* ago; late_after is/);
	expect(server.take()).toEqual([]);
	// Told by the run already, or now if that ended within the millisecond; from then on the cool-down holds.
	expect((await run("status --alert")).code).toBe(1);
	const alerted = await run("status --alert --json");
	expect(alerted.code).toBe(1);
	expect(envelopeOf(alerted).data).toMatchObject({
		pipelines: [{ late: [{ table: "shop.customers" }, { table: "shop.orders" }], alerts_sent: [] }],
	});
	pipeline('alerts: [{ type: webhook, name: ops, url: "${env:HOOK}", allow_private: true }]');
	expect((await run("status --alert")).code).toBe(0);
});

test("a configuration that is wrong tells nobody and ends with 2: cron mails it", async () => {
	expect((await run("run shop", { env: { HOOK: undefined } })).stderr).toContain("E_MISSING_VARIABLE");
	pipeline("alerts: [{ type: webhook, name: ops, url: ftp://h }]");
	const result = await run("run shop");
	expect(result.code).toBe(2);
	expect(result.stderr).toMatch(/shop\.yaml:4:43 {2}E_INVALID_VALUE {2}alerts\[0\] has a url that is no https:/);
});

test("a mail server that is not verified is shown in every report", async () => {
	const email = (tls: string) =>
		`alerts: [{ type: email, to: a@b.c, from: d@e.f, smtp: { host: mail.example.com, tls: ${tls} } }]`;
	pipeline(email("insecure"));
	for (const verb of ["plan", "run", "check"])
		expect((await run(`${verb} shop`)).stdout).toContain("alerts email: tls insecure");
	pipeline(email("on"));
	expect((await run("plan shop")).stdout).not.toContain("tls");
});

test("--log-format json: every line of stderr is an object", async () => {
	const failed = await run("run shop --log-format json", { env: { STAND_IN_FAILURE: "E_VALUE" } });
	const lines = failed.stderr
		.trimEnd()
		.split("\n")
		.map((line) => JSON.parse(line) as Record<string, unknown>);
	for (const line of lines)
		expect(line).toMatchObject({ time: expect.stringMatching(/^\d{4}-.*Z$/), level: /info|warn|error/ });
	expect(lines).toContainEqual(
		expect.objectContaining({
			event: "table-finished",
			table: "shop.orders",
			state: "failed",
			code: "E_VALUE",
			level: "error",
		}),
	);
	expect(lines.find(({ event }) => event === "run-finished")).toMatchObject({ pipeline: "shop", state: "failed" });
	const wrong = await run("run nothing --log-format json");
	expect(wrong.code).toBe(2);
	expect(JSON.parse(wrong.stderr)).toMatchObject({
		level: "error",
		code: "E_FILE_NOT_FOUND",
		hint: expect.any(String),
	});
	const usage = await run("run shop --log-format=jsn");
	expect(usage.code).toBe(2);
	expect(usage.stderr).toContain("json");
});
