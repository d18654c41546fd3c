import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

test("the committed pages of docs/reference are what the code makes now", () => {
	const script = join(import.meta.dirname, "../../scripts/generate-docs.ts");
	const check = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
	expect(check.stderr).toBe("");
	expect(check.status).toBe(0);
});
