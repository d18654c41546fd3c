import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtPage, type Chromium, hindrances, noBrowser, startChromium } from "./browser.ts";
import { shopRuns } from "./sample.ts";
import { serveSample } from "./sample-server.ts";

const run = shopRuns.at(-1)!.run_id;

const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 360, height: 740 };
/** Windows beside others, tablets, telephones. */
const WIDTHS = [1440, 1240, 1024, 800, 390];

/** Each page, and a text that is there when it is drawn. */
const PAGES: readonly (readonly [string, string, string])[] = [
	["pipelines", "/", "E_UNKNOWN_KEY"],
	["grid", "/pipelines/shop", "prod.order_lines"],
	["runs", "/pipelines/shop/runs", "1 of 7 failed"],
	["calendar", "/pipelines/shop/calendar", "Fill 5 missing intervals"],
	["change capture", "/pipelines/crm/changes", "public.accounts"],
	["lineage", "/pipelines/shop/lineage", "customer_comment"],
	["table", "/pipelines/shop/tables/prod.orders", "0000-00-00 becomes NULL"],
	["run", `/runs/${run}`, "balances"],
	["log", `/runs/${run}/log?at=first-error`, "64"],
	["queue", "/jobs", "backfill, ana"],
	["connections", "/connections", "${env:SHOP_PASSWORD}"],
	["audit", "/audit", "needs operator"],
	["access", "/access", "grafana"],
	["nothing there", "/nowhere", "There is no such page"],
];

/** Pages that have all colours between them. */
const DARK = new Set(["pipelines", "run", "log", "change capture", "connections"]);

const title = noBrowser === null ? "the page in a browser" : `the page in a browser (skipped: ${noBrowser})`;

describe.skipIf(noBrowser !== null)(title, () => {
	let chromium: Chromium;
	let built: Awaited<ReturnType<typeof builtPage>>;
	let server: Server;
	let origin: string;

	beforeAll(async () => {
		[built, chromium] = await Promise.all([builtPage(), startChromium()]);
		server = await serveSample(built.folder, 0);
		origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	});
	afterAll(async () => {
		await chromium?.[Symbol.asyncDispose]();
		server?.closeAllConnections();
		server?.close();
		built?.[Symbol.dispose]();
	});

	test("no page hinders anybody, light or dark, nor is wider than a narrow screen, nor asks a stranger", async () => {
		const { page, complaints, strangers } = await chromium.open(origin, { reducedMotion: "reduce" });
		const found: string[] = [];
		const note = (page: string, each: readonly string[]) => found.push(...each.map((text) => `${page}: ${text}`));
		for (const [name, path, text] of PAGES) {
			await page.emulateMedia({ colorScheme: "light" });
			await page.setViewportSize(WIDE);
			await page.goto(origin + path);
			await page.getByText(text).first().waitFor();
			note(name, await hindrances(page));
			await page.emulateMedia({ colorScheme: "dark" });
			if (DARK.has(name)) note(`${name}, dark`, await hindrances(page, "color-contrast"));
			await page.setViewportSize(NARROW);
			const width = await page.evaluate("document.documentElement.scrollWidth");
			if (width !== NARROW.width) note(name, [`is ${width} wide`]);
		}
		expect(found).toEqual([]);
		expect(complaints).toEqual([]);
		expect(strangers).toEqual([]);
	}, 180_000);

	test("nobody scrolls sideways to see all of the list of pipelines, which says what was never loaded", async () => {
		const { page } = await chromium.open(origin, { viewport: WIDE });
		await page.goto(origin);
		await page.getByText("1 never loaded").waitFor();
		const widths: string[] = [];
		for (const width of WIDTHS) {
			await page.setViewportSize({ width, height: 800 });
			const hidden = await page.evaluate(
				"[document.documentElement, document.querySelector('.scroll')].map((each) => each.scrollWidth - each.clientWidth)",
			);
			widths.push(`${width}: ${hidden}`);
			if (width === 390) expect(await hindrances(page)).toEqual([]);
		}
		expect(widths).toEqual(WIDTHS.map((width) => `${width}: 0,0`));
	}, 60_000);

	test("a dialog fits a narrow screen, and says what it will do", async () => {
		const { page } = await chromium.open(origin, { viewport: NARROW });
		await page.goto(`${origin}/pipelines/shop`);
		await page.getByRole("button", { name: "Run now" }).click();
		const dialog = page.getByRole("dialog");
		await dialog.getByRole("button", { name: "Show what it would do" }).click();
		await dialog.getByText("GRANT SELECT ON prod.coupons").waitFor();
		const box = await dialog.boundingBox();
		expect(box!.x + box!.width).toBeLessThanOrEqual(NARROW.width);
		expect(await hindrances(page)).toEqual([]);
	});

	test("the grid by keyboard: arrows move, Enter opens, Escape leads back, Space chooses, ? helps", async () => {
		const { page } = await chromium.open(origin);
		await page.goto(`${origin}/pipelines/shop`);
		const last = page.getByRole("button", { name: /^prod\.orders, / }).last();
		await last.focus();
		for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown"]) await page.keyboard.press(key);
		const name = () => page.evaluate("document.activeElement.getAttribute('aria-label')");
		expect(await name()).toContain("prod.nps");
		expect(await name()).toContain("failed E_TYPE_LOSSY");
		await page.keyboard.press("Enter");
		const panel = page.getByRole("complementary");
		await panel.getByText("Add `columns: { rate").waitFor();
		expect(await hindrances(page)).toEqual([]);
		await page.keyboard.press("Escape");
		await panel.waitFor({ state: "detached" });
		expect(await name()).toContain("prod.nps");
		await page.keyboard.press(" ");
		await page.keyboard.press("ArrowLeft");
		await page.keyboard.press(" ");
		await page.getByText("2 cells chosen").waitFor();
		await page.keyboard.press("?");
		await page.getByRole("dialog").getByText("Run the pipeline (with a preview)").waitFor();
		expect(await hindrances(page)).toEqual([]);
		await page.keyboard.press("Escape");
		await page.getByRole("dialog").waitFor({ state: "detached" });
		await page.keyboard.press("g");
		await page.keyboard.press("c");
		await page.getByRole("heading", { name: "Connections" }).waitFor();
	});

	test("the log shows its first error at once; level, search and table narrow it", async () => {
		const { page } = await chromium.open(origin);
		await page.goto(`${origin}/runs/${run}/log?at=first-error`);
		const current = page.locator(".log .current");
		await current.waitFor();
		expect(await current.textContent()).toContain("E_CONNECTION_LOST");
		expect(await page.locator(".log .level-error").first().getAttribute("data-line")).toBe(
			await current.getAttribute("data-line"),
		);
		await page.keyboard.press("e");
		await expect.poll(() => current.getAttribute("data-line")).toBe("59");
		await page.getByLabel("Level").selectOption("error");
		await expect.poll(() => page.locator(".log li").count()).toBe(2);
		await page.getByLabel("Level").selectOption("debug");
		await page.getByRole("combobox", { name: "Table" }).selectOption("prod.nps");
		await page.getByPlaceholder("Search the messages").fill("81,000");
		const tasks = await page.locator(".log li").allTextContents();
		expect(tasks.length).toBeGreaterThan(3);
		expect(tasks.every((text) => text.includes("81,000"))).toBe(true);
	});

	test("a column is followed from the source to the destination, and a run says what changed in its file", async () => {
		const { page } = await chromium.open(origin);
		await page.goto(`${origin}/pipelines/shop/tables/prod.orders`);
		await page.getByRole("link", { name: "where each comes from" }).click();
		const row = (name: string) => page.locator("tr", { has: page.getByRole("rowheader", { name, exact: true }) });
		expect(await row("comment").textContent()).toContain("renamed");
		expect(await row("card_number").textContent()).toContain("dropped by the file");
		expect(await row("email").textContent()).toContain("masked: hmac");
		await page.getByText("marts.revenue_by_day").first().waitFor();
		await page.getByRole("combobox", { name: "Table" }).selectOption("prod.nps");
		await page.getByRole("columnheader", { name: "To raw.prod_nps" }).waitFor();
		await page.goto(`${origin}/runs/${run}`);
		await page.getByText("5 lines differ from").waitFor();
		const diff = page.locator(".diff");
		expect(await diff.locator(".diff-added").allTextContents()).toContain("+ new: concurrency: 8");
		expect(await diff.textContent()).not.toContain("from: shop_prod");
		await page.getByRole("button", { name: "Show the whole file" }).click();
		expect(await diff.textContent()).toContain("from: shop_prod");
	});

	test("masked rows are shown when they are asked for, and hinder nobody; a run's report is a file", async () => {
		const { page, complaints } = await chromium.open(origin);
		await page.goto(`${origin}/pipelines/shop/tables/prod.orders`);
		await page.getByRole("button", { name: "Show a few masked rows" }).click();
		const rows = page.getByRole("region", { name: "Rows of raw.prod_orders" });
		await rows.waitFor();
		expect(await rows.getByRole("row").nth(2).textContent()).toContain("9999-99-99 99:99:99.999999NULLxxxxx xxxxx");
		expect(await hindrances(page)).toEqual([]);
		await page.goto(`${origin}/runs/${run}`);
		const report = page.getByRole("link", { name: "Report" });
		expect(await report.getAttribute("href")).toBe(`/api/runs/${run}/report`);
		expect(await report.getAttribute("download")).not.toBeNull();
		expect(complaints).toEqual([]);
	});

	test("light and dark by the system, and by the switch, which is remembered", async () => {
		const { page } = await chromium.open(origin, { colorScheme: "dark" });
		await page.goto(origin);
		const ground = () => page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
		await page.getByRole("button", { name: "Theme: System" }).click();
		expect(await ground()).toBe("rgb(255, 255, 255)");
		await page.reload();
		await page.getByRole("button", { name: "Theme: Light" }).click();
		expect(await ground()).toBe("rgb(20, 24, 29)");
	});
});
