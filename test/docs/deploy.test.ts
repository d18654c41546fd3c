import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type Request, readCommandLine } from "../../src/cli/program.ts";
import { ROUTES } from "../../src/server/http.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const package_ = JSON.parse(read("package.json"));

/** What the command line makes of words behind `headrace`; throws where it would refuse them. */
function asked(words: readonly string[]): Request & { kind: "verb" } {
	const request = readCommandLine(words);
	if (request.kind !== "verb") throw new Error(`no verb in ${words.join(" ")}`);
	return request;
}

/** Words of a line of a shell, without its comment: quotes hold blanks together. */
function wordsOf(line: string): string[] {
	const bare = line.replace(/\s+#.*$/, "");
	return [...bare.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
		([, double, single, plain]) => double ?? single ?? plain!,
	);
}

/** Lines of a unit by their names. */
function unitOf(text: string): Map<string, string> {
	return new Map([...text.matchAll(/^([A-Za-z]+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]));
}

describe("deploy/Dockerfile", () => {
	const lines = read("deploy/Dockerfile").replaceAll(/\\\n/g, " ").split("\n");
	const of = (word: string) =>
		lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));

	test("builds what the package says, and copies nothing of the machine that builds it", () => {
		const least = /^>=(\d+)/.exec(package_.engines.node)![1];
		for (const image of of("FROM")) expect(image).toMatch(new RegExp(`^node:${least}(?:-bookworm)?-slim\\b`));
		expect(of("ENTRYPOINT").map((line) => JSON.parse(line))).toEqual([Object.keys(package_.bin)]);
		const packages = of("RUN")
			.join(" ")
			.match(/@[a-z-]+\/[a-z0-9-]+/g)!;
		for (const name of packages) expect(package_.peerDependencies, name).toHaveProperty([name]);
		const ignored = read(".dockerignore").split("\n");
		for (const name of [".git", "node_modules", "**/.env*", "deploy/*.env"]) expect(ignored).toContain(name);
	});

	test("runs as somebody, listens where it is published, and asks itself whether it lives", () => {
		expect(of("USER")).toEqual(["node"]);
		const [command] = of("CMD").map((line) => JSON.parse(line) as string[]);
		const { verb, args } = asked(command!);
		expect(verb.name).toBe("serve");
		expect(args.optional(0)).toBe(of("WORKDIR").at(-1));
		expect(args.text("host")).toBe("0.0.0.0");
		expect(lines.indexOf(`USER node`)).toBeGreaterThan(lines.findLastIndex((line) => line.startsWith("RUN ")));
		const [health] = lines.filter((line) => line.startsWith("HEALTHCHECK "));
		const address = new URL(/fetch\('([^']+)'\)/.exec(health!)![1]!);
		expect(ROUTES_OPEN).toContain(address.pathname);
		expect(of("EXPOSE")).toEqual([address.port]);
		expect(address.port).toBe(PORT);
		const [program, ...given] = JSON.parse(/CMD (\[.*\])$/.exec(health!)![1]!) as string[];
		expect(program).toBe("node");
		// Nobody listens there, or does not say so: it is not healthy, and says so at once.
		const probe = given.map((word) => word.replace(`:${PORT}/`, ":9/"));
		expect(spawnSync(process.execPath, probe).status).toBe(1);
	});
});

/** What `serve` listens on when it is told nothing. */
const PORT = /default (\d+)/.exec(
	asked(["serve"]).verb.options!.find(({ flags }) => flags.startsWith("--port "))!.describe,
)![1]!;
/** Beside the API; no login is needed. */
const ROUTES_OPEN = ["/livez", "/readyz"];

test("deploy/compose.yaml: read-only but for the project, published to this machine, stopped when it has ended", () => {
	const { services } = parse(read("deploy/compose.yaml"));
	const { headrace } = services;
	expect(resolve(ROOT, "deploy", headrace.build.context)).toBe(ROOT);
	expect(existsSync(join(ROOT, "deploy", headrace.build.context, headrace.build.dockerfile))).toBe(true);
	const { verb, args } = asked(headrace.command);
	expect(verb.name).toBe("serve");
	expect(headrace.volumes).toEqual([`./project:${args.optional(0)}`]);
	expect(headrace.ports).toEqual([`127.0.0.1:${PORT}:${PORT}`]);
	expect(headrace).toMatchObject({
		read_only: true,
		cap_drop: ["ALL"],
		security_opt: ["no-new-privileges:true"],
		tmpfs: ["/tmp"],
	});
	// A clean stop takes up to 30 s behind the ten of `--drain`.
	expect(Number.parseInt(headrace.stop_grace_period, 10)).toBeGreaterThanOrEqual(40);
	for (const [, words] of read("deploy/compose.yaml").matchAll(/^# .*? headrace (-C .*)$/gm)) asked(wordsOf(words!));
});

describe("deploy/headrace.service", () => {
	const text = read("deploy/headrace.service");
	const unit = unitOf(text);

	test("starts a server of the folder that it may write to, and gives it time to stop", () => {
		const [env, program, ...words] = wordsOf(unit.get("ExecStart")!);
		expect([env, program]).toEqual(["/usr/bin/env", Object.keys(package_.bin)[0]]);
		const { verb, args } = asked(words);
		expect(verb.name).toBe("serve");
		for (const name of ["WorkingDirectory", "ReadWritePaths"]) expect(unit.get(name), name).toBe(args.optional(0));
		expect(unit.get("User")).not.toBe("root");
		expect(unit.get("ProtectSystem")).toBe("strict");
		expect(unit.get("SuccessExitStatus")).toBe("143");
		expect(unit.get("RestartPreventExitStatus")).toBe("2");
		expect(Number(unit.get("TimeoutStopSec"))).toBeGreaterThanOrEqual(40);
		for (const [, path] of text.matchAll(/see (docs\/\S+\.md)/g))
			expect(existsSync(join(ROOT, path!)), path).toBe(true);
	});

	const analyze = spawnSync("systemd-analyze", ["--version"]).error === undefined;
	const title = "systemd knows every line of it";
	test.skipIf(!analyze)(analyze ? title : `${title} (skipped: no systemd-analyze on this machine)`, () => {
		const verified = spawnSync("systemd-analyze", ["verify", join(ROOT, "deploy/headrace.service")], {
			encoding: "utf8",
		});
		expect(verified.stderr.split("\n").filter((line) => line.includes("headrace.service"))).toEqual([]);
	});
});

describe.each(["operations.md", "serve.md", "pages.md", "api.md"])("docs/%s", (page) => {
	const text = read(`docs/${page}`);

	test("every command of headrace in it is one, and every link leads somewhere", () => {
		const blocks = [...text.matchAll(/```(?:console|sh)\n(.*?)```/gs)].map(([, block]) => block!).join("\n");
		const lines = blocks.split("\n").flatMap((line) => {
			const words = wordsOf(line.replace(/^\$ /, "").replace(/ [|>] .*$/, ""));
			const at = words.lastIndexOf("headrace");
			// `useradd … headrace`, `-u headrace`, `docker compose run headrace -C …`
			const isCommand = at === 0 || (at > 0 && ["headrace", "run", "--rm"].includes(words[at - 1]!));
			return isCommand && words.length > at + 1 ? [words.slice(at + 1)] : [];
		});
		const inline = [...text.matchAll(/`headrace ([a-z][^`…<]*)`/g)].map(([, words]) => wordsOf(words!));
		for (const words of [...lines, ...inline]) {
			const isNamed = inline.includes(words) && words.every((word) => /^[a-z|-]+$/.test(word));
			// In a sentence a verb goes without what it is given.
			if (isNamed) expect(() => asked([...words, "--help"]), words.join(" ")).not.toThrow(/unknown/);
			else expect(() => asked(words), words.join(" ")).not.toThrow();
		}
		for (const [, link] of text.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g))
			expect(existsSync(join(dirname(join(ROOT, "docs", page)), link!)), link).toBe(true);
	});

	test("every address of the server in it is one of its own", () => {
		const paths = ROUTES.map((route) => new RegExp(`^${route.path.replaceAll(/:\w+/g, "[^/]+")}$`));
		for (const [, path] of text.matchAll(/[`"A-Z](\/api\/[\w/{}:.-]*[\w}])/g))
			expect(path === "/api/openapi.json" || paths.some((each) => each.test(path!)), path).toBe(true);
	});

	test("every option of `serve` in it is one", () => {
		const known = new Set(
			[...asked(["serve"]).verb.options!, { flags: "--state <a>" }].map(({ flags }) => /--[a-z-]+/.exec(flags)![0]),
		);
		const others = new Set(["--role", "--days", "--failed", "--help", "--output", "--log-format", "--rm", "--alert"]);
		for (const [, option] of text.matchAll(/`(--[a-z-]+)[^`]*`/g))
			expect(known.has(option!) || others.has(option!), option).toBe(true);
	});
});
