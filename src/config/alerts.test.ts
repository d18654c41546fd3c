import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { HeadraceErrors } from "../core/errors.ts";
import { definePipeline } from "./define-pipeline.ts";
import {
	alertsSchema,
	type CheckedPipeline,
	checkPipelineText,
	listPipelines,
	loadPipeline,
	pipelineSchema,
} from "./index.ts";

const ENV = { SLACK_URL: "https://hooks.slack.com/services/T/B/s3cr3t", SMTP_PASSWORD: "pw" };
const HEAD = "from: ./in\nto: duckdb:out.duckdb\ntables: { a.b: {} }\n";

const check = (alerts: string, env: Record<string, string> = ENV): Promise<CheckedPipeline> =>
	checkPipelineText(`${HEAD}${alerts}`, { file: "/project/pipelines/shop.yaml", directory: "/project", env });

/** `4:5 E_CODE message` of every fault. */
async function faultsOf(work: Promise<unknown>): Promise<string[]> {
	try {
		await work;
	} catch (error) {
		if (!(error instanceof HeadraceErrors)) throw error;
		return error.errors.map(
			({ place, code, message }) => `${place.line ?? "-"}:${place.column ?? "-"} ${code} ${message}`,
		);
	}
	throw new Error("nothing was thrown");
}

test("a channel of each type, its secrets hidden and known by their references", async () => {
	const { alerts, lateAfterMs } = await check(`late_after: 26h
alerts:
  - { type: slack, url: "\${env:SLACK_URL}" }
  - { type: slack, url: https://example.com/2, on: failed, tables: a.*, cool_down: 0s }
  - { type: teams, url: https://example.com/3, name: team }
  - { type: webhook, url: http://10.0.0.1/4, secret: "\${env:SMTP_PASSWORD}", on: [succeeded, failed], allow_private: true }
  - type: email
    to: [a@example.com, b@example.com]
    from: c@example.com
    smtp: { host: mail.example.com, user: u, password: "\${env:SMTP_PASSWORD}" }
  - { type: email, to: a@example.com, from: c@example.com, smtp: { host: localhost, port: 25 } }
`);
	expect(lateAfterMs).toBe(26 * 3_600_000);
	expect(alerts.map(({ name }) => name)).toEqual(["slack", "slack-2", "team", "webhook", "email", "email-2"]);
	const defaults = { on: ["failed", "recovered", "late"], coolDownMs: 3_600_000, allowPrivate: false };
	expect(alerts[0]).toMatchObject({ type: "slack", ...defaults });
	expect(alerts[1]).toMatchObject({ on: ["failed"], tables: ["a.*"], coolDownMs: 0 });
	expect(alerts[3]).toMatchObject({ on: ["failed", "succeeded"], allowPrivate: true });
	expect(alerts[4]).toMatchObject({
		to: ["a@example.com", "b@example.com"],
		smtp: { host: "mail.example.com", port: 587, tls: "on", user: "u" },
	});
	expect(alerts[5]).toMatchObject({ to: ["a@example.com"], smtp: { port: 25, tls: "off" } });
	expect(JSON.stringify(alerts)).not.toMatch(/s3cr3t|pw/);
	const [slack] = alerts;
	expect(slack?.type === "slack" && slack.url.reveal()).toBe(ENV.SLACK_URL);
});

describe("faults", () => {
	const one = (text: string) => `alerts:\n  - ${text}\n`;
	test.each<[string, string[]]>([
		["alerts: {}\n", ["4:9 E_INVALID_VALUE alerts must be a list"]],
		[one("{ url: https://a }"), ["5:5 E_INVALID_VALUE alerts[0] has no type"]],
		[one("{ type: slakc, url: https://a }"), ["5:13 E_INVALID_VALUE alerts[0].type must be slack, teams", '"slack"?']],
		[one("{ type: slack, webhook_url: https://a }"), ['5:20 E_UNKNOWN_KEY unknown key "webhook_url"', '"url"?']],
		[one("{ type: slack, url: https://a, onn: failed }"), ['unknown key "onn" in alerts[0]; did you mean "on"?']],
		[one("{ type: slack }"), ["5:5 E_INVALID_VALUE alerts[0] of type slack has no url"]],
		[one("{ type: slack, url: hooks }"), ["5:25 E_INVALID_VALUE alerts[0] has a url that is no https:// address"]],
		[one("{ type: slack, url: http://a }"), ["5:25 E_INVALID_VALUE alerts[0] has a url without TLS"]],
		[
			one('{ type: slack, url: "https://u:p@a" }'),
			["5:25 E_INVALID_VALUE alerts[0] has a user or password in its url"],
		],
		[
			one("{ type: slack, url: https://a, secret: x }"),
			["5:44 E_INVALID_VALUE alerts[0] of type slack takes no secret"],
		],
		[one("{ type: slack, url: https://a, smtp: { host: h } }"), ["alerts[0] of type slack takes no smtp"]],
		[
			one("{ type: slack, url: https://a, on: fail }"),
			["5:40 E_INVALID_VALUE alerts[0].on must be one of failed, rec"],
		],
		[one("{ type: slack, url: https://a, on: [] }"), ["alerts[0].on must be one of failed"]],
		[one("{ type: slack, url: https://a, cool_down: 5 }"), ["alerts[0].cool_down must be a duration"]],
		[one('{ type: slack, url: https://a, tables: "a.b.c.d" }'), ["5:44 E_INVALID_VALUE"]],
		[one("{ type: slack, url: https://a, name: a b }"), ["5:42 E_INVALID_VALUE alerts[0] has a name with other"]],
		[
			"alerts:\n  - { type: slack, url: https://a }\n  - { type: teams, url: https://b, name: slack }\n",
			['6:42 E_INVALID_VALUE two alerts have the name "slack"'],
		],
		[
			one("{ type: email }"),
			["alerts[0] of type email has no to", "alerts[0] of type email has no from", "of type email has no smtp"],
		],
		[
			one('{ type: email, to: "a@b\\r\\nRCPT TO:<c@d>", from: "a b@c", smtp: { host: h } }'),
			["5:24 E_INVALID_VALUE alerts[0] has an address", "5:54 E_INVALID_VALUE alerts[0] has an address"],
		],
		[
			one("{ type: email, to: a@b, from: a@b, smtp: { host: h, passwd: x } }"),
			['5:57 E_UNKNOWN_KEY unknown key "passwd" in alerts[0].smtp; did you mean "password"?'],
		],
		[
			one("{ type: email, to: a@b, from: a@b, smtp: { host: h, user: u, password: x, tls: off } }"),
			["5:84 E_INVALID_VALUE alerts[0].smtp would send its password without TLS"],
		],
		[
			one("{ type: email, to: a@b, from: a@b, smtp: { host: h, ca: ./none.pem } }"),
			["5:61 E_FILE_NOT_FOUND ca of alerts[0].smtp: /project/none.pem can't be read"],
		],
		[one('{ type: slack, url: "${env:SLAK_URL}" }'), ["5:26 E_MISSING_VARIABLE", "did you mean ${env:SLACK_URL}?"]],
		["late_after: 2\n", ["4:13 E_INVALID_VALUE late_after must be a duration"]],
		["retries: -1\n", ["4:10 E_INVALID_VALUE retries must be a whole number from 0 to 100"]],
	])("%s", async (text, expected) => {
		const shown = (await faultsOf(check(text))).join("\n");
		for (const part of expected) expect(shown).toContain(part);
	});

	test("never show the address of a channel", async () => {
		const text = one('{ type: slack, url: "${env:SLACK_URL}", secret: x }');
		expect((await faultsOf(check(text, { SLACK_URL: "ftp://h/s3cr3t" }))).join("\n")).not.toContain("s3cr3t");
	});
});

describe("alerts.yaml", () => {
	let folder: string;
	beforeEach(() => {
		const made = mkdtempSync(join(tmpdir(), "headrace-alerts-"));
		folder = made;
		onTestFinished(() => rmSync(made, { recursive: true, force: true }));
		mkdirSync(join(folder, "pipelines"));
		for (const [name, own] of [
			["plain", ""],
			["own", "alerts: [{ type: teams, url: https://b }]\n"],
			["none", "alerts: []\n"],
		])
			writeFileSync(join(folder, `pipelines/${name}.yaml`), HEAD + own);
	});
	const channels = async (name: string) =>
		(await loadPipeline(folder, name, { env: ENV })).alerts.map((alert) => alert.name);

	test("has the channels of every pipeline that has none of its own, and is no pipeline", async () => {
		expect(await channels("plain")).toEqual([]);
		writeFileSync(join(folder, "alerts.yaml"), 'alerts:\n  - { type: slack, url: "${env:SLACK_URL}" }\n');
		expect(await channels("plain")).toEqual(["slack"]);
		expect(await channels("own")).toEqual(["teams"]);
		expect(await channels("none")).toEqual([]);
		writeFileSync(join(folder, "pipelines/alerts.yaml"), "alerts: []\n");
		expect(await channels("plain")).toEqual([]);
		expect(listPipelines(folder).map(({ name }) => name)).toEqual(["none", "own", "plain"]);
	});

	test("has its faults told with its own places", async () => {
		writeFileSync(join(folder, "alerts.yaml"), "alerts:\n  - { type: slack }\nchannels: []\n");
		const work = loadPipeline(folder, "plain", { env: ENV });
		const error = await work.catch((thrown: unknown) => thrown);
		expect(error).toBeInstanceOf(HeadraceErrors);
		const { errors } = error as HeadraceErrors;
		expect(errors.map(({ place }) => [place.file, place.line])).toEqual([[join(folder, "alerts.yaml"), 3]]);
		writeFileSync(
			join(folder, "alerts.yaml"),
			"alerts:\n  - { type: slack, url: '${env:NONE}' }\n  - { type: webhook }\n",
		);
		expect(await faultsOf(loadPipeline(folder, "plain", { env: ENV }))).toEqual([
			expect.stringContaining("2:26 E_MISSING_VARIABLE the environment variable NONE is not set"),
		]);
	});
});

test("a table's own late_after, retries and retry_delay lie over those of defaults", () => {
	const { tables } = definePipeline(
		{
			from: "./a",
			to: "./b",
			defaults: { retries: 1, late_after: "1h" },
			tables: { a: {}, b: { retries: 0, retry_delay: "5s", late_after: "2h" } },
		},
		{ directory: "/project", env: {} },
	);
	expect(tables[0]!.options).toMatchObject({ retries: 1, lateAfterMs: 3_600_000 });
	expect(tables[1]!.options).toMatchObject({ retries: 0, retryDelayMs: 5_000, lateAfterMs: 7_200_000 });
});

test("the JSON Schemas know every key of a channel", async () => {
	const pipeline = (await pipelineSchema()) as { properties: { alerts: { items: { properties: object } } } };
	const project = (await alertsSchema()) as typeof pipeline;
	expect(Object.keys(project.properties.alerts.items.properties)).toEqual(
		Object.keys(pipeline.properties.alerts.items.properties),
	);
	expect(Object.keys(project.properties.alerts.items.properties)).toContain("cool_down");
});
