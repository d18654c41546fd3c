/** Writes docs/reference/*.md from the code; with `--check` fails when a committed page differs. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { destinationsPage } from "../src/app/destinations-page.ts";
import { typesPage } from "../src/app/types-page.ts";
import { commandReference } from "../src/cli/reference.ts";
import { configurationReference } from "../src/config/index.ts";
import { ERRORS } from "../src/core/index.ts";
import { apiReference } from "../src/server/reference.ts";

const folder = join(import.meta.dirname, "..", "docs", "reference");

function errorsPage(): string {
	const rows = Object.entries(ERRORS).map(
		([code, rule]) => `| \`${code}\` | ${rule.exit} | ${rule.reaction} | ${rule.meaning} | ${rule.remedy} |`,
	);
	return [
		"# Errors",
		"",
		"Generated from `src/core/errors.ts`. The message of an error says what and where; this is what each code means.",
		"Messages hold no row values and no secrets.",
		"",
		"| code | exit code | reaction | meaning | what to do |",
		"|---|---|---|---|---|",
		...rows,
		"",
	].join("\n");
}

const pages: Record<string, string> = {
	"api.md": apiReference(),
	"commands.md": commandReference(),
	"configuration.md": await configurationReference(),
	"destinations.md": await destinationsPage(),
	"errors.md": errorsPage(),
	"types.md": typesPage(),
};

await mkdir(folder, { recursive: true });
const stale: string[] = [];
for (const [name, text] of Object.entries(pages)) {
	const path = join(folder, name);
	if (!process.argv.includes("--check")) await writeFile(path, text);
	else if ((await readFile(path, "utf8").catch(() => "")) !== text) stale.push(name);
}
if (stale.length > 0) {
	console.error(`docs/reference is older than the code: ${stale.join(", ")}. Run: npm run docs`);
	process.exitCode = 1;
}
