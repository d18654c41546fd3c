import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { VERBS } from "../../src/cli/verbs.ts";
import { checkPipelineText } from "../../src/config/index.ts";

const DOCS = join(import.meta.dirname, "../../docs");
const PAGES = [
	"replicate-mysql.md",
	"replicate-postgres.md",
	"build-history.md",
	"change-archive.md",
	"what-happens-when.md",
];
const SOURCES: Readonly<Record<string, string>> = {
	shop_prod: "mysql://u@127.0.0.1/shop",
	core_db: "mysql://u@127.0.0.1/bank",
	warehouse: "duckdb:w.duckdb",
	archive: "./archive",
};

test.each(PAGES)("%s: its pipelines are valid, its links lead somewhere, its commands exist", async (page) => {
	const text = readFileSync(join(DOCS, page), "utf8");
	for (const [, yaml] of text.matchAll(/```yaml\n(.*?)```/gs)) {
		const addressed = yaml!.replaceAll(
			/^(from|to): (\w+)/gm,
			(_line, key: string, name: string) => `${key}: "${SOURCES[name]}"`,
		);
		const pipeline = await checkPipelineText(addressed, { file: "/p/shop.yaml", directory: "/p", env: {} });
		expect(pipeline.tables.length).toBeGreaterThan(0);
	}
	for (const [, link] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g))
		expect(existsSync(join(dirname(join(DOCS, page)), link!)), link).toBe(true);
	const names = VERBS.map(({ name }) => name);
	for (const [, line] of text.matchAll(/(?:^\$ |`)headrace ([a-z]+(?: [a-z]+)?)/gm))
		expect(
			names.some((name) => line === name || line!.startsWith(`${name} `)),
			line,
		).toBe(true);
});
