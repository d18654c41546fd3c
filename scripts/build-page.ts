import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";

/** Gzipped JavaScript of the whole page, parts that are loaded later included: it opens at once over a slow line. */
const PAGE_BYTES_MAX = 130_000;

/**
 * Builds the page of `headrace serve` into a folder, which is emptied.
 * @returns the modules that it is made of, as paths
 */
export async function buildPage(folder: string): Promise<string[]> {
	const result = (await build({
		configFile: join(import.meta.dirname, "../web/vite.config.ts"),
		logLevel: "warn",
		build: { outDir: folder },
	})) as Rolldown.RolldownOutput;
	const chunks = result.output.filter((part) => part.type === "chunk");
	const bytes = chunks.reduce((sum, { code }) => sum + gzipSync(code).length, 0);
	if (bytes > PAGE_BYTES_MAX)
		throw new Error(`the page has ${bytes} bytes of gzipped JavaScript, more than ${PAGE_BYTES_MAX}`);
	return chunks.flatMap(({ moduleIds }) => moduleIds);
}
