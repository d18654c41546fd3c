import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { buildPage } from "../../scripts/build-page.ts";

const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const program = PROGRAMS.find(existsSync);

/** Why nothing can be tried in a browser here; null where it can. */
export const noBrowser =
	program === undefined ? "no chromium on this machine (node scripts/databases.mjs installs it)" : null;

const axe = `${readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")};0`;

export interface Seen {
	readonly page: Page;
	/** What the browser complained of: errors of scripts, and what the content security policy held back. */
	readonly complaints: string[];
	/** Addresses outside the server that the page asked for: it has to work without any. */
	readonly strangers: string[];
}

export interface Chromium extends AsyncDisposable {
	open(origin: string, options?: BrowserContextOptions): Promise<Seen>;
}

export async function startChromium(): Promise<Chromium> {
	const browser: Browser = await chromium.launch({
		executablePath: program!,
		args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-lcd-text"],
	});
	return {
		async open(origin, options = {}) {
			const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
			context.setDefaultTimeout(30_000);
			const page = await context.newPage();
			const complaints: string[] = [];
			const strangers: string[] = [];
			page.on("pageerror", (error) => complaints.push(error.message));
			page.on("console", (message) => {
				if (message.type() === "error") complaints.push(message.text());
			});
			page.on("request", (request) => {
				if (!request.url().startsWith(origin)) strangers.push(request.url());
			});
			return { page, complaints, strangers };
		},
		async [Symbol.asyncDispose]() {
			await browser.close();
		},
	};
}

/** The page, built into a folder of its own: the tests see the sources as they are. */
export async function builtPage(): Promise<{ readonly folder: string } & Disposable> {
	const folder = mkdtempSync(join(tmpdir(), "headrace-page-"));
	await buildPage(folder);
	return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

/** What hinders people who can't see well or use no mouse, as far as a program can tell: WCAG 2.2 A and AA. */
export async function hindrances(page: Page, rules: "all" | "color-contrast" = "all"): Promise<string[]> {
	// By the debugger, which the content security policy does not hold back.
	await page.evaluate(axe);
	const runOnly = rules === "all" ? ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] : [rules];
	const options = JSON.stringify({ runOnly, resultTypes: ["violations"] });
	const results = (await page.evaluate(`axe.run(document, ${options})`)) as AxeResults;
	return results.violations
		.filter(({ impact }) => impact === "serious" || impact === "critical")
		.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
}
