/** Takes the pictures of the page for the documentation, of a made-up project: `node scripts/pictures.ts`. */
import { mkdirSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { builtPage, startChromium } from "../test/web/browser.ts";
import { shopRuns } from "../test/web/sample.ts";
import { serveSample } from "../test/web/sample-server.ts";

const folder = join(import.meta.dirname, "../docs/pictures");
const WIDTH = 1240;
const run = shopRuns.at(-1)!.run_id;

interface Picture {
	readonly name: string;
	readonly path: string;
	readonly colors: "light" | "dark";
	readonly height: number;
	/** What is done before the picture is taken. */
	readonly act?: (page: Page) => Promise<void>;
}

const PICTURES: readonly Picture[] = [
	{ name: "pipelines", path: "/", colors: "light", height: 560 },
	{
		name: "tables",
		path: "/pipelines/shop",
		colors: "light",
		height: 700,
		async act(page) {
			await page
				.getByRole("button", { name: /^prod\.nps, / })
				.last()
				.click();
			await page.getByText("What to do").waitFor();
		},
	},
	{ name: "run", path: `/runs/${run}`, colors: "light", height: 900 },
	{
		name: "file-change",
		path: `/runs/${run}`,
		colors: "light",
		height: 420,
		async act(page) {
			await page.locator(".diff").waitFor();
			await page.evaluate("document.querySelector('.diff').scrollIntoView({ block: 'center' })");
		},
	},
	{ name: "lineage", path: "/pipelines/shop/lineage", colors: "light", height: 760 },
	{ name: "log", path: `/runs/${run}/log?at=first-error`, colors: "dark", height: 620 },
	{ name: "table", path: "/pipelines/shop/tables/prod.orders", colors: "dark", height: 760 },
	{
		name: "sample",
		path: "/pipelines/shop/tables/prod.orders",
		colors: "light",
		height: 360,
		async act(page) {
			await page.getByRole("button", { name: "Show a few masked rows" }).click();
			await page.getByRole("region", { name: "Rows of raw.prod_orders" }).waitFor();
			await page.evaluate("document.querySelector('section[aria-label=\"Sample rows\"]').scrollIntoView()");
		},
	},
	{
		name: "calendar",
		path: "/pipelines/shop/calendar",
		colors: "light",
		height: 600,
		async act(page) {
			await page.getByRole("button", { name: "2026-", exact: false }).first().waitFor();
		},
	},
	{
		name: "backfill",
		path: "/pipelines/shop/calendar",
		colors: "light",
		height: 600,
		async act(page) {
			await page.getByRole("button", { name: /^Fill/ }).click();
			await page.getByRole("button", { name: "Run 5 intervals" }).waitFor();
		},
	},
	{ name: "change-capture", path: "/pipelines/crm/changes", colors: "dark", height: 580 },
	{
		name: "run-now",
		path: "/pipelines/shop",
		colors: "light",
		height: 640,
		async act(page) {
			await page.getByRole("button", { name: "Run now" }).click();
			await page.getByRole("button", { name: "Show what it would do" }).click();
			await page.getByText("GRANT SELECT").waitFor();
		},
	},
	{
		name: "connections",
		path: "/connections",
		colors: "light",
		height: 420,
		async act(page) {
			await page.getByRole("button", { name: "Test shop_prod" }).click();
			await page.getByText("GRANT SELECT").waitFor();
		},
	},
	{ name: "audit", path: "/audit", colors: "light", height: 340 },
];

mkdirSync(folder, { recursive: true });
using built = await builtPage();
await using chromium = await startChromium();
const server = await serveSample(built.folder, 0);
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
for (const { name, path, colors, height, act } of PICTURES) {
	const viewport = { width: WIDTH, height };
	const { page, complaints } = await chromium.open(origin, { viewport, colorScheme: colors, reducedMotion: "reduce" });
	await page.goto(origin + path, { waitUntil: "load" });
	await page.locator(".foot").waitFor();
	await page.locator("main table, main .months, main .log li").first().waitFor();
	await act?.(page);
	// Charts draw themselves a moment later.
	if (path.includes("/tables/")) await page.locator("canvas").nth(2).waitFor();
	await page.screenshot({ path: join(folder, `${name}.png`) });
	if (complaints.length > 0) throw new Error(`${name}: ${complaints.join("; ")}`);
	await page.context().close();
}
server.closeAllConnections();
server.close();
