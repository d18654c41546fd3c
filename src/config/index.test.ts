import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { loadConnection, renderQuery, templateValues } from "./index.ts";

/** Packages that a file and what it imports at once bring in. */
function packagesOf(file: string, seen = new Set<string>()): Set<string> {
	const packages = new Set<string>();
	if (seen.has(file)) return packages;
	seen.add(file);
	const imports = readFileSync(file, "utf8").matchAll(/^(?:import|export) (?!type )[^;]*?from "([^"]+)";/gm);
	for (const [, name] of imports)
		if (name!.startsWith(".")) for (const each of packagesOf(join(dirname(file), name!), seen)) packages.add(each);
		else if (!name!.startsWith("node:")) packages.add(name!);
	return packages;
}

test("importing the folder loads no zod, yaml or liquidjs", () => {
	expect([...packagesOf(join(import.meta.dirname, "index.ts"))]).toEqual(["leven"]);
	expect([...packagesOf(join(import.meta.dirname, "load.ts"))].sort()).toEqual(["leven", "yaml", "zod"]);
});

test("what is loaded on first use works", async () => {
	const values = await templateValues({ runId: "1", params: { n: 1 }, timezone: "UTC" });
	const dialect = { quoteString: (text: string) => `'${text}'`, backslashEscapes: false };
	expect(await renderQuery("select {{ params.n }}, {{ run_id }}", values, dialect)).toBe("select 1, '1'");
	expect(await renderQuery("select 1", values, dialect)).toBe("select 1");
	expect((await loadConnection("/", "./x", { env: {} })).type).toBe("file");
});
