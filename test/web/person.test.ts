import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openService, type Service } from "../../src/app/service/service.ts";
import { Redactor } from "../../src/observe/index.ts";
import { type RunningServer, startServer } from "../../src/server/server.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { available } from "../support/start.ts";
import { builtPage, type Chromium, hindrances, noBrowser, startChromium } from "./browser.ts";

const DAY_MS = 86_400_000;
const INTERVALS = 4;
const day = (back: number) => new Date(Date.now() - back * DAY_MS).toISOString().slice(0, 10);

const PIPELINE = `pipeline: shop
from: source
to: warehouse
schedule: "0 2 * * *"
start: ${day(INTERVALS)}
retries: 0
defaults: { into: "raw.{table}" }
tables:
  public.orders: { mode: full }
  public.customers: { mode: full }
  public.events: { mode: interval, cursor: created_at, key: id }
checks:
  - { table: raw.customers, not_null: [name] }
`;

/** Nobody listens there: a run of it waits between two attempts for as long as the test wants. */
const UNREACHABLE = `pipeline: far
from: postgres://nobody@127.0.0.1:1/nothing
to: warehouse
retries: 3
retry_delay: 5m
tables:
  public.orders: { mode: full }
`;

/** Its rows do not come while the test looks. */
const SLOW = `pipeline: slow
from: source
to: warehouse
tables:
  waiting: { query: "select id, pg_sleep(600)::text as nothing from orders", mode: full, into: raw.waiting }
`;

const SOURCE = `
create table orders (id int primary key, total numeric(10,2));
insert into orders select i, i * 1.5 from generate_series(1, 500) i;
create table customers (id int primary key, name text);
insert into customers values (1, 'Ada'), (2, null), (3, 'Grace');
create table events (id int primary key, created_at timestamptz not null);
insert into events select i, now() - i * interval '1 hour' from generate_series(1, 200) i;`;

const reason = noBrowser ?? available("postgres18");

const title = reason === undefined ? "a person with the page" : `a person with the page (skipped: ${reason})`;

describe.skipIf(reason !== undefined)(title, () => {
	const folder = mkdtempSync(join(tmpdir(), "headrace-person-"));
	let database: TestDatabase;
	let built: Awaited<ReturnType<typeof builtPage>>;
	let chromium: Chromium;
	let service: Service;
	let server: RunningServer;
	let session: Awaited<ReturnType<BrowserContext["storageState"]>>;

	beforeAll(async () => {
		[built, chromium, database] = await Promise.all([
			builtPage(),
			startChromium(),
			sharedServer("postgres18").then((shared) => freshDatabase(shared, "person")),
		]);
		await database.query(SOURCE);
		for (const name of [".headrace", "pipelines"]) mkdirSync(join(folder, name));
		writeFileSync(
			join(folder, "connections.yaml"),
			'source: "${env:SOURCE_URL}"\nwarehouse: duckdb:warehouse.duckdb\n',
		);
		writeFileSync(join(folder, "pipelines/shop.yaml"), PIPELINE);
		writeFileSync(join(folder, "pipelines/far.yaml"), UNREACHABLE);
		writeFileSync(join(folder, "pipelines/slow.yaml"), SLOW);
		service = await openService({
			directory: folder,
			env: { ...process.env, SOURCE_URL: database.url },
			redactor: new Redactor(),
			onNotice: () => {},
		});
		server = await startServer({
			service,
			host: "127.0.0.1",
			port: 0,
			publicUrl: null,
			allowedHosts: [],
			tls: null,
			version: "0.0.0",
			onError: (error) => {
				throw error;
			},
			pageFolder: built.folder,
		});
		await service.start();
		// The link is good once, and its token is gone from the address at once.
		const { page } = await chromium.open(server.address);
		await page.goto(server.link!);
		await page.getByRole("link", { name: "shop" }).waitFor();
		expect(page.url()).toBe(`${server.address}/`);
		session = await page.context().storageState();
	});
	afterAll(async () => {
		await chromium?.[Symbol.asyncDispose]();
		await server?.[Symbol.asyncDispose]();
		await service?.[Symbol.asyncDispose]();
		await database?.[Symbol.asyncDispose]();
		built?.[Symbol.dispose]();
		rmSync(folder, { recursive: true, force: true });
	});

	test("sees what failed, reads why, cures it, retries it; fills a calendar; pauses; others see it", async () => {
		const origin = server.address;
		const { page, complaints } = await chromium.open(origin, { storageState: session });
		const dialog = page.getByRole("dialog");

		await page.goto(origin);
		await page.getByRole("link", { name: "shop" }).click();
		await page.getByRole("button", { name: "Check" }).click();
		await dialog.getByText("Everything is there").waitFor();
		await page.keyboard.press("Escape");
		await page.goBack();

		await page.getByRole("button", { name: "Run shop" }).click();
		await dialog.getByRole("button", { name: "Show what it would do" }).click();
		await dialog.getByText("raw.orders").waitFor();
		await dialog.getByRole("button", { name: "Run", exact: true }).click();
		await page.getByRole("link", { name: /^failed/ }).click();

		const error = page.locator(".log .current");
		await error.waitFor();
		expect(await error.textContent()).toContain("E_CHECK");
		expect(await hindrances(page)).toEqual([]);

		await database.query("update customers set name = 'Lin' where name is null");
		await page.getByRole("button", { name: "Retry failed" }).click();
		const touched = dialog.getByRole("listitem");
		await touched.first().waitFor();
		expect(await touched.allTextContents()).toEqual(["public.customers"]);
		await dialog.getByRole("button", { name: "Retry 1 table" }).click();

		// By keyboard from here on: back to the list, into the pipeline's newest run.
		await dialog.waitFor({ state: "detached" });
		await page.keyboard.press("g");
		await page.keyboard.press("p");
		await page.getByRole("link", { name: /^succeeded/ }).focus();
		await page.keyboard.press("Enter");
		await page.getByText("read 3 = loaded 3 + rejected 0").waitFor();
		expect(await page.locator(".receipts tbody tr").count()).toBe(1);
		await page.getByRole("link", { name: "public.customers" }).focus();
		await page.keyboard.press("Enter");
		await page.getByRole("cell", { name: "text", exact: true }).waitFor();
		// An address with a dot at its end is a page too, when it is asked for anew.
		await page.reload();
		await page.getByRole("cell", { name: "text", exact: true }).waitFor();

		await page.goto(`${origin}/pipelines/shop/calendar`);
		await page.getByRole("button", { name: /^Fill \d missing/ }).click();
		await dialog.getByRole("button", { name: /^Run \d interval/ }).click();
		await expect.poll(() => page.locator(".day-cell .state-succeeded").count()).toBe(INTERVALS);
		expect(await hindrances(page)).toEqual([]);

		await page.keyboard.press("p");
		await dialog.getByLabel("Reason").fill("the shop moves");
		await page.keyboard.press("Enter");
		await page.getByText(": the shop moves").waitFor();
		await page.keyboard.press("g");
		await page.keyboard.press("a");
		await page.getByRole("cell", { name: "pause", exact: true }).waitFor();
		expect(complaints).toEqual([]);
	}, 120_000);

	test("cancels what can't connect; watches a run at work, its log as it comes, and cancels it", async () => {
		const { page, complaints } = await chromium.open(server.address, { storageState: session });
		const run = async (pipeline: string) => {
			await page.goto(`${server.address}/pipelines/${pipeline}`);
			await page.getByRole("button", { name: "Run now" }).waitFor();
			const begin = page.getByRole("dialog").getByRole("button", { name: "Run", exact: true });
			// The button is drawn a moment before keys are heard.
			await expect
				.poll(
					async () => {
						if (!(await begin.isVisible())) await page.keyboard.press("r");
						return begin.isVisible();
					},
					{ interval: 500 },
				)
				.toBe(true);
			await page.keyboard.press("Enter");
		};
		await run("far");
		await page.getByText("connecting and planning").waitFor();
		await page.getByRole("button", { name: "Cancel" }).click();
		await page.getByRole("button", { name: "Cancel it" }).click();
		await page.getByRole("link", { name: /^stopped/ }).waitFor();

		await run("slow");
		await page.getByRole("link", { name: /^running/ }).click();
		await page.getByRole("button", { name: "Cancel" }).waitFor();
		const other = await page.context().newPage();
		await other.goto(`${page.url()}/log`);
		await other.getByText("new lines appear as they come").waitFor();
		await page.getByRole("button", { name: "Cancel" }).click();
		await page.getByRole("button", { name: "Cancel the run" }).click();
		await page.locator(".page-head").getByText("stopped").waitFor();
		await other.getByText("complete").waitFor();
		expect(await other.locator(".log li").last().textContent()).toContain("stopped");
		expect(complaints).toEqual([]);
	});

	test("lets a viewer see, and do nothing", async () => {
		const { page } = await chromium.open(server.address, { storageState: session });
		await page.goto(`${server.address}/access`);
		await page.getByLabel("Name", { exact: true }).fill("guest");
		await page.getByRole("button", { name: "Make a token" }).click();
		const token = await page.getByRole("dialog").locator("pre").textContent();
		const { page: guest } = await chromium.open(server.address);
		await guest.goto(`${server.address}/pipelines/shop`);
		await guest.getByLabel("Token").fill(token!);
		expect(await hindrances(guest)).toEqual([]);
		await guest.keyboard.press("Enter");
		await guest.getByRole("heading", { name: "shop" }).waitFor();
		expect(await guest.getByRole("button", { name: "Run now" }).isDisabled()).toBe(true);
		await guest.getByRole("button", { name: "Sign out" }).click();
		await guest.getByLabel("Token").waitFor();
	});
});
