import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const OLD =
	'data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.1.0"}})';

/** Runs the command with a Node that says it is an old one. */
function withOldNode(env: Readonly<Record<string, string>>) {
	const args = ["--import", OLD, join(ROOT, "bin/headrace.js"), "rnu"];
	return spawnSync(process.execPath, args, { encoding: "utf8", env: { ...process.env, ...env } });
}

test("an old Node runs the command with the clone's own Node", () => {
	expect(withOldNode({})).toMatchObject({ status: 2, stderr: expect.stringContaining("E_USAGE  unknown verb") });
});

test("an old Node without a newer one at hand gets a clear answer", () => {
	const own = join(ROOT, "node_modules/.bin/node");
	const result = withOldNode({ HEADRACE_NODE: own });
	expect(result).toMatchObject({ status: 2, stdout: "" });
	expect(result.stderr).toMatch(/^headrace needs Node 24 or newer; this is 20\.1\.0/);
});
