import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findPipeline, listPipelines, projectDirectory } from "./find.ts";

const LOOKS = "from: a\nto: b\ntables: {}\n";

test("listPipelines gives pipelines only", () => {
	const folder = mkdtempSync(join(tmpdir(), "headrace-find-"));
	expect(listPipelines(folder)).toEqual([]);
	expect(listPipelines(join(folder, "no"))).toEqual([]);
	expect(() => findPipeline(folder, "x")).toThrow(/there is none here/);
	mkdirSync(join(folder, "pipelines/sub.yaml"), { recursive: true });
	for (const name of [
		"pipelines/b.yaml",
		"pipelines/a.yml",
		"pipelines/.hidden.yaml",
		"docker-compose.yaml",
		"connections.yaml",
	])
		writeFileSync(join(folder, name), "services: {}\n");
	writeFileSync(join(folder, "own.yaml"), LOOKS);
	writeFileSync(join(folder, "a.yaml"), LOOKS);
	writeFileSync(join(folder, "big.yaml"), LOOKS + "#".repeat(1_000_001));
	symlinkSync("/nowhere", join(folder, "broken.yaml"));
	expect(listPipelines(folder)).toEqual([
		{ name: "a", file: join(folder, "pipelines/a.yml") },
		{ name: "b", file: join(folder, "pipelines/b.yaml") },
		{ name: "own", file: join(folder, "own.yaml") },
	]);
	expect(findPipeline(folder, "own")).toBe(join(folder, "own.yaml"));
	expect(findPipeline(folder, "own.yaml")).toBe(join(folder, "own.yaml"));
	expect(() => findPipeline(folder, "./ownn")).toThrow(/did you mean own\?/);
	expect(() => findPipeline(folder, "zzzzz")).toThrow(/its pipelines are a, b, own/);
});

test.each([
	["/p", "/p/pipelines/a.yaml", "/p"],
	["/p", "/p/a.yaml", "/p"],
	["/", "/q/a.yaml", "/"],
	["/p", "/q/pipelines/a.yaml", "/q"],
	["/p", "/q/a.yaml", "/q"],
	["/p/x", "/p/a.yaml", "/p"],
	["/p", "/p/..a/b.yaml", "/p"],
])("the project of -C %s and %s is %s", (directory, file, expected) =>
	expect(projectDirectory(directory, file)).toBe(expected),
);
